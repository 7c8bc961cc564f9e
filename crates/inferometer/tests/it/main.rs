//! The core as its users see it: what is declared, what is recorded, and what a scrape prints.

#![expect(clippy::panic, reason = "what the tests share fails as they do")]

mod aborted;
mod bounds;
mod concurrency;
mod conservation;
mod declaring;
mod derives;
mod disabled;
mod dynamic;
mod exemplars;
mod fork;
mod formats;
mod hostile;
mod lifecycle;
mod message;
mod native;
mod page;
mod properties;
mod recording;
mod removal;
mod roundtrip;
mod scraper;
mod snapshots;
