//! Misbehaves towards a server in a process of its own, and prints what that cost: the figures that the server is to keep. `scripts/abuse` runs it.
//!
//! ```text
//! abuse [--scale SHARE]      every row, at a share of the full figures; 1 unless descriptors are too few
//! abuse --quick              a twentieth, rows that mostly wait side by side, five times as long for what is timed: for code
//!                            that isn't optimized, on a machine that has other things to do
//! abuse serve CONNECTIONS SERIES KEYS CERTIFICATES
//! ```

#![expect(clippy::print_stdout, reason = "it tells its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "an attack that cannot go on should end where it stands"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod crowds;
mod figures;
mod requests;
mod server;
mod wire;

use std::{env, thread};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::crowds::Bad;

/// What the full figures take: ten thousand connections and some room.
const FULL: u64 = 10_500;

/// A row of the table: what was done, what came of it, and whether that is within bounds.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) found: String,
    pub(crate) target: String,
    pub(crate) kept: bool,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return server::serve(&arguments[1..]);
    }
    let (asked, slack, together) = match &arguments[..] {
        [] => (1.0, 1, false),
        [flag] if flag == "--quick" => (0.05, 5, true),
        [flag, share] if flag == "--scale" => (share.parse().unwrap(), 1, false),
        _ => return println!("usage: abuse [--scale SHARE | --quick]"),
    };
    let limit = raise_descriptors();
    let scale = f64::min(asked, limit as f64 / FULL as f64).min(1.0);
    println!("{limit} descriptors a process: {scale:.2} of the full figures");
    if slack > 1 {
        println!("{slack} times as long for what is timed");
    }
    println!("\n| what | found | bound | |\n|---|---|---|---|");
    let scaled = |full: usize| ((full as f64 * scale) as usize).max(10);
    let waiting: [&(dyn Fn() -> Row + Sync); 9] = [
        &|| crowds::slow(scaled(9_000), 512, slack),
        &|| crowds::slow(scaled(9_000), 20_000, slack),
        &|| crowds::slow_handshakes(scaled(9_000), slack),
        &|| crowds::end(Bad::Silent, Signal::TERM),
        &|| crowds::end(Bad::HalfHead, Signal::TERM),
        &|| crowds::end(Bad::SlowReader, Signal::TERM),
        &|| crowds::end(Bad::TricklingReader, Signal::TERM),
        &|| crowds::end(Bad::IdleHttp2, Signal::TERM),
        &|| crowds::end(Bad::HalfHead, Signal::INT),
    ];
    let busy: [&(dyn Fn() -> Row + Sync); 6] = [
        // Pages that are let go of late have a room of their own: with few readers that would be all there is to see.
        &|| crowds::readers(scaled(10_000).max(2_000).min(limit as usize / 2)),
        &|| requests::scrape(slack),
        &|| requests::strange(scaled(5_000)),
        &|| requests::resets(scaled(20_000)),
        &requests::rapid_reset,
        &|| requests::keys(scaled(3_000)),
    ];
    let mut broken = 0;
    let mut tell = |row: Row| {
        let verdict = if row.kept { "kept" } else { "MISSED" };
        println!(
            "| {} | {} | {} | {verdict} |",
            row.what, row.found, row.target
        );
        broken += usize::from(!row.kept);
    };
    if together {
        thread::scope(|scope| {
            let rows = waiting.map(|row| scope.spawn(row));
            for row in rows {
                tell(row.join().unwrap());
            }
        });
    } else {
        waiting.iter().for_each(|row| tell(row()));
    }
    busy.iter().for_each(|row| tell(row()));
    println!("\n{broken} missed");
    if broken > 0 {
        std::process::exit(1);
    }
}

/// As many descriptors as the process may have.
fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    let raised = Rlimit {
        current: Some(most),
        maximum: limit.maximum,
    };
    // What it has is enough for less.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(most)
}
