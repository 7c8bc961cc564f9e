//! The cross-encoder server's thirty-one names are declared and scraped as promised.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use inferometer::{
    Descriptor, LabelBound, Registry, descriptors,
    sample::{
        gpu::GpuView as _,
        host::{Cpu, HostSample, HostView as _},
    },
};
use inferometer_catalog::rerank::{
    PaddingStats, Queue, Recorder, Release, Rerank, StageTimings, WorkerType,
};

use crate::rows;

fn declared() -> BTreeMap<String, Descriptor> {
    descriptors::<Rerank>()
        .into_iter()
        .map(|descriptor| (descriptor.name.to_string(), descriptor))
        .collect()
}

#[test]
fn each_row_of_the_cross_encoder_server_is_declared_with_its_kind_labels_and_unit() {
    let rows = rows("rerank");
    assert_eq!(rows.len(), 31);
    let declared = declared();
    for row in &rows {
        let name = row.name;
        let descriptor = declared
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not declared"));
        assert_eq!(descriptor.kind.as_str(), row.kind, "{name}");
        // A unit on the wire has no spaces.
        let unit = row.unit.replace(' ', "_");
        assert_eq!(descriptor.unit.as_deref(), Some(&*unit), "{name}");
        assert!(!descriptor.help.is_empty(), "{name}");
        let labels: BTreeSet<_> = descriptor.labels.iter().map(|label| &*label.name).collect();
        assert_eq!(labels, row.labels, "{name}");
        for label in &descriptor.labels {
            match &*label.name {
                "worker_type" => {
                    assert_eq!(label.bound, LabelBound::Closed(&["tokenizer", "model"]));
                }
                "worker_id" => assert_eq!(label.bound, LabelBound::Open(64)),
                other => panic!("{name}: the contract has no label {other}"),
            }
        }
    }
    assert_eq!(
        *declared["request_latency_seconds"].buckets,
        [
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0
        ]
    );
    let promised: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    for name in declared.keys() {
        assert!(
            promised.contains(&**name) || name.starts_with("rerank_"),
            "{name} is neither the contract's nor our own"
        );
    }
}

