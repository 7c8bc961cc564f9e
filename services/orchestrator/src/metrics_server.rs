//! The metrics endpoint, on a thread and a runtime of its own: with the service's runtime blocked, a scrape still answers.
//!
//! | route | answers |
//! |---|---|
//! | `GET /metrics` | the scrape, in the format that `Accept` asks for |
//! | `GET /health` | `{"status":"healthy"}` |

use inferometer_http::{MetricsServer, ServeError, ServerHandle};

/// Serves the process-wide registry at `address` (usually port 9090), until the future is dropped or its task aborted.
///
/// # Errors
/// When the address can't be bound; the message names it.
pub async fn start_server(address: &str) -> Result<(), ServeError> {
    // The recorder declares the metrics, so that a scrape before the first recording shows them at 0.
    let _ = crate::metrics::get_metrics_summary();
    MetricsServer::new(inferometer::global().clone())
        .run(address)
        .await
}

/// The same, stopped by its handle. It needs no runtime.
///
/// # Errors
/// When the address can't be bound; the message names it.
pub fn spawn_server(address: &str) -> Result<ServerHandle, ServeError> {
    let _ = crate::metrics::get_metrics_summary();
    MetricsServer::new(inferometer::global().clone()).start(address)
}
