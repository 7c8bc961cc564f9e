//! What keeps series from growing without limit.

use inferometer::{
    Counter, Gauge, Histogram, LabelSet, LabelValue, MetricSet, OVERFLOW, Point, Registry,
};

use crate::page;

#[derive(Clone, Copy, LabelValue)]
enum Tier {
    Free,
    Paid,
}

#[derive(LabelSet)]
struct ByCustomer<'a> {
    tier: Tier,
    #[label(limit = 3)]
    customer: &'a str,
    #[label(limit = 2)]
    shard: u32,
}

#[derive(MetricSet)]
struct Bounded {
    /// Requests.
    requests: Counter<ByCustomer<'static>>,
}

fn dropped(registry: &Registry, label: &str) -> Option<f64> {
    let labels = [("family", "requests_total"), ("label", label)];
    page::value(
        &registry.encode_text(),
        "inferometer_label_values_dropped_total",
        &labels,
    )
}

fn requests(registry: &Registry, tier: &str, customer: &str, shard: &str) -> Option<f64> {
    let labels = [("tier", tier), ("customer", customer), ("shard", shard)];
    page::value(&registry.encode_text(), "requests_total", &labels)
}

#[test]
fn values_beyond_the_limit_become_other_and_are_counted_exactly() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    for round in 0..10 {
        for customer in ["ada", "bob", "cid", "dan", "eve"] {
            set.requests
                .with(ByCustomer {
                    tier: Tier::Paid,
                    customer,
                    shard: round % 2,
                })
                .inc();
        }
    }
    assert_eq!(requests(&registry, "paid", "ada", "0"), Some(5.0));
    assert_eq!(requests(&registry, "paid", "cid", "1"), Some(5.0));
    assert_eq!(requests(&registry, "paid", "dan", "0"), None);
    assert_eq!(requests(&registry, "paid", OVERFLOW, "0"), Some(10.0));
    assert_eq!(requests(&registry, "paid", OVERFLOW, "1"), Some(10.0));
    assert_eq!(dropped(&registry, "customer"), Some(20.0));
    assert_eq!(dropped(&registry, "shard"), Some(0.0));
    assert_eq!(
        dropped(&registry, "tier"),
        None,
        "a closed label drops nothing"
    );

    set.requests
        .with(ByCustomer {
            tier: Tier::Free,
            customer: "zoe",
            shard: 2,
        })
        .inc();
    assert_eq!(requests(&registry, "free", OVERFLOW, OVERFLOW), Some(1.0));
    assert_eq!(dropped(&registry, "customer"), Some(21.0));
    assert_eq!(dropped(&registry, "shard"), Some(1.0));
}

#[test]
fn known_values_keep_their_series_when_the_label_is_full() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    for customer in ["ada", "bob", "cid", "dan"] {
        set.requests
            .with(ByCustomer {
                tier: Tier::Free,
                customer,
                shard: 0,
            })
            .inc();
    }
    set.requests
        .with(ByCustomer {
            tier: Tier::Paid,
            customer: "bob",
            shard: 0,
        })
        .inc();
    assert_eq!(requests(&registry, "paid", "bob", "0"), Some(1.0));
    assert_eq!(dropped(&registry, "customer"), Some(1.0));
}

#[test]
fn a_value_spelled_other_shares_the_series_and_is_never_counted_as_dropped() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    let count = |customer| {
        set.requests
            .with(ByCustomer {
                tier: Tier::Free,
                customer,
                shard: 0,
            })
            .inc();
    };
    count(OVERFLOW);
    for customer in ["ada", "bob", "cid"] {
        count(customer);
    }
    assert_eq!(
        dropped(&registry, "customer"),
        Some(0.0),
        "`other` has taken no place"
    );
    count("dan");
    count(OVERFLOW);
    assert_eq!(requests(&registry, "free", OVERFLOW, "0"), Some(3.0));
    assert_eq!(dropped(&registry, "customer"), Some(1.0));
}

