//! A real Prometheus, of each release at hand, scrapes a service in each protocol: what it then knows is what was recorded.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

mod documented;
mod guarded;
mod native;
mod own;
mod service;

use std::collections::BTreeMap;

use inferometer::{Format, Registry};
use inferometer_http::{MetricsServer, ServerHandle};
use inferometer_judges::{Feature, Job, Prometheus, Protocol, Relay, Release};

use self::service::{BOUNDS, LAST_WAIT, LE, Shop, TEXTS, TRACE, Truth, count, record};

/// What is on offer: the name of the job that asks for it, and what it is to get.
const PROTOCOLS: [(&str, Protocol, Format); 3] = [
    ("text", Protocol::Text, Format::PrometheusText),
    (
        "openmetrics",
        Protocol::OpenMetrics,
        Format::OpenMetricsText,
    ),
    ("protobuf", Protocol::Protobuf, Format::Protobuf),
];

/// A service that a server scrapes: once in each protocol, and once as the server and the endpoint agree by themselves.
struct Scraped {
    shop: Shop,
    registry: Registry,
    prometheus: Prometheus,
    relays: Vec<(&'static str, Format, Relay)>,
    _endpoint: ServerHandle,
}

impl Scraped {
    fn by(release: &Release) -> Self {
        let registry = Registry::new();
        let shop = registry.register().unwrap();
        let endpoint = MetricsServer::new(registry.clone())
            .start("127.0.0.1:0")
            .unwrap();
        let mut jobs = vec![Job::new("agreed", endpoint.address())];
        let mut relays = Vec::new();
        for (name, protocol, format) in PROTOCOLS {
            // Where the server can't be told what to ask for, the relay asks in its name.
            let instead = (!release.chooses_protocols()).then(|| protocol.accept());
            let relay = Relay::to(endpoint.address(), instead).unwrap();
            let job = Job::new(name, relay.address());
            jobs.push(if instead.is_none() {
                job.protocol(protocol)
            } else {
                job
            });
            relays.push((name, format, relay));
        }
        let prometheus = release
            .scraping(&jobs, &[Feature::ExemplarStorage])
            .unwrap();
        Self {
            shop,
            registry,
            prometheus,
            relays,
            _endpoint: endpoint,
        }
    }

    fn jobs(&self) -> impl Iterator<Item = &'static str> {
        let chosen = self.relays.iter().map(|(name, ..)| *name);
        ["agreed"].into_iter().chain(chosen)
    }

    /// The values of a query, by one of their labels; series without that label are under "".
    fn by_label(&self, query: &str, label: &str) -> BTreeMap<String, f64> {
        let found = self.prometheus.query(query).unwrap();
        let many = found.len();
        let values: BTreeMap<_, _> = found
            .into_iter()
            .map(|mut series| {
                (
                    series.labels.remove(label).unwrap_or_default(),
                    series.value,
                )
            })
            .collect();
        assert_eq!(values.len(), many, "{query}: {label} tells not all apart");
        values
    }

    /// The value of a query that has one.
    fn one(&self, query: &str) -> f64 {
        let found = self.prometheus.query(query).unwrap();
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found[0].value
    }
}

fn by_name<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn every_release_reads_in_every_protocol_what_was_recorded() {
    Release::each(|release| {
        let scraped = Scraped::by(release);
        for job in scraped.jobs() {
            assert_eq!(
                scraped.one(&format!("sum(shop_orders_total{{job=\"{job}\"}})")),
                0.0
            );
        }
        let truth = record(&scraped.shop);
        scraped.prometheus.wait_for_fresh_scrape().unwrap();

        for target in scraped.prometheus.targets().unwrap() {
            assert_eq!(
                (target.health.as_str(), target.last_error.as_str()),
                ("up", ""),
                "{target:?}"
            );
        }
        for (name, format, relay) in &scraped.relays {
            for exchange in relay.seen() {
                assert_eq!(exchange.status, 200, "{name}");
                assert_eq!(exchange.content_type, format.content_type(), "{name}");
            }
        }
        for job in scraped.jobs() {
            values_are_those_recorded(&scraped, job, &truth);
            labels_arrive_byte_for_byte(&scraped, job);
            histogram_is_that_of_the_values(&scraped, job, &truth);
            nothing_is_lost_on_the_way(&scraped, job);
            exemplars_stand_for_their_series(&scraped, job);
        }
        metadata_is_that_declared(&scraped.prometheus);
        let complaints = release
            .check_metrics(&scraped.registry.encode_text())
            .unwrap();
        assert_eq!(complaints, []);
    })
    .unwrap();
}

