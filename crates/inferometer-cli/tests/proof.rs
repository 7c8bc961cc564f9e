//! What a real Prometheus adds up equals what the load generator counted, and every query that people ask has an answer.
//!
//! `INFEROMETER_PROOF_SECONDS` says how long each load lasts; `scripts/soak` runs it for a minute.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]
#![expect(
    clippy::print_stdout,
    reason = "scripts/soak shows what was compared; a passing test shows nothing"
)]

mod running;

use inferometer_judges::{Job, Prometheus};
use serde_json::Value;

use self::running::{Running, program, until};

const QUERIES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../inferometer-catalog/tests/orchestrator-queries.txt"
));

fn seconds() -> u64 {
    match std::env::var("INFEROMETER_PROOF_SECONDS") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => 12,
    }
}

/// A service under load, with a Prometheus that watched from before the first request to after the last.
struct Watched {
    prometheus: Prometheus,
    report: Value,
}

impl Watched {
    /// Puts a load on `service` with `inferometer load`, and returns when Prometheus has seen it at rest again.
    fn load(service: &Running, arguments: &[&str]) -> Self {
        let prometheus =
            Prometheus::scraping(&[Job::new("orchestrator", service.metrics())]).unwrap();
        let output = program()
            .args(["load", "--target", &format!("http://{}", service.api())])
            .args(["--duration", &format!("{}s", seconds()), "--json", "-"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let watched = Self {
            prometheus,
            report: serde_json::from_slice(&output.stdout).unwrap(),
        };
        until("rest, as Prometheus sees it", || {
            watched.prometheus.wait_for_fresh_scrape().unwrap();
            watched.sum("orchestrator_requests_in_flight") == 0
        });
        watched
    }

    /// The sum over all series of a selector.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts far below 2^53, and checked to be whole and not negative"
    )]
    fn sum(&self, selector: &str) -> u64 {
        let found = self.prometheus.query(&format!("sum({selector})")).unwrap();
        assert_eq!(found.len(), 1, "{selector} has no series");
        let value = found[0].value;
        assert!(
            value >= 0.0 && value.fract() == 0.0,
            "{selector} is {value}"
        );
        value as u64
    }

    /// A number of the load generator's report, such as `/counts/ok`.
    fn counted(&self, path: &str) -> u64 {
        self.report.pointer(path).unwrap().as_u64().unwrap()
    }

    fn finished(&self, outcomes: &str) -> u64 {
        self.sum(&format!(
            "orchestrator_requests_finished_total{{outcome=~\"{outcomes}\"}}"
        ))
    }

    /// Compares every sum of Prometheus with its counterpart, and shows the pairs.
    fn compare(&self, name: &str) {
        let counted = |paths: &[&str]| paths.iter().map(|path| self.counted(path)).sum::<u64>();
        let total = |metric: &str| self.sum(&format!("orchestrator_{metric}_total"));
        let sent = counted(&["/counts/sent"]);
        let refused_or_failed = counted(&["/counts/rejected", "/counts/error"]);
        let pairs = [
            ("requests started = sent", total("requests_started"), sent),
            (
                "finished ok = ok",
                self.finished("ok"),
                counted(&["/counts/ok"]),
            ),
            (
                "finished rejected = 4xx",
                self.finished("rejected"),
                counted(&["/counts/rejected"]),
            ),
            (
                "finished shed = 429",
                self.finished("shed"),
                counted(&["/counts/shed"]),
            ),
            (
                "finished error, timeout, panicked = 5xx",
                self.finished("error|timeout|panicked"),
                counted(&["/counts/error"]),
            ),
            (
                "finished cancelled = left, late, cut off",
                self.finished("cancelled"),
                counted(&["/counts/left", "/counts/timeout", "/counts/connection"]),
            ),
            (
                "all finished + in flight = sent",
                self.finished(".+") + self.sum("orchestrator_requests_in_flight"),
                sent,
            ),
            (
                "delivered by stage stream = ok",
                self.sum("orchestrator_requests_total{stage=\"stream\"}"),
                counted(&["/counts/ok"]),
            ),
            (
                "processed, shed, failed in rag = sent",
                ["requests", "requests_shed", "errors"]
                    .iter()
                    .map(|metric| {
                        self.sum(&format!("orchestrator_{metric}_total{{stage=\"rag\"}}"))
                    })
                    .sum(),
                sent,
            ),
            (
                "shed by stage = 429",
                total("requests_shed"),
                counted(&["/counts/shed"]),
            ),
            (
                "errors by type = 4xx + 5xx",
                total("errors"),
                refused_or_failed,
            ),
            (
                "tokens generated = usage",
                total("tokens_generated"),
                counted(&["/tokens/completion"]),
            ),
            (
                "prompt tokens = usage",
                total("prompt_tokens"),
                counted(&["/tokens/prompt"]),
            ),
            (
                "prompt tokens reused = usage",
                total("prompt_tokens_cached"),
                counted(&["/tokens/cached"]),
            ),
            (
                "request durations observed = sent",
                self.sum("orchestrator_request_duration_seconds_count"),
                sent,
            ),
            (
                "queue depth at rest = 0",
                self.sum("orchestrator_queue_depth"),
                0,
            ),
            (
                "generations in flight at rest = 0",
                self.sum("orchestrator_generations_in_flight"),
                0,
            ),
        ];
        println!("\n{name}, {} s: Prometheus, the load generator", seconds());
        for (what, ours, theirs) in pairs {
            println!("  {what:<42} {ours:>9} {theirs:>9}");
        }
        for (what, ours, theirs) in pairs {
            assert_eq!(ours, theirs, "{what}: {:#}", self.report);
        }
        // A counter that falls, or a service that was never seen at work, would make equal sums worth little.
        let span = format!("{}s", seconds() + 60);
        assert_eq!(
            self.sum(&format!(
                "resets(orchestrator_requests_started_total[{span}])"
            )),
            0
        );
        assert!(
            self.sum(&format!(
                "max_over_time(orchestrator_requests_in_flight[{span}])"
            )) > 0
        );
    }

