//! The scrape of a running service, as judges that are not ours read it.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use inferometer::{LabelBound, descriptors};
use inferometer_catalog::orchestrator::Orchestrator;
use inferometer_judges::{Complaint, judge_exposition, promtool_check_metrics};
use orchestrator::worker::Worker;

use crate::{
    gate::Gate,
    served::{Served, question, scripted},
};

/// What promtool says of names that are as they are for a reason: the metric, its words, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

const TEXT: &str = "text/plain; version=0.0.4";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A service that has seen a bit of everything, and has something under way.
async fn busy() -> (Served, crate::served::Client) {
    let held: Arc<dyn Worker> = Arc::new(Gate {
        model: "held",
        ..Gate::new()
    });
    let served = Served::by(vec![
        scripted("model=mill,per_token=1ms,tokens=8,fail=error@1/5"),
        held,
    ]);
    let mut asked = question(8, true);
    asked["model"] = "mill".into();
    let headers: Vec<_> = (0..30)
        .map(|number| format!("x-session-id: visitor-{number}\\\"\r\n"))
        .collect();
    let replies = join_all(headers.iter().map(|headers| served.chat(headers, &asked))).await;
    let statuses: BTreeSet<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, BTreeSet::from([200, 502]));
    asked["temperature"] = 9.into();
    assert_eq!(served.chat("", &asked).await.status, 400);
    let mut held = question(8, true);
    held["model"] = "held".into();
    let under_way = served.ask("", &held).await;
    served
        .until("one generates", |scrape| {
            scrape.sum("orchestrator_generations_in_flight") == 1.0
        })
        .await;
    (served, under_way)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_formats_of_a_busy_service_satisfy_foreign_judges() {
    let (served, under_way) = busy().await;
    for accept in [TEXT, OPENMETRICS] {
        let answer = served.metrics("/metrics", accept).await;
        let content_type = answer.header("content-type").unwrap().to_owned();
        assert!(content_type.starts_with(accept), "{content_type}");
        let summary =
            tokio::task::spawn_blocking(move || judge_exposition(&answer.body, &content_type))
                .await
                .unwrap()
                .unwrap();
        let value = |name: &str, labels: &[(&str, &str)]| {
            summary
                .value(name, labels)
                .unwrap_or_else(|| panic!("{accept}: {name} {labels:?}"))
        };
        assert_eq!(value("orchestrator_requests_in_flight", &[]), 1.0);
        assert_eq!(value("orchestrator_requests_started_total", &[]), 32.0);
        assert_eq!(
            summary.sum("orchestrator_requests_finished_total"),
            31.0,
            "{accept}"
        );
        assert_eq!(
            value(
                "orchestrator_generations_in_flight",
                &[("worker_type", "scripted")]
            ),
            1.0
        );
        // Twenty names, the one of those that name none among them; all others together.
        let sessions = summary.samples("orchestrator_request_duration_seconds_count");
        assert_eq!(sessions.count(), 21);
        let by_session = |session: &str| {
            value(
                "orchestrator_request_duration_seconds_count",
                &[("session", session)],
            )
        };
        assert_eq!((by_session("other"), by_session("none")), (11.0, 1.0));
        assert_eq!(
            summary
                .samples("orchestrator_request_duration_seconds_count")
                .filter(|sample| sample.labels["session"].starts_with("visitor-"))
                .filter(|sample| sample.labels["session"].ends_with("\\\""))
                .count(),
            19
        );
    }
    drop(under_way);
    assert_eq!(served.rest().await.finished("cancelled"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_has_nothing_to_say_beyond_the_exceptions() {
    let (served, under_way) = busy().await;
    let text = served.metrics("/metrics", TEXT).await.text();
    let complaints = tokio::task::spawn_blocking(move || promtool_check_metrics(&text))
        .await
        .unwrap()
        .unwrap();
    let excepted: BTreeSet<_> = EXCEPTIONS
        .iter()
        .map(|(metric, text, _reason)| Complaint {
            metric: (*metric).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    let complaints: BTreeSet<_> = complaints.into_iter().collect();
    assert_eq!(complaints, excepted);
    drop(under_way);
    served.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_closed_label_set_stands_at_zero_before_the_first_request() {
    // A time of last progress and an objective have no zero: they are absent.
    const NO_ZERO: [&str; 3] = [
        "orchestrator_stage_last_progress_timestamp_seconds",
        "orchestrator_objective_time_to_first_token_seconds",
        "orchestrator_objective_request_duration_seconds",
    ];
    let served = Served::scripted("tokens=4");
    let scrape = served.scrape().await;
    for descriptor in descriptors::<Orchestrator>() {
        let name = descriptor.name.as_str();
        let mut labels = vec![String::new()];
        let mut open = false;
        for label in &descriptor.labels {
            let LabelBound::Closed(values) = label.bound else {
                open = true;
                continue;
            };
            labels = labels
                .iter()
                .flat_map(|before| {
                    let comma = if before.is_empty() { "" } else { "," };
                    values
                        .iter()
                        .map(move |value| format!("{before}{comma}{}=\"{value}\"", label.name))
                })
                .collect();
        }
        if open {
            continue;
        }
        for labels in labels {
            let suffix = match descriptor.kind {
                inferometer::Kind::Histogram => "_count",
                _ => "",
            };
            let series = match labels.as_str() {
                "" => format!("{name}{suffix}"),
                labels => format!("{name}{suffix}{{{labels}}}"),
            };
            if NO_ZERO.contains(&name) {
                assert_eq!(scrape.series(name).count(), 0, "{series}");
            } else if name == "orchestrator_queue_capacity" {
                assert_eq!(scrape.value(&series), 1024.0, "{series}");
            } else {
                assert_eq!(scrape.value(&series), 0.0, "{series}");
            }
        }
    }
    served.rest().await;
}
