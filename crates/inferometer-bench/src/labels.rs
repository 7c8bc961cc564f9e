//! What every library records: the same labels, texts and values, in the same order.

use std::sync::OnceLock;

/// How many inputs a hot loop goes through before it starts over.
pub(crate) const INPUTS: usize = 1_000;

/// How many series three labels make, in three sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) enum Size {
    /// 10 × 10 × 10.
    Thousand,
    /// 25 × 20 × 20.
    TenThousand,
    /// 50 × 50 × 40.
    HundredThousand,
}

impl Size {
    /// How many values each of the three labels has.
    pub(crate) const fn values(self) -> [usize; 3] {
        match self {
            Self::Thousand => [10, 10, 10],
            Self::TenThousand => [25, 20, 20],
            Self::HundredThousand => [50, 50, 40],
        }
    }

    pub(crate) const fn series(self) -> usize {
        let [region, zone, pod] = self.values();
        region * zone * pod
    }

    /// The values of the series at `index`, the last label running fastest.
    pub(crate) const fn at(self, index: usize) -> [usize; 3] {
        let [regions, zones, pods] = self.values();
        [
            index / (zones * pods) % regions,
            index / pods % zones,
            index % pods,
        ]
    }

    /// The same as text.
    pub(crate) fn texts(self, index: usize) -> [&'static str; 3] {
        self.at(index).map(|value| TEXTS[value])
    }
}

/// The names of the three labels of a [`Size`].
pub(crate) const NAMES: [&str; 3] = ["region", "zone", "pod"];

/// The values of the labels of a [`Size`]; a label with `n` values has the first `n`.
pub(crate) static TEXTS: [&str; 50] = [
    "v00", "v01", "v02", "v03", "v04", "v05", "v06", "v07", "v08", "v09", "v10", "v11", "v12",
    "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
    "v26", "v27", "v28", "v29", "v30", "v31", "v32", "v33", "v34", "v35", "v36", "v37", "v38",
    "v39", "v40", "v41", "v42", "v43", "v44", "v45", "v46", "v47", "v48", "v49",
];

/// One of the first `N` [`TEXTS`], as a closed label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<const N: usize>(pub(crate) usize);

/// What a request did: a closed label of four values.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    inferometer::LabelValue,
    measured::FixedCardinalityLabel,
    prometheus_client::encoding::EncodeLabelValue,
    fastmetrics::derive::EncodeLabelValue,
)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// Where it went: five values.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    inferometer::LabelValue,
    measured::FixedCardinalityLabel,
    prometheus_client::encoding::EncodeLabelValue,
    fastmetrics::derive::EncodeLabelValue,
)]
pub(crate) enum Route {
    Chat,
    Embed,
    Rerank,
    Models,
    Health,
}

/// How it ended: five values.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    inferometer::LabelValue,
    measured::FixedCardinalityLabel,
    prometheus_client::encoding::EncodeLabelValue,
    fastmetrics::derive::EncodeLabelValue,
)]
pub(crate) enum Ending {
    Ok,
    Rejected,
    Shed,
    Timeout,
    Error,
}

impl Method {
    const ALL: [Self; 4] = [Self::Get, Self::Post, Self::Put, Self::Delete];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

impl Route {
    const ALL: [Self; 5] = [
        Self::Chat,
        Self::Embed,
        Self::Rerank,
        Self::Models,
        Self::Health,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Models => "models",
            Self::Health => "health",
        }
    }
}

impl Ending {
    const ALL: [Self; 5] = [
        Self::Ok,
        Self::Rejected,
        Self::Shed,
        Self::Timeout,
        Self::Error,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Shed => "shed",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

/// [`INPUTS`] sets of three closed labels, in an order that no predictor guesses from a pattern in the indices.
pub(crate) fn closed() -> Vec<(Method, Route, Ending)> {
    scattered()
        .map(|at| {
            (
                Method::ALL[at % 4],
                Route::ALL[at / 4 % 5],
                Ending::ALL[at / 20 % 5],
            )
        })
        .collect()
}

/// How many different ones there are among [`closed`].
pub(crate) const CLOSED: usize = 4 * 5 * 5;

/// [`INPUTS`] sets of three texts, all different in each of the three places.
pub(crate) fn open() -> &'static [[String; 3]] {
    static OPEN: OnceLock<Vec<[String; 3]>> = OnceLock::new();
    OPEN.get_or_init(|| {
        scattered()
            .map(|at| {
                [
                    format!("customer-{at:04}"),
                    format!("model-{:04}", at * 7 % INPUTS),
                    format!("tenant-{:04}", at * 13 % INPUTS),
                ]
            })
            .collect()
    })
}

/// [`INPUTS`] durations in seconds, spread over the buckets of [`inferometer::buckets::LATENCY`] and beyond. All are multiples of
/// 2⁻¹⁴, so that sums of any order are exact.
pub(crate) fn durations() -> &'static [f64] {
    static DURATIONS: OnceLock<Vec<f64>> = OnceLock::new();
    DURATIONS.get_or_init(|| {
        scattered()
            .map(|at| {
                let place = f64::from(u32::try_from(at).unwrap_or(0)) / 1_000.0;
                let seconds = 0.0004 * (20.0_f64 / 0.0004).powf(place);
                (seconds * 16_384.0).round().max(1.0) / 16_384.0
            })
            .collect()
    })
}

/// 0 to [`INPUTS`] in an order without a pattern; the same each time.
fn scattered() -> impl Iterator<Item = usize> {
    let mut order: Vec<usize> = (0..INPUTS).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..INPUTS).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let swap = usize::try_from(state % (at as u64 + 1)).unwrap_or(0);
        order.swap(at, swap);
    }
    order.into_iter()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_series_of_a_size_has_labels_of_its_own() {
        for size in [Size::Thousand, Size::TenThousand, Size::HundredThousand] {
            let seen: HashSet<_> = (0..size.series()).map(|at| size.at(at)).collect();
            assert_eq!(seen.len(), size.series());
        }
    }

    #[test]
    fn inputs_cover_every_combination_and_every_bucket() {
        assert_eq!(closed().into_iter().collect::<HashSet<_>>().len(), CLOSED);
        for place in 0..3 {
            let texts: HashSet<_> = open().iter().map(|set| &set[place]).collect();
            assert_eq!(texts.len(), INPUTS);
        }
        let bounds = inferometer::buckets::LATENCY;
        let buckets: HashSet<_> = durations()
            .iter()
            .map(|value| bounds.partition_point(|bound| bound < value))
            .collect();
        assert_eq!(buckets.len(), bounds.len() + 1);
    }

    #[test]
    fn sums_of_durations_are_exact_in_any_order() {
        let forth: f64 = durations().iter().sum();
        let back: f64 = durations().iter().rev().sum();
        assert_eq!(forth.to_bits(), back.to_bits());
    }
}
