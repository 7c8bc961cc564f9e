//! The judges on trial: what they accept, what they refuse, and that a refusal says why.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use inferometer_judges::{
    CohereSubject, GrpcSubject, Job, OpenAiSubject, Prometheus, drive_with_cohere_client,
    drive_with_grpc_client, drive_with_openai_client, get, judge_exposition,
    promtool_check_metrics, watch_health_with_grpc_client,
};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn scrape(jobs: u64) -> String {
    format!(
        "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total{{kind=\"a \\\"b\\\"\"}} {jobs}\n\
         # HELP wait_seconds Wait.\n# TYPE wait_seconds histogram\nwait_seconds_bucket{{le=\"1.0\"}} 1\n\
         wait_seconds_bucket{{le=\"+Inf\"}} 2\nwait_seconds_sum 3.5\nwait_seconds_count 2\n"
    )
}

/// Serves [`scrape`] of the given number at every path, for as long as the test's process lives.
fn endpoint(jobs: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a loopback listener accepts");
            let head = BufReader::new(stream.try_clone().expect("a socket can be shared")).lines();
            head.map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .for_each(drop);
            let body = scrape(jobs.load(Ordering::Relaxed));
            let length = body.len();
            drop(write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {TEXT}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ));
        }
    });
    address
}

#[test]
fn prometheus_scrapes_a_target_and_answers_queries() {
    let jobs = Arc::new(AtomicU64::new(7));
    let address = endpoint(Arc::clone(&jobs));
    let prometheus =
        Prometheus::scraping(&[Job::new("worker", address).path("/any/metrics")]).unwrap();

    let found = prometheus.query("jobs_total").unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].value, 7.0);
    assert_eq!(found[0].labels["job"], "worker");
    assert_eq!(found[0].labels["kind"], "a \"b\"");

    jobs.store(12, Ordering::Relaxed);
    prometheus.wait_for_fresh_scrape().unwrap();
    assert_eq!(prometheus.query("sum(jobs_total)").unwrap()[0].value, 12.0);

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let range = prometheus
        .query_range("jobs_total", now - 30.0, now, 1.0)
        .unwrap();
    assert_eq!(range[0].points.last().unwrap().1, 12.0);

    assert!(prometheus.query("no_such_series").unwrap().is_empty());
    assert!(
        prometheus.query("vector(1) / 0").unwrap()[0]
            .value
            .is_infinite()
    );
    assert_eq!(prometheus.query("1 + 1").unwrap()[0].value, 2.0);
    let refusal = prometheus.query("sum(").unwrap_err().to_string();
    assert!(refusal.contains("parse error"), "{refusal}");
}

#[test]
fn two_servers_run_beside_each_other_and_go_when_dropped() {
    let target = endpoint(Arc::new(AtomicU64::new(1)));
    let jobs = [Job::new("pair", target).target(endpoint(Arc::new(AtomicU64::new(2))))];
    let [first, second] = thread::scope(|scope| {
        [(); 2]
            .map(|()| scope.spawn(|| Prometheus::scraping(&jobs).unwrap()))
            .map(|started| started.join().unwrap())
    });
    assert_ne!(first.address(), second.address());
    assert_eq!(second.query("sum(jobs_total)").unwrap()[0].value, 3.0);

    let address = first.address();
    drop(first);
    assert!(get(address, "/-/ready", None).is_err());
}

#[test]
fn broken_configuration_is_refused_with_the_servers_own_words() {
    let error = Prometheus::with_config("scrape_configs: 7")
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot unmarshal"), "{error}");
}

#[test]
fn promtool_names_the_metric_it_complains_about() {
    assert_eq!(promtool_check_metrics(&scrape(1)).unwrap(), []);
    let found = promtool_check_metrics(
        "# HELP heat_c Heat.\n# TYPE heat_c gauge\nheat_c 1\n# TYPE bare gauge\nbare 1\n",
    )
    .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].metric.as_str(), found[0].text.as_str()),
        ("bare", "no help text")
    );
    assert!(
        promtool_check_metrics("a{ 1\n")
            .unwrap_err()
            .to_string()
            .contains("parsing error")
    );
}

#[test]
fn sound_scrape_is_read_back_sample_by_sample() {
    let summary = judge_exposition(scrape(7).as_bytes(), TEXT).unwrap();
    assert_eq!(
        summary.value("jobs_total", &[("kind", "a \"b\"")]),
        Some(7.0)
    );
    assert_eq!(summary.value("jobs_total", &[]), None);
    assert_eq!(summary.sum("wait_seconds_bucket"), 3.0);
    let wait = summary.family("wait_seconds").unwrap();
    assert_eq!(
        (wait.kind.as_str(), wait.help.as_str()),
        ("histogram", "Wait.")
    );

    let openmetrics = scrape(7)
        .replace("P jobs_total", "P jobs")
        .replace("E jobs_total", "E jobs")
        + "# HELP heat Heat.\n# TYPE heat gauge\nheat -Inf\n# EOF\n";
    let openmetrics =
        openmetrics.replace("{le=\"1.0\"} 1", "{le=\"1.0\"} 1 # {trace_id=\"abc\"} 0.5");
    let summary = judge_exposition(openmetrics.as_bytes(), OPENMETRICS).unwrap();
    assert_eq!(summary.value("heat", &[]), Some(f64::NEG_INFINITY));
    let (labels, value) = summary
        .samples("wait_seconds_bucket")
        .next()
        .unwrap()
        .exemplar
        .clone()
        .unwrap();
    assert_eq!((labels["trace_id"].as_str(), value), ("abc", 0.5));
}

#[test]
fn every_fault_of_a_scrape_is_named() {
    let faulty = scrape(1)
        .replace("_count 2", "_count 3")
        .replace("# HELP jobs_total Jobs done.\n", "");
    let error = judge_exposition(faulty.as_bytes(), TEXT)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("_count is 3") && error.contains("HELP is missing"),
        "{error}"
    );
}

#[test]
fn service_that_is_no_openai_api_is_refused() {
    let base_url = format!("http://{}/v1", endpoint(Arc::new(AtomicU64::new(1))));
    let subject = OpenAiSubject {
        base_url: &base_url,
        model: None,
        shed_url: None,
    };
    let error = drive_with_openai_client(subject).unwrap_err().to_string();
    assert!(error.contains("openai_client.py"), "{error}");
}

#[test]
fn service_that_is_no_reranker_is_refused() {
    let address = endpoint(Arc::new(AtomicU64::new(1))).to_string();
    let base_url = format!("http://{address}");
    let subject = CohereSubject {
        base_url: &base_url,
        held: "wait",
        full: &base_url,
    };
    let error = drive_with_cohere_client(subject).unwrap_err().to_string();
    assert!(error.contains("cohere_client.py"), "{error}");
    let subject = GrpcSubject {
        address: &address,
        metrics: &base_url,
        held: "wait",
        failing: None,
        hasty: None,
        full: None,
        closing: None,
    };
    let error = drive_with_grpc_client(subject).unwrap_err().to_string();
    assert!(error.contains("UNAVAILABLE"), "{error}");
    let seen = watch_health_with_grpc_client(&address).unwrap();
    assert_eq!(seen["code"], "UNAVAILABLE");
}

#[test]
fn answer_is_split_into_status_headers_and_body() {
    let answer = get(
        endpoint(Arc::new(AtomicU64::new(5))),
        "/",
        Some("text/plain"),
    )
    .unwrap();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(TEXT))
    );
    assert_eq!(answer.text(), scrape(5));
}
