//! A bounded queue between those who ask and a pool of threads.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// First in, first out, for as many items as it has room for.
#[derive(Debug)]
pub(super) struct Queue<T> {
    line: Mutex<Line<T>>,
    ready: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Line<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// What a queue didn't take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is full.
    Full,
    /// It is closed.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            line: Mutex::new(Line {
                items: VecDeque::new(),
                closed: false,
            }),
            ready: Condvar::new(),
            capacity,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item at the end, or says why not.
    pub(super) fn push(&self, item: T) -> Result<(), Refused> {
        let mut line = self.line();
        if line.closed {
            return Err(Refused::Closed);
        }
        if line.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        line.items.push_back(item);
        self.ready.notify_one();
        Ok(())
    }

    /// Takes the first item, waiting for one; `None` when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut line = self.line();
        loop {
            if let Some(item) = line.items.pop_front() {
                return Some(item);
            }
            if line.closed {
                return None;
            }
            line = self
                .ready
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes the first item that is wanted out of the line, wherever it is.
    pub(super) fn remove(&self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut line = self.line();
        let at = line.items.iter().position(wanted)?;
        line.items.remove(at)
    }

    /// Takes nothing in any more; what is in it can still be taken out.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.ready.notify_all();
    }

    /// How many items wait.
    pub(super) fn depth(&self) -> usize {
        self.line().items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_removed_item_frees_its_place() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        assert_eq!(queue.push(3), Err(Refused::Full));
        assert_eq!(queue.remove(|item| *item == 1), Some(1));
        queue.push(3).unwrap();
        assert_eq!((queue.pop(), queue.depth()), (Some(2), 1));
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has_and_then_ends() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(Refused::Closed));
        assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
    }
}
