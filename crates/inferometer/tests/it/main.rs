//! The core as its users see it: what is declared, what is recorded, and what a scrape prints.

#![expect(clippy::panic, reason = "what the tests share fails as they do")]

mod aborted;
mod bounds;
mod concurrency;
mod declaring;
mod derives;
mod disabled;
mod dynamic;
mod exemplars;
mod formats;
mod hostile;
mod lifecycle;
mod message;
mod native;
mod page;
mod properties;
mod recording;
mod roundtrip;
mod snapshots;
