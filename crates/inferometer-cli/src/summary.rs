//! What a load found, on one screen.

use std::{fmt::Write as _, time::Duration};

use crate::{
    load::{Counts, Kind, Outcome, Pacing, Quantiles, Report},
    terminal::Palette,
};

/// How late this program may send before its figures deserve a warning.
const LATE: Duration = Duration::from_millis(10);

/// A report for people.
pub fn render(report: &Report, palette: Palette) -> String {
    let mut text = String::from("\n");
    head(report, palette, &mut text);
    outcomes(&report.counts, palette, &mut text);
    kinds(report, palette, &mut text);
    latencies(report, palette, &mut text);
    remarks(report, palette, &mut text);
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn head(report: &Report, palette: Palette, text: &mut String) {
    let pace = match report.pace {
        Pacing::Open { rate, arrivals, .. } => format!("{rate}/s {arrivals}"),
        Pacing::Closed { connections } => format!("closed loop on {connections} connections"),
    };
    push(
        text,
        &format!(
            "  {}  model {}",
            palette.strong(&report.target),
            report.model
        ),
    );
    let facts = format!(
        "  {pace}, {:.1} s, seed {}, {}",
        report.elapsed_seconds, report.seed, report.mix
    );
    push(text, &palette.dim(&facts));
    push(text, "");
    let counts = &report.counts;
    let per_second =
        |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.1}"));
    push(
        text,
        &format!(
            "  {} sent of {} due   {} answers/s   {} tokens/s   {} tokens received   {} chunks",
            palette.strong(&counts.sent.to_string()),
            counts.scheduled,
            palette.strong(&per_second(report.rates.ok)),
            palette.strong(&per_second(report.rates.completion_tokens)),
            report.tokens.completion,
            report.stream_chunks,
        ),
    );
    push(text, "");
}

fn outcomes(counts: &Counts, palette: Palette, text: &mut String) {
    let not_sent = (counts.not_sent > 0).then_some(("not sent", counts.not_sent, counts.scheduled));
    let ended = Outcome::ALL
        .into_iter()
        .map(|outcome| (outcome.name(), counts.ended(outcome), counts.sent));
    for (name, count, of) in ended.chain(not_sent) {
        if count == 0 && name != "ok" {
            continue;
        }
        let bar = bar(count, of);
        let bar = match name {
            "ok" => palette.good(&bar),
            "shed" | "rejected" | "left" => palette.doubtful(&bar),
            _ => palette.bad(&bar),
        };
        let percent =
            share(count, of).map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0));
        push(text, &format!("  {name:<12}{count:>9}{percent:>9}  {bar}"));
    }
    push(text, "");
}

/// A bar of 40 places; whatever isn't nothing shows.
fn bar(count: u64, of: u64) -> String {
    let parts = (count * 40)
        .checked_div(of)
        .unwrap_or(0)
        .max(u64::from(count > 0));
    "█".repeat(usize::try_from(parts).unwrap_or(0))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage needs no more than 15 digits"
)]
fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

fn kinds(report: &Report, palette: Palette, text: &mut String) {
    let row = |cells: [&str; 9]| {
        let mut line = format!("  {:<12}", cells[0]);
        for cell in &cells[1..] {
            write!(line, "{cell:>11}").expect("a String takes any text");
        }
        line
    };
    let mut names = ["kind", "sent", "", "", "", "", "", "", ""];
    for (name, outcome) in names[2..].iter_mut().zip(Outcome::ALL) {
        *name = outcome.name();
    }
    push(text, &palette.dim(&row(names)));
    for kind in Kind::ALL {
        let counts = report.by_kind.get(kind);
        if counts.scheduled == 0 {
            continue;
        }
        let numbers =
            std::iter::once(counts.sent).chain(Outcome::ALL.map(|outcome| counts.ended(outcome)));
        let numbers: Vec<String> = numbers
            .map(|number| {
                if number == 0 {
                    "·".into()
                } else {
                    number.to_string()
                }
            })
            .collect();
        let mut cells = [kind.name(); 9];
        for (cell, number) in cells[1..].iter_mut().zip(&numbers) {
            *cell = number;
        }
        push(text, &row(cells));
    }
    push(text, "");
}

fn latencies(report: &Report, palette: Palette, text: &mut String) {
    let heading = format!(
        "  {:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "latency", "count", "p50", "p90", "p95", "p99", "p99.9", "max"
    );
    push(text, &palette.dim(&heading));
    let found = &report.latency_seconds;
    for (name, quantiles) in [
        ("answer", found.answer),
        ("first token", found.first_token),
        ("inter-token", found.inter_token),
        ("refusal", found.refusal),
        ("send lag", found.send_lag),
    ] {
        if let Some(Quantiles {
            count,
            p50,
            p90,
            p95,
            p99,
            p999,
            max,
            ..
        }) = quantiles
        {
            let mut line = format!("  {name:<12}{count:>9}");
            for seconds in [p50, p90, p95, p99, p999, max] {
                write!(line, "{:>10}", short(seconds)).expect("a String takes any text");
            }
            push(text, &line);
        }
    }
}

