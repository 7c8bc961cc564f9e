//! What is refused, and how.

use super::*;

#[tokio::test]
async fn every_failure_has_its_status_streamed_or_not_admitted_or_not() {
    let shed = FailureReason::Shed {
        stage: Stage::Rag,
        retry_after: Duration::from_millis(1200),
    };
    let table = [
        (shed, 429, "overloaded", "queue_full"),
        (FailureReason::Timeout, 504, "timeout", "deadline_exceeded"),
        (
            FailureReason::Invalid,
            400,
            "invalid_request_error",
            "invalid_value",
        ),
        (
            FailureReason::UnknownModel,
            404,
            "invalid_request_error",
            "model_not_found",
        ),
        (
            FailureReason::ShuttingDown,
            503,
            "server_error",
            "shutting_down",
        ),
        (
            FailureReason::Worker(ErrorType::Connection),
            502,
            "upstream_error",
            "connection_failed",
        ),
        (
            FailureReason::Worker(ErrorType::Authentication),
            502,
            "upstream_error",
            "upstream_authentication",
        ),
        (
            FailureReason::Worker(ErrorType::RateLimited),
            502,
            "upstream_error",
            "upstream_rate_limited",
        ),
        (
            FailureReason::Worker(ErrorType::UpstreamStatus),
            502,
            "upstream_error",
            "upstream_status",
        ),
        (
            FailureReason::Worker(ErrorType::BadResponse),
            502,
            "upstream_error",
            "bad_response",
        ),
        (
            FailureReason::Worker(ErrorType::Timeout),
            504,
            "timeout",
            "deadline_exceeded",
        ),
        (
            FailureReason::Worker(ErrorType::InvalidRequest),
            400,
            "invalid_request_error",
            "invalid_value",
        ),
        (
            FailureReason::Worker(ErrorType::Model),
            500,
            "server_error",
            "internal_error",
        ),
        (
            FailureReason::Worker(ErrorType::Panic),
            500,
            "server_error",
            "internal_error",
        ),
    ];
    for (reason, status, kind, code) in table {
        for plan in [
            Plan::Turn(failure(reason)),
            Plan::Say(vec![Event::Failed(failure(reason))]),
        ] {
            let served = serve(plan).await;
            for body in [plain(), streamed()] {
                let response = served.ask(body).await;
                assert_eq!(response.status(), status, "{reason:?}");
                let wait = response
                    .headers()
                    .get("retry-after")
                    .and_then(|wait| wait.to_str().ok())
                    .map(str::to_owned);
                let expected = match reason {
                    FailureReason::Shed { .. } => Some("2"),
                    FailureReason::ShuttingDown => Some("1"),
                    _ => None,
                };
                assert_eq!(wait.as_deref(), expected);
                assert!(response.headers().contains_key("x-request-id"));
                let error = response.json::<Value>().await.expect("JSON")["error"].take();
                assert_eq!(
                    (&error["type"], &error["code"]),
                    (&json!(kind), &json!(code))
                );
            }
            assert_eq!(
                served.fake.refused(),
                0,
                "the pipeline has counted these itself"
            );
        }
    }
}

#[tokio::test]
async fn every_refusal_before_admission_is_counted_once() {
    let served = serve(Plan::Say(vec![done()])).await;
    let post = || served.client.post(served.url("/v1/chat/completions"));
    let typed = || post().header("content-type", "application/json");
    let large = json!({"messages": [{"role": "user", "content": "x".repeat(20_000)}]});
    let requests = [
        (400, "invalid_json", typed().body("{")),
        (400, "invalid_value", post().json(&json!({"messages": []}))),
        (
            400,
            "unsupported_value",
            post().json(&json!({"messages": [], "n": 3})),
        ),
        (
            400,
            "invalid_value",
            post().json(&plain()).header("x-session-id", "a b"),
        ),
        (
            400,
            "invalid_value",
            post().json(&plain()).header("x-request-timeout", "never"),
        ),
        (413, "body_too_large", post().json(&large)),
        (415, "unsupported_media_type", post().body("{}")),
    ];
    for (count, (status, code, request)) in (1..).zip(requests) {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), status);
        assert!(
            response.headers()["x-request-id"]
                .to_str()
                .expect("text")
                .starts_with("refused-")
        );
        assert_eq!(
            response.json::<Value>().await.expect("JSON")["error"]["code"],
            code
        );
        assert_eq!(served.fake.refused(), count);
    }
    assert_eq!(served.fake.0.submitted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let served = serve(Plan::Say(vec![done()])).await;
    let address = served.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("connected");
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
        stream.write_all(head.as_bytes()).expect("written");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        String::from_utf8_lossy(&start).into_owned()
    });
    assert_eq!(answer.await.expect("no panic"), "HTTP/1.1 408");
    assert_eq!(served.fake.refused(), 1);
}

#[tokio::test]
async fn unknown_routes_and_methods_have_the_shape_too() {
    let served = serve(Plan::Say(vec![done()])).await;
    let response = served
        .client
        .get(served.url("/v2/x"))
        .header("x-request-id", "mine")
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["x-request-id"]
        ),
        (404, &"mine".parse().expect("a header"))
    );
    assert_eq!(
        response.json::<Value>().await.expect("JSON")["error"]["code"],
        "unknown_url"
    );
    let response = served
        .client
        .get(served.url("/v1/chat/completions"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["allow"].to_str().expect("text")
        ),
        (405, "POST")
    );
    assert_eq!(
        response.json::<Value>().await.expect("JSON")["error"]["code"],
        "method_not_allowed"
    );
    assert_eq!(served.fake.refused(), 0);
}
