//! Misbehaves towards a server in a process of its own, and prints what that cost: the figures that the server is to keep. `scripts/abuse` runs it.
//!
//! ```text
//! abuse [--scale SHARE]      every row, at a share of the full figures; 1 unless descriptors are too few
//! abuse serve CONNECTIONS SERIES KEYS
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

use std::env;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    let asked = match &arguments[..] {
        [] => 1.0,
        [flag, share] if flag == "--scale" => share.parse().unwrap(),
        _ => return println!("usage: abuse [--scale SHARE]"),
    };
    let limit = raise_descriptors();
    let scale = f64::min(asked, limit as f64 / FULL as f64).min(1.0);
    println!("{limit} descriptors a process: {scale:.2} of the full figures");
    let scaled = |full: usize| ((full as f64 * scale) as usize).max(10);
    let rows: [&dyn Fn() -> Row; 11] = [
        &|| crowds::slow(scaled(9_000), 512),
        &|| crowds::slow(scaled(9_000), 20_000),
        &|| crowds::readers(scaled(10_000)),
        &requests::scrape,
        &|| requests::strange(scaled(5_000)),
        &|| requests::resets(scaled(20_000)),
        &requests::rapid_reset,
        &|| crowds::term("silent"),
        &|| crowds::term("half a head"),
        &|| crowds::term("slow readers"),
        &|| requests::keys(scaled(3_000)),
    ];
    let mut broken = 0;
    for row in rows {
        let row = row();
        let verdict = if row.kept { "kept" } else { "MISSED" };
        println!(
            "| {} | {} | {} | {verdict} |",
            row.what, row.found, row.target
        );
        broken += usize::from(!row.kept);
    }
    println!("{broken} missed");
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
