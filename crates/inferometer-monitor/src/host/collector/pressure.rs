//! How long work waited, from `/proc/pressure`.

use inferometer::sample::host::{HostSample, Pressure, Stall};
use procfs_core::parse_pressure_record;

use super::{super::files::Files, Collect, Failure};

/// The stalls of all three resources.
#[derive(Debug)]
pub(super) struct Stalls;

impl Collect for Stalls {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let mut pressure = Pressure::default();
        let mut failure = None;
        for (name, stall) in [
            ("pressure/cpu", &mut pressure.cpu),
            ("pressure/memory", &mut pressure.memory),
            ("pressure/io", &mut pressure.io),
        ] {
            match read(files, name) {
                Ok(read) => *stall = read,
                // A kernel without the feature has no file; one that has it switched off, one that can't be read.
                Err(error) if error.is_absence() => {}
                Err(error) => failure = Some(error),
            }
        }
        // The kernel writes a 0 there, as nothing is defined.
        pressure.cpu.full_seconds = None;
        if pressure != Pressure::default() {
            sample.pressure = Some(pressure);
        }
        failure.map_or(Ok(()), Err)
    }
}

fn read(files: &mut Files, name: &str) -> Result<Stall, Failure> {
    let (path, text) = files.proc(name)?;
    let mut stall = Stall::default();
    for line in text.lines() {
        let malformed = || Failure::malformed(&path, format!("a line is {line:?}"));
        let into = match line.split_once(' ') {
            Some(("some", _)) => &mut stall.some_seconds,
            Some(("full", _)) => &mut stall.full_seconds,
            _ => return Err(malformed()),
        };
        let record = parse_pressure_record(line).map_err(|_| malformed())?;
        #[expect(clippy::cast_precision_loss, reason = "2⁵³ microseconds are 285 years")]
        let seconds = record.total as f64 / 1e6;
        *into = Some(seconds);
    }
    match stall.some_seconds {
        Some(_) => Ok(stall),
        None => Err(Failure::malformed(&path, "it has no line `some`")),
    }
}
