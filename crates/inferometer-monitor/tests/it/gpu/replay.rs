//! Recordings.

use std::io::{self, Write};
use std::{
    fs,
    sync::{Arc, Mutex},
};

use fake_nvml::Value;
use inferometer::{Registry, sample::gpu::Simulation};
use inferometer_monitor::gpu::{DriverPhase, GpuMonitor, Recorder, Replay, Visible};

use super::machine::{Machine, until, value};

/// A file that a test can look into.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn replaying(recording: &str) -> (GpuMonitor, Registry, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gpus.jsonl");
    fs::write(&path, recording).unwrap();
    let registry = Registry::new();
    let monitor = GpuMonitor::builder()
        .source(Replay::of(path))
        .visible(Visible::All)
        .register(&registry)
        .unwrap();
    (monitor, registry, folder)
}

#[test]
fn what_was_recorded_is_replayed_and_marked_as_such() {
    let machine = Machine::with(2);
    let tape = Tape::default();
    let monitor = machine
        .builder()
        .view(Recorder::new(tape.clone()))
        .register(&machine.registry)
        .unwrap();
    monitor.update();
    let mut recorded = monitor.stats("1").unwrap();
    let text = String::from_utf8(tape.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1);

    let (replay, registry, _folder) = replaying(&text);
    assert_eq!(replay.update().read, 2);
    let played = replay.stats("1").unwrap();
    assert_eq!(played.device.simulated, Some(Simulation::Replayed));
    let mut device = (*recorded.device).clone();
    device.simulated = Some(Simulation::Replayed);
    let again = Arc::make_mut(&mut recorded);
    again.device = Arc::new(device);
    again.at = played.at;
    // One line is played for a second, over and over, and adds no energy.
    assert_eq!(played, recorded);
    let page = registry.encode_text();
    assert!(page.contains(r#"index="1",name="Fake H200",pci_bus_id="00000000:01:00.0",driver_version="fake-nvml 999.1",parent="",simulated="replayed"} 1.0"#));
    assert_eq!(
        value(&page, r#"inferometer_gpu_utilization_ratio{uuid="GPU-1"}"#),
        Some(0.37)
    );
}

#[test]
fn a_recording_shows_losses_and_its_totals_never_fall() {
    let machine = Machine::with(2);
    let tape = Tape::default();
    let monitor = machine
        .builder()
        .view(Recorder::new(tape.clone()))
        .register(&machine.registry)
        .unwrap();
    monitor.update();
    machine
        .driver
        .set(machine.cards[0], Value::Energy, 6_000_250);
    machine.driver.lose(machine.cards[1]);
    monitor.update();
    let text = String::from_utf8(tape.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 2);
    let (replay, registry, _folder) = replaying(&text);
    let energy = || {
        value(
            &registry.encode_text(),
            r#"inferometer_gpu_energy_joules_total{uuid="GPU-0"}"#,
        )
    };
    let (mut last, mut seen) = (0.0, [false; 2]);
    until("it was lost, was back, and energy went on", || {
        let poll = replay.update();
        seen[0] |= poll.failed == 1;
        seen[1] |= seen[0] && poll.read == 2;
        let now = energy().unwrap_or(last);
        assert!(now >= last, "{now} after {last}");
        last = now;
        seen == [true; 2] && last > 8_000.0
    });
}

#[test]
fn a_recording_that_can_not_be_played_says_where_it_is_wrong() {
    let good = r#"{"seconds":5.0,"gpus":[]}"#;
    for (text, words) in [
        ("", "has no line in it"),
        ("{\"seconds\":1}", "line 1: missing field `gpus`"),
        (&*format!("{good}\nnonsense"), "line 2: expected ident"),
        (
            &*format!("{good}\n\n{{\"seconds\":4,\"gpus\":[]}}"),
            "line 3: 4 seconds, after 5 in the line before",
        ),
    ] {
        let (monitor, _registry, _folder) = replaying(text);
        assert_eq!(monitor.update().driver, DriverPhase::Broken);
        let why = monitor.status().why.unwrap();
        assert!(why.contains("gpus.jsonl") && why.contains(words), "{why}");
    }
    let registry = Registry::new();
    let monitor = GpuMonitor::builder()
        .source(Replay::of("/nowhere/gpus.jsonl"))
        .register(&registry)
        .unwrap();
    monitor.update();
    let why = monitor.status().why.unwrap();
    assert!(
        why.starts_with("the recording /nowhere/gpus.jsonl can't be read: "),
        "{why}"
    );
}
