//! The processors, from `/proc/stat`.

use inferometer::sample::host::{Cpu, CpuSeconds, HostSample};
use procfs_core::{CpuTime, ExplicitSystemInfo, FromBufReadSI, KernelStats};

use super::{super::files::Files, Collect, Failure};

/// How long each processor must have run since the sample before, in seconds, for their usage to say anything: the kernel counts in
/// steps of a hundredth.
const SHORTEST: f64 = 0.1;

/// The processors, and the sample that the next is compared with.
#[derive(Debug, Default)]
pub(super) struct Processors {
    before: Option<CpuSeconds>,
    usage_ratio: Option<f64>,
}

impl Collect for Processors {
    fn collect(&mut self, files: &mut Files, sample: &mut HostSample) -> Result<(), Failure> {
        let (path, text) = files.proc("stat")?;
        let stats = KernelStats::from_buf_read(text.as_bytes(), &system())
            .map_err(|error| Failure::of_parser(&path, error))?;
        let seconds = seconds(&stats.total);
        // A sandbox that keeps the machine's times to itself writes zeros.
        if seconds.total() == 0.0 {
            return Ok(());
        }
        let count = stats.cpu_time.len() as u64;
        sample.cpu = Some(Cpu {
            seconds,
            usage_ratio: self.usage(seconds, count),
            count: (count > 0).then_some(count),
        });
        Ok(())
    }
}

impl Processors {
    fn usage(&mut self, now: CpuSeconds, count: u64) -> Option<f64> {
        let Some(before) = self.before else {
            self.before = Some(now);
            return None;
        };
        let passed = now.total() - before.total();
        #[expect(clippy::cast_precision_loss, reason = "processors are few")]
        let shortest = SHORTEST * count.max(1) as f64;
        if passed >= shortest {
            let busy = (now.busy() - before.busy()) / passed;
            self.usage_ratio = Some(busy.clamp(0.0, 1.0));
            self.before = Some(now);
        } else if passed < 0.0 {
            // The count began anew: a machine that was moved or restored.
            self.usage_ratio = None;
            self.before = Some(now);
        }
        self.usage_ratio
    }
}

/// What the kernel counts in on the machine that this runs on.
pub(super) fn system() -> ExplicitSystemInfo {
    ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: rustix::param::clock_ticks_per_second(),
        page_size: rustix::param::page_size() as u64,
        is_little_endian: cfg!(target_endian = "little"),
    }
}

/// A number of the kernel's ticks, in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "2⁵³ ticks are three million years"
)]
pub(super) fn ticks(count: u64) -> f64 {
    count as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn seconds(time: &CpuTime) -> CpuSeconds {
    CpuSeconds {
        user: ticks(time.user),
        nice: ticks(time.nice),
        system: ticks(time.system),
        idle: ticks(time.idle),
        iowait: time.iowait.map(ticks),
        irq: time.irq.map(ticks),
        softirq: time.softirq.map(ticks),
        steal: time.steal.map(ticks),
    }
}
