//! The program itself, as a shell sees it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

#[path = "program/agent.rs"]
mod agent;
mod running;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::running::{Running, program, until};

fn inferometer(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_is_fine_and_a_usage_error_exits_with_2() {
    let help = inferometer(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("Examples:")
    );
    for unknown in [&["demo", "--services", "bakery"][..], &["serve", "bakery"]] {
        let wrong = inferometer(unknown);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(
            stderr(&wrong).contains("orchestrator"),
            "{}",
            stderr(&wrong)
        );
    }
}

#[test]
fn a_failure_exits_with_1_and_says_what_to_do() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let failed = inferometer(&[
        "load",
        "--target",
        &format!("http://{unused}"),
        "--duration",
        "1s",
    ]);
    assert_eq!(failed.status.code(), Some(1));
    let text = stderr(&failed);
    assert!(
        text.starts_with("error: ") && text.contains("inferometer serve orchestrator"),
        "{text}"
    );
    assert!(
        !text.contains("backtrace") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn a_taken_port_names_the_option_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (option, other) in [("--api", "--metrics"), ("--metrics", "--api")] {
        let failed = inferometer(&[
            "serve",
            "orchestrator",
            option,
            &address,
            other,
            "127.0.0.1:0",
        ]);
        assert_eq!(failed.status.code(), Some(1));
        let text = stderr(&failed);
        assert!(
            text.contains(option) && text.contains("--ports auto") && text.contains(&address),
            "{text}"
        );
    }
}

#[test]
fn a_log_filter_that_makes_no_sense_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferometer"));
    let failed = command
        .arg("catalogue")
        .env("RUST_LOG", "info=what=")
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        stderr(&failed).contains("RUST_LOG=info"),
        "{}",
        stderr(&failed)
    );
}

#[test]
fn the_configuration_is_printed_with_the_source_of_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "[load]\nrate = 3.5\nseed = 7\nsessions = 9\n").unwrap();
    let printed = |variable: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_inferometer"))
            .args(["load", "--print-config", "--sessions", "4", "--config"])
            .arg(&file)
            .env(variable, value)
            .env("OPENAI_API_KEY", "sk-nobody-sees-this")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, text, _) = printed("INFEROMETER_LOAD_SEED", "11");
    assert_eq!(code, Some(0));
    let file = file.display();
    for line in [
        "seed = 11  # from the environment, INFEROMETER_LOAD_SEED".to_owned(),
        format!("rate = 3.5  # from {file}, line 2"),
        "sessions = 4  # from the command line".to_owned(),
        "mix = ".to_owned(),
        "# OPENAI_API_KEY = (set)".to_owned(),
    ] {
        assert!(
            text.lines().any(|printed| printed.starts_with(&line)),
            "{line} is not in\n{text}"
        );
    }
    assert!(!text.contains("sk-nobody"), "{text}");

    let (code, _, error) = printed("INFEROMETER_LOAD_RATE", "many");
    assert_eq!(code, Some(2));
    assert!(
        error.contains("many") && error.contains("--rate"),
        "{error}"
    );
}

