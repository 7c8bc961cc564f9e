//! Every name that the contract promises is there and moves, over sockets alone, and foreign judges read the whole scrape.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use fake_nvml::{Card, FakeDriver, Value};
use inferometer_judges::{Release, Summary, get, judge_exposition};
use inferometer_monitor::gpu::{GpuMonitor, Nvml, Visible};
use rerank::{scripted::Scripted, service::Service};
use tempfile::TempDir;

use crate::{
    crowd::{Crowd, mixture, narrow},
    served::{PATIENCE, Scrape, Served},
    tally::Figures as _,
};

/// What promtool says of names that are as they are for a reason: they are the contract's, to the letter.
const EXCEPTIONS: [(&str, &str); 2] = [
    (
        "gpu_memory_mb",
        "metric names should not contain abbreviated units",
    ),
    (
        "worker_latency_ms",
        "metric names should not contain abbreviated units",
    ),
];

const TEXT: &str = "text/plain; version=0.0.4";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A line of the contract.
struct Row {
    name: &'static str,
    kind: &'static str,
    labels: BTreeSet<&'static str>,
}

fn rows() -> Vec<Row> {
    let catalogue = include_str!("../../../../crates/inferometer-catalog/tests/catalogue.tsv");
    let rows = catalogue.lines().filter_map(|line| {
        let mut fields = line.strip_prefix("rerank\t")?.split('\t');
        let [name, kind, labels] = std::array::from_fn(|_| fields.next().unwrap());
        let labels = labels.split(',').filter(|label| !label.is_empty());
        Some(Row {
            name,
            kind,
            labels: labels.collect(),
        })
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 31);
    rows
}

/// A GPU that isn't there, watched for a service.
struct Gpu {
    driver: FakeDriver,
    card: Card,
    monitor: GpuMonitor,
    _folder: TempDir,
}

impl Gpu {
    fn beside(service: &Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driver = FakeDriver::copy_into(folder.path()).unwrap();
        let card = driver.add("GPU-a", "Fake H200");
        let monitor = GpuMonitor::builder()
            .source(Nvml::at(driver.path()))
            .visible(Visible::All)
            .view(service.gpu_view())
            .register(service.registry())
            .unwrap();
        Self {
            driver,
            card,
            monitor,
            _folder: folder,
        }
    }

    /// It is so busy, and this is seen.
    fn work(&self, percent: u64) {
        self.driver.set(self.card, Value::Utilization, percent);
        self.driver
            .set(self.card, Value::MemoryUsed, percent * 1_000_000_000);
        assert_eq!(self.monitor.update().read, 1);
    }
}

/// The values that each series was seen with; `None` when it wasn't there.
#[derive(Default)]
struct Seen(BTreeMap<String, BTreeSet<Option<u64>>>);

impl Seen {
    fn look(&mut self, scrape: &Scrape) {
        for (series, value) in &scrape.0 {
            let values = self
                .0
                .entry(series.clone())
                .or_insert_with(|| [None].into());
            values.insert(Some(value.to_bits()));
        }
    }

    /// Whether there are series of this name, and each changed after it was there.
    fn moved(&self, name: &str) -> bool {
        // A machine that others keep busy has one figure all the time.
        let enough = if name == "cpu_percent" { 2 } else { 3 };
        let mut series = self
            .0
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .peekable();
        series.peek().is_some() && series.all(|(_, values)| values.len() >= enough)
    }
}

/// A scrape in this format, as a parser that is not ours reads it.
async fn judged(served: &Served, accept: &'static str) -> Summary {
    let address = served.service.metrics().unwrap();
    let judged = tokio::task::spawn_blocking(move || {
        let answer = get(address, "/metrics", Some(accept)).unwrap();
        let content_type = answer.header("content-type").unwrap();
        assert!(content_type.starts_with(accept), "{content_type}");
        judge_exposition(&answer.body, content_type).unwrap_or_else(|error| panic!("{error}"))
    });
    judged.await.unwrap()
}

/// Each row is there, with its kind and its labels.
fn has_every_row(summary: &Summary, rows: &[Row]) {
    for row in rows {
        let name = row.name;
        let family = summary.family(name.strip_suffix("_total").unwrap_or(name));
        let family = family.unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(family.kind, row.kind, "{name}");
        assert!(!family.samples.is_empty(), "{name} has no series");
        for sample in &family.samples {
            let labels = sample.labels.keys().map(String::as_str);
            let labels: BTreeSet<_> = labels.filter(|label| *label != "le").collect();
            assert_eq!(labels, row.labels, "{name}");
        }
        if row.labels.contains("worker_type") {
            let kinds = family
                .samples
                .iter()
                .map(|sample| &*sample.labels["worker_type"]);
            let kinds: BTreeSet<_> = kinds.collect();
            assert_eq!(kinds, BTreeSet::from(["model", "tokenizer"]), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_contract_is_there_and_moves_with_the_model_that_comes_with_the_program()
{
    let rows = rows();
    let served = Served::embedded(narrow()).await;
    let gpu = Gpu::beside(&served.service);
    let crowd = Crowd::of(&served).await;
    let mut seen = Seen::default();
    let still = |seen: &Seen| {
        let name = |row: &&Row| match row.kind {
            "histogram" => {
                seen.moved(&format!("{}_count", row.name))
                    && seen.moved(&format!("{}_sum", row.name))
            }
            _ => seen.moved(row.name),
        };
        let still = rows.iter().filter(|row| !name(row)).map(|row| row.name);
        still.collect::<Vec<_>>()
    };
    for percent in [20, 37] {
        gpu.work(percent);
        seen.look(&served.scrape().await);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mixture = mixture();
        let asking = crowd.ask(4, &mixture);
        tokio::pin!(asking);
        loop {
            tokio::select! {
                () = &mut asking => break,
                scrape = served.scrape() => seen.look(&scrape),
            }
        }
        seen.look(&served.scrape().await);
        let still = still(&seen);
        if still.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{still:?} don't move");
    }

    let scrape = served.rest().await;
    let tally = crowd.tally();
    tally.compare(&scrape);
    assert!(tally.finished("ok") > 0 && tally.finished("rejected") > 0);
    assert!(scrape.value("rerank_pairs_truncated_total") > 0.0);
    has_every_row(&judged(&served, TEXT).await, &rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_judges_have_nothing_to_say_of_a_service_to_which_everything_happened() {
    let served = Served::start(narrow(), Scripted::default()).await;
    Gpu::beside(&served.service).work(37);
    let crowd = Crowd::of(&served).await;
    crowd.everything(4, Duration::ZERO).await;
    let scrape = served.rest().await;
    let tally = crowd.tally();
    tally.compare(&scrape);
    for accept in [TEXT, OPENMETRICS] {
        let summary = judged(&served, accept).await;
        has_every_row(&summary, &rows());
        let finished = summary.sum("rerank_requests_finished_total");
        assert_eq!(
            finished,
            scrape.sum("rerank_requests_started_total"),
            "{accept}"
        );
    }
    let address = served.service.metrics().unwrap();
    let complaints = tokio::task::spawn_blocking(move || {
        let text = get(address, "/metrics", Some(TEXT)).unwrap().text();
        let releases = Release::all().unwrap();
        let complaints = releases
            .iter()
            .map(|release| release.check_metrics(&text).unwrap());
        complaints.collect::<Vec<_>>()
    });
    for complaints in complaints.await.unwrap() {
        let complaints: BTreeSet<_> = complaints
            .iter()
            .map(|complaint| (&*complaint.metric, &*complaint.text))
            .collect();
        assert_eq!(complaints, BTreeSet::from(EXCEPTIONS));
    }
}
