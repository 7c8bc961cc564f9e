//! Names as `metrics-exporter-prometheus` writes them.

use std::borrow::Cow;

use inferometer::Kind;
use metrics::Unit;

/// Replaces each character that a metric's name can't have, there, by `_`.
pub(crate) fn sanitized(name: &str) -> Cow<'_, str> {
    replaced(name, |character| {
        character.is_ascii_alphabetic() || character == '_' || character == ':'
    })
}

/// The same for a label's name, which can't have a colon either.
pub(crate) fn sanitized_label(name: &str) -> Cow<'_, str> {
    replaced(name, |character| {
        character.is_ascii_alphabetic() || character == '_'
    })
}

fn replaced(name: &str, may_begin: impl Fn(char) -> bool) -> Cow<'_, str> {
    let fits = |(at, character): (usize, char)| {
        may_begin(character) || (at > 0 && character.is_ascii_digit())
    };
    if name.chars().enumerate().all(fits) {
        return Cow::Borrowed(name);
    }
    let characters = name.chars().enumerate();
    Cow::Owned(
        characters
            .map(|(at, character)| {
                if fits((at, character)) {
                    character
                } else {
                    '_'
                }
            })
            .collect(),
    )
}

/// The unit as it is written; a count has none.
pub(crate) fn unit(unit: Option<Unit>) -> Option<&'static str> {
    match unit? {
        Unit::Count => None,
        Unit::Percent => Some("ratio"),
        unit => Some(unit.as_str()),
    }
}

/// The name with its unit, and with `_total` on a counter: what that exporter calls recommended.
pub(crate) fn recommended(name: &str, kind: Kind, unit: Option<&str>) -> String {
    let mut name = unit.map_or_else(|| name.to_owned(), |unit| with_unit(name, unit));
    // It doesn't ask for the `_` either.
    if kind == Kind::Counter && !name.ends_with("total") {
        name.push_str("_total");
    }
    name
}

/// The unit comes before a suffix that means something to Prometheus.
fn with_unit(name: &str, unit: &str) -> String {
    let suffixes = ["_sum", "_count", "_bucket", "_total"];
    let suffix = suffixes.into_iter().find(|suffix| name.ends_with(suffix));
    let suffix = suffix.unwrap_or_default();
    let stem = name.strip_suffix(suffix).unwrap_or(name);
    if stem.ends_with(unit) {
        name.to_owned()
    } else {
        format!("{stem}_{unit}{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_what_prometheus_takes() {
        for (name, written) in [
            ("a.b-c", "a_b_c"),
            ("1a", "_a"),
            ("a1:b", "a1:b"),
            ("ü", "_"),
            ("", ""),
        ] {
            assert_eq!(sanitized(name), written);
        }
        assert_eq!(sanitized_label("a:1"), "a_1");
        assert!(matches!(sanitized("a_1"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_unit_stands_before_the_suffix_and_never_twice() {
        for (name, kind, unit, written) in [
            ("wait", Kind::Histogram, Some("seconds"), "wait_seconds"),
            ("wait_seconds", Kind::Gauge, Some("seconds"), "wait_seconds"),
            (
                "sent_total",
                Kind::Counter,
                Some("bytes"),
                "sent_bytes_total",
            ),
            (
                "sent_bytes_total",
                Kind::Counter,
                Some("bytes"),
                "sent_bytes_total",
            ),
            ("sent", Kind::Counter, None, "sent_total"),
            ("subtotal", Kind::Counter, None, "subtotal"),
        ] {
            assert_eq!(recommended(name, kind, unit), written);
        }
    }
}