fn values_are_those_recorded(scraped: &Scraped, job: &str, truth: &Truth) {
    let orders = scraped.by_label(&format!("shop_orders_total{{job=\"{job}\"}}"), "outcome");
    let [ok, refused] = ["ok", "turned-down"].map(|outcome| count(truth.waits[outcome].len()));
    assert_eq!(
        orders,
        by_name([("ok", ok), ("turned-down", refused)]),
        "{job}"
    );
    assert_eq!(
        scraped.one(&format!("shop_energy_joules_total{{job=\"{job}\"}}")),
        truth.energy
    );
    assert_eq!(
        scraped.one(&format!("shop_inside{{job=\"{job}\"}}")),
        ok - refused
    );

    let mut heat = scraped.by_label(
        &format!("shop_temperature_celsius{{job=\"{job}\"}}"),
        "slot",
    );
    assert!(heat.remove("1").unwrap().is_nan(), "{job}");
    let heights = [
        ("0", -1.5),
        ("2", f64::INFINITY),
        ("3", f64::NEG_INFINITY),
        ("4", 1e300),
    ];
    assert_eq!(heat, by_name(heights), "{job}");

    let last = scraped.by_label(&format!("shop_last{{job=\"{job}\"}}"), "shop_last");
    assert_eq!(last, by_name([("ok", 0.0), ("turned-down", 1.0)]), "{job}");
}

fn labels_arrive_byte_for_byte(scraped: &Scraped, job: &str) {
    let texts = scraped.by_label(&format!("shop_texts_total{{job=\"{job}\"}}"), "text");
    let expected: BTreeMap<_, _> = (1..)
        .zip(TEXTS)
        .map(|(at, text)| (text.to_owned(), count(at)))
        .collect();
    assert_eq!(texts, expected, "{job}");
    let build = scraped.by_label(&format!("shop_build_info{{job=\"{job}\"}}"), "version");
    assert_eq!(build, by_name([("1.0 \"beta\"\\\n", 1.0)]), "{job}");
}

fn histogram_is_that_of_the_values(scraped: &Scraped, job: &str, truth: &Truth) {
    for (outcome, waits) in &truth.waits {
        let series = |name: &str| format!("{name}{{job=\"{job}\",outcome=\"{outcome}\"}}");
        let buckets = scraped.by_label(&series("shop_wait_seconds_bucket"), "le");
        let cumulative = truth.cumulative(outcome);
        let expected: BTreeMap<_, _> = LE
            .map(str::to_owned)
            .into_iter()
            .zip(cumulative.iter().copied())
            .collect();
        assert_eq!(buckets, expected, "{job}");
        assert_eq!(
            scraped.one(&series("shop_wait_seconds_sum")),
            waits.iter().sum::<f64>(),
            "{job}"
        );
        assert_eq!(
            scraped.one(&series("shop_wait_seconds_count")),
            count(waits.len()),
            "{job}"
        );

        for share in [0.01, 0.25, 0.5, 0.9, 0.99] {
            let found = scraped.one(&format!(
                "histogram_quantile({share}, {})",
                series("shop_wait_seconds_bucket")
            ));
            // The best that buckets can tell: the right one, and the place in it as if its values were spread evenly.
            let rank = share * count(waits.len());
            let at = cumulative.iter().position(|below| *below >= rank).unwrap();
            let (from, to) = (at.checked_sub(1).map_or(0.0, |at| BOUNDS[at]), BOUNDS[at]);
            let below = at.checked_sub(1).map_or(0.0, |at| cumulative[at]);
            let expected = from + (to - from) * (rank - below) / (cumulative[at] - below);
            assert!(
                (found / expected - 1.0).abs() < 1e-9,
                "{job}: {share} is {found}, expected {expected}"
            );
            let exact = truth.quantile(outcome, share);
            assert!(
                from < exact && exact <= to,
                "{job}: {share} is {exact}, not in ({from}, {to}]"
            );
        }
    }
}

