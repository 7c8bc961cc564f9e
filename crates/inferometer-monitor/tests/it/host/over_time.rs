//! What a monitor shows from one sample to the next.

use std::{fs, path::Path, sync::Arc};

use inferometer::sample::host::{HostSample, HostView};
use inferometer_monitor::host::{Collector, Options, Roots};

use super::{Told, copy, fixture, monitor, roots, space, up, value, with};

const USAGE: &str = "inferometer_host_cpu_usage_ratio";
const IDLE: &str = r#"inferometer_host_cpu_seconds_total{mode="idle"}"#;
const USER: &str = r#"inferometer_host_cpu_seconds_total{mode="user"}"#;

/// Has the processors of the machine in `folder` stand at so many hundredths of a second.
fn processors(folder: &Path, user: u64, idle: u64, iowait: u64) {
    let stat = format!(
        "cpu {user} 0 0 {idle} {iowait} 0 0 0\ncpu0 {user} 0 0 {idle} {iowait} 0 0 0\nctxt 1\nbtime 1\nprocesses 1\n"
    );
    fs::write(folder.join("proc/stat"), stat).unwrap();
}

#[test]
fn usage_is_that_since_the_sample_before_and_waiting_for_a_disk_is_not_work() {
    let folder = copy("healthy");
    let (registry, monitor) = monitor(folder.path());
    processors(folder.path(), 1_000, 1_000, 0);
    monitor.update();
    assert_eq!(
        value(&registry, USAGE),
        None,
        "there is nothing to compare with"
    );

    processors(folder.path(), 1_025, 1_050, 25);
    monitor.update();
    assert_eq!(value(&registry, USAGE), Some(0.25));

    // A hundredth of a second says nothing, and isn't forgotten.
    processors(folder.path(), 1_026, 1_050, 25);
    monitor.update();
    assert_eq!(value(&registry, USAGE), Some(0.25));
    processors(folder.path(), 1_035, 1_050, 25);
    monitor.update();
    assert_eq!(value(&registry, USAGE), Some(1.0));

    // The machine was restored from an older copy of itself.
    processors(folder.path(), 10, 10, 0);
    monitor.update();
    assert_eq!(value(&registry, USAGE), None);
}

#[test]
fn a_counter_never_falls_when_the_kernel_corrects_its_times_or_begins_anew() {
    let folder = copy("healthy");
    let (registry, monitor) = monitor(folder.path());
    let mut shown = 0.0;
    for (idle, expected) in [
        (10_000, 100.0),
        (9_990, 100.0),
        (10_010, 100.1),
        (50, 100.1),
        (150, 101.1),
    ] {
        processors(folder.path(), 1_000, idle, 0);
        monitor.update();
        let now = value(&registry, IDLE).unwrap();
        assert!((now - expected).abs() < 1e-9, "{now} at {idle}");
        assert!(now >= shown, "{now} after {shown}");
        shown = now;
        assert_eq!(value(&registry, USER), Some(10.0));
    }
}

#[test]
fn what_is_gone_loses_its_series_and_what_is_back_has_it_again() {
    let folder = copy("healthy");
    let (registry, monitor) = monitor(folder.path());
    let data = r#"inferometer_host_filesystem_used_bytes{mount_point="/data"}"#;
    let sensor = r#"inferometer_host_temperature_celsius{component="acpitz/temp1"}"#;
    let stall = r#"inferometer_host_pressure_seconds_total{resource="io",share="full"}"#;
    let memory = "inferometer_host_memory_used_bytes";
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    let (mounts, meminfo) = (read("proc/self/mountinfo"), read("proc/meminfo"));

    monitor.update();
    assert_eq!(value(&registry, data), Some(3_000.0));
    assert_eq!(value(&registry, sensor), Some(-5.0));
    assert_eq!(value(&registry, stall), Some(0.25));
    assert_eq!(value(&registry, memory), Some(4_096_000_000.0));

    let without: Vec<_> = mounts
        .lines()
        .filter(|line| !line.contains("8:17"))
        .collect();
    write("proc/self/mountinfo", &without.join("\n"));
    write("proc/meminfo", "MemTotal: 16000000 kB\n");
    write(
        "proc/pressure/io",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
    );
    fs::rename(
        folder.path().join("sys/class/hwmon/hwmon10"),
        folder.path().join("unplugged"),
    )
    .unwrap();
    monitor.update();
    for gone in [data, sensor, stall, memory] {
        assert_eq!(value(&registry, gone), None, "{gone}");
    }
    assert!(value(&registry, "inferometer_host_memory_total_bytes").is_some());
    assert!(monitor.failures().is_empty(), "{:?}", monitor.failures());

    write("proc/self/mountinfo", &mounts);
    write("proc/meminfo", &meminfo);
    monitor.update();
    assert_eq!(value(&registry, data), Some(3_000.0));
    assert_eq!(value(&registry, memory), Some(4_096_000_000.0));
}

