//! What fails, fails alone, and says why.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    time::{Duration, Instant},
};

use inferometer::sample::host::{HostSample, HostView};
use inferometer_monitor::host::{Collector, Options};

use super::{Told, copy, fixture, monitor, roots, space, up, value, with};

fn failure(failures: &[(Collector, String)], of: Collector) -> &str {
    let found = failures.iter().find(|(collector, _)| *collector == of);
    found.map_or("", |(_, message)| message)
}

#[test]
fn a_panicking_collector_stops_no_other() {
    let healthy = fixture("healthy");
    let options = Options::default()
        .roots(roots(&healthy))
        .measure_disks(|_| panic!("a disk on fire"));
    let (registry, monitor) = with(options);
    for turn in 1..=2 {
        let sample = monitor.update();
        assert_eq!(sample.disks, None);
        assert!(sample.temperatures.is_some(), "it comes after the disks");
        assert_eq!(up(&registry, "disk"), Some(0.0));
        for other in ["cpu", "memory", "temperature", "pressure", "process"] {
            assert_eq!(up(&registry, other), Some(1.0), "{other}");
        }
        let series =
            r#"inferometer_host_collector_failures_total{collector="disk",reason="panicked"}"#;
        assert_eq!(value(&registry, series), Some(f64::from(turn)));
    }
    let failures = monitor.failures();
    assert_eq!(failures.len(), 1);
    assert!(failure(&failures, Collector::Disk).contains("a disk on fire"));
}

#[test]
fn a_proc_that_is_not_there_is_named_with_its_remedy_and_nothing_stops() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let (registry, monitor) = monitor(&nowhere);
    let sample = monitor.update();
    let nothing = HostSample {
        taken_at: sample.taken_at,
        temperatures: Some(Vec::new()),
        ..HostSample::default()
    };
    assert_eq!(*sample, nothing);

    let failures = monitor.failures();
    for (collector, file) in [
        (Collector::Cpu, "proc/stat"),
        (Collector::Memory, "proc/meminfo"),
        (Collector::Disk, "proc/self/mountinfo"),
        (Collector::Process, "proc/self/stat"),
    ] {
        let message = failure(&failures, collector);
        let path = nowhere.join(file);
        assert!(message.contains(&*path.to_string_lossy()), "{message}");
        assert!(message.contains("`Roots`"), "{message}");
        assert_eq!(up(&registry, &collector.to_string()), Some(0.0));
    }
    // A machine without sensors or without the kernel's pressure figures looks the same.
    assert_eq!(up(&registry, "temperature"), Some(1.0));
    assert_eq!(up(&registry, "pressure"), Some(1.0));
    assert_eq!(failures.len(), 4);
    let page = registry.encode_text();
    assert!(!page.contains("\ninferometer_host_memory"), "{page}");
    assert!(
        !page.contains("\ninferometer_host_cpu_seconds_total{"),
        "{page}"
    );
    assert!(
        !page.contains("\ninferometer_process_cpu_seconds_total{"),
        "{page}"
    );
}

#[test]
fn a_machine_whose_files_are_empty_fails_where_the_kernel_writes_something() {
    let folder = copy("healthy");
    for file in [
        "stat",
        "meminfo",
        "self/stat",
        "self/limits",
        "pressure/cpu",
    ] {
        fs::write(folder.path().join("proc").join(file), "").unwrap();
    }
    fs::write(folder.path().join("proc/self/mountinfo"), "").unwrap();
    let (registry, monitor) = monitor(folder.path());
    let sample = monitor.update();
    for (collector, works) in [
        ("cpu", 0.0),
        ("memory", 0.0),
        ("disk", 1.0),
        ("temperature", 1.0),
        ("pressure", 0.0),
        ("process", 0.0),
    ] {
        assert_eq!(up(&registry, collector), Some(works), "{collector}");
    }
    assert_eq!(sample.disks, Some(Vec::new()));
    let pressure = sample.pressure.unwrap();
    assert_eq!(pressure.cpu.some_seconds, None);
    assert_eq!(pressure.memory.some_seconds, Some(0.07654));
}

