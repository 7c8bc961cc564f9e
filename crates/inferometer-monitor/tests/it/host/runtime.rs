//! The async runtime's own figures.

use inferometer_monitor::host::Options;

use super::{fixture, roots, space, up, value, with};

#[test]
fn a_runtime_that_is_named_shows_its_workers_and_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    runtime.spawn(stopped);
    let options = Options::default()
        .roots(roots(&fixture("healthy")))
        .measure_disks(space)
        .runtime(runtime.handle().clone());
    let (registry, monitor) = with(options);
    let sample = monitor.update().runtime.unwrap();
    assert_eq!((sample.workers, sample.alive_tasks), (2, 1));
    assert_eq!(up(&registry, "runtime"), Some(1.0));
    assert_eq!(
        value(&registry, "inferometer_process_runtime_workers"),
        Some(2.0)
    );
    assert_eq!(
        value(&registry, "inferometer_process_runtime_tasks"),
        Some(1.0)
    );

    runtime.block_on(async {
        let spin = tokio::spawn(async { while std::hint::black_box(busy()) < 0.01 {} });
        spin.await.unwrap();
        drop(stop);
    });
    let name = "inferometer_process_runtime_busy_seconds_total";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        // A worker adds up its time when it next has nothing to do.
        monitor.update();
        if value(&registry, name).unwrap() >= 0.01 {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the workers were busy"
        );
        std::thread::yield_now();
    }
}

/// How long ago this thread first asked, in seconds.
fn busy() -> f64 {
    thread_local!(static START: std::time::Instant = std::time::Instant::now());
    START.with(|start| start.elapsed().as_secs_f64())
}

#[test]
fn without_a_runtime_there_is_no_figure_of_one() {
    let options = Options::default().roots(roots(&fixture("healthy")));
    let (registry, monitor) = with(options);
    assert_eq!(monitor.update().runtime, None);
    assert!(
        !registry
            .encode_text()
            .contains("inferometer_process_runtime_")
    );
}