/// Every sample of a scrape: its name with labels, and its value.
fn scraped(registry: &Registry) -> BTreeMap<String, f64> {
    let page = registry.encode_text();
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn each_row_of_the_cross_encoder_server_is_in_the_scrape_once_it_is_known() {
    let registry = Registry::new();
    let recorder = Recorder::register(&registry, 1, 1, Duration::from_secs(30)).unwrap();
    let first = scraped(&registry);
    for row in rows("rerank") {
        let name = row.name;
        match row.kind {
            "counter" | "histogram" => {
                let series = match (row.kind, row.labels.is_empty()) {
                    ("histogram", _) => format!("{name}_count"),
                    (_, true) => name.to_owned(),
                    (_, false) => format!("{name}{{worker_id=\"0\",worker_type=\"model\"}}"),
                };
                assert_eq!(first.get(&series), Some(&0.0), "{series}");
            }
            _ if name.ends_with("queue_size") => assert_eq!(first[name], 0.0),
            _ => assert!(
                !first.keys().any(|series| series.starts_with(name)),
                "{name} is shown before anybody knows it"
            ),
        }
    }

    let start = Instant::now();
    recorder.collect(start);
    let millis = Duration::from_millis;
    recorder.record_tokenizer_worker_stats(0, millis(2), 1);
    recorder.record_worker_stats(0, millis(10), 1);
    recorder.metrics.sequence.observe(30.0);
    recorder.metrics.sequence.observe(50.0);
    recorder.record_padding_stats(&PaddingStats {
        padded_tokens: 20,
        total_tokens: 100,
        max_seq_length: 50,
    });
    recorder.record(millis(20), 1);
    recorder.record_gpu_utilization(Some(50.0));
    recorder.metrics.gpu.memory.set(1.0);
    let cpu = Cpu {
        usage_ratio: Some(0.5),
        ..Cpu::default()
    };
    recorder.metrics.host.sampled(&HostSample {
        cpu: Some(cpu),
        ..HostSample::default()
    });
    recorder.collect(start + Duration::from_secs(2));
    let page = scraped(&registry);
    for row in rows("rerank") {
        let found = page.keys().any(|series| series.starts_with(row.name));
        assert!(found, "{} is missing", row.name);
    }
    for (series, expected) in [
        ("padding_ratio", 0.2),
        ("max_seq_length", 50.0),
        ("avg_seq_length", 40.0),
        ("overall_throughput_qps", 0.5),
        ("tokenizer_throughput_qps", 0.5),
        ("inference_throughput_qps", 0.5),
        (
            "worker_throughput_qps{worker_id=\"0\",worker_type=\"model\"}",
            0.5,
        ),
        (
            "worker_latency_ms{worker_id=\"0\",worker_type=\"tokenizer\"}",
            2.0,
        ),
    ] {
        assert!(
            (page[series] - expected).abs() < 1e-3,
            "{series}: {}",
            page[series]
        );
    }

    // A window in which nothing was done: no requests a second, and no mean of nothing.
    recorder.collect(start + Duration::from_secs(40));
    recorder.collect(start + Duration::from_secs(80));
    recorder.metrics.gpu.polled(&[]);
    let page = scraped(&registry);
    assert_eq!(page["overall_throughput_qps"], 0.0);
    for absent in [
        "padding_ratio",
        "max_seq_length",
        "avg_seq_length",
        "worker_latency_ms{worker_id=\"0\",worker_type=\"model\"}",
        "gpu_memory_mb",
        "gpu_utilization_pct",
    ] {
        assert!(!page.contains_key(absent), "{absent} is of old");
    }
}

#[test]
fn a_stage_that_took_no_time_counts_and_one_that_was_not_gone_through_does_not() {
    let registry = Registry::new();
    let recorder = Recorder::register(&registry, 1, 1, Duration::from_secs(30)).unwrap();
    let timings = StageTimings {
        tokenizer_queue_wait: Some(Duration::ZERO),
        inference: Some(Duration::from_millis(750)),
        ..StageTimings::default()
    };
    recorder.record_stage_timings(Duration::from_secs(1), &timings);
    let page = scraped(&registry);
    for (series, expected) in [
        ("tokenizer_queue_wait_latency_seconds_count", 1.0),
        ("queue_wait_latency_seconds_count", 1.0),
        ("inference_latency_seconds_sum", 0.75),
        ("pipeline_overhead_latency_seconds_sum", 0.25),
        ("model_queue_wait_latency_seconds_count", 0.0),
        ("overhead_latency_seconds_count", 0.0),
        ("scheduler_latency_seconds_count", 0.0),
    ] {
        assert_eq!(page[series], expected, "{series}");
    }
}

#[test]
fn what_is_beyond_the_contract_is_labelled_by_closed_enums() {
    let registry = Registry::new();
    let recorder = Recorder::register(&registry, 1, 1, Duration::from_secs(30)).unwrap();
    recorder.released(Release::Budget, 8, 1024);
    recorder.capacity(Queue::Tokenizer, 256);
    recorder.worker(WorkerType::Model, 0).unwrap().restarted();
    assert!(recorder.worker(WorkerType::Model, 1).is_none());
    let page = scraped(&registry);
    for (series, expected) in [
        ("rerank_batches_released_total{reason=\"budget\"}", 1.0),
        ("rerank_batches_released_total{reason=\"idle\"}", 0.0),
        ("rerank_batch_size_pairs_sum", 8.0),
        ("rerank_batch_tokens_sum", 1024.0),
        ("rerank_queue_capacity{queue=\"tokenizer\"}", 256.0),
        ("rerank_requests_shed_total{reason=\"expected_wait\"}", 0.0),
        ("rerank_deadline_misses_total{stage=\"inference\"}", 0.0),
        ("rerank_requests_finished_total{outcome=\"cancelled\"}", 0.0),
        (
            "rerank_worker_restarts_total{worker_id=\"0\",worker_type=\"model\"}",
            1.0,
        ),
        (
            "rerank_worker_duration_seconds_count{worker_id=\"0\",worker_type=\"tokenizer\"}",
            0.0,
        ),
    ] {
        assert_eq!(page.get(series), Some(&expected), "{series}");
    }
}
