//! A service without axum: hyper's own, and a function.

use std::{convert::Infallible, sync::Arc};

use axum::body::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use inferometer_http::layers::{Head, HttpLayer, HttpServer, OpenConnection, RequestBody, Route};
use tokio::net::TcpListener;
use tower::{Layer as _, service_fn};

use crate::world::{Client, Page, until};

/// Routes of the service's own: what it doesn't know is unmatched.
fn routes(head: Head<'_>) -> Route {
    match head.uri.path() {
        "/known" => Route::new("/known"),
        _ => Route::UNMATCHED,
    }
}

async fn answer(
    request: Request<RequestBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = if request.uri().path() == "/known" {
        200
    } else {
        404
    };
    let mut answer = Response::new(Full::from("hello"));
    *answer.status_mut() = status.try_into().unwrap();
    Ok(answer)
}

#[tokio::test]
async fn a_function_served_by_hyper_is_told_of_as_a_router_is() {
    let page = Page::default();
    let metrics: Arc<HttpServer> = page.register();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layer = HttpLayer::new(Arc::clone(&metrics)).with_routes(routes);
    let service = TowerToHyperService::new(layer.layer(service_fn(answer)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let open = OpenConnection::open(Arc::clone(&metrics));
            let service = service.clone();
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A client that leaves is no fault of the server's.
                let _ = served.await;
                drop(open);
            });
        }
    });
    for (path, status) in [("/known", 200), ("/secret/7", 404)] {
        let mut client = Client::to(address).await;
        client
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let answer = client.whole().await;
        assert_eq!((answer.status, &*answer.body), (status, "hello"));
    }
    until("both have ended", || page.finished_in_all() == 2.0).await;
    assert_eq!(page.finished("GET", "/known", "200", "ok"), 1.0);
    assert_eq!(page.finished("GET", "unmatched", "404", "rejected"), 1.0);
    let open = || page.sum("inferometer_http_server_open_connections", "");
    until("both have left", || open() == 0.0).await;
    assert_eq!(
        page.sum("inferometer_http_server_response_body_size_bytes_sum", ""),
        10.0
    );
}
