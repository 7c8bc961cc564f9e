//! What the calls do.

use std::{pin::Pin, sync::Arc, time::Duration, time::Instant};

use futures_util::{Stream, StreamExt as _, future, stream};
use inferometer_catalog::rerank::ShedReason;
use tonic::{Code, Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    deadline,
    proto::{
        self, InferRequest, InferResponse, InferStreamResponse,
        infer_stream_response::Result as Of, reranker_server::Reranker,
    },
};
use crate::pipeline::{Answer, Ask, Failure, Pair, Pipeline, seconds};

/// Requests of one stream that are under way at a time; further ones are read when one is answered.
const STREAMED: usize = 64;

/// The calls over a pipeline.
#[derive(Clone, Debug)]
pub struct Handler {
    pipeline: Pipeline,
}

impl Handler {
    /// They go to `pipeline`.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }

    async fn infer(
        &self,
        request: InferRequest,
        timeout: Option<Duration>,
    ) -> Result<InferResponse, Failure> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let InferRequest {
            query,
            passages,
            pairs,
            id,
        } = request;
        let pairs = match pairs.len() {
            0 => Ask::new(&query, passages).pairs,
            _ if query.is_empty() && passages.is_empty() => {
                pairs.into_iter().map(Pair::from).collect()
            }
            _ => {
                let message =
                    "the request has pairs beside a query or passages: send one or the other";
                return Err(self.pipeline.refuse("pairs", message.to_owned()));
            }
        };
        let answer = self.pipeline.infer(Ask { pairs, deadline }).await?;
        let Answer {
            scores,
            truncated,
            tokens,
            ..
        } = answer;
        Ok(InferResponse {
            scores,
            model: self.pipeline.model().to_owned(),
            truncated,
            tokens,
            id,
        })
    }
}

impl From<proto::Pair> for Pair {
    fn from(pair: proto::Pair) -> Self {
        Self {
            query: Arc::from(pair.query),
            passage: pair.passage,
        }
    }
}

fn code(failure: &Failure) -> Code {
    match failure {
        Failure::Invalid(..) => Code::InvalidArgument,
        Failure::Shed {
            reason: ShedReason::ShuttingDown,
            ..
        } => Code::Unavailable,
        Failure::Shed { .. } => Code::ResourceExhausted,
        Failure::Timeout(_) => Code::DeadlineExceeded,
        Failure::Tokenizer(_) | Failure::Model(_) | Failure::Panicked => Code::Internal,
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut status = Self::new(code(&failure), failure.to_string());
        if let Failure::Shed { retry_after, .. } = failure {
            let value = MetadataValue::from(seconds(retry_after));
            status.metadata_mut().insert("retry-after", value);
        }
        status
    }
}

fn error(id: String, failure: &Failure) -> proto::Error {
    let retry_after_ms = match failure {
        Failure::Shed { retry_after, .. } => {
            u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX)
        }
        Failure::Invalid(..)
        | Failure::Timeout(_)
        | Failure::Tokenizer(_)
        | Failure::Model(_)
        | Failure::Panicked => 0,
    };
    proto::Error {
        id,
        code: code(failure) as i32,
        message: failure.to_string(),
        retry_after_ms,
    }
}

#[tonic::async_trait]
impl Reranker for Handler {
    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        let timeout = deadline::timeout(request.metadata());
        let answer = Self::infer(self, request.into_inner(), timeout).await?;
        Ok(Response::new(answer))
    }

    type InferStreamStream =
        Pin<Box<dyn Stream<Item = Result<InferStreamResponse, Status>> + Send>>;

    async fn infer_stream(
        &self,
        request: Request<Streaming<InferRequest>>,
    ) -> Result<Response<Self::InferStreamStream>, Status> {
        let timeout = deadline::timeout(request.metadata());
        let handler = self.clone();
        // A stream that its client keeps open ends with the service.
        let abandoned = self.pipeline.abandoned().clone();
        let requests = request
            .into_inner()
            .take_until(abandoned.clone().cancelled_owned());
        let answers = requests.map(move |request| {
            let handler = handler.clone();
            async move {
                let request = request?;
                let id = request.id.clone();
                let result = match handler.infer(request, timeout).await {
                    Ok(scores) => Of::Scores(scores),
                    Err(failure) => Of::Error(error(id, &failure)),
                };
                Ok(InferStreamResponse {
                    result: Some(result),
                })
            }
        });
        let last = stream::once(async move { abandoned.is_cancelled() }).filter_map(|ended| {
            let end = Failure::Shed {
                reason: ShedReason::ShuttingDown,
                retry_after: Duration::from_secs(1),
            };
            future::ready(ended.then(|| Err(end.into())))
        });
        Ok(Response::new(Box::pin(
            answers.buffer_unordered(STREAMED).chain(last),
        )))
    }
}
