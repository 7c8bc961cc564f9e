//! Calls over gRPC, served by tonic.

use std::{future::pending, net::SocketAddr, pin::Pin, sync::Arc};

use axum::body::{Body, Bytes};
use axum::http::Request as HttpRequest;
use futures_util::{Stream, StreamExt as _, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use inferometer_http::layers::{ContextLayer, GrpcLayer, GrpcServer};
use tokio::net::{TcpListener, TcpStream};
use tonic::{
    Code, Request, Response, Status,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};

use crate::world::{Page, until};

/// Does what the name of the service that is asked for says.
#[derive(Debug)]
struct Obedient;

#[tonic::async_trait]
impl Health for Obedient {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "missing" => Err(Status::not_found("on purpose")),
            "panic" => panic!("on purpose"),
            "wait" => pending().await,
            _ => Ok(Response::new(HealthCheckResponse::default())),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let one = || Ok(HealthCheckResponse::default());
        let three = stream::iter([one(), one(), one()]);
        Ok(Response::new(match request.into_inner().service.as_str() {
            "endless" => Box::pin(three.chain(stream::pending())),
            "breaks" => Box::pin(three.chain(stream::iter([Err(Status::data_loss("on purpose"))]))),
            _ => Box::pin(three),
        }))
    }
}

async fn serve() -> (Page, SocketAddr) {
    let page = Page::default();
    let metrics: Arc<GrpcServer> = page.register();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(ContextLayer::new())
        .layer(GrpcLayer::new(metrics))
        .add_service(HealthServer::new(Obedient))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    (page, address)
}

async fn client(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn asking(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

fn finished(page: &Page, method: &str, code: &str, outcome: &str) -> f64 {
    let labels = format!(
        "{{service=\"grpc.health.v1.Health\",method=\"{method}\",code=\"{code}\",outcome=\"{outcome}\"}}"
    );
    page.value(&format!(
        "inferometer_grpc_server_calls_finished_total{labels}"
    ))
    .unwrap_or(0.0)
}

fn active(page: &Page) -> f64 {
    page.sum("inferometer_grpc_server_active_calls", "")
}

#[tokio::test]
async fn a_call_is_told_with_the_code_of_its_trailers_or_of_its_headers() {
    let (page, address) = serve().await;
    let mut client = client(address).await;
    client.check(asking("fine")).await.unwrap();
    let error = client.check(asking("missing")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    until("both have ended", || active(&page) == 0.0).await;
    assert_eq!(finished(&page, "Check", "OK", "ok"), 1.0);
    assert_eq!(finished(&page, "Check", "NOT_FOUND", "rejected"), 1.0);
    let labels = "{service=\"grpc.health.v1.Health\",method=\"Check\"}";
    for (name, expected) in [
        ("call_duration_seconds_count", 2.0),
        // The one that failed had no message.
        ("time_to_first_byte_seconds_count", 1.0),
        // Five bytes before each, and a field of two more than its text.
        ("request_body_size_bytes_sum", 5.0 + 6.0 + 5.0 + 9.0),
        ("response_body_size_bytes_sum", 5.0),
    ] {
        let series = format!("inferometer_grpc_server_{name}{labels}");
        assert_eq!(page.value(&series), Some(expected), "{series}");
    }
    let text = page.0.encode(inferometer::Format::OpenMetricsText);
    assert!(String::from_utf8(text).unwrap().contains("# {trace_id=\""));
}

#[tokio::test]
async fn a_stream_has_the_code_that_comes_after_it() {
    let (page, address) = serve().await;
    let mut client = client(address).await;
    let whole = client.watch(asking("three")).await.unwrap().into_inner();
    assert_eq!(whole.collect::<Vec<_>>().await.len(), 3);
    let broken = client.watch(asking("breaks")).await.unwrap().into_inner();
    let last = broken.collect::<Vec<_>>().await.pop().unwrap();
    assert_eq!(last.unwrap_err().code(), Code::DataLoss);
    until("both have ended", || active(&page) == 0.0).await;
    assert_eq!(finished(&page, "Watch", "OK", "ok"), 1.0);
    assert_eq!(finished(&page, "Watch", "DATA_LOSS", "error"), 1.0);
    let bytes = "inferometer_grpc_server_response_body_size_bytes_sum";
    assert_eq!(page.sum(bytes, ""), 6.0 * 5.0);
}

#[tokio::test]
async fn a_caller_that_leaves_has_cancelled() {
    let (page, address) = serve().await;
    let mut watching = client(address).await;
    let mut stream = watching
        .watch(asking("endless"))
        .await
        .unwrap()
        .into_inner();
    stream.next().await.unwrap().unwrap();
    let mut waiting = client(address).await;
    let call = tokio::spawn(async move { waiting.check(asking("wait")).await });
    until("both are under way", || active(&page) == 2.0).await;
    drop(stream);
    call.abort();
    until("both have ended", || active(&page) == 0.0).await;
    assert_eq!(finished(&page, "Watch", "CANCELLED", "cancelled"), 1.0);
    // Nothing had vouched for the name yet.
    let all = "inferometer_grpc_server_calls_finished_total";
    let unmatched = "service=\"unmatched\",method=\"unmatched\",code=\"CANCELLED\"";
    assert_eq!(page.sum(all, unmatched), 1.0);
}

#[tokio::test]
async fn a_panic_is_internal_and_panicked() {
    let (page, address) = serve().await;
    let mut client = client(address).await;
    client.check(asking("panic")).await.unwrap_err();
    until("it has ended", || active(&page) == 0.0).await;
    let all = "inferometer_grpc_server_calls_finished_total";
    assert_eq!(page.sum(all, "code=\"INTERNAL\",outcome=\"panicked\""), 1.0);
}

#[tokio::test]
async fn made_up_services_and_methods_have_no_series_of_their_own() {
    const MADE_UP: usize = 1_000;
    let (page, address) = serve().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for at in 0..MADE_UP {
        let path = match at % 3 {
            0 => format!("/made.up{at}/Method"),
            1 => format!("/grpc.health.v1.Health/Method{at}"),
            _ => format!("/{at}"),
        };
        let request = HttpRequest::post(format!("http://{address}{path}"))
            .header("content-type", "application/grpc")
            .body(Body::from(Bytes::new()))
            .unwrap();
        send.ready().await.unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "12", "{path}");
    }
    until("all have ended", || active(&page) == 0.0).await;
    let finished = page.series("inferometer_grpc_server_calls_finished_total");
    let labels =
        "{service=\"unmatched\",method=\"unmatched\",code=\"UNIMPLEMENTED\",outcome=\"rejected\"}";
    assert_eq!(finished, [(labels.to_owned(), 1_000.0)]);
}
