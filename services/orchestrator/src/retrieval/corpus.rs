//! The corpus that is shipped.

/// Every shipped document: name and text, ordered by name.
pub(super) const DOCUMENTS: &[(&str, &str)] = &[
    ("batching.md", include_str!("../../corpus/batching.md")),
    ("bm25.md", include_str!("../../corpus/bm25.md")),
    (
        "cardinality.md",
        include_str!("../../corpus/cardinality.md"),
    ),
    (
        "coordinated-omission.md",
        include_str!("../../corpus/coordinated-omission.md"),
    ),
    ("deadlines.md", include_str!("../../corpus/deadlines.md")),
    ("drift.md", include_str!("../../corpus/drift.md")),
    (
        "energy-per-token.md",
        include_str!("../../corpus/energy-per-token.md"),
    ),
    (
        "error-budgets.md",
        include_str!("../../corpus/error-budgets.md"),
    ),
    ("exemplars.md", include_str!("../../corpus/exemplars.md")),
    ("goodput.md", include_str!("../../corpus/goodput.md")),
    (
        "gpu-utilization.md",
        include_str!("../../corpus/gpu-utilization.md"),
    ),
    (
        "graceful-shutdown.md",
        include_str!("../../corpus/graceful-shutdown.md"),
    ),
    (
        "health-checks.md",
        include_str!("../../corpus/health-checks.md"),
    ),
    (
        "inter-token-latency.md",
        include_str!("../../corpus/inter-token-latency.md"),
    ),
    ("kv-cache.md", include_str!("../../corpus/kv-cache.md")),
    (
        "littles-law.md",
        include_str!("../../corpus/littles-law.md"),
    ),
    (
        "load-shedding.md",
        include_str!("../../corpus/load-shedding.md"),
    ),
    (
        "native-histograms.md",
        include_str!("../../corpus/native-histograms.md"),
    ),
    ("padding.md", include_str!("../../corpus/padding.md")),
    (
        "prometheus-metrics.md",
        include_str!("../../corpus/prometheus-metrics.md"),
    ),
    (
        "quantization.md",
        include_str!("../../corpus/quantization.md"),
    ),
    ("queues.md", include_str!("../../corpus/queues.md")),
    ("rerankers.md", include_str!("../../corpus/rerankers.md")),
    ("retries.md", include_str!("../../corpus/retries.md")),
    (
        "retrieval-augmented-generation.md",
        include_str!("../../corpus/retrieval-augmented-generation.md"),
    ),
    (
        "safety-envelopes.md",
        include_str!("../../corpus/safety-envelopes.md"),
    ),
    (
        "speculative-decoding.md",
        include_str!("../../corpus/speculative-decoding.md"),
    ),
    (
        "time-to-first-token.md",
        include_str!("../../corpus/time-to-first-token.md"),
    ),
];
