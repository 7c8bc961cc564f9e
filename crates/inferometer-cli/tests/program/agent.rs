//! The agent, and the endpoint's options, as a shell and a scraper see them.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
};

use fake_nvml::{FakeDriver, Value};
use inferometer::Registry;
use inferometer_judges as judges;
use inferometer_monitor::gpu::{GpuMonitor, Nvml, Recorder, Visible};
use tempfile::TempDir;

use super::{
    inferometer,
    running::{Running, program, until},
    stderr,
};

/// A recording of two GPUs, of which the second draws 123.5 W.
fn recording(folder: &TempDir) -> PathBuf {
    let driver = FakeDriver::copy_into(folder.path()).unwrap();
    for (uuid, milliwatts) in [("GPU-a", 61_000), ("GPU-b", 123_500)] {
        let card = driver.add(uuid, "Fake H200");
        driver.set(card, Value::Power, milliwatts);
    }
    let path = folder.path().join("gpus.jsonl");
    let monitor = GpuMonitor::builder()
        .source(Nvml::at(driver.path()))
        .visible(Visible::All)
        .view(Recorder::new(File::create(&path).unwrap()))
        .register(&Registry::new())
        .unwrap();
    assert_eq!(monitor.update().read, 2);
    monitor.shutdown();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn page(running: &Running) -> String {
    judges::get(running.metrics(), "/metrics", None)
        .unwrap()
        .text()
}

fn has_line(page: &str, parts: &[&str]) -> bool {
    page.lines()
        .any(|line| parts.iter().all(|part| line.contains(part)))
}

#[test]
fn one_scrape_of_this_machine_is_printed_and_promtool_finds_no_fault() {
    let output = program()
        .args(["agent", "--once", "--nvml", "/nowhere/libnvidia-ml.so.1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = String::from_utf8(output.stdout.clone()).unwrap();
    for family in [
        "inferometer_host_memory_total_bytes ",
        "inferometer_host_cpu_usage_ratio ",
        "inferometer_process_start_time_seconds ",
        r#"inferometer_gpu_driver{inferometer_gpu_driver="absent"} 1"#,
    ] {
        assert!(
            page.lines().any(|line| line.starts_with(family)),
            "{family} is missing:\n{page}"
        );
    }
    let complaints = judges::promtool_check_metrics(&page).unwrap();
    assert!(complaints.is_empty(), "{complaints:?}");
    let said = stderr(&output);
    assert_eq!(
        said.lines()
            .filter(|line| line.contains("/nowhere/libnvidia-ml.so.1"))
            .count(),
        1,
        "why there is no driver is said once: {said}"
    );
}

#[test]
fn a_recording_is_replayed_marked_everywhere_and_recorded_again() {
    let folder = tempfile::tempdir().unwrap();
    let played = recording(&folder);
    let again = folder.path().join("again.jsonl");
    let arguments = [
        "agent",
        "--interval",
        "10ms",
        "--access",
        "gpu-stats=public",
    ];
    let files = ["--replay", text(&played), "--record", text(&again)];
    let running = Running::start(&[&arguments[..], &files].concat());
    until("the replayed GPUs", || {
        has_line(
            &page(&running),
            &["inferometer_gpu_power_watts{", "GPU-b", " 123.5"],
        )
    });
    let page = page(&running);
    let marked = ["inferometer_gpu_info{", "GPU-b", r#"simulated="replayed""#];
    assert!(has_line(&page, &marked), "{page}");
    let stats = judges::get(running.metrics(), "/gpu/stats", None).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats.text()).unwrap();
    assert_eq!(stats["device_count"], 2);
    let second = &stats["devices"][1];
    assert_eq!(second["simulated"], "replayed");
    assert_eq!(second["power_usage"]["value"], 123.5);
    assert!(running.printed("stderr").contains("replay"));
    until("the health of every component", || {
        let ready = judges::get(running.metrics(), "/health/ready", None).unwrap();
        ready.status == 200
    });
    let (status, _) = running.end("TERM");
    assert_eq!(status.code(), Some(0));

    let lines = fs::read_to_string(&again).unwrap();
    assert!(lines.lines().all(|line| line.contains("GPU-b")), "{lines}");
    let replayed = inferometer(&["agent", "--once", "--replay", text(&again)]);
    let page = String::from_utf8(replayed.stdout).unwrap();
    assert!(has_line(
        &page,
        &["inferometer_gpu_power_watts{", "GPU-b", " 123.5"]
    ));
}

#[test]
fn a_driver_without_gpus_and_a_switch_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let driver = FakeDriver::copy_into(folder.path()).unwrap();
    let nvml = text(driver.path()).to_owned();
    let printed = |more: &[&str]| {
        let output = inferometer(&[&["agent", "--once", "--nvml", &nvml], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let loaded = r#"inferometer_gpu_driver{inferometer_gpu_driver="loaded"} 1"#;
    assert!(printed(&[]).contains(loaded));
    let off = printed(&["--gpu-monitoring", "no"]);
    assert!(!off.contains("inferometer_gpu_"), "{off}");
}

#[test]
fn what_the_agent_cannot_do_it_says_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let inside = missing.join("inside.jsonl");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, advice) in [
        (
            &["--replay", text(&missing)][..],
            "--record FILE` makes one",
        ),
        (
            &["--record", text(&inside)],
            "name a file in a folder that is there",
        ),
        (&["--listen", &taken], "--ports auto"),
        (&["--access", "metrics=key"], "set keys"),
        (&["--keys", text(&missing)], "can't read the key file"),
        (
            &[
                "--tls-certificate",
                text(&missing),
                "--tls-key",
                text(&missing),
            ],
            "missing",
        ),
    ] {
        // A port that was given stays; else any.
        let ports: &[&str] = if arguments[0] == "--listen" {
            &[]
        } else {
            &["--ports", "auto"]
        };
        let failed = inferometer(&[&["agent"], arguments, ports].concat());
        let said = stderr(&failed);
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(advice), "{arguments:?}: {said}");
    }
    let proc = ["agent", "--once", "--proc", text(&missing)];
    let half = inferometer(&proc);
    assert_eq!(half.status.code(), Some(0), "what is left is shown");
    assert!(stderr(&half).contains(text(&missing)), "{}", stderr(&half));
}

#[test]
fn a_key_is_made_once_and_opens_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    let make = |name: &str, scopes: &str| {
        inferometer(&[
            "keys",
            "new",
            name,
            "--scopes",
            scopes,
            "--file",
            text(&file),
        ])
    };
    let made = make("ann", "metrics,stats");
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let key = String::from_utf8(made.stdout.clone()).unwrap();
    let key = key.trim();
    assert!(key.starts_with("inferometer_"), "{key}");
    assert!(!stderr(&made).contains(key));
    assert!(!fs::read_to_string(&file).unwrap().contains(key));
    let twice = make("ann", "metrics");
    assert_eq!(twice.status.code(), Some(1));
    assert!(stderr(&twice).contains("take another name"));
    assert_eq!(make("bob", "everything").status.code(), Some(2));
    let checked = inferometer(&["keys", "check", "--file", text(&file)]);
    assert!(String::from_utf8(checked.stdout).unwrap().contains("1 key"));

    let running = Running::start(&[
        "serve",
        "orchestrator",
        "--worker",
        "scripted:tokens=1",
        "--keys",
        text(&file),
        "--access",
        "metrics=key",
        "--access",
        "queue-stats=public",
        "--metrics-path",
        "/monitoring/metrics",
    ]);
    assert!(
        running
            .url("metrics")
            .unwrap()
            .ends_with("/monitoring/metrics")
    );
    let asked = |path: &str, key: Option<&str>| {
        let url = format!("http://{}{path}", running.metrics());
        let mut request = reqwest::Client::new().get(url);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
    };
    assert_eq!(asked("/monitoring/metrics", None), 401);
    assert_eq!(asked("/monitoring/metrics", Some(key)), 200);
    assert_eq!(asked("/models/stats", Some(key)), 200);
    assert_eq!(asked("/health", None), 200);
    let queues = judges::get(running.metrics(), "/queue/stats", None).unwrap();
    let queues: serde_json::Value = serde_json::from_str(&queues.text()).unwrap();
    let known: Vec<_> = queues["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|queue| (queue["name"].as_str().unwrap(), &queue["capacity"]["value"]))
        .collect();
    assert!(known.contains(&("inference", &1024.into())), "{queues}");
    assert_eq!(known.len(), 5, "a queue for each stage");
    assert!(!running.printed("stderr").contains(key));
}

#[test]
fn a_service_whose_metrics_are_switched_off_works_and_shows_none() {
    let running = Running::start(&[
        "serve",
        "orchestrator",
        "--worker",
        "scripted:tokens=1",
        "--metrics-enabled",
        "no",
    ]);
    assert_eq!(running.url("metrics"), None);
    let models = judges::get(running.api(), "/v1/models", None).unwrap();
    assert_eq!(models.status, 200);
    assert!(running.printed("stderr").contains("switched off"));
}
