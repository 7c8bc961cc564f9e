//! A bounded queue whose items can be taken out of the middle: a client that leaves frees its place at once.
//!
//! `tokio::sync::mpsc` keeps what a client has left behind until the stage comes to it; under a mass cancel its depth is a fiction
//! and its room is gone. Here depth is what really waits, and `depth = capacity − free` at any moment.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// A first-in, first-out queue of at most `capacity` items, for any number of producers and one consumer.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    entries: Mutex<Entries<T>>,
    ready: Notify,
    capacity: usize,
}

/// Tickets rise, so the entries are sorted by them. A removed item leaves a hole, and holes never outnumber the capacity by much.
#[derive(Debug)]
struct Entries<T> {
    line: VecDeque<(u64, Option<T>)>,
    live: usize,
    next: u64,
    closed: bool,
}

/// Names an item's place in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// An item that wasn't taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<T> {
    /// Every place is taken.
    Full(T),
    /// The queue takes nothing any more.
    Closed(T),
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let entries = Entries {
            line: VecDeque::new(),
            live: 0,
            next: 0,
            closed: false,
        };
        Self {
            entries: Mutex::new(entries),
            ready: Notify::new(),
            capacity,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item at the end.
    pub(crate) fn push(&self, item: T) -> Result<Ticket, Refused<T>> {
        let ticket = {
            let mut entries = self.entries();
            if entries.closed {
                return Err(Refused::Closed(item));
            }
            if entries.live >= self.capacity {
                return Err(Refused::Full(item));
            }
            let ticket = entries.next;
            entries.next += 1;
            entries.live += 1;
            entries.line.push_back((ticket, Some(item)));
            ticket
        };
        self.ready.notify_one();
        Ok(Ticket(ticket))
    }

    /// Takes an item out of the line; `None` when it has left already.
    pub(crate) fn remove(&self, ticket: Ticket) -> Option<T> {
        let mut entries = self.entries();
        let at = entries
            .line
            .binary_search_by_key(&ticket.0, |(ticket, _)| *ticket)
            .ok()?;
        let item = entries.line[at].1.take()?;
        entries.live -= 1;
        if entries.line.len() > 2 * self.capacity + 16 {
            entries.line.retain(|(_, item)| item.is_some());
        }
        Some(item)
    }

    /// Moves up to `most` items into `batch`, waiting for the first; `false` when the queue is closed and empty.
    ///
    /// Only one task may wait at a time. A wait that is dropped loses nothing.
    pub(crate) async fn pop(&self, batch: &mut Vec<T>, most: usize) -> bool {
        loop {
            {
                let mut entries = self.entries();
                while batch.len() < most {
                    match entries.line.pop_front() {
                        Some((_, Some(item))) => {
                            entries.live -= 1;
                            batch.push(item);
                        }
                        Some((_, None)) => {}
                        None => break,
                    }
                }
                if !batch.is_empty() {
                    return true;
                }
                if entries.closed {
                    return false;
                }
            }
            self.ready.notified().await;
        }
    }

    /// Takes nothing in any more; what is in it can still be taken out.
    pub(crate) fn close(&self) {
        self.entries().closed = true;
        self.ready.notify_one();
    }

    /// How many items wait.
    pub(crate) fn depth(&self) -> usize {
        self.entries().live
    }

    /// How many may wait.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn items_leave_in_the_order_in_which_they_came() {
        let queue = Queue::new(3);
        for item in 1..=3 {
            queue.push(item).unwrap();
        }
        assert_eq!(queue.push(4), Err(Refused::Full(4)));
        let mut batch = Vec::new();
        assert!(queue.pop(&mut batch, 2).await);
        assert_eq!(batch, [1, 2]);
        assert_eq!(queue.depth(), 1);
    }

    #[tokio::test]
    async fn a_removed_item_frees_its_place_at_once() {
        let queue = Queue::new(2);
        let first = queue.push("first").unwrap();
        queue.push("second").unwrap();
        assert_eq!(queue.remove(first), Some("first"));
        assert_eq!(queue.remove(first), None);
        queue.push("third").unwrap();
        let mut batch = Vec::new();
        assert!(queue.pop(&mut batch, 9).await);
        assert_eq!(batch, ["second", "third"]);
    }

    #[tokio::test]
    async fn a_closed_queue_gives_out_what_it_has_and_then_ends() {
        let queue = Queue::new(2);
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(Refused::Closed(2)));
        let mut batch = Vec::new();
        assert!(queue.pop(&mut batch, 9).await);
        batch.clear();
        assert!(!queue.pop(&mut batch, 9).await);
    }

    #[test]
    fn holes_stay_bounded_behind_an_item_that_never_leaves() {
        let queue = Queue::new(4);
        queue.push(0).unwrap();
        for item in 1..10_000 {
            let ticket = queue.push(item).unwrap();
            queue.remove(ticket);
        }
        assert_eq!(queue.depth(), 1);
        assert!(queue.entries().line.len() <= 2 * 4 + 17);
    }

    proptest! {
        #[test]
        fn a_queue_behaves_like_a_list(steps in prop::collection::vec((0..3_u8, 0..8_usize), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let queue = Queue::new(5);
            let mut model: Vec<(Ticket, u32)> = Vec::new();
            for (item, (step, at)) in (0..).zip(steps) {
                match step {
                    0 => match queue.push(item) {
                        Ok(ticket) => model.push((ticket, item)),
                        Err(refused) => {
                            prop_assert_eq!(model.len(), 5);
                            prop_assert_eq!(refused, Refused::Full(item));
                        }
                    },
                    1 if at < model.len() => {
                        let (ticket, item) = model.remove(at);
                        prop_assert_eq!(queue.remove(ticket), Some(item));
                    }
                    _ if !model.is_empty() => {
                        let mut batch = Vec::new();
                        runtime.block_on(queue.pop(&mut batch, at + 1));
                        let taken = model.drain(..batch.len()).map(|(_, item)| item);
                        prop_assert_eq!(&batch, &taken.collect::<Vec<_>>());
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.depth(), model.len());
            }
        }
    }
}