    /// Runs every query of the list, and returns those alerts that fire.
    fn ask(&self) -> Vec<&'static str> {
        let span = format!("{}s", seconds() + 30);
        let mut firing = Vec::new();
        let mut asked = 0;
        for (section, name, query) in queries() {
            let query = query.replace("$window", &span).replace("$range", &span);
            let found = self.prometheus.query(&query).unwrap();
            match section {
                "data" => {
                    assert!(!found.is_empty(), "{name} returns no data: {query}");
                    let number = found.iter().all(|series| series.value.is_finite());
                    assert!(number, "{name} is no number: {found:?}");
                }
                "empty while the service is up" => assert_eq!(found, [], "{name}: {query}"),
                alerts => {
                    assert_eq!(alerts, "empty while all is well", "{name} is in no section");
                    firing.extend((!found.is_empty()).then_some(name));
                }
            }
            asked += 1;
            self.judge(
                name,
                &found.iter().map(|series| series.value).collect::<Vec<_>>(),
            );
        }
        println!("  {asked} queries asked; alerts that fire: {firing:?}");
        firing
    }

    /// Holds the values of some queries against what is known otherwise.
    fn judge(&self, name: &str, values: &[f64]) {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let counted = |path: &str| self.counted(path) as f64;
        // `increase` extrapolates by up to about one scrape at each end of what it has seen.
        let about = |expected: f64| {
            let total: f64 = values.iter().sum();
            let close = (expected * 0.99 - 0.01..=expected * 1.25 + 0.01).contains(&total);
            assert!(close, "{name} is {total}, expected about {expected}");
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
        let span = (seconds() + 30) as f64;
        match name {
            // Over the whole load a rate times its window is the number of requests, each counted once.
            "request_rate" => about(counted("/counts/sent") / span),
            "answer_rate" => about(counted("/counts/ok") / span),
            "requests" => about(counted("/counts/sent")),
            "shed" => about(counted("/counts/shed")),
            "tokens" | "tokens_by_worker" => about(counted("/tokens/completion")),
            "errors" | "errors_by_type" => {
                about(counted("/counts/rejected") + counted("/counts/error"));
            }
            "error_share" | "shed_share_by_stage" | "queue_fill" => {
                let shares = values.iter().all(|value| (0.0..=1.0).contains(value));
                assert!(shares, "{name} is no share: {values:?}");
            }
            "service_up" => assert_eq!(values, [1.0]),
            "stage_p50" | "stage_p95" | "stage_p99" | "requests_by_stage" => {
                assert_eq!(values.len(), 5, "{name} has one value a stage");
            }
            _ => {}
        }
    }
}

/// The section, the name and the text of each query.
fn queries() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let mut section = "";
    QUERIES.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').unwrap();
        } else if !line.is_empty() && !line.starts_with('#') {
            let (name, query) = line.split_once(" = ").unwrap();
            return Some((section, name, query));
        }
        None
    })
}

#[test]
fn prometheus_and_the_load_generator_agree_about_the_demo() {
    let demo = Running::start(&["demo", "--services", "orchestrator", "--rate", "0"]);
    // The local model takes the whole machine; a few connections that ask when answered keep it busy however slow that is.
    let watched = Watched::load(
        &demo,
        &["--closed", "3", "--seed", "11", "--timeout", "10m"]
            .into_iter()
            .chain(["--mix", "short=6,long=1,stream=4,session=4,bad=2"])
            .collect::<Vec<_>>(),
    );
    watched.compare("demo");
    assert!(watched.counted("/counts/ok") > 0 && watched.counted("/tokens/completion") > 0);
    let firing = watched.ask();
    // A machine that is slow enough may have that one: it says so rightly.
    let other = firing
        .iter()
        .find(|&&name| name != "high_inference_latency");
    assert_eq!(other, None);
    assert_eq!(demo.printed("stderr").matches("broken off").count(), 0);
    let (status, _) = demo.end("INT");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn prometheus_and_the_load_generator_agree_about_an_overloaded_service_that_fails() {
    let script = "scripted:first=20ms,per_token=1ms,jitter=0.3,tokens=24,concurrency=4,\
                  fail=error@1/5,fail=timeout@1/17,fail=panic@1/31";
    let service = Running::start(&[
        "serve",
        "orchestrator",
        "--worker",
        script,
        "--inference-capacity",
        "16",
    ]);
    let watched = Watched::load(
        &service,
        &["--rate", "200", "--seed", "12"]
            .into_iter()
            .chain(["--mix", "short=6,long=1,stream=4,session=4,bad=1"])
            .collect::<Vec<_>>(),
    );
    watched.compare("overloaded service");
    for outcome in ["ok", "shed", "rejected", "error"] {
        assert!(
            watched.counted(&format!("/counts/{outcome}")) > 0,
            "no {outcome}"
        );
    }
    let firing = watched.ask();
    assert!(firing.contains(&"high_shed_share"), "{firing:?}");
    assert!(firing.contains(&"high_error_share"), "{firing:?}");
    assert!(
        service.printed("stderr").contains("panic"),
        "no panic is logged"
    );
    let (status, _) = service.end("TERM");
    assert_eq!(status.code(), Some(0));
}
