//! The tasks that there are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    MAX_TASKS, ScheduleError, StillRunning,
    metrics::Metrics,
    task::{Leaving, Task},
};

/// Every task by its name, and everything that still makes runs.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) metrics: Metrics,
    state: Mutex<State>,
    /// Something has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    named: HashMap<Arc<str>, u64>,
    /// In the order in which they were scheduled. One that is cancelled has given its name back and may be here for a moment more.
    alive: BTreeMap<u64, Arc<Task>>,
    numbers: u64,
}

impl Roster {
    pub(super) fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for a task, which `make` makes when it is told its number.
    pub(super) fn admit(
        &self,
        name: &str,
        make: impl FnOnce(Arc<str>, u64) -> Arc<Task>,
    ) -> Result<Arc<Task>, ScheduleError> {
        let mut state = self.state();
        let owned = || name.to_owned();
        if state.stopped {
            return Err(ScheduleError::Stopped { name: owned() });
        }
        if state.named.contains_key(name) {
            return Err(ScheduleError::Duplicate { name: owned() });
        }
        if state.named.len() >= MAX_TASKS {
            return Err(ScheduleError::Full { name: owned() });
        }
        state.numbers += 1;
        let number = state.numbers;
        let name: Arc<str> = name.into();
        let task = make(Arc::clone(&name), number);
        state.named.insert(name, number);
        state.alive.insert(number, Arc::clone(&task));
        self.metrics.tasks.inc();
        Ok(task)
    }

    /// Another task may have the name now.
    pub(super) fn free_name(&self, task: &Task) {
        let mut state = self.state();
        if state.named.get(task.name()) == Some(&task.number) {
            state.named.remove(task.name());
            self.metrics.tasks.dec();
        }
    }

    /// Nothing makes this task's runs any more.
    pub(super) fn ended(&self, task: &Task) {
        let gone = self.state().alive.remove(&task.number);
        self.ended.notify_all();
        drop(gone);
    }

    /// Waits until nothing makes this task's runs any more, and tells whether that came about in time.
    pub(super) fn wait_for(&self, task: &Task, wait: Duration) -> bool {
        let (state, _) = self
            .ended
            .wait_timeout_while(self.state(), wait, |state| {
                state.alive.contains_key(&task.number)
            })
            .unwrap_or_else(PoisonError::into_inner);
        !state.alive.contains_key(&task.number)
    }

    pub(super) fn tasks(&self) -> Vec<Arc<Task>> {
        self.state().alive.values().cloned().collect()
    }

    /// Lets no task in any more, and wakes those that sleep.
    pub(super) fn close(&self) {
        let tasks: Vec<_> = {
            let mut state = self.state();
            state.stopped = true;
            state.alive.values().cloned().collect()
        };
        for task in tasks {
            task.leave(Leaving::Stopped);
        }
    }

    /// Waits for every task to end.
    pub(super) fn drain(&self, wait: Duration) -> Result<(), StillRunning> {
        let began = Instant::now();
        let (state, _) = self
            .ended
            .wait_timeout_while(self.state(), wait, |state| !state.alive.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let left: Vec<_> = state.alive.values().cloned().collect();
        drop(state);
        if left.is_empty() {
            return Ok(());
        }
        #[cfg(feature = "tokio")]
        for task in &left {
            task.abort();
        }
        Err(StillRunning {
            tasks: left.iter().map(|task| task.name().to_string()).collect(),
            waited: began.elapsed(),
        })
    }
}