/// Seconds with three digits and a fitting unit.
fn short(seconds: f64) -> String {
    let (value, unit) = if seconds < 0.000_999_5 {
        (seconds * 1e6, "µs")
    } else if seconds < 0.9995 {
        (seconds * 1e3, "ms")
    } else {
        (seconds, "s")
    };
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

fn remarks(report: &Report, palette: Palette, text: &mut String) {
    let mut remarks = Vec::new();
    if report.interrupted {
        remarks.push("ended early".to_owned());
    }
    let counts = &report.counts;
    if counts.not_sent > 0 {
        remarks.push(format!(
            "{} arrivals were not sent: too many in flight; the server is slower than the rate, or raise --max-in-flight",
            counts.not_sent
        ));
    }
    let bad = &report.by_kind.bad;
    if bad.ok > 0 {
        remarks.push(format!(
            "{} invalid requests were answered as if they were valid",
            bad.ok
        ));
    }
    if let Some(lag) = report
        .latency_seconds
        .send_lag
        .filter(|lag| lag.p99 > LATE.as_secs_f64())
    {
        remarks.push(format!(
            "1 % of requests were sent {} late or more: this machine is too busy, and latencies hold that wait too",
            short(lag.p99)
        ));
    }
    if matches!(report.pace, Pacing::Closed { .. }) {
        remarks.push(
            "a closed loop waits with a stalled server: trust its rate, not its latencies"
                .to_owned(),
        );
    }
    let failures = report.failures.iter().map(|failure| {
        format!(
            "{} × {}: {}",
            failure.count,
            failure.outcome.name(),
            failure.message
        )
    });
    remarks.extend(failures);
    if !remarks.is_empty() {
        push(text, "");
    }
    for remark in remarks {
        push(text, &format!("  {} {remark}", palette.doubtful("!")));
    }
    push(text, "");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::load::{Arrivals, ByKind, Failure, Latencies, Rates, Tokens};

    fn report() -> Report {
        let quantiles = Quantiles {
            count: 90,
            mean: 0.02,
            p50: 0.000_25,
            p90: 0.0123,
            p95: 0.123_4,
            p99: 1.5,
            p999: 12.34,
            max: 123.4,
        };
        let counts = Counts {
            scheduled: 110,
            not_sent: 10,
            sent: 100,
            ok: 90,
            shed: 9,
            connection: 1,
            ..Counts::default()
        };
        Report {
            version: 1,
            target: "http://127.0.0.1:1".into(),
            model: "m".into(),
            pace: Pacing::Open {
                rate: 10.0,
                arrivals: Arrivals::Poisson,
                max_in_flight: 5,
            },
            mix: "short=1".into(),
            seed: 3,
            interrupted: false,
            elapsed_seconds: 11.0,
            counts,
            by_kind: ByKind {
                short: counts,
                ..ByKind::default()
            },
            by_status: BTreeMap::from([(200, 90), (429, 9)]),
            tokens: Tokens::default(),
            stream_chunks: 0,
            rates: Rates {
                sent: Some(9.1),
                ok: Some(8.2),
                completion_tokens: None,
            },
            latency_seconds: Latencies {
                answer: Some(quantiles),
                first_token: None,
                inter_token: None,
                refusal: None,
                send_lag: None,
            },
            failures: vec![Failure {
                outcome: Outcome::Connection,
                message: "can't connect".into(),
                count: 1,
            }],
        }
    }

    #[test]
    fn the_summary_fits_one_screen_and_says_what_matters() {
        let text = render(&report(), Palette::plain());
        assert!(
            text.lines().count() <= 32 && text.lines().all(|line| line.chars().count() <= 130),
            "{text}"
        );
        for part in [
            "100 sent of 110 due",
            "90.0 %",
            "250 µs",
            "12.3 ms",
            "123 s",
            "--max-in-flight",
            "1 × connection",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("  first token") || line.starts_with("  timeout")),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn durations_keep_three_digits() {
        for (seconds, text) in [
            (0.0, "0.00 µs"),
            (0.000_999_9, "1.00 ms"),
            (0.099_96, "100 ms"),
            (59.96, "60.0 s"),
        ] {
            assert_eq!(short(seconds), text);
        }
    }
}
