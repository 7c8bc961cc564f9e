//! A real Prometheus, of each release at hand, watches a service from before the first request to after the last.

use std::{thread, time::Duration};

use inferometer_judges::{Job, Prometheus, Release};
use rerank::scripted::Scripted;

use crate::{
    crowd::{Crowd, narrow},
    served::Served,
    tally::Figures,
};

const JOB: &str = "cross_encoder_server";

impl Figures for Prometheus {
    /// 0 where it has no such series.
    fn sum(&self, selector: &str) -> f64 {
        let (name, labels) = selector.split_once('{').unwrap_or((selector, "}"));
        let query = format!("sum({name}{{job=\"{JOB}\",{labels})");
        let found = self.query(&query).unwrap();
        found.first().map_or(0.0, |series| series.value)
    }
}

/// One of each release, each of which has scraped the service.
fn watching(served: &Served) -> Vec<(Release, Prometheus)> {
    let job = Job::new(JOB, served.service.metrics().unwrap());
    let releases = Release::all().unwrap();
    thread::scope(|scope| {
        let started: Vec<_> = releases
            .into_iter()
            .map(|release| {
                let jobs = std::slice::from_ref(&job);
                scope.spawn(move || {
                    let prometheus = release.scraping(jobs, &[]).unwrap();
                    (release, prometheus)
                })
            })
            .collect();
        started.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_prometheus_has_after_the_last_request_is_what_the_clients_counted() {
    let model = Scripted {
        per_batch: Duration::from_millis(5),
        ..Scripted::default()
    };
    let served = Served::start(narrow(), model).await;
    let watching = tokio::task::block_in_place(|| watching(&served));
    let crowd = Crowd::of(&served).await;
    crowd.everything(6, Duration::from_secs(2)).await;
    let tally = crowd.tally();
    served.rest().await;

    tokio::task::block_in_place(|| {
        for (release, prometheus) in &watching {
            prometheus.wait_for_fresh_scrape().unwrap();
            tally.compare(prometheus);
            // A counter that fell, or a service that was never seen at work, would make equal sums worth little.
            let one = |query: &str| prometheus.query(query).unwrap()[0].value;
            let seen = |name: &str| format!("{name}{{job=\"{JOB}\"}}[5m]");
            let started = seen("rerank_requests_started_total");
            assert_eq!(one(&format!("resets({started})")), 0.0, "{release}");
            // At rest before, some at work, at rest after.
            assert!(one(&format!("changes({started})")) >= 2.0, "{release}");
            let in_flight = seen("rerank_requests_in_flight");
            assert!(
                one(&format!("max_over_time({in_flight})")) > 0.0,
                "{release}"
            );
            let ok = tally.finished("ok") as f64;
            for histogram in ["request", "inference", "queue_wait"] {
                let all = format!("{histogram}_latency_seconds_bucket{{le=\"+Inf\"}}");
                assert_eq!(prometheus.sum(&all), ok, "{release}: {all}");
            }
        }
    });
    assert!(tally.finished("ok") > 100, "{tally:?}");
}
