//! The room where values live: the only one with `unsafe`, and the only one that knows how recording and scraping meet.
//!
//! ```text
//! thread ── owns ──▶ lane ── chunk ── word     one writer, a relaxed load and store
//! threads past the bound ──▶ stripe ── chunk ── word     shared, a read-modify-write
//! scrape ── sums the same slot of every stripe and lane, in a fixed order
//! ```
//!
//! A **slot** is a place for one word (or a range of words) that exists once in every lane. A series holds slots, never
//! addresses. A **lane** is one thread's memory; when the thread ends, the next one takes it over, unreset: totals go on. Lanes are
//! bounded in number, and past the bound threads share **stripes**, whose words are added to atomically.
//!
//! | noun | file |
//! |---|---|
//! | the memory of one thread, or of several | `lane` |
//! | all lanes; giving out slots and taking them back; sums | `bank` |
//! | which lane this thread has | `thread` |
//! | when memory that others may be reading can go | `grace`, `barrier` |
//! | label keys to series, read with loads only | `table`, `witness` |
//! | what kinds of metric make of words | `number`, `buckets`, `exponential`, `setting` |
//!
//! **Consistency.** A word has one writer, and a reader's later load never sees an older value. All sums are taken in one fixed
//! order, stripes first, so that a sum of non-negative numbers, rounded or not, never falls from one scrape to the next.
//!
//! **Interface.** What is outside this room knows [`Slot`], [`Reader`], [`Pin`], [`Table`] and the kinds, and would not notice if lanes
//! lay in a file that several processes map: slots are numbers, and words are only loaded, stored and added to.

mod bank;
mod barrier;
mod buckets;
mod exponential;
mod grace;
mod lane;
mod number;
mod setting;
mod table;
mod thread;
mod witness;

#[cfg(all(test, loom))]
mod models;

pub(crate) use bank::{Reader, Slot};
pub(crate) use buckets::{Bounds, Buckets};
pub(crate) use exponential::Exponential;
pub(crate) use number::{Count, Level, Sum};
pub(crate) use setting::Setting;
pub(crate) use table::{Kept, Located, Table};
pub use thread::set_thread_shards;
pub(crate) use thread::{Pin, pin, reader};
