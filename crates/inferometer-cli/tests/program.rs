//! The program itself, as a shell sees it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

use std::{
    net::TcpListener,
    process::{Command, Output, Stdio},
};

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

fn inferometer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inferometer"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
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
    let wrong = inferometer(&["demo", "--services", "bakery"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        stderr(&wrong).contains("orchestrator"),
        "{}",
        stderr(&wrong)
    );
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
fn the_catalogue_prints_a_table_and_json() {
    let table = inferometer(&["catalogue", "orchestrator"]);
    assert!(
        String::from_utf8(table.stdout)
            .unwrap()
            .starts_with("DOMAIN")
    );
    let json = inferometer(&["catalogue", "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(
        json.as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["name"] == "orchestrator_requests_total")
    );
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