#[test]
fn a_collector_that_works_again_is_up_with_a_later_success() {
    let success =
        r#"inferometer_host_collector_last_success_timestamp_seconds{collector="memory"}"#;
    let folder = copy("healthy");
    let (registry, monitor) = monitor(folder.path());
    let meminfo = folder.path().join("proc/meminfo");
    let healthy = fs::read(&meminfo).unwrap();

    fs::remove_file(&meminfo).unwrap();
    monitor.update();
    assert_eq!(up(&registry, "memory"), Some(0.0));
    assert_eq!(value(&registry, success), None);

    fs::write(&meminfo, &healthy).unwrap();
    monitor.update();
    assert_eq!(up(&registry, "memory"), Some(1.0));
    let first = value(&registry, success).unwrap();

    fs::remove_file(&meminfo).unwrap();
    monitor.update();
    assert_eq!(
        value(&registry, success),
        Some(first),
        "a failure is no success"
    );
    let failures =
        r#"inferometer_host_collector_failures_total{collector="memory",reason="unreadable"}"#;
    assert_eq!(value(&registry, failures), Some(2.0));
    let took = r#"inferometer_host_collector_duration_seconds{collector="memory"}"#;
    assert!(value(&registry, took).is_some());
}

#[test]
fn a_collector_that_is_left_out_has_no_series_at_all() {
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .without(Collector::Disk);
    let (registry, monitor) = with(options);
    assert_eq!(monitor.update().disks, None);
    assert_eq!(up(&registry, "disk"), None);
    assert_eq!(up(&registry, "runtime"), None);
}

#[test]
fn seen_from_a_container_the_mounts_are_those_of_the_first_process_below_the_root() {
    let folder = copy("healthy");
    fs::remove_file(folder.path().join("proc/self/mountinfo")).unwrap();
    let options = Options::default()
        .roots(Roots {
            root: "/host".into(),
            ..roots(folder.path())
        })
        .measure_disks(space);
    let (registry, monitor) = with(options);
    monitor.update();
    let data = r#"inferometer_host_filesystem_total_bytes{mount_point="/data"}"#;
    assert_eq!(
        value(&registry, data),
        Some(1_000.0 * "/host/data".len() as f64)
    );
}

#[test]
fn the_last_sample_is_kept_and_a_monitor_that_ends_leaves_no_figures() {
    let told = Told::new();
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .measure_disks(space)
        .view(Arc::clone(&told) as Arc<dyn HostView>);
    let (registry, monitor) = with(options);
    assert_eq!(monitor.sample(), None);
    let sample = monitor.update();
    assert_eq!(monitor.sample(), Some(Arc::clone(&sample)));

    drop(monitor);
    assert_eq!(told.samples(), [(*sample).clone(), HostSample::default()]);
    let page = registry.encode_text();
    let left = page.lines().filter(|line| {
        (line.starts_with("inferometer_host_") || line.starts_with("inferometer_process_"))
            && !line.starts_with("inferometer_host_collector_failures_total")
    });
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}
