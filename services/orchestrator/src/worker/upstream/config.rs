//! What an upstream worker is told.

use std::time::Duration;

use inferometer_catalog::orchestrator::ErrorType;
use reqwest::Url;

use super::{Backoff, Secret, failure::Failed};
use crate::worker::WorkerError;

/// Where an upstream is and how patient to be with it.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// The API's base, as OpenAI clients take it: `https://host/v1`.
    pub base_url: String,
    /// The upstream's name for the model; `None` takes the first that it lists.
    pub model: Option<String>,
    /// Sent as a bearer token; `None` sends none.
    pub api_key: Option<Secret>,
    /// The longest that a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest from asking to the stream's first event.
    pub first_token_timeout: Duration,
    /// The longest silence within a stream.
    pub idle_timeout: Duration,
    /// The most tries beyond the first.
    pub max_retries: u32,
    /// The waits between tries.
    pub backoff: Backoff,
    /// The most tokens of prompt and answer together.
    pub context_window: usize,
    /// The most generations at once.
    pub concurrency: usize,
}

impl UpstreamConfig {
    /// The usual settings for the API at `base_url`: the key from `OPENAI_API_KEY`, the first model listed, 5 s to connect,
    /// 60 s to the first event, 30 s of silence, 2 retries within 0.25 s to 5 s, a context of 8,192 tokens, 64 at once.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            model: None,
            api_key: Secret::from_env("OPENAI_API_KEY"),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            max_retries: 2,
            backoff: Backoff {
                base: Duration::from_millis(250),
                cap: Duration::from_secs(5),
            },
            context_window: 8192,
            concurrency: 64,
        }
    }

    /// The base URL, checked. No message repeats it where it may hold a password.
    pub(super) fn base(&self) -> Result<Url, WorkerError> {
        let refused =
            |message: String| Failed::new(ErrorType::InvalidRequest, message).into_error(0);
        let url = Url::parse(self.base_url.trim()).map_err(|error| {
            refused(format!(
                "the upstream's base URL can't be read ({error}); it looks like https://host/v1"
            ))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                "the upstream's base URL holds a user name or password; give the key in OPENAI_API_KEY".to_owned(),
            ));
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            let shown = shown(&url);
            return Err(refused(format!(
                "the upstream's base URL {shown} isn't http or https; it looks like https://host/v1"
            )));
        }
        Ok(url)
    }
}

/// A URL as messages show it: without its query, which may hold a key.
pub(super) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

/// The resource `path` below `base`, with the base's query.
pub(super) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// Whether `url` is on this machine, by its name alone.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn resources_lie_below_the_base_with_or_without_a_slash() {
        for base in ["http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(
                below(&url(base), &["chat", "completions"]).as_str(),
                "http://h:1/v1/chat/completions"
            );
            assert_eq!(shown(&url(base)), "http://h:1/v1");
        }
        assert_eq!(
            below(&url("http://h/v1?a=b"), &["models"]).as_str(),
            "http://h/v1/models?a=b"
        );
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        for local in [
            "http://localhost:1/",
            "http://127.0.0.9/",
            "http://[::1]:8080/v1",
        ] {
            assert!(is_loopback(&url(local)), "{local}");
        }
        for other in [
            "http://localhost.example/",
            "http://10.0.0.1/",
            "https://[::2]/",
        ] {
            assert!(!is_loopback(&url(other)), "{other}");
        }
    }

    #[test]
    fn a_bad_base_url_is_refused_without_repeating_a_password() {
        for bad in [
            "",
            "host/v1",
            "ftp://host/v1",
            "http://user:hunter2@host/v1",
            "http://hunter2@host",
        ] {
            let error = UpstreamConfig::new(bad).base().expect_err(bad);
            assert!(error.message.contains("base URL"), "{error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
        assert!(UpstreamConfig::new(" https://host/v1 ").base().is_ok());
    }
}
