//! What is shown of this process, and of its async runtime.

use inferometer::{
    FloatCounter, Gauge, MetricSet, RegisterError, Registry,
    sample::host::{HostSample, Process, Runtime},
};

use super::{float, followed::Followed, machine::ByMode, show};

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_process")]
struct Set {
    /// Processor time of this process by mode: its own code, and the kernel on its behalf.
    #[metric(unit = "seconds")]
    cpu: FloatCounter<ByMode<'static>>,
    /// Memory that this process has in RAM.
    #[metric(unit = "bytes")]
    resident_memory: Gauge,
    /// Address space that this process has asked for.
    #[metric(unit = "bytes")]
    virtual_memory: Gauge,
    /// File descriptors that this process has open.
    open_fds: Gauge,
    /// File descriptors that this process may have open; absent where there is no limit.
    max_fds: Gauge,
    /// When this process started, in seconds since 1970.
    #[metric(unit = "seconds")]
    start_time: Gauge,
    /// Threads of this process.
    threads: Gauge,
}

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_process_runtime")]
struct RuntimeSet {
    /// Threads that run the async runtime's tasks.
    workers: Gauge,
    /// Tasks of the async runtime that have been spawned and have not ended.
    tasks: Gauge,
    /// Tasks that wait in the queue that all workers of the async runtime share.
    queue_depth: Gauge,
    /// Time that the async runtime's workers have spent on tasks, all together.
    #[metric(unit = "seconds")]
    busy: FloatCounter,
}

/// The process's metrics, and what they showed last.
#[derive(Debug)]
pub(super) struct ThisProcess {
    set: Set,
    /// Only with a runtime to show: without one, a counter at 0 would be a lie.
    runtime: Option<RuntimeSet>,
    modes: Followed,
    busy: Followed,
}

impl ThisProcess {
    pub(super) fn register(registry: &Registry, runtime: bool) -> Result<Self, RegisterError> {
        Ok(Self {
            set: registry.register()?,
            runtime: runtime.then(|| registry.register()).transpose()?,
            modes: Followed::default(),
            busy: Followed::default(),
        })
    }

    pub(super) fn sampled(&self, sample: &HostSample) {
        self.process(sample.process);
        if let Some(set) = &self.runtime {
            self.runtime(set, sample.runtime);
        }
    }

    fn process(&self, process: Option<Process>) {
        let set = &self.set;
        for (mode, time) in [
            ("user", process.map(|process| process.user_seconds)),
            ("system", process.map(|process| process.system_seconds)),
        ] {
            let labels = ByMode { mode };
            self.modes.follow(
                [mode, ""],
                time,
                |more| set.cpu.with(labels).add(more),
                || set.cpu.remove(labels),
            );
        }
        let of = |field: fn(Process) -> Option<u64>| process.and_then(field).map(float);
        show(
            &set.resident_memory,
            of(|process| Some(process.resident_bytes)),
        );
        show(
            &set.virtual_memory,
            of(|process| Some(process.virtual_bytes)),
        );
        show(&set.open_fds, of(|process| process.open_descriptors));
        show(&set.max_fds, of(|process| process.max_descriptors));
        show(&set.threads, of(|process| process.threads));
        let start = process.and_then(|process| process.start_seconds);
        show(&set.start_time, start);
    }

    fn runtime(&self, set: &RuntimeSet, runtime: Option<Runtime>) {
        let of = |field: fn(Runtime) -> u64| runtime.map(field).map(float);
        show(&set.workers, of(|runtime| runtime.workers));
        show(&set.tasks, of(|runtime| runtime.alive_tasks));
        show(&set.queue_depth, of(|runtime| runtime.queue_depth));
        let busy = runtime.and_then(|runtime| runtime.busy_seconds);
        // The one series without labels can't go: without a reading, it stays.
        if busy.is_some() {
            self.busy
                .follow(["", ""], busy, |more| set.busy.add(more), || ());
        }
    }
}
