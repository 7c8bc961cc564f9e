//! Messages that are timed as they are read and written.
//!
//! Generated code makes its codec out of nothing. So a layer around it says, for the task that runs a call, where the times go, and the
//! codec asks for that when it is made.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use inferometer_catalog::rerank::http::Messages;
use prost::Message;
use tokio::task::futures::TaskLocalFuture;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_prost::ProstCodec;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static MESSAGES: Messages;
}

/// Says where the times of a call's messages go.
#[derive(Clone, Debug)]
pub struct MessagesLayer {
    messages: Messages,
}

impl MessagesLayer {
    /// They go there.
    pub fn new(messages: Messages) -> Self {
        Self { messages }
    }
}

impl<S> Layer<S> for MessagesLayer {
    type Service = MessagesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MessagesService {
            inner,
            messages: self.messages.clone(),
        }
    }
}

/// A service whose messages are timed.
#[derive(Clone, Debug)]
pub struct MessagesService<S> {
    inner: S,
    messages: Messages,
}

impl<S, R> Service<R> for MessagesService<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Messages, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let messages = self.messages.clone();
        let inner = &mut self.inner;
        // The codec may be made at once, or when the call is first polled.
        let future = MESSAGES.sync_scope(messages.clone(), || inner.call(request));
        MESSAGES.scope(messages, future)
    }
}

/// [`ProstCodec`], timed where a [`MessagesLayer`] is further out.
#[derive(Debug)]
pub struct TimedCodec<T, U> {
    inner: ProstCodec<T, U>,
    messages: Option<Messages>,
}

impl<T, U> Default for TimedCodec<T, U> {
    fn default() -> Self {
        Self {
            inner: ProstCodec::default(),
            messages: MESSAGES.try_with(Clone::clone).ok(),
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
            messages: self.messages.clone(),
        }
    }

    fn decoder(&mut self) -> Self::Decoder {
        TimedDecoder {
            inner: self.inner.decoder(),
            messages: self.messages.clone(),
        }
    }
}

/// An encoder that is timed.
#[derive(Debug)]
pub struct TimedEncoder<E> {
    inner: E,
    messages: Option<Messages>,
}

impl<E: Encoder> Encoder for TimedEncoder<E> {
    type Item = E::Item;
    type Error = E::Error;

    fn encode(&mut self, item: E::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), E::Error> {
        let begun = Instant::now();
        self.inner.encode(item, buffer)?;
        if let Some(messages) = &self.messages {
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
    messages: Option<Messages>,
}

impl<D: Decoder<Error = Status>> Decoder for TimedDecoder<D> {
    type Item = D::Item;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D::Item>, Status> {
        let begun = Instant::now();
        let item = self.inner.decode(buffer)?;
        if let (Some(messages), Some(_)) = (&self.messages, &item) {
            messages.deserialized(begun.elapsed());
        }
        Ok(item)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}