/// Every sample that was read became a series of its own: no two of a scrape are one to the server.
fn nothing_is_lost_on_the_way(scraped: &Scraped, job: &str) {
    let series = scraped.one(&format!(
        "count({{job=\"{job}\",__name__!~\"up|scrape_.*\"}})"
    ));
    let samples = scraped.one(&format!("scrape_samples_scraped{{job=\"{job}\"}}"));
    assert_eq!(series, samples, "{job}");
}

fn exemplars_stand_for_their_series(scraped: &Scraped, job: &str) {
    let kept = |series: &str| {
        let selector = format!("{series}{{job=\"{job}\"}}");
        scraped.prometheus.exemplars(&selector).unwrap()
    };
    let (orders, waits) = (kept("shop_orders_total"), kept("shop_wait_seconds_bucket"));
    if job == "text" {
        assert_eq!((orders, waits), (vec![], vec![]), "the format has none");
        return;
    }
    // Prometheus undoes no escapes in an exemplar's labels; protobuf has none.
    let escape = |text: &str| match job {
        "protobuf" => text.to_owned(),
        _ => text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n"),
    };
    let labels: BTreeMap<_, _> = TRACE
        .map(|(name, value)| (name.to_owned(), escape(value)))
        .into();
    for (kept, value, le) in [(&orders, 1.0, None), (&waits, LAST_WAIT, Some("1.0"))] {
        assert_eq!(kept.len(), 1, "{job}: {kept:?}");
        assert_eq!(kept[0].labels, labels, "{job}");
        assert_eq!(kept[0].value, value, "{job}");
        assert_eq!(kept[0].series["outcome"], "ok", "{job}");
        assert_eq!(kept[0].series.get("le").map(String::as_str), le, "{job}");
    }
}

fn metadata_is_that_declared(prometheus: &Prometheus) {
    let orders = "Orders, with a \"quoted\" word and a back\\slash.";
    let energy = "Energy used.";
    let wait = "Time from order to parcel.";
    let build = "What is running.";
    let last = "How the last order went.";
    let older = [
        ("shop_orders_total", "counter", orders, ""),
        ("shop_energy_joules_total", "counter", energy, ""),
        ("shop_wait_seconds", "histogram", wait, ""),
        ("shop_build_info", "gauge", build, ""),
        ("shop_last", "gauge", last, ""),
    ];
    let openmetrics = [
        ("shop_orders", "counter", orders, ""),
        ("shop_energy_joules", "counter", energy, "joules"),
        ("shop_wait_seconds", "histogram", wait, "seconds"),
        ("shop_build", "info", build, ""),
        ("shop_last", "stateset", last, ""),
    ];
    for (job, expected) in [
        ("text", older),
        ("openmetrics", openmetrics),
        ("protobuf", older),
    ] {
        let told = prometheus.metadata(job).unwrap();
        for (family, kind, help, unit) in expected {
            let found = told.iter().find(|told| told.family == family);
            let found = found.map(|found| (&*found.kind, &*found.help, &*found.unit));
            // Older releases don't read the unit that protobuf has.
            let unit = match found {
                Some((.., read)) if job == "protobuf" => read,
                _ => unit,
            };
            assert_eq!(found, Some((kind, help, unit)), "{job}: {family}");
        }
    }
}
