//! What one inference does to a GPU's memory.

use std::time::{Duration, Instant};

use fake_nvml::{Call, Value};
use inferometer_catalog::vla;

use super::machine::{Machine, until};

const DELTA: &str = r#"vla_inference_gpu_memory_delta_bytes{model="pi-0",device="0"}"#;

#[test]
fn the_change_of_memory_over_one_inference_is_recorded_with_its_sign() {
    let machine = Machine::with(1);
    let view: vla::gpu::Gpu = machine.registry.register().unwrap();
    let monitor = machine
        .builder()
        .view(view)
        .register(&machine.registry)
        .unwrap();
    monitor.update();
    for (before, after) in [
        (8_000_000_000, 8_000_004_096),
        (8_000_004_096, 8_000_004_096),
        (8_000_004_096, 7_999_999_999),
    ] {
        let used = |bytes| {
            let card = machine.cards[0];
            machine.driver.set(card, Value::MemoryUsed, bytes);
        };
        // On a busy machine a reading may take longer than an inference waits.
        until("it is measured", || {
            used(before);
            let inference = monitor.track_inference_memory("pi-0", "GPU-0").unwrap();
            used(after);
            let found = inference.finish();
            let delta = after.cast_signed() - before.cast_signed();
            assert!(found.is_none_or(|found| found == delta), "{found:?}");
            found.is_some()
        });
        let delta = after as f64 - before as f64;
        assert_eq!(machine.value(DELTA), Some(delta));
    }
    assert_eq!(
        machine.value(r#"vla_inference_gpu_memory_growth_bytes_count{model="pi-0",device="0"}"#),
        Some(3.0)
    );
    assert_eq!(
        machine.value(r#"vla_inference_gpu_memory_growth_bytes_sum{model="pi-0",device="0"}"#),
        Some(4_096.0)
    );
    // One that is dropped counts, too.
    until("it is measured", || {
        drop(monitor.track_inference_memory("pi-0", "0").unwrap());
        machine.value(DELTA) == Some(0.0)
    });
}

#[test]
fn without_a_driver_or_a_gpu_that_answers_an_inference_goes_on_unmeasured() {
    let machine = Machine::with(1);
    let monitor = machine.monitor();
    assert_eq!(
        monitor
            .track_inference_memory("pi-0", "0")
            .unwrap()
            .finish(),
        None
    );
    monitor.update();
    machine.driver.lose(machine.cards[0]);
    monitor.update();
    assert_eq!(
        monitor
            .track_inference_memory("pi-0", "0")
            .unwrap()
            .finish(),
        None
    );
}

#[test]
fn a_driver_that_hangs_holds_one_inference_up_briefly_and_the_next_not_at_all() {
    let machine = Machine::with(1);
    let monitor = machine.monitor();
    monitor.update();
    machine
        .driver
        .hang(machine.cards[0], Some(Call::MemoryInfo));
    let first = monitor.track_inference_memory("pi-0", "0").unwrap();
    until("the call hangs", || machine.driver.hanging() == 1);
    let best = (0..5).map(|_| {
        let began = Instant::now();
        assert_eq!(
            monitor
                .track_inference_memory("pi-0", "0")
                .unwrap()
                .finish(),
            None
        );
        began.elapsed()
    });
    let best = best.min().unwrap();
    assert!(best < Duration::from_millis(40), "{best:?}");
    assert_eq!(first.finish(), None);
    assert_eq!(machine.driver.hanging(), 1);
    machine.driver.release();
    until("it is measured again", || {
        monitor
            .track_inference_memory("pi-0", "0")
            .unwrap()
            .finish()
            == Some(0)
    });
}
