//! Messages that are timed as they are read and written, and requests that can't be read.
//!
//! Generated code makes its codec out of nothing. So a layer around it says, for the task that runs a call, where the times go, and the
//! codec asks for that when it is made.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use prost::Message;
use tokio::task::futures::TaskLocalFuture;
use tonic::{
    Code, Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_prost::ProstCodec;
use tower_layer::Layer;
use tower_service::Service;

use crate::pipeline::{Failure, Pipeline};

tokio::task_local! {
    static PIPELINE: Pipeline;
}

/// Says whose messages a call's are.
#[derive(Clone, Debug)]
pub struct MessagesLayer {
    pipeline: Pipeline,
}

impl MessagesLayer {
    /// They are this pipeline's: its metrics have their times, and what can't be read is a request that it rejected.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }
}

impl<S> Layer<S> for MessagesLayer {
    type Service = MessagesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MessagesService {
            inner,
            pipeline: self.pipeline.clone(),
        }
    }
}

/// A service whose messages are timed.
#[derive(Clone, Debug)]
pub struct MessagesService<S> {
    inner: S,
    pipeline: Pipeline,
}

impl<S, R> Service<R> for MessagesService<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Pipeline, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let pipeline = self.pipeline.clone();
        let inner = &mut self.inner;
        // The codec may be made at once, or when the call is first polled.
        let future = PIPELINE.sync_scope(pipeline.clone(), || inner.call(request));
        PIPELINE.scope(pipeline, future)
    }
}

/// [`ProstCodec`], timed where a [`MessagesLayer`] is further out.
#[derive(Debug)]
pub struct TimedCodec<T, U> {
    inner: ProstCodec<T, U>,
    pipeline: Option<Pipeline>,
}

impl<T, U> Default for TimedCodec<T, U> {
    fn default() -> Self {
        Self {
            inner: ProstCodec::default(),
            pipeline: PIPELINE.try_with(Clone::clone).ok(),
        }
    }
}

impl<T, U> Codec for TimedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = TimedEncoder<<ProstCodec<T, U> as Codec>::Encoder>;
    type Decoder = TimedDecoder<<ProstCodec<T, U> as Codec>::Decoder>;

    fn encoder(&mut self) -> Self::Encoder {
        TimedEncoder {
            inner: self.inner.encoder(),
            pipeline: self.pipeline.clone(),
        }
    }

    fn decoder(&mut self) -> Self::Decoder {
        TimedDecoder {
            inner: self.inner.decoder(),
            pipeline: self.pipeline.clone(),
        }
    }
}

/// An encoder that is timed.
#[derive(Debug)]
pub struct TimedEncoder<E> {
    inner: E,
    pipeline: Option<Pipeline>,
}

impl<E: Encoder> Encoder for TimedEncoder<E> {
    type Item = E::Item;
    type Error = E::Error;

    fn encode(&mut self, item: E::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), E::Error> {
        let begun = Instant::now();
        self.inner.encode(item, buffer)?;
        if let Some(pipeline) = &self.pipeline {
            let messages = &pipeline.recorder().metrics.messages;
            messages.serialized(begun.elapsed());
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}

/// A decoder that is timed.
#[derive(Debug)]
pub struct TimedDecoder<D> {
    inner: D,
    pipeline: Option<Pipeline>,
}

impl<D: Decoder<Error = Status>> Decoder for TimedDecoder<D> {
    type Item = D::Item;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D::Item>, Status> {
        let begun = Instant::now();
        let item = self.inner.decode(buffer);
        let Some(pipeline) = &self.pipeline else {
            return item;
        };
        match &item {
            Ok(Some(_)) => {
                let messages = &pipeline.recorder().metrics.messages;
                messages.deserialized(begun.elapsed());
            }
            Ok(None) => {}
            // What was sent is no message of the protocol: the client's fault, though prost calls it an internal one.
            Err(status) if status.code() == Code::Internal => {
                let message = format!(
                    "the message isn't one of proto/rerank.proto, which reflection tells: {}",
                    status.message()
                );
                return Err(Failure::into(pipeline.refuse("message", message)));
            }
            Err(_) => {}
        }
        item
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}
