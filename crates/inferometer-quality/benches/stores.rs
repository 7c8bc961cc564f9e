//! How many predictions and labels a store writes in a second, in batches as a journal brings them.
//!
//! ```text
//! cargo bench -p inferometer-quality --features sqlite,postgres --bench stores -- [--batches 200]
//! INFEROMETER_POSTGRES=postgresql://user@127.0.0.1/database cargo bench …    # that server, too
//! ```
//!
//! A batch is 256 predictions and the labels of the batch before. SQLite writes to a temporary folder, and what it has written is on the
//! disk. Without arguments it runs briefly, to show that it works.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::time::{Instant, SystemTime};

use inferometer_quality::{
    score::{Output, Truth},
    store::{Bounds, Entry, Label, MemoryStore, PostgresStore, Prediction, SqliteStore, Store},
};

const BATCH: u64 = 256;

fn main() {
    let mut batches = 4;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--batches" {
            let number = arguments.next().and_then(|value| value.parse().ok());
            batches = number.expect("--batches takes a number");
        }
    }
    let bounds = Bounds::default();
    write("memory", &mut MemoryStore::new(bounds), batches);
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let mut store = SqliteStore::open(folder.path().join("quality.db"), bounds)
        .expect("a file can be made there");
    write("SQLite", &mut store, batches);
    if let Ok(url) = std::env::var("INFEROMETER_POSTGRES") {
        let mut store = PostgresStore::connect(&url, bounds).expect("the server is there");
        write("PostgreSQL", &mut store, batches);
    }
}

fn write(name: &str, store: &mut dyn Store, batches: u64) {
    let run = fastrand::u64(..);
    let id = |number: u64| format!("{run:x}-{number}");
    let now = SystemTime::now();
    let output = Output::Number(1.5);
    let prediction = |number| Prediction::new(id(number), "v1", "production", output.clone(), now);
    let label = |number| Label::new(id(number), Truth::Number(1.0), now);
    let began = Instant::now();
    let mut written = 0;
    for batch in 0..batches {
        let here = batch * BATCH..(batch + 1) * BATCH;
        let labels = here
            .clone()
            .filter_map(|number| Some(label(number.checked_sub(BATCH)?)));
        let entries: Vec<Entry> = here
            .clone()
            .map(|number| prediction(number).into())
            .chain(labels.map(Entry::from))
            .collect();
        written += entries.len();
        store.write(&entries).expect("it can be written");
    }
    let each = began.elapsed().as_secs_f64() / written as f64;
    println!(
        "{name}: {:.0} entries a second, {:.1} µs each",
        1.0 / each,
        1e6 * each
    );
}
