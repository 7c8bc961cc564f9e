//! How far two samples, or two distributions, are apart. Each as SciPy defines it, but for the index of population stability, which it
//! doesn't have.

use crate::score::{Sum, float};

/// A share smaller than this counts as this in [`psi`], so that an empty bin doesn't make the index infinite.
pub const SMALLEST_SHARE: f64 = 1e-4;

/// What a test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// How probable a statistic of at least this is, were there no difference.
    pub p_value: f64,
}

/// Index of population stability of two distributions over the same bins: Σ (aᵢ − eᵢ) ln(aᵢ / eᵢ).
///
/// Takes shares, which each add up to 1. One below [`SMALLEST_SHARE`] counts as that much. 0 for equal ones; without an upper bound.
pub fn psi(expected: &[f64], actual: &[f64]) -> f64 {
    let mut sum = Sum::default();
    for (expected, actual) in expected.iter().zip(actual) {
        let expected = expected.max(SMALLEST_SHARE);
        let actual = actual.max(SMALLEST_SHARE);
        sum.add((actual - expected) * (actual / expected).ln());
    }
    sum.value()
}

/// Jensen–Shannon distance of two distributions over the same bins, in bits: the root of the divergence.
///
/// Takes shares, which each add up to 1. 0 for equal ones, 1 for those that have no bin in common. It is
/// `scipy.spatial.distance.jensenshannon(…, base=2)`.
pub fn jensen_shannon(expected: &[f64], actual: &[f64]) -> f64 {
    let mut sum = Sum::default();
    let part = |share: f64, middle: f64| {
        if share > 0.0 {
            share * (share / middle).log2()
        } else {
            0.0
        }
    };
    for (&expected, &actual) in expected.iter().zip(actual) {
        let middle = f64::midpoint(expected, actual);
        sum.add(part(expected, middle));
        sum.add(part(actual, middle));
    }
    // What rounding leaves below 0 is 0.
    (sum.value() / 2.0).max(0.0).sqrt()
}

/// Kolmogorov–Smirnov test of two sorted samples: the largest distance of their distribution functions.
///
/// The probability is the one in the limit of large samples (`scipy.stats.kstwobign`); of fewer than about 20 it is rough.
/// `None` without a value in one of them. Samples that aren't sorted give a number without meaning.
pub fn kolmogorov_smirnov(reference: &[f64], window: &[f64]) -> Option<Test> {
    Some(apart(reference, window)?.test)
}

/// Wasserstein distance of two sorted samples: the area between their distribution functions, in the unit of their values.
///
/// `None` without a value in one of them. Samples that aren't sorted give a number without meaning.
pub fn wasserstein(reference: &[f64], window: &[f64]) -> Option<f64> {
    Some(apart(reference, window)?.area)
}

/// χ² test of two samples of categories: whether both come from one distribution, whatever it is.
///
/// Takes counts of the same categories; those that neither has are left out. It is
/// `scipy.stats.chi2_contingency([reference, window], correction=False)`. `None` where a sample is empty, or there is but one category.
pub fn chi_squared(reference: &[u64], window: &[u64]) -> Option<Test> {
    let (all_reference, all_window) = (reference.iter().sum::<u64>(), window.iter().sum::<u64>());
    if all_reference == 0 || all_window == 0 {
        return None;
    }
    let all = float(all_reference) + float(all_window);
    let (mut sum, mut categories) = (Sum::default(), 0_u64);
    for (&reference, &window) in reference.iter().zip(window) {
        let both = float(reference) + float(window);
        if both == 0.0 {
            continue;
        }
        categories += 1;
        for (observed, row) in [(reference, all_reference), (window, all_window)] {
            let expected = both * (float(row) / all);
            let apart = float(observed) - expected;
            sum.add(apart * apart / expected);
        }
    }
    let freedom = categories.checked_sub(1).filter(|freedom| *freedom > 0)?;
    let statistic = sum.value();
    Some(Test {
        statistic,
        p_value: above(statistic, freedom),
    })
}

/// How far apart two distribution functions are.
pub(super) struct Apart {
    pub(super) test: Test,
    pub(super) area: f64,
}

/// Both distances of two sorted samples in one walk. Between two values of the window its function is level, and the reference's rises:
/// so they are farthest apart at one of the ends.
pub(super) fn apart(reference: &[f64], window: &[f64]) -> Option<Apart> {
    let mut last = reference.first()?.min(*window.first()?);
    let (all, all_window) = (float(reference.len() as u64), float(window.len() as u64));
    let step = 1.0 / all;
    let (mut below, mut seen) = (0_usize, 0_usize);
    let (mut farthest, mut area) = (0.0_f64, Sum::default());
    while let Some(&here) = window.get(seen) {
        let level = float(seen as u64) / all_window;
        let rest = &reference[below..];
        let run = rest
            .iter()
            .position(|value| *value >= here)
            .unwrap_or(rest.len());
        let mut strip = 0.0;
        for (passed, value) in (below..).zip(&rest[..run]) {
            strip += (float(passed as u64) * step - level).abs() * (value - last);
            last = *value;
        }
        below += run;
        let share = float(below as u64) / all;
        area.add(strip + (share - level).abs() * (here - last));
        last = here;
        farthest = farthest.max((share - level).abs());
        seen += 1;
        while window.get(seen).is_some_and(|value| *value <= here) {
            seen += 1;
        }
        while reference.get(below).is_some_and(|value| *value <= here) {
            below += 1;
        }
        let (share, level) = (float(below as u64) / all, float(seen as u64) / all_window);
        farthest = farthest.max((share - level).abs());
    }
    for (passed, value) in (below..).zip(&reference[below..]) {
        area.add((1.0 - float(passed as u64) / all) * (value - last));
        last = *value;
    }
    let effective = all * all_window / (all + all_window);
    Some(Apart {
        test: Test {
            statistic: farthest,
            p_value: kolmogorov(effective.sqrt() * farthest),
        },
        area: area.value(),
    })
}

/// Probability that a χ² of so many degrees of freedom is above `statistic`: the closed form that there is for whole degrees, term by term
/// in logarithms, so that none is lost before they are added.
fn above(statistic: f64, freedom: u64) -> f64 {
    let half = statistic / 2.0;
    if half <= 0.0 {
        return 1.0;
    }
    let odd = freedom % 2 == 1;
    // The first term's index is 0, or ½ after what the error function stands for.
    let (mut sum, mut index, mut term) = if odd {
        (
            libm::erfc(half.sqrt()),
            0.5,
            half.ln() / 2.0 - libm::lgamma(1.5) - half,
        )
    } else {
        (0.0, 0.0, -half)
    };
    for _ in 0..freedom / 2 {
        sum += term.exp();
        index += 1.0;
        term += half.ln() - f64::ln(index);
    }
    sum.min(1.0)
}

/// Probability that the limit of Kolmogorov's statistic is above `x`: two series of one function, each where it converges fast.
fn kolmogorov(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let step = |odd: f64| (-(odd * PI).powi(2) / (8.0 * x * x)).exp();
        let sum: f64 = [1.0, 3.0, 5.0, 7.0].into_iter().map(step).sum();
        return (1.0 - (2.0 * PI).sqrt() / x * sum).clamp(0.0, 1.0);
    }
    let step = |k: f64| (-2.0 * k * k * x * x).exp();
    let sum = step(1.0) - step(2.0) + step(3.0) - step(4.0);
    (2.0 * sum).clamp(0.0, 1.0)
}
