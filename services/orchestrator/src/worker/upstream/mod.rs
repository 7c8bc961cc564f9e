//! The upstream worker: any server that speaks the OpenAI API, by URL.
//!
//! Every generation is asked for as a stream with usage. A try that fails before its first token was handed on is made
//! again, after an exponential backoff with full jitter or what the upstream's `Retry-After` asks for, whichever is
//! longer; after the first token nothing is repeated, since the client has text already. All of it, waits included, ends
//! at the prompt's deadline and at once when the client leaves.
//!
//! What the upstream sends is bounded: a line or event of at most 1 MiB, and a whole answer of at most 1 MiB and 4 KiB for
//! each token asked for. No error repeats what the upstream wrote, except plain error codes: its text may quote the prompt
//! or the key.

mod attempt;
mod config;
mod events;
mod failure;
mod retry;
mod secret;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use inferometer_catalog::orchestrator::{ErrorType, WorkerType};
use reqwest::{
    Client, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
};

use self::{attempt::Attempt, failure::Failed, wire::Request};
pub use self::{config::UpstreamConfig, retry::Backoff, secret::Secret};
use super::{Generation, Prompt, Sink, Usage, Worker, WorkerError};

/// The longest that a `Retry-After` is obeyed where the prompt has no deadline; past it the error goes to the caller.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A worker that asks an OpenAI-compatible server.
#[derive(Debug)]
pub struct UpstreamWorker {
    client: Client,
    completions: Url,
    /// The base URL as messages show it: no query.
    place: String,
    model: Arc<str>,
    config: UpstreamConfig,
}

impl UpstreamWorker {
    /// Makes a worker. Where `config.model` is `None` the upstream's first model is taken, which asks it for its list;
    /// else nothing is sent yet, and an upstream that is down may come up later.
    ///
    /// # Errors
    /// The URL or the key can't be used, or the list of models was needed and could not be had.
    pub async fn connect(config: UpstreamConfig) -> Result<Self, WorkerError> {
        let base = config.base()?;
        let place = config::shown(&base);
        let client = client(&config, &base)?;
        let model = match &config.model {
            Some(model) => model.as_str().into(),
            None => {
                attempt::first_model(&client, config::below(&base, &["models"]), &place, &config)
                    .await?
            }
        };
        let completions = config::below(&base, &["chat", "completions"]);
        Ok(Self {
            client,
            completions,
            place,
            model,
            config,
        })
    }

    /// Tries until it works, may not be tried again, or the retries are used up. `retries` is counted up with each.
    async fn persist(
        &self,
        prompt: &Prompt,
        sink: &Sink,
        on_retry: &(dyn Fn() + Send + Sync),
        retries: &mut u32,
    ) -> Result<Usage, Failed> {
        let body = serde_json::to_vec(&Request::new(&self.model, prompt)).map_err(|error| {
            Failed::new(
                ErrorType::Other,
                format!("the prompt can't be written as JSON: {error}"),
            )
        })?;
        loop {
            let failed = match Attempt::new(self, prompt.sampling.max_tokens, sink)
                .run(body.clone())
                .await
            {
                Ok(usage) => return Ok(usage),
                Err(failed) => failed,
            };
            let asked = failed.retry_after.unwrap_or_default();
            let wait = self
                .config
                .backoff
                .wait(*retries, retry::random())
                .max(asked);
            let room = match prompt.deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => LONGEST_RETRY_AFTER.max(self.config.backoff.cap),
            };
            if !failed.again || *retries >= self.config.max_retries || wait >= room {
                return Err(failed);
            }
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            *retries += 1;
            tracing::debug!(upstream = %self.place, retry = *retries, cause = ?failed.kind, "asking the upstream again");
            on_retry();
        }
    }

    async fn answer(
        &self,
        prompt: Prompt,
        sink: Sink,
        on_retry: &(dyn Fn() + Send + Sync),
    ) -> Result<Usage, WorkerError> {
        let mut retries = 0;
        let deadline = async {
            match prompt.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            biased;
            () = prompt.cancel.cancelled() => Err(Failed::departed()),
            () = deadline => Err(Failed::new(
                ErrorType::Timeout,
                format!("the deadline passed before {} had answered; allow more time or ask for fewer tokens", self.place),
            )),
            outcome = self.persist(&prompt, &sink, on_retry, &mut retries) => outcome,
        };
        outcome.map_err(|failed| failed.into_error(retries))
    }
}

impl Worker for UpstreamWorker {
    fn worker_type(&self) -> WorkerType {
        WorkerType::Openai
    }

    fn model(&self) -> &str {
        &self.model
    }

    /// An estimate: a quarter of the text's bytes, rounded up. The upstream's own count comes with its usage.
    fn count_tokens(&self, text: &str) -> usize {
        text.len().div_ceil(4)
    }

    fn context_window(&self) -> usize {
        self.config.context_window
    }

    fn concurrency(&self) -> usize {
        self.config.concurrency
    }

    /// Generates. A piece is one event of the upstream's stream and counts as one token, which most servers make it;
    /// [`Usage`] has the upstream's own counts where it gives them.
    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a> {
        Box::pin(self.answer(prompt, sink, on_retry))
    }
}

fn client(config: &UpstreamConfig, base: &Url) -> Result<Client, WorkerError> {
    let refused = |message: String| Failed::new(ErrorType::InvalidRequest, message).into_error(0);
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("text/event-stream, application/json"),
    );
    if let Some(key) = &config.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| {
            refused("the upstream's key has characters that a header can't carry; check OPENAI_API_KEY".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        if base.scheme() == "http" && !config::is_loopback(base) {
            tracing::warn!(upstream = %config::shown(base), "the upstream's key is sent unencrypted; use https");
        }
    }
    let mut builder = Client::builder()
        .user_agent(concat!("orchestrator/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        // A redirected POST would arrive as a GET; the status says what to change.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.concurrency);
    if config::is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        refused(format!(
            "the HTTP client for the upstream can't be made: {error}"
        ))
    })
}