#[test]
fn a_file_cut_short_anywhere_costs_its_own_collector_at_most_and_none_panics() {
    let folder = copy("healthy");
    for (collector, file) in [
        (Collector::Cpu, "proc/stat"),
        (Collector::Memory, "proc/meminfo"),
        (Collector::Disk, "proc/self/mountinfo"),
        (Collector::Pressure, "proc/pressure/io"),
        (Collector::Process, "proc/self/stat"),
        (Collector::Process, "proc/self/limits"),
    ] {
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        // Each a monitor of its own, as the counters of one never fall.
        for end in (0..whole.len()).step_by(7) {
            fs::write(&path, &whole[..end]).unwrap();
            let (registry, monitor) = monitor(folder.path());
            monitor.update();
            for (failed, message) in monitor.failures() {
                assert_eq!(failed, collector, "{file} cut at {end}: {message}");
                assert!(
                    !message.contains("panicked"),
                    "{file} cut at {end}: {message}"
                );
            }
            assert!(registry.encode_text().len() > 1_000, "{file} cut at {end}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_a_failure_that_names_it() {
    let folder = copy("healthy");
    let stat = folder.path().join("proc/stat");
    fs::remove_file(&stat).unwrap();
    fs::create_dir(&stat).unwrap();
    let (_registry, monitor) = monitor(folder.path());
    monitor.update();
    let failures = monitor.failures();
    assert!(failure(&failures, Collector::Cpu).contains(&*stat.to_string_lossy()));
}

#[test]
fn what_vanishes_between_being_found_and_being_read_is_left_out() {
    let folder = copy("healthy");
    let class = folder.path().join("sys/class/hwmon");
    // The name is listed; when the file is opened, it leads nowhere.
    for input in ["hwmon1/temp1_input", "hwmon2/name"] {
        let input = class.join(input);
        fs::remove_file(&input).unwrap();
        std::os::unix::fs::symlink("gone", &input).unwrap();
    }
    let options = Options::default()
        .roots(roots(folder.path()))
        .measure_disks(|path| match path.to_str() {
            Some("/data" | "/srv/models") => Err(io::ErrorKind::NotFound.into()),
            _ => space(path),
        });
    let (registry, monitor) = with(options);
    let sample = monitor.update();
    let disks: Vec<_> = sample
        .disks
        .iter()
        .flatten()
        .map(|disk| &*disk.mount_point)
        .collect();
    assert_eq!(disks, ["/", "/boot/efi"]);
    let sensors = sample.temperatures.iter().flatten();
    let sensors: Vec<_> = sensors.map(|sensor| &*sensor.component).collect();
    assert_eq!(
        sensors,
        [
            "coretemp/Package id 0",
            "hwmon/Composite",
            "nct6775/SYSTIN",
            "acpitz/temp1"
        ]
    );
    assert_eq!(up(&registry, "disk"), Some(1.0));
    assert_eq!(up(&registry, "temperature"), Some(1.0));
    assert!(monitor.failures().is_empty());
}

#[test]
fn a_disk_that_fails_leaves_the_others_and_is_named() {
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .measure_disks(|path| match path.to_str() {
            Some("/data") => Err(io::Error::other("input/output error")),
            Some("/boot/efi") => Err(io::ErrorKind::PermissionDenied.into()),
            _ => space(path),
        });
    let (registry, monitor) = with(options);
    let sample = monitor.update();
    assert_eq!(sample.disks.as_ref().map(Vec::len), Some(1));
    assert_eq!(up(&registry, "disk"), Some(0.0));
    let failures = monitor.failures();
    let message = failure(&failures, Collector::Disk);
    assert!(
        message.contains("/data") && message.contains("input/output error"),
        "{message}"
    );
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_and_is_shown_again_when_it_answers() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .measure_disks(move |path| {
            if path == Path::new("/boot/efi") && count.fetch_add(1, SeqCst) == 0 {
                let _ = released.lock().unwrap().recv();
            }
            space(path)
        });
    let (registry, monitor) = with(options);
    let efi = r#"inferometer_host_filesystem_used_bytes{mount_point="/boot/efi"}"#;
    let data = r#"inferometer_host_filesystem_used_bytes{mount_point="/data"}"#;
    for _ in 0..3 {
        monitor.update();
        assert_eq!(value(&registry, efi), None);
        assert_eq!(value(&registry, data), Some(3_000.0));
        assert_eq!(up(&registry, "disk"), Some(0.0));
        assert_eq!(up(&registry, "temperature"), Some(1.0));
    }
    assert_eq!(
        asked.load(SeqCst),
        1,
        "while it hangs, it isn't asked again"
    );
    let failures = monitor.failures();
    let message = failure(&failures, Collector::Disk);
    assert!(
        message.contains("/boot/efi") && message.contains("1s"),
        "{message}"
    );

    drop(release);
    let deadline = Instant::now() + Duration::from_secs(10);
    while value(&registry, efi).is_none() {
        assert!(Instant::now() < deadline, "it answers");
        monitor.update();
    }
    assert_eq!(up(&registry, "disk"), Some(1.0));
}

#[test]
fn a_disk_that_a_container_has_only_files_of_is_shown_where_it_has_a_folder() {
    let folder = copy("healthy");
    let list = "1 0 0:40 / / rw - overlay overlay rw
2 1 8:1 /containers/a/hostname /etc/hostname rw - ext4 /dev/sda1 rw
3 1 8:1 /containers/a/hosts /etc/hosts rw - ext4 /dev/sda1 rw
4 1 8:1 /srv/models /models rw - ext4 /dev/sda1 rw
5 1 8:1 /srv/more /more rw - ext4 /dev/sda1 rw
";
    fs::write(folder.path().join("proc/self/mountinfo"), list).unwrap();
    let options = Options::default()
        .roots(roots(folder.path()))
        .measure_disks(|path| match path.starts_with("/etc") {
            true => Err(io::ErrorKind::NotADirectory.into()),
            false => space(path),
        });
    let (registry, monitor) = with(options);
    let sample = monitor.update();
    let disks = sample.disks.iter().flatten();
    let disks: Vec<_> = disks.map(|disk| &*disk.mount_point).collect();
    assert_eq!(disks, ["/", "/models"]);
    assert_eq!(up(&registry, "disk"), Some(1.0));
}

#[test]
fn more_disks_than_are_shown_are_said_to_be_too_many() {
    let folder = copy("healthy");
    let list: String = (0..70)
        .map(|at| format!("{at} 1 8:{at} / /disk{at:02} rw - ext4 /dev/a rw\n"))
        .collect();
    fs::write(folder.path().join("proc/self/mountinfo"), list).unwrap();
    let (registry, monitor) = monitor(folder.path());
    let sample = monitor.update();
    assert_eq!(sample.disks.as_ref().map(Vec::len), Some(64));
    let last = r#"inferometer_host_filesystem_used_bytes{mount_point="/disk63"}"#;
    assert!(value(&registry, last).is_some());
    let overflow = r#"inferometer_host_filesystem_used_bytes{mount_point="other"}"#;
    assert_eq!(value(&registry, overflow), None);
    let failures = monitor.failures();
    let message = failure(&failures, Collector::Disk);
    assert!(
        message.contains("70") && message.contains("64"),
        "{message}"
    );
}

#[test]
fn a_sandbox_that_writes_zeros_for_its_processors_has_no_times() {
    let folder = copy("healthy");
    let stat = "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nctxt 0\nbtime 1\nprocesses 1\n";
    fs::write(folder.path().join("proc/stat"), stat).unwrap();
    let (registry, monitor) = monitor(folder.path());
    assert_eq!(monitor.update().cpu, None);
    assert_eq!(up(&registry, "cpu"), Some(1.0));
    let page = registry.encode_text();
    assert!(
        !page.contains("\ninferometer_host_cpu_seconds_total{"),
        "{page}"
    );
}

#[test]
fn a_view_that_panics_keeps_nothing_from_the_next() {
    struct Panics;
    impl HostView for Panics {
        fn sampled(&self, _: &HostSample) {
            panic!("a view fails");
        }
    }
    let told = Told::new();
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .measure_disks(space)
        .view(Arc::new(Panics))
        .view(Arc::clone(&told) as Arc<dyn HostView>);
    let (_registry, monitor) = with(options);
    let first = monitor.update();
    let second = monitor.update();
    assert_eq!(told.samples(), [(*first).clone(), (*second).clone()]);
}
