//! The monitors as a service uses them: scheduled, asked and scraped.

mod health;
mod scheduler;
