//! Endpoints for scraping that can face the world, on a thread and a runtime of their own: a service whose own runtime is blocked
//! still answers its scrape.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | routes, and starting a server | [`MetricsServer`] |
//! | access, keys, TLS and limits | [`ServerOptions`], [`Limits`] |
//! | API keys | [`NewKey`], [`check_key_file`] |
//! | what health and statistics say | [`Health`], [`Component`], [`GpuStats`], [`QueueStats`], [`ModelStats`] |
//! | refusals | [`Refusal`] |
//! | layers for a service's own routes | [`layers`] |
//! | all of it for machines | [`OPENAPI`] |
//!
//! # The server's own metrics
//!
//! | name | kind | labels | moves when |
//! |---|---|---|---|
//! | `inferometer_http_requests_total` | counter | `route` | a request finds its route and is let in |
//! | `inferometer_http_scrapes_total` | counter | `format` | a scrape is answered with a page |
//! | `inferometer_http_scrape_duration_seconds` | histogram | | a scrape's last byte is taken, or its client leaves |
//! | `inferometer_http_scrape_size_bytes` | histogram | | a scrape is answered with a page |
//! | `inferometer_http_requests_in_flight` | gauge | | a request arrives; its answer's last byte is taken |
//! | `inferometer_http_connections` | gauge | | a connection opens or closes |
//! | `inferometer_http_connections_accepted_total` | counter | | a connection opens |
//! | `inferometer_http_refusals_total` | counter | `reason` | a request or connection is turned away: see [`Refusal`] |
//! | `inferometer_http_authentication_failures_total` | counter | | a key is missing, wrong, or has not the scope |
//! | `inferometer_http_reloads_total` | counter | `file`, `result` | a key file or certificate has changed and is read again |

mod accept;
mod coding;
mod crowd;
mod documents;
mod gate;
mod head;
mod health;
mod keys;
pub mod layers;
mod monitored;
mod negotiation;
mod options;
mod own;
mod page;
mod problem;
mod providers;
mod round;
mod route;
mod server;
mod site;
mod stats;
mod tls;
mod watch;

pub use documents::OPENAPI;
pub use health::{Component, Health};
pub use keys::{KeyFileError, NewKey, NewKeyError, check_key_file};
pub use negotiation::negotiate;
pub use options::{Limits, OptionsError, ServerOptions, TlsOptions};
pub use problem::Refusal;
pub use route::{Access, Page, Scope};
pub use server::{MetricsServer, ServeError, ServerHandle};
pub use stats::{GpuStats, Measure, ModelStats, QueueStats, Unit, WorkerStats};
pub use tls::TlsError;
