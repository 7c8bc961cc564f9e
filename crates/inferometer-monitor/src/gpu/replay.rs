//! Recorded samples, for those who have no GPU.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

use inferometer::sample::gpu::{GpuDevice, GpuMemory, GpuSample, GpuView, Simulation};
use serde::{Deserialize, Serialize};

use super::source::{Failure, GpuDriver, GpuSource, Reason, Seat, Tiers, Unopened};

/// What was found by one poll: a line of a recording.
#[derive(Debug, Deserialize, Serialize)]
struct Frame {
    /// Seconds since the recording began.
    seconds: f64,
    /// The GPUs that answered.
    gpus: Vec<GpuSample>,
}

/// Plays a recording: a file with a line of JSON for each poll. What each GPU shows is marked as replayed.
///
/// A GPU that is missing from a line is lost until a line has it again. After the last line the recording begins again; totals go on from
/// where they were.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    began: Arc<OnceLock<Instant>>,
}

impl Replay {
    /// The recording at `path`, which is read when it is opened.
    pub fn of(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            began: Arc::default(),
        }
    }
}

impl GpuSource for Replay {
    fn name(&self) -> &str {
        "replay"
    }

    fn open(&self) -> Result<Arc<dyn GpuDriver>, Unopened> {
        let frames = read(&self.path).map_err(Unopened::Broken)?;
        tracing::warn!(
            file = %self.path.display(),
            "GPU figures are REPLAYED from a recording: no hardware is behind them"
        );
        Ok(Arc::new(Playing {
            frames,
            // Opened anew, it goes on.
            began: *self.began.get_or_init(Instant::now),
        }))
    }
}

fn read(path: &Path) -> Result<Vec<Frame>, String> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the recording {shown} can't be read: {error}"))?;
    let mut frames: Vec<Frame> = Vec::new();
    for (line, text) in (1..)
        .zip(text.lines())
        .filter(|(_, text)| !text.trim().is_empty())
    {
        let frame: Frame = serde_json::from_str(text)
            .map_err(|error| format!("the recording {shown}, line {line}: {error}"))?;
        let before = frames.last().map_or(0.0, |frame| frame.seconds);
        if !(frame.seconds >= before && frame.seconds.is_finite()) {
            return Err(format!(
                "the recording {shown}, line {line}: {} seconds, after {before} in the line before; lines go forward in time",
                frame.seconds
            ));
        }
        frames.push(frame);
    }
    if frames.is_empty() {
        return Err(format!("the recording {shown} has no line in it"));
    }
    for sample in frames.iter_mut().flat_map(|frame| &mut frame.gpus) {
        let mut device = (*sample.device).clone();
        device.simulated = Some(Simulation::Replayed);
        sample.device = Arc::new(device);
    }
    Ok(frames)
}

struct Playing {
    frames: Vec<Frame>,
    began: Instant,
}

impl Playing {
    /// How long the whole takes: the last line lasts as long as the lines before did on average.
    fn length(&self) -> f64 {
        let last = self.frames.last().map_or(0.0, |frame| frame.seconds);
        let gaps = self.frames.len().saturating_sub(1).max(1) as f64;
        if last > 0.0 { last + last / gaps } else { 1.0 }
    }

    /// The line of now, and how often the recording was played before.
    fn now(&self) -> Option<(&Frame, f64)> {
        let elapsed = self.began.elapsed().as_secs_f64();
        let rounds = (elapsed / self.length()).floor();
        let seconds = elapsed - rounds * self.length();
        let after = self
            .frames
            .partition_point(|frame| frame.seconds <= seconds);
        Some((self.frames.get(after.saturating_sub(1))?, rounds))
    }

    fn sample(&self, uuid: &str) -> Result<(&GpuSample, f64), Failure> {
        let (frame, rounds) = self.now().ok_or_else(|| lost(uuid))?;
        let sample = frame.gpus.iter().find(|gpu| *gpu.device.uuid == *uuid);
        Ok((sample.ok_or_else(|| lost(uuid))?, rounds))
    }

