//! Limits on how often a caller may ask.

use std::{fmt::Write as _, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use inferometer_http::layers::{
    Caller, Head, HttpLayer, HttpServer, Quota, RateLimit, RateLimitLayer, by_api_key,
    by_client_address,
};

use crate::world::{Answer, Client, Page, listen, until};

/// Three requests at once, and then so few that a test sees none of them.
fn three() -> Quota {
    let hourly = Quota::new(1, Duration::from_secs(3600)).unwrap();
    hourly.with_burst(NonZeroU32::new(3).unwrap())
}

/// A service behind a limit.
struct Limited {
    page: Page,
    address: std::net::SocketAddr,
}

impl Limited {
    async fn by(callers: fn(Head<'_>) -> Option<Caller>, most: usize) -> Self {
        let page = Page::default();
        let metrics: Arc<HttpServer> = page.register();
        let limit: Arc<RateLimit> = page.register();
        let router = Router::new()
            .route("/", get(async || "served"))
            .layer(RateLimitLayer::new(three(), callers, limit).with_callers(most))
            .layer(HttpLayer::new(Arc::clone(&metrics)));
        Self {
            address: listen(router, metrics).await,
            page,
        }
    }

    async fn ask(&self, headers: &str) -> Answer {
        let mut client = Client::to(self.address).await;
        client
            .send(&format!(
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
            ))
            .await;
        client.whole().await
    }

    fn hits(&self, outcome: &str, bucket: &str) -> f64 {
        let series = format!(
            "inferometer_http_server_rate_limit_hits_total{{outcome=\"{outcome}\",bucket=\"{bucket}\"}}"
        );
        self.page.value(&series).unwrap()
    }

    fn callers(&self) -> f64 {
        self.page
            .sum("inferometer_http_server_rate_limit_callers", "")
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let limited = Limited::by(by_client_address, 10).await;
    for _ in 0..3 {
        assert_eq!(limited.ask("").await.body, "served");
    }
    let answer = limited.ask("").await;
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["title"], "Too Many Requests");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains(&seconds.to_string())
    );

    assert_eq!(
        (
            limited.hits("allowed", "own"),
            limited.hits("limited", "own")
        ),
        (3.0, 1.0)
    );
    let page = &limited.page;
    let remaining = "inferometer_http_server_rate_limit_remaining_ratio";
    // Two thirds, one third, nothing, and nothing.
    assert_eq!(page.sum(&format!("{remaining}_sum"), ""), 1.0);
    assert_eq!(page.sum(&format!("{remaining}_bucket"), "le=\"0.0\""), 2.0);
    until("all have ended", || page.finished_in_all() == 4.0).await;
    assert_eq!(page.finished("GET", "/", "429", "shed"), 1.0);
}

#[tokio::test]
async fn each_key_has_its_own_bucket_and_none_is_in_a_label() {
    let limited = Limited::by(by_api_key, 10).await;
    for key in ["alpha-secret", "beta-secret"] {
        for _ in 0..3 {
            assert_eq!(
                limited.ask(&format!("X-API-Key: {key}\r\n")).await.status,
                200
            );
        }
        let bearer = format!("Authorization: Bearer {key}\r\n");
        assert_eq!(limited.ask(&bearer).await.status, 429, "{key}");
    }
    assert_eq!(limited.callers(), 2.0);
    assert!(!limited.page.0.encode_text().contains("secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_made_up_callers_shares_one_bucket_and_takes_nothing_from_those_who_are_there() {
    const FLOOD: usize = 5_000;
    let limited = Limited::by(by_api_key, 100).await;
    assert_eq!(limited.ask("X-API-Key: regular\r\n").await.status, 200);

    let mut client = Client::to(limited.address).await;
    let mut requests = String::new();
    for at in 0..FLOOD {
        let _ = write!(
            requests,
            "GET / HTTP/1.1\r\nHost: x\r\nX-API-Key: made-up-{at}\r\n\r\n"
        );
    }
    requests.push_str("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answers = client.exchange(&requests).await;
    // Ninety-nine had room beside the regular one; three went through on the shared bucket.
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 99 + 3);
    assert_eq!(answers.matches("HTTP/1.1 429").count(), FLOOD + 1 - 99 - 3);
    assert_eq!(limited.callers(), 100.0);
    assert_eq!(limited.hits("allowed", "shared"), 3.0);
    assert_eq!(limited.ask("X-API-Key: regular\r\n").await.status, 200);
    let capacity = "inferometer_http_server_rate_limit_callers_capacity";
    assert_eq!(limited.page.sum(capacity, ""), 100.0);
}
