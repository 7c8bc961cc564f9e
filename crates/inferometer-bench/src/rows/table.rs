//! Which rows there are, and what is promised of each.

use super::{Kind, Row, What};
use crate::{
    libraries::{Format, Task},
    outcome::Goal::{AtMost, Fact, OwnFactor, Ratio, Tie},
};

/// Every row, in the table's order.
pub(crate) static ROWS: [Row; 32] = [
    Row {
        name: "counter-1",
        title: "counter, kept handle, 1 thread",
        what: hot(Task::Counter, 1),
        goals: &[Ratio(2.0)],
        cause: None,
    },
    Row {
        name: "counter-2",
        title: "counter, kept handle, 2 threads",
        what: hot(Task::Counter, 2),
        goals: &[Ratio(8.0), OwnFactor(1.3)],
        cause: Some(
            "the rivals' price is that of a cache line between two cores, so it depends on how much the two threads ran side by side; ours does not",
        ),
    },
    Row {
        name: "counter-4",
        title: "counter, kept handle, 4 threads",
        what: hot(Task::Counter, 4),
        goals: &[Ratio(8.0), OwnFactor(1.3)],
        cause: Some(
            "the rivals' price is that of a cache line between two cores, so it depends on how much the threads ran side by side; ours does not",
        ),
    },
    Row {
        name: "closed-1",
        title: "counter, 3 closed labels looked up each time, 1 thread",
        what: hot(Task::ClosedLabels, 1),
        goals: &[Ratio(1.5)],
        cause: Some(
            "a lookup is one addition to the first series' slot, the increment two loads and an addition; the rest of the time is the loop's own and the reading of three inputs, which every library pays. One reserved range of addresses for each thread, in the place of chunks, would save a load, and cost a gigabyte of address space",
        ),
    },
    Row {
        name: "closed-2",
        title: "counter, 3 closed labels looked up each time, 2 threads",
        what: hot(Task::ClosedLabels, 2),
        goals: &[Ratio(10.0)],
        cause: Some(
            "the rivals' threads meet on a cache line only when they happen to count the same of the sixty series in the same moment, so they pay little for it",
        ),
    },
    Row {
        name: "open-one-1",
        title: "counter, 1 open label of 1,000 texts looked up each time, 1 thread",
        what: hot(Task::OneOpenLabel, 1),
        goals: &[Ratio(2.0)],
        cause: Some(
            "the table and its entries, 1,000 of them, come from the second-level cache; where memory puts them changes the figure by half",
        ),
    },
    Row {
        name: "open-one-2",
        title: "counter, 1 open label of 1,000 texts looked up each time, 2 threads",
        what: hot(Task::OneOpenLabel, 2),
        goals: &[Ratio(10.0)],
        cause: Some(
            "as with the counter: the rivals' price is their lock's cache line and depends on how much the threads ran side by side",
        ),
    },
    Row {
        name: "open-three-1",
        title: "counter, 3 open labels of 1,000 texts looked up each time, 1 thread",
        what: hot(Task::ThreeOpenLabels, 1),
        goals: &[Ratio(2.0)],
        cause: None,
    },
    Row {
        name: "open-three-2",
        title: "counter, 3 open labels of 1,000 texts looked up each time, 2 threads",
        what: hot(Task::ThreeOpenLabels, 2),
        goals: &[Ratio(10.0)],
        cause: Some(
            "as with the counter: the rivals' price is their lock's cache line and depends on how much the threads ran side by side",
        ),
    },
    Row {
        name: "histogram-1",
        title: "histogram of 14 bounds, kept handle, 1 thread",
        what: hot(Task::Histogram, 1),
        goals: &[Ratio(2.3), AtMost(3.7)],
        cause: None,
    },
    Row {
        name: "histogram-2",
        title: "histogram of 14 bounds, kept handle, 2 threads",
        what: hot(Task::Histogram, 2),
        goals: &[Ratio(10.0)],
        cause: Some(
            "the best rival holds a lock: one thread works through many observations while the other sleeps, so the lock costs it less than a \
             cache line that goes back and forth would. Ours is the same with one thread and two, and near what a bare loop takes that finds a bucket \
             and adds to a count and a sum in memory",
        ),
    },
    Row {
        name: "native-1",
        title: "native histogram, kept handle, 1 thread",
        what: hot(Task::NativeHistogram, 1),
        goals: &[AtMost(10.0)],
        cause: None,
    },
    Row {
        name: "gauge-1",
        title: "gauge, set, 1 thread",
        what: hot(Task::SetGauge, 1),
        goals: &[Tie],
        cause: None,
    },
    Row {
        name: "additive-1",
        title: "additive gauge, add, 1 thread",
        what: hot(Task::AddGauge, 1),
        goals: &[Ratio(1.3)],
        cause: None,
    },
    Row {
        name: "additive-2",
        title: "additive gauge, add, 2 threads",
        what: hot(Task::AddGauge, 2),
        goals: &[Ratio(6.0)],
        cause: Some(
            "the rivals' price is that of a cache line between two cores, so it depends on how much the threads ran side by side; ours does not",
        ),
    },
    Row {
        name: "crowd-counter",
        title: "counter, kept handle, 4 threads that come when all thread-owned shards are taken",
        what: crowd(Task::Counter, 4),
        goals: &[],
        cause: None,
    },
    Row {
        name: "crowd-histogram",
        title: "histogram of 14 bounds, kept handle, 4 threads that come when all thread-owned shards are taken",
        what: crowd(Task::Histogram, 4),
        goals: &[],
        cause: None,
    },
    Row {
        name: "scrape-text",
        title: "scrape of 100,000 counters with 3 labels, text",
        what: What::Counters(Format::Text),
        goals: &[Ratio(6.0), AtMost(1.6)],
        cause: Some(
            "our scrape is near what moving 14 MB through memory costs; the best rival is faster than it was, and noisier",
        ),
    },
    Row {
        name: "scrape-openmetrics",
        title: "scrape of 100,000 counters with 3 labels, OpenMetrics",
        what: What::Counters(Format::OpenMetrics),
        goals: &[Ratio(6.0)],
        cause: None,
    },
    Row {
        name: "scrape-protobuf",
        title: "scrape of 100,000 counters with 3 labels, protobuf",
        what: What::Counters(Format::Protobuf),
        goals: &[Ratio(6.0)],
        cause: None,
    },
    Row {
        name: "scrape-histograms",
        title: "scrape of 1,000 histograms of 14 bounds, text",
        what: What::Histograms(Format::Text),
        goals: &[Ratio(5.0)],
        cause: None,
    },
    Row {
        name: "memory-counter-1",
        title: "memory of a counter series with 3 closed labels, 1 recording thread",
        what: memory(Kind::Counters, 1),
        goals: &[AtMost(61.0)],
        cause: None,
    },
    Row {
        name: "memory-counter-2",
        title: "memory of a counter series with 3 closed labels, 2 recording threads",
        what: memory(Kind::Counters, 2),
        goals: &[],
        cause: None,
    },
    Row {
        name: "memory-counter-8",
        title: "memory of a counter series with 3 closed labels, 8 recording threads",
        what: memory(Kind::Counters, 8),
        goals: &[],
        cause: None,
    },
    Row {
        name: "memory-histogram-1",
        title: "memory of a histogram series of 14 bounds, 1 recording thread",
        what: memory(Kind::Histograms, 1),
        goals: &[AtMost(300.0)],
        cause: None,
    },
    Row {
        name: "memory-histogram-2",
        title: "memory of a histogram series of 14 bounds, 2 recording threads",
        what: memory(Kind::Histograms, 2),
        goals: &[],
        cause: None,
    },
    Row {
        name: "memory-histogram-8",
        title: "memory of a histogram series of 14 bounds, 8 recording threads",
        what: memory(Kind::Histograms, 8),
        goals: &[],
        cause: None,
    },
    Row {
        name: "wait",
        title: "longest wait of a writer while 100,000 series are scraped in a loop and one appears every 2 ms",
        what: What::Wait,
        goals: &[
            Fact("0 locks waited for"),
            Fact("no longer than with an idle spinner for the scraper"),
        ],
        cause: None,
    },
    Row {
        name: "request",
        title: "a whole request: admit, queue, 5 stages, first token, finish (12 updates), clock reads apart",
        what: What::Request,
        goals: &[AtMost(150.0)],
        cause: None,
    },
    Row {
        name: "flood",
        title: "1,000,000 distinct values offered to one open label: memory",
        what: What::Flood,
        goals: &[Fact("cap held"), Fact("drop count exact"), AtMost(50.0)],
        cause: None,
    },
    Row {
        name: "million",
        title: "1,000,000 counters scraped into a reused buffer, text",
        what: What::Million,
        goals: &[AtMost(25.0), Fact("memory ≤ 2× the body")],
        cause: None,
    },
    Row {
        name: "threads-512",
        title: "512 threads alive, each having recorded on 10,000 counters and 1,000 histograms: memory",
        what: What::Threads,
        goals: &[AtMost(150.0), Fact("totals exact")],
        cause: None,
    },
];

const fn hot(task: Task, threads: usize) -> What {
    What::Hot { task, threads }
}

const fn crowd(task: Task, threads: usize) -> What {
    What::Crowd { task, threads }
}

const fn memory(kind: Kind, threads: usize) -> What {
    What::Memory { kind, threads }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rows_share_a_name_or_a_title() {
        let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
        let titles: HashSet<_> = ROWS.iter().map(|row| row.title).collect();
        assert_eq!((names.len(), titles.len()), (ROWS.len(), ROWS.len()));
    }
}