#[test]
fn a_handle_kept_is_counted_as_dropped_once() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    for customer in ["ada", "bob", "cid"] {
        set.requests
            .with(ByCustomer {
                tier: Tier::Free,
                customer,
                shard: 0,
            })
            .inc();
    }
    let kept = set.requests.series(ByCustomer {
        tier: Tier::Free,
        customer: "dan",
        shard: 0,
    });
    for _ in 0..100 {
        kept.inc();
    }
    assert_eq!(requests(&registry, "free", OVERFLOW, "0"), Some(100.0));
    assert_eq!(dropped(&registry, "customer"), Some(1.0));
}

#[test]
fn a_value_too_long_becomes_other() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    let longest = "x".repeat(1_024);
    let longer = "x".repeat(1_025);
    for customer in [longest.as_str(), longer.as_str()] {
        set.requests
            .with(ByCustomer {
                tier: Tier::Free,
                customer,
                shard: 0,
            })
            .inc();
    }
    assert_eq!(requests(&registry, "free", &longest, "0"), Some(1.0));
    assert_eq!(requests(&registry, "free", OVERFLOW, "0"), Some(1.0));
    assert_eq!(dropped(&registry, "customer"), Some(1.0));
}

#[test]
fn a_family_stops_growing_though_each_label_is_below_its_limit() {
    #[derive(LabelSet)]
    struct ByPair {
        left: u16,
        right: u16,
    }
    #[derive(MetricSet)]
    struct Pairs {
        /// Pairs.
        pairs: Counter<ByPair>,
    }
    let registry = Registry::new();
    let set: Pairs = registry.register().unwrap();
    for left in 0..150 {
        for right in 0..150 {
            set.pairs.with(ByPair { left, right }).inc();
        }
    }
    let snapshot = registry.snapshot();
    let family = snapshot.family("pairs_total").unwrap();
    assert_eq!(
        family.series.len(),
        10_001,
        "ten thousand, and the one for the rest"
    );
    assert_eq!(
        family.point(r#"left="other",right="other""#),
        Some(&Point::Integer(150 * 150 - 10_000))
    );
    assert_eq!(
        family.point(r#"left="0",right="149""#),
        Some(&Point::Integer(1))
    );
    let page = registry.encode_text();
    for label in ["left", "right"] {
        assert_eq!(
            page::value(
                &page,
                "inferometer_label_values_dropped_total",
                &[("family", "pairs_total"), ("label", label)]
            ),
            Some(12_500.0)
        );
    }
}

#[test]
fn closed_sets_start_at_zero_and_open_ones_are_absent() {
    #[derive(LabelSet)]
    struct ByTier {
        tier: Tier,
    }
    #[derive(MetricSet)]
    #[expect(dead_code, reason = "declared only")]
    struct Closed {
        /// Closed counts.
        closed: Counter<ByTier>,
        /// Closed distribution.
        #[metric(buckets = [1.0])]
        sizes: Histogram<ByTier>,
        /// Closed levels, which nobody has set.
        level: Gauge<ByTier>,
        /// Open counts.
        open: Counter<ByCustomer<'static>>,
    }
    let registry = Registry::new();
    let _set: Closed = registry.register().unwrap();
    let page = registry.encode_text();
    for tier in ["free", "paid"] {
        assert_eq!(
            page::value(&page, "closed_total", &[("tier", tier)]),
            Some(0.0)
        );
        assert_eq!(
            page::value(&page, "sizes_count", &[("tier", tier)]),
            Some(0.0)
        );
        assert_eq!(page::value(&page, "level", &[("tier", tier)]), None);
    }
    assert!(!page.contains("\nopen_total"));
}

#[test]
fn a_handle_found_stays_on_its_series() {
    let registry = Registry::new();
    let set: Bounded = registry.register().unwrap();
    let found = set.requests.series(ByCustomer {
        tier: Tier::Paid,
        customer: "ada",
        shard: 1,
    });
    // A handle that has its labels is a metric without labels, and takes the empty set.
    found.with(()).inc();
    found.series(()).inc();
    assert_eq!(requests(&registry, "paid", "ada", "1"), Some(2.0));
    assert_eq!(
        registry
            .snapshot()
            .family("requests_total")
            .unwrap()
            .series
            .len(),
        1
    );
}
