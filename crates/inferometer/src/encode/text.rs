//! The two text formats, which differ in names, escapes and the metadata of a family.
//!
//! - Prometheus text 0.0.4: prometheus.io, *Exposition formats*.
//! - OpenMetrics 1.0: github.com/prometheus/OpenMetrics, *specification/OpenMetrics.md*.

use std::fmt::Write as _;

use super::Format;
use crate::{
    descriptor::{Descriptor, Kind},
    snapshot::{FamilySnapshot, Point},
};

pub(super) fn family(page: &mut String, family: &FamilySnapshot, format: Format) {
    let descriptor = &family.descriptor;
    metadata(page, descriptor, format);
    for series in &family.series {
        match &series.point {
            Point::Histogram { cumulative, sum } => {
                histogram(page, descriptor, &series.labels, cumulative, *sum, format);
            }
            value => {
                sample(page, &descriptor.name, "", &series.labels, None);
                number(page, value);
                page.push('\n');
            }
        }
    }
}

fn metadata(page: &mut String, descriptor: &Descriptor, format: Format) {
    let (name, kind) = match (format, descriptor.kind) {
        (Format::OpenMetricsText, kind) => (descriptor.family(), kind.as_str()),
        // The older format knows neither of these two.
        (Format::PrometheusText, Kind::Info | Kind::StateSet) => (&*descriptor.name, "gauge"),
        (Format::PrometheusText, kind) => (&*descriptor.name, kind.as_str()),
    };
    let _ = write!(page, "# HELP {name} ");
    escape_help(page, &descriptor.help, format);
    let _ = writeln!(page, "\n# TYPE {name} {kind}");
    if format == Format::OpenMetricsText
        && let Some(unit) = descriptor.unit_in_name()
    {
        let _ = writeln!(page, "# UNIT {name} {unit}");
    }
}

fn histogram(
    page: &mut String,
    descriptor: &Descriptor,
    labels: &str,
    cumulative: &[u64],
    sum: f64,
    format: Format,
) {
    let name = &descriptor.name;
    let infinite = [f64::INFINITY];
    for (bound, count) in descriptor.buckets.iter().chain(&infinite).zip(cumulative) {
        sample(page, name, "_bucket", labels, Some(*bound));
        let _ = writeln!(page, "{count}");
    }
    // OpenMetrics wants neither where a bound is negative: such a sum isn't a counter.
    if format == Format::OpenMetricsText && descriptor.buckets.first().is_some_and(|b| *b < 0.0) {
        return;
    }
    sample(page, name, "_sum", labels, None);
    float(page, sum);
    page.push('\n');
    sample(page, name, "_count", labels, None);
    let _ = writeln!(page, "{}", cumulative.last().copied().unwrap_or_default());
}

/// Everything of a sample's line before its value.
fn sample(page: &mut String, name: &str, suffix: &str, labels: &str, le: Option<f64>) {
    page.push_str(name);
    page.push_str(suffix);
    if !labels.is_empty() || le.is_some() {
        page.push('{');
        page.push_str(labels);
        if let Some(bound) = le {
            page.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
            float(page, bound);
            page.push('"');
        }
        page.push('}');
    }
    page.push(' ');
}

fn number(page: &mut String, value: &Point) {
    match value {
        Point::Integer(value) => page.push_str(itoa::Buffer::new().format(*value)),
        Point::Signed(value) => page.push_str(itoa::Buffer::new().format(*value)),
        Point::Float(value) => float(page, *value),
        Point::Histogram { .. } => unreachable!("a histogram is written by its own function"),
    }
}

/// The shortest text that reads back the same, always with a point or an exponent: Prometheus before 3.0 takes `1` and `1.0`
/// in `le` for two buckets.
fn float(page: &mut String, value: f64) {
    if value.is_nan() {
        page.push_str("NaN");
    } else if value.is_infinite() {
        page.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(page, "{value:?}");
    }
}

fn escape_help(page: &mut String, help: &str, format: Format) {
    for character in help.chars() {
        match character {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
            '"' if format == Format::OpenMetricsText => page.push_str("\\\""),
            other => page.push(other),
        }
    }
}

/// Appends a label's value with its backslashes, quotes and line feeds escaped.
pub(crate) fn escape_label_value(into: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut page = String::new();
        float(&mut page, value);
        page
    }

    #[test]
    fn floats_are_spelled_as_the_formats_ask() {
        assert_eq!(written(1.0), "1.0");
        assert_eq!(written(-0.0), "-0.0");
        assert_eq!(written(0.005), "0.005");
        assert_eq!(written(f64::NAN), "NaN");
        assert_eq!(written(f64::INFINITY), "+Inf");
        assert_eq!(written(f64::NEG_INFINITY), "-Inf");
    }

    #[test]
    fn floats_read_back_the_same() {
        for value in [
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e16,
            0.1 + 0.2,
            123_456_789.125,
        ] {
            assert_eq!(written(value).parse(), Ok(value));
        }
    }

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        let mut into = String::new();
        escape_label_value(&mut into, "} 1\n# EOF\nevil\\ \"666\"");
        assert_eq!(into, r#"} 1\n# EOF\nevil\\ \"666\""#);
    }

    #[test]
    fn help_escapes_quotes_only_in_openmetrics() {
        let mut old = String::new();
        escape_help(&mut old, "a \"b\" \\ \n", Format::PrometheusText);
        assert_eq!(old, r#"a "b" \\ \n"#);
        let mut new = String::new();
        escape_help(&mut new, "a \"b\" \\ \n", Format::OpenMetricsText);
        assert_eq!(new, r#"a \"b\" \\ \n"#);
    }
}
