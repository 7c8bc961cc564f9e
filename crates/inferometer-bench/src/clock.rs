//! Time: what a thread has used of a processor, and what the wall shows.

use std::{
    fs,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// What some work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// Processor time, summed over the threads.
    pub(crate) cpu: Duration,
    /// From the first start to the last end.
    pub(crate) wall: Duration,
    /// How long the threads were ready and had no processor, summed.
    pub(crate) queued: Duration,
}

/// The processor time of this thread so far.
pub(crate) fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// How long this thread has been ready to run and had no processor; nothing where the kernel doesn't say.
fn queued() -> Duration {
    let nanos = fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Runs `work` on the calling thread.
pub(crate) fn here<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (begun, start) = (cpu(), Instant::now());
    let done = work();
    let spent = Spent {
        wall: start.elapsed(),
        cpu: cpu() - begun,
        queued: Duration::ZERO,
    };
    (done, spent)
}

/// Runs `work` on `threads` threads that start together; each is told its number.
pub(crate) fn together(threads: usize, work: impl Fn(usize) + Sync) -> Spent {
    if threads == 1 {
        return here(|| work(0)).1;
    }
    let gate = Barrier::new(threads);
    let took: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (gate, work) = (&gate, &work);
                scope.spawn(move || {
                    let waited = queued();
                    gate.wait();
                    let (begun, start) = (cpu(), Instant::now());
                    work(number);
                    let (end, used) = (Instant::now(), cpu() - begun);
                    (start, end, used, queued().saturating_sub(waited))
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let first = took.iter().map(|(start, ..)| *start).min();
    let last = took.iter().map(|(_, end, ..)| *end).max();
    Spent {
        cpu: took.iter().map(|(_, _, used, _)| *used).sum(),
        queued: took.iter().map(|(.., queued)| *queued).sum(),
        wall: first
            .zip(last)
            .map(|(first, last)| last - first)
            .unwrap_or_default(),
    }
}

/// Keeps a processor busy until this thread has used so much of it.
#[cfg(test)]
pub(crate) fn spin(time: Duration) {
    let begun = cpu();
    while cpu() - begun < time {
        std::hint::black_box(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_summed_over_threads_and_waiting_costs_none() {
        let short = |_| spin(Duration::from_millis(5));
        assert!(together(2, short).cpu >= Duration::from_millis(10));
        // More threads than there are processors: some must have waited for one.
        let threads = 2 * thread::available_parallelism().map_or(1, usize::from);
        assert!(together(threads, short).queued > Duration::ZERO);
        let long = Duration::from_millis(20);
        let waited = here(|| thread::scope(|scope| scope.spawn(|| spin(long)).join())).1;
        assert!(waited.wall >= long);
        assert!(waited.cpu < Duration::from_millis(10));
    }
}