    /// By how much a GPU's energy rises in one round.
    fn energy(&self, uuid: &str) -> f64 {
        let mut all = self
            .frames
            .iter()
            .flat_map(|frame| &frame.gpus)
            .filter(|gpu| *gpu.device.uuid == *uuid)
            .filter_map(|gpu| gpu.energy);
        let first = all.next();
        let last = all.next_back().or(first);
        first
            .zip(last)
            .map_or(0.0, |(first, last)| (last - first).max(0.0))
    }
}

fn lost(uuid: &str) -> Failure {
    let message = format!("the recording has no {uuid} at this point");
    Failure::new(Reason::Lost, message)
}

impl GpuDriver for Playing {
    fn list(&self) -> Result<Vec<Result<Seat, Failure>>, Failure> {
        let gpus = self.now().map_or(&[][..], |(frame, _)| &frame.gpus);
        let seat = |gpu: &GpuSample| {
            let device = &gpu.device;
            match &device.instance {
                Some(part) => Seat::part(
                    device.index,
                    Arc::clone(&part.parent),
                    part.position,
                    Arc::clone(&device.uuid),
                ),
                None => Seat::whole(device.index, Arc::clone(&device.uuid)),
            }
        };
        Ok(gpus.iter().map(|gpu| Ok(seat(gpu))).collect())
    }

    fn identify(&self, seat: &Seat) -> Result<GpuDevice, Failure> {
        Ok((*self.sample(&seat.uuid)?.0.device).clone())
    }

    fn read(
        &self,
        seat: &Seat,
        _tiers: Tiers,
        sample: &mut GpuSample,
    ) -> Result<Vec<Failure>, Failure> {
        let (recorded, rounds) = self.sample(&seat.uuid)?;
        let device = Arc::clone(&sample.device);
        *sample = recorded.clone();
        sample.device = device;
        sample.at = SystemTime::now();
        let more = rounds * self.energy(&seat.uuid);
        sample.energy = sample.energy.map(|joules| joules + more);
        Ok(Vec::new())
    }

    fn memory(&self, seat: &Seat) -> Result<GpuMemory, Failure> {
        let memory = self.sample(&seat.uuid)?.0.memory;
        memory.ok_or_else(|| lost(&seat.uuid))
    }

    fn watch(
        &self,
        _seats: &[Arc<Seat>],
        _stop: &AtomicBool,
        _take: &mut dyn FnMut(&Seat, u64),
    ) -> Result<(), Failure> {
        Ok(())
    }
}

/// Writes a recording: a view that writes a line for each poll.
///
/// A line that can't be written ends the recording, and the log says so once.
#[derive(Debug)]
pub struct Recorder<W> {
    began: Instant,
    into: Mutex<W>,
    ended: AtomicBool,
}

impl<W: Write + Send> Recorder<W> {
    /// Records `into` from now on.
    pub fn new(into: W) -> Self {
        Self {
            began: Instant::now(),
            into: Mutex::new(into),
            ended: AtomicBool::new(false),
        }
    }
}

impl<W: Write + Send> GpuView for Recorder<W> {
    fn sampled(&self, _sample: &GpuSample) {}

    fn lost(&self, _device: &GpuDevice) {}

    /// That somebody stopped looking says nothing of the GPUs.
    fn released(&self) {}

    fn polled(&self, samples: &[Arc<GpuSample>]) {
        if self.ended.load(Relaxed) {
            return;
        }
        let frame = Frame {
            seconds: self.began.elapsed().as_secs_f64(),
            gpus: samples.iter().map(|sample| (**sample).clone()).collect(),
        };
        let mut into = self.into.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_vec(&frame)
            .map_err(Into::into)
            .and_then(|mut line| {
                line.push(b'\n');
                into.write_all(&line)?;
                into.flush()
            });
        if let Err(error) = written {
            tracing::warn!(%error, "the recording of GPUs ends here");
            self.ended.store(true, Relaxed);
        }
    }
}
