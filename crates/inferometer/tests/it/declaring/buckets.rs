//! Buckets: there, finite and rising.

use inferometer::Histogram;

use super::refusal;

#[test]
fn buckets_are_there_finite_and_rising() {
    set!(Missing {
        #[doc = "x"]
        sizes: Histogram,
    });
    set!(None {
        #[doc = "x"]
        #[metric(buckets = [])]
        sizes: Histogram,
    });
    set!(Infinite {
        #[doc = "x"]
        #[metric(buckets = [1.0, f64::INFINITY])]
        sizes: Histogram,
    });
    set!(NoNumber {
        #[doc = "x"]
        #[metric(buckets = [f64::NAN])]
        sizes: Histogram,
    });
    set!(Falling {
        #[doc = "x"]
        #[metric(buckets = [1.0, 3.0, 2.0])]
        sizes: Histogram,
    });
    set!(Level {
        #[doc = "x"]
        #[metric(buckets = [-0.0, 0.0])]
        sizes: Histogram,
    });
    let start = "metric `sizes` can't be declared: its buckets ";
    for (error, fault) in [
        (
            refusal::<Missing>(),
            "are missing; say `#[metric(buckets = …)]` or `#[metric(native)]`",
        ),
        (
            refusal::<None>(),
            "are missing; say `#[metric(buckets = …)]` or `#[metric(native)]`",
        ),
        (
            refusal::<Infinite>(),
            "hold inf, and a bound must be finite; `+Inf` is added by itself",
        ),
        (
            refusal::<NoNumber>(),
            "hold NaN, and a bound must be finite; `+Inf` is added by itself",
        ),
        (refusal::<Falling>(), "don't rise: 3 comes before 2"),
        (refusal::<Level>(), "don't rise: -0 comes before 0"),
    ] {
        assert_eq!(error.to_string(), format!("{start}{fault}"));
    }
    set!(Seconds {
        #[doc = "x"]
        #[metric(unit = "seconds")]
        time: Histogram,
    });
    let bounds = &inferometer::descriptors::<Seconds>()[0].buckets;
    assert_eq!(
        bounds[..],
        inferometer::buckets::LATENCY,
        "seconds have bounds of their own"
    );
}
