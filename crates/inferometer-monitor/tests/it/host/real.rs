//! The machine that the tests run on.

use std::{fs::File, time::SystemTime};

use inferometer_monitor::host::Options;

use super::{value, with};

#[test]
fn this_machine_tells_plausible_figures() {
    let (registry, monitor) = with(Options::default());
    let _open = File::open("/proc/self/stat").unwrap();
    let first = monitor.update();
    assert_eq!(monitor.failures(), []);

    let cpu = first.cpu.unwrap();
    assert!(cpu.seconds.user > 0.0 && cpu.seconds.total() >= cpu.seconds.busy());
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(cpu.count.unwrap() >= cores, "{cpu:?}");

    let memory = first.memory.unwrap();
    let used = memory.used_bytes().unwrap();
    assert!(used > 1 << 20 && used < memory.total_bytes, "{memory:?}");

    let disks = first.disks.as_ref().unwrap();
    let root = disks.iter().find(|disk| disk.mount_point == "/").unwrap();
    assert!(root.used_bytes > 0 && root.used_bytes + root.free_bytes <= root.total_bytes);

    let process = first.process.unwrap();
    assert!(process.resident_bytes > 1 << 20, "{process:?}");
    assert!(
        process.virtual_bytes > process.resident_bytes,
        "{process:?}"
    );
    assert!(process.threads >= Some(1), "{process:?}");
    let open = process.open_descriptors.unwrap();
    assert!((4..10_000).contains(&open), "{process:?}");
    assert!(process.max_descriptors >= Some(open), "{process:?}");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let age = now - process.start_seconds.unwrap();
    // The kernel tells when the machine started in whole seconds.
    assert!((-2.0..3_600.0).contains(&age), "{age}");

    // The processors' times move on by themselves; there is enough to compare with once they have.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let usage = loop {
        let usage = monitor.update().cpu.unwrap().usage_ratio;
        if usage.is_some() || std::time::Instant::now() > deadline {
            break usage;
        }
        std::thread::yield_now();
    };
    let usage = usage.expect("the processors' times move on");
    assert!((0.0..=1.0).contains(&usage), "{usage}");
    assert_eq!(
        value(&registry, "inferometer_host_cpu_usage_ratio"),
        Some(usage)
    );
}

#[test]
fn descriptors_that_this_process_opens_are_counted() {
    let (_registry, monitor) = with(Options::default());
    let open = || monitor.update().process.unwrap().open_descriptors.unwrap();
    let before = open();
    let held: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    let after = open();
    // Tests beside this one open and close files of their own, when they share a process.
    assert!(after >= before + 40, "{before} and {after}");
    drop(held);
}
