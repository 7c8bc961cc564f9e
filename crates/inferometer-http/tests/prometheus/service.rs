//! A service with a metric of each kind, and what was recorded in it.

use std::{collections::BTreeMap, thread};

use inferometer::{
    AdditiveGauge, Counter, FloatCounter, Gauge, Histogram, Info, LabelSet, LabelValue, MetricSet,
    StateSet,
};

pub(crate) const BOUNDS: [f64; 6] = [0.005, 0.1, 0.25, 1.0, 2.5, 10.0];

/// How a bound is to arrive, in either release.
pub(crate) const LE: [&str; 7] = ["0.005", "0.1", "0.25", "1.0", "2.5", "10.0", "+Inf"];

/// Values that try to break out of their quotes.
pub(crate) const TEXTS: [&str; 20] = [
    " ",
    "plain",
    "} 1\n# EOF\nevil 666",
    "\"} 1\nevil 666\nshop_texts_total{text=\"",
    "\\",
    "\\\\",
    "\"",
    "\\\"",
    "\n",
    "\\n",
    "\r\n",
    "\0",
    "\u{1}\u{1b}[31m\u{7f}",
    "\u{85}\u{2028}\u{2029}",
    "🦀𝄞",
    "é",
    "e\u{301}",
    "\u{202e}tac",
    "a\",more=\"b",
    "{}[](),;#",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, LabelValue)]
pub(crate) enum Outcome {
    Ok,
    #[label(value = "turned-down")]
    Refused,
}

#[derive(LabelSet)]
pub(crate) struct ByOutcome {
    pub(crate) outcome: Outcome,
}

#[derive(LabelSet)]
pub(crate) struct ByText<'a> {
    pub(crate) text: &'a str,
}

#[derive(LabelSet)]
pub(crate) struct BySlot {
    pub(crate) slot: u8,
}

#[derive(LabelSet)]
pub(crate) struct Build<'a> {
    pub(crate) version: &'a str,
}

#[derive(MetricSet)]
#[metrics(namespace = "shop")]
pub(crate) struct Shop {
    /// Orders, with a "quoted" word and a back\slash.
    pub(crate) orders: Counter<ByOutcome>,
    /// Texts seen.
    pub(crate) texts: Counter<ByText<'static>>,
    /// Energy used.
    #[metric(unit = "joules")]
    pub(crate) energy: FloatCounter,
    /// Air temperature.
    #[metric(unit = "celsius")]
    pub(crate) temperature: Gauge<BySlot>,
    /// Visitors inside.
    pub(crate) inside: AdditiveGauge,
    /// Time from order to parcel.
    #[metric(unit = "seconds", buckets = BOUNDS)]
    pub(crate) wait: Histogram<ByOutcome>,
    /// What is running.
    pub(crate) build: Info<Build<'static>>,
    /// How the last order went.
    pub(crate) last: StateSet<Outcome>,
}

/// What was recorded, counted beside the metrics.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// The waits of each outcome, in rising order.
    pub(crate) waits: BTreeMap<&'static str, Vec<f64>>,
    pub(crate) energy: f64,
}

impl Truth {
    /// How many waits of an outcome are at or below each bound.
    pub(crate) fn cumulative(&self, outcome: &str) -> Vec<f64> {
        let waits = &self.waits[outcome];
        let below = |bound: f64| waits.partition_point(|wait| *wait <= bound);
        BOUNDS
            .into_iter()
            .chain([f64::INFINITY])
            .map(|bound| count(below(bound)))
            .collect()
    }

    /// The quantile as one that has all the values knows it.
    pub(crate) fn quantile(&self, outcome: &str, share: f64) -> f64 {
        let waits = &self.waits[outcome];
        let rank = waits
            .iter()
            .enumerate()
            .position(|(at, _)| count(at + 1) >= share * count(waits.len()));
        waits[rank.expect("no share is above 1")]
    }
}

pub(crate) fn count(many: usize) -> f64 {
    u32::try_from(many)
        .expect("a test counts no billions")
        .into()
}

/// What the last order and its wait stand for.
pub(crate) const TRACE: [(&str, &str); 2] = [("trace_id", "4bf92f35"), ("note", "\"a\\b\"\nc")];
pub(crate) const LAST_WAIT: f64 = 0.75;

/// Records from four threads, and one more order with an exemplar. Every value is a multiple of 1/1024, so sums are exact in any
/// order.
pub(crate) fn record(shop: &Shop) -> Truth {
    let values = |thread: u32| {
        (0..2_500).map(move |at: u32| {
            let number = at * 4 + thread;
            let outcome = if number.is_multiple_of(3) {
                Outcome::Refused
            } else {
                Outcome::Ok
            };
            // Most are short; a few reach 9 s.
            let wait = f64::from(number % 97 + 1) * f64::from(number % 97 + 1) / 1024.0;
            (outcome, wait)
        })
    };
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for (outcome, wait) in values(thread) {
                    shop.orders.with(ByOutcome { outcome }).inc();
                    shop.wait.with(ByOutcome { outcome }).observe(wait);
                    shop.energy.add(wait);
                    shop.inside.add(if outcome == Outcome::Ok { 1 } else { -1 });
                }
            });
        }
    });
    let outcome = Outcome::Ok;
    let orders = shop.orders.with(ByOutcome { outcome });
    orders.inc_with_exemplar(&TRACE);
    let wait = shop.wait.with(ByOutcome { outcome });
    wait.observe_with_exemplar(LAST_WAIT, &TRACE);
    shop.energy.add(LAST_WAIT);
    shop.inside.add(1);

    for (at, text) in (1..).zip(TEXTS) {
        shop.texts.with(ByText { text }).add(at);
    }
    for (slot, value) in [-1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300]
        .into_iter()
        .enumerate()
    {
        let slot = u8::try_from(slot).expect("there are five");
        shop.temperature.with(BySlot { slot }).set(value);
    }
    shop.build.set(Build {
        version: "1.0 \"beta\"\\\n",
    });
    shop.last.set(Outcome::Refused);

    let mut truth = Truth::default();
    for (outcome, wait) in (0..4).flat_map(values).chain([(outcome, LAST_WAIT)]) {
        let name = Outcome::VALUES.expect("it is closed")[outcome.index()];
        truth.waits.entry(name).or_default().push(wait);
        truth.energy += wait;
    }
    for waits in truth.waits.values_mut() {
        waits.sort_by(f64::total_cmp);
    }
    truth
}
