//! Which format a scrape gets.

use inferometer::Format;

/// The format that the `Accept` header asks for most: the highest weight wins, then the more specific range, then the order of the
/// header. What isn't there, isn't understood or isn't on offer gets the Prometheus text format, as Prometheus' own servers do.
///
/// # Examples
/// ```
/// use inferometer::Format;
/// use inferometer_http::negotiate;
///
/// let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
/// assert_eq!(negotiate(prometheus), Format::OpenMetricsText);
/// assert_eq!(negotiate("text/html, */*;q=0.1"), Format::PrometheusText);
/// ```
pub fn negotiate(accept: &str) -> Format {
    let mut best: Option<(Format, f32)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version, mut message, mut framing) = (1.0, None, None, None);
        for part in parts {
            match part.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                    weight = value.trim().parse().unwrap_or(0.0);
                }
                Some((name, value)) if name.trim().eq_ignore_ascii_case("version") => {
                    version = Some(value.trim().trim_matches('"'));
                }
                Some((name, value)) if name.trim().eq_ignore_ascii_case("proto") => {
                    message = Some(value.trim().trim_matches('"'));
                }
                Some((name, value)) if name.trim().eq_ignore_ascii_case("encoding") => {
                    framing = Some(value.trim().trim_matches('"'));
                }
                _ => {}
            }
        }
        let format = match (media.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => {
                Format::OpenMetricsText
            }
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Format::PrometheusText,
            ("application/vnd.google.protobuf", _)
                if matches!(message, None | Some("io.prometheus.client.MetricFamily"))
                    && matches!(framing, None | Some("delimited")) =>
            {
                Format::Protobuf
            }
            _ => continue,
        };
        if weight > 0.0 && best.is_none_or(|(_, heaviest)| weight > heaviest) {
            best = Some((format, weight));
        }
    }
    best.map_or(Format::PrometheusText, |(format, _)| format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_and_order_breaks_ties() {
        let openmetrics = "application/openmetrics-text";
        assert_eq!(negotiate(openmetrics), Format::OpenMetricsText);
        assert_eq!(
            negotiate(&format!("text/plain;q=0.9,{openmetrics};q=0.8")),
            Format::PrometheusText
        );
        assert_eq!(
            negotiate(&format!("text/plain;q=0.7,{openmetrics};q=0.8")),
            Format::OpenMetricsText
        );
        assert_eq!(
            negotiate(&format!("text/plain,{openmetrics}")),
            Format::PrometheusText
        );
    }

    #[test]
    fn protobuf_is_delimited_metric_families_or_nothing() {
        let protobuf = "application/vnd.google.protobuf";
        let families = "proto=io.prometheus.client.MetricFamily";
        for (accept, format) in [
            (
                format!("{protobuf};{families};encoding=delimited;q=0.7,text/plain;q=0.5"),
                Format::Protobuf,
            ),
            (
                format!("{protobuf}; {families}; encoding=\"delimited\""),
                Format::Protobuf,
            ),
            (
                format!("{protobuf};{families};encoding=text"),
                Format::PrometheusText,
            ),
            (
                format!("{protobuf};proto=other.Message;encoding=delimited"),
                Format::PrometheusText,
            ),
            (
                format!("{protobuf};{families};encoding=delimited;q=0.5,text/plain;q=0.7"),
                Format::PrometheusText,
            ),
        ] {
            assert_eq!(negotiate(&accept), format, "{accept}");
        }
    }

    #[test]
    fn what_is_refused_or_unknown_gets_the_prometheus_text_format() {
        for accept in [
            "",
            "image/png",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=9",
            ";;,,=;q=x",
        ] {
            assert_eq!(negotiate(accept), Format::PrometheusText, "{accept}");
        }
    }
}