#[test]
fn the_catalogue_prints_a_table_and_json() {
    let table = inferometer(&["catalogue", "orchestrator"]);
    assert!(
        String::from_utf8(table.stdout)
            .unwrap()
            .starts_with("DOMAIN")
    );
    let json = inferometer(&["catalogue", "--format", "json"]);
    assert_eq!(json.stdout, inferometer(&["catalogue", "--json"]).stdout);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    // The contract's own names, which others' dashboards rely on.
    for name in [
        "orchestrator_requests_total",
        "orchestrator_requests_shed_total",
        "orchestrator_errors_total",
        "orchestrator_tokens_generated_total",
        "orchestrator_queue_depth",
        "orchestrator_stage_duration_seconds",
        "orchestrator_request_duration_seconds",
    ] {
        let mut entries = json.as_array().unwrap().iter();
        assert!(entries.any(|entry| entry["name"] == name), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_load_still_reports() {
    let (told, mut asked) = mpsc::unbounded_channel();
    let answer = post(move || {
        told.send(()).unwrap();
        async { Json(json!({"choices": [], "usage": {"completion_tokens": 1}})) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/v1", listener.local_addr().unwrap());
    let app = Router::new().route("/v1/chat/completions", answer);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let program = Command::new(env!("CARGO_BIN_EXE_inferometer"))
        .args([
            "load", "--target", &target, "--model", "m", "--mix", "short", "--rate", "100",
        ])
        .args(["--duration", "10m", "--json", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..20 {
        asked.recv().await.unwrap();
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = tokio::task::spawn_blocking(|| program.wait_with_output().unwrap())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(report["counts"]["ok"].as_u64().unwrap() >= 20);
    assert!(
        stderr(&output).contains("ended early"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_demo_says_where_it_is_and_ends_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("addresses.json");
    let started = Instant::now();
    let demo = program()
        .args(["demo", "--for", "2s", "--ports", "auto", "--addresses"])
        .arg(&file)
        .output()
        .unwrap();
    let took = started.elapsed();
    assert_eq!(demo.status.code(), Some(0), "{}", stderr(&demo));
    // Two seconds, the model's loading, and what the end may take.
    let limits = Duration::from_secs(2)..Duration::from_secs(15);
    assert!(limits.contains(&took), "{took:?}");
    let addresses: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let services: Vec<_> = addresses.as_object().unwrap().iter().collect();
    let banner = String::from_utf8(demo.stdout).unwrap();
    let [orchestrator, rerank] = services[..] else {
        panic!("{addresses}");
    };
    for ((name, at), known, parts) in [
        (
            orchestrator,
            "orchestrator",
            &["api", "metrics", "health"][..],
        ),
        (rerank, "rerank", &["api", "grpc", "metrics", "health"]),
    ] {
        assert_eq!(
            (name.as_str(), at.as_object().unwrap().len()),
            (known, parts.len())
        );
        for what in parts {
            let url = at[what].as_str().unwrap();
            assert!(banner.contains(url), "{banner} lacks {url}");
        }
    }
}

#[test]
fn a_demo_whose_ports_are_taken_says_how_to_get_others() {
    // Whether this test gets the port or somebody else had it: it is taken.
    let _taken = TcpListener::bind("127.0.0.1:9901");
    let failed = inferometer(&["demo", "--for", "1s"]);
    assert_eq!(failed.status.code(), Some(1));
    let text = stderr(&failed);
    assert!(
        text.contains("9901") && text.contains("--ports auto"),
        "{text}"
    );
}

/// Asks for a stream, and returns its connection when the first text has come.
fn open_stream(api: SocketAddr, model: &str) -> TcpStream {
    let body = json!({
        "model": model, "stream": true, "max_tokens": 450,
        "messages": [{"role": "user", "content": "Tell me everything about queues."}],
    })
    .to_string();
    let mut stream = TcpStream::connect(api).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\n\
         X-Request-ID: the-slow-one\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    until("the first text of a stream", || {
        let count = stream.read(&mut piece).unwrap();
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read);
        assert!(count > 0 && text.starts_with("HTTP/1.1 200"), "{text}");
        text.matches("data: ").count() > 1
    });
    stream
}

#[cfg(unix)]
#[test]
fn signals_end_it_in_time_although_a_slow_stream_is_open() {
    let slow = "scripted:per_token=1s,tokens=400,model=slow";
    let services: [(&[&str], &str); 2] = [
        (
            &["demo", "--services", "orchestrator", "--rate", "2"],
            "inferometer-tiny",
        ),
        (&["serve", "orchestrator", "--worker", slow], "slow"),
    ];
    for (arguments, model) in services {
        for signal in ["INT", "TERM"] {
            let running = Running::start(arguments);
            assert!(!running.metrics().ip().is_unspecified());
            let _stream = open_stream(running.api(), model);
            let (status, took) = running.end(signal);
            assert_eq!(status.code(), Some(0), "{arguments:?} after {signal}");
            assert!(
                took < Duration::from_secs(10),
                "{arguments:?} took {took:?} to end after {signal}"
            );
        }
    }
}

#[test]
fn a_service_that_cannot_start_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("garbage.gguf"), b"no model at all").unwrap();
    std::fs::write(path("broken.jinja"), "{% if passages %}").unwrap();
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (option, value, advice) in [
        ("--corpus", path("missing"), "create it, or give the path"),
        ("--template", path("broken.jinja"), "it may use `system`"),
        ("--template", path("missing"), "check the path"),
        (
            "--worker",
            format!("local:{}", path("missing.gguf")),
            "inferometer models pull",
        ),
        (
            "--worker",
            format!("local:{}", path("garbage.gguf")),
            "convert the model to GGUF",
        ),
        (
            "--worker",
            format!("openai:http://{unused}/v1"),
            "check that it runs",
        ),
    ] {
        let failed = inferometer(&["serve", "orchestrator", "--ports", "auto", option, &value]);
        let text = stderr(&failed);
        assert_eq!(failed.status.code(), Some(1), "{option} {value}: {text}");
        let named = value.split_once(':').map_or(&*value, |(_, rest)| rest);
        let error = text.split_once("error: ").unwrap().1;
        assert!(
            error.contains(advice) && error.contains(named.trim_end_matches("/v1")),
            "{option} {value}: {text}"
        );
        assert!(
            !error.contains("backtrace") && !error.contains("panicked"),
            "{text}"
        );
    }
}

#[test]
fn a_reranker_without_a_model_says_what_is_wrong_with_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let missing = folder.path().join("missing");
    for (model, parts) in [
        (missing.as_path(), ["missing", "--model"]),
        (folder.path(), ["tokenizer.json", "--model"]),
    ] {
        let model = model.to_str().unwrap();
        let failed = inferometer(&["serve", "rerank", "--ports", "auto", "--model", model]);
        let text = stderr(&failed);
        assert_eq!(failed.status.code(), Some(1), "{model}: {text}");
        let error = text.split_once("error: ").unwrap().1;
        assert!(parts.iter().all(|part| error.contains(part)), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_reranker_by_itself_answers_and_ends_when_told() {
    let running = Running::start(&["serve", "rerank", "--gpu-monitoring", "no"]);
    let body = r#"{"query": "read a file", "documents": ["Waits.", "Reads the whole file."]}"#;
    let mut stream = TcpStream::connect(running.api()).unwrap();
    write!(
        stream,
        "POST /rerank HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#""results":[{"index":1,"#), "{answer}");
    let page = inferometer_judges::get(running.metrics(), "/metrics", None).unwrap();
    assert!(page.text().contains("\nrequest_count_total 1\n"));
    let grpc: SocketAddr = running.url("grpc").unwrap().parse().unwrap();
    drop(TcpStream::connect(grpc).unwrap());
    let (status, took) = running.end("TERM");
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[cfg(unix)]
#[test]
fn json_logs_name_the_request() {
    let running = Running::start(&[
        "--log-format",
        "json",
        "serve",
        "orchestrator",
        "--worker",
        "scripted:per_token=1ms,tokens=3",
    ]);
    drop(open_stream(running.api(), "scripted"));
    let finished = || {
        let lines: Vec<Value> = running
            .printed("stderr")
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(lines.iter().all(|line| line["level"].is_string()));
        lines
            .into_iter()
            .find(|line| line.to_string().contains("request finished"))
    };
    until("the request's log line", || finished().is_some());
    let line = finished().unwrap();
    assert!(
        line.to_string().contains(r#""request_id":"the-slow-one""#),
        "{line}"
    );
}
