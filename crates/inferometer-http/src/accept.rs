//! The accept loop: who is let in, what a connection may do, and how it all ends.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::{body::Body as _, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    crowd::{Crowd, Seat},
    gate::{Gate, Keeper},
    options::ServerOptions,
    problem::{Problem, Refusal},
    site::{Asked, Site, Visit},
    tls::{self, Tls},
};

/// Connections that may wait to be accepted; the kernel has its own bound beside.
const BACKLOG: i32 = 4096;

/// Bytes of an answer that the kernel may hold beyond what is on its way: enough to keep a connection busy, little for ten thousand
/// that don't read.
const UNSENT: u32 = 64 << 10;

/// What the kernel sends to a client that never reads.
const FIRST_BYTE_OF_TLS: u8 = 0x16;

/// A server's accept loop.
pub(crate) struct Doorman {
    site: Arc<Site>,
    keeper: Arc<Keeper>,
    tls: Option<Tls>,
    builder: auto::Builder<TokioExecutor>,
    drain: Duration,
    /// Becomes true when the server stops.
    stopping: watch::Receiver<bool>,
}

impl Doorman {
    pub(crate) fn new(
        site: Arc<Site>,
        tls: Option<Tls>,
        options: &ServerOptions,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let limits = options.limits.clone();
        let (connections, reserved) = descriptors(limits.connections, limits.reserved_connections);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // The gate has looked at every head and keeps the time; this bounds the buffer that HTTP keeps of it.
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(limits.head_bytes.max(8 << 10))
            .max_headers(limits.head_fields);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(2 * limits.head_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(16 << 10);
        Arc::new(Self {
            keeper: Arc::new(Keeper {
                crowd: Crowd::new(connections, reserved),
                metrics: site.metrics.clone(),
                limits,
            }),
            site,
            tls,
            builder,
            drain: options.drain,
            stopping,
        })
    }

    /// Accepts until it is told to stop, and then lets the answers under way be taken, for as long as the drain may last.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = self.accept(&listener) => {}
        }
        drop(listener);
        self.site.stop();
        let (connections, answering) = self.keeper.crowd.waiting();
        if connections == 0 {
            return;
        }
        tracing::info!(
            connections,
            answering = answering.len(),
            clients = ?few(&answering),
            "stopping: waiting for the answers under way, {:?} at the most", self.drain
        );
        if timeout(self.drain, self.keeper.crowd.empty())
            .await
            .is_err()
        {
            let (connections, answering) = self.keeper.crowd.waiting();
            tracing::warn!(
                connections,
                clients = ?few(&answering),
                "stopped after {:?}: these had not taken their answers, and are cut off", self.drain
            );
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        if let Err(error) = SockRef::from(listener).listen(BACKLOG) {
            tracing::debug!(%error, "the queue of new connections keeps its length");
        }
        loop {
            match listener.accept().await {
                Ok((stream, client)) => self.welcome(stream, client),
                Err(error) => self.accept_failed(&error).await,
            }
        }
    }

    async fn accept_failed(&self, error: &io::Error) {
        // A client that left before it was accepted is no fault; a lack of descriptors or memory passes when others leave.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        let displaced = self.keeper.crowd.displace_one();
        tracing::warn!(%error, displaced, "can't accept a connection");
        sleep(Duration::from_millis(if displaced { 1 } else { 50 })).await;
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream, client: SocketAddr) {
        // Failures cost speed or memory, not answers.
        let socket = SockRef::from(&stream);
        let _ = socket.set_tcp_nodelay(true);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
        let seat = self.keeper.crowd.admit(client.ip());
        self.keeper.metrics.connections_accepted.inc();
        let here = Here {
            doorman: Arc::clone(self),
            _open: self.keeper.metrics.connections.enter(),
            seat,
        };
        tokio::spawn(async move {
            let serve = here.doorman.serve(stream, &here.seat);
            tokio::select! {
                () = serve => {}
                why = here.seat.dismissed() => here.doorman.keeper.metrics.refused(why),
            }
        });
    }

    async fn serve(self: &Arc<Self>, stream: TcpStream, seat: &Arc<Seat>) {
        let since = Instant::now();
        let Some(tls) = &self.tls else {
            return self.speak(stream, seat, since).await;
        };
        // Nothing of TLS is set up before a client has said something.
        let mut first = [0];
        let limits = &self.keeper.limits;
        let peeked = tokio::select! {
            peeked = timeout(limits.first_byte, stream.peek(&mut first)) => peeked,
            () = self.stopped() => return,
        };
        match peeked {
            Err(_) => return self.keeper.metrics.refused(Refusal::Silent),
            Ok(Ok(1)) => {}
            Ok(Ok(_) | Err(_)) => return,
        }
        if first[0] != FIRST_BYTE_OF_TLS {
            return self.not_tls(stream).await;
        }
        let since = Instant::now();
        let accept = tls.acceptor().accept(stream);
        let accepted = tokio::select! {
            accepted = timeout_at(since + limits.head, Box::pin(accept)) => accepted,
            () = self.stopped() => return,
        };
        match accepted {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(tls::BUFFER));
                Box::pin(self.speak(stream, seat, since)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(client = %seat.client(), %error, "no TLS");
                self.keeper.metrics.refused(Refusal::Handshake);
            }
            Err(_) => self.keeper.metrics.refused(Refusal::Handshake),
        }
    }

    /// Says that this port speaks TLS.
    async fn not_tls(&self, mut stream: TcpStream) {
        self.keeper.metrics.refused(Refusal::NotTls);
        let problem = Problem::new(Refusal::NotTls, "this port speaks TLS: ask with https://");
        let wire = problem.on_the_wire();
        let say = async {
            stream.write_all(&wire).await?;
            stream.shutdown().await?;
            // What it sent is thrown away: closing on it would take the answer back.
            let mut scrap = [0; 2048];
            let mut left = 64_usize;
            while left > 0 && tokio::io::AsyncReadExt::read(&mut stream, &mut scrap).await? > 0 {
                left -= 1;
            }
            io::Result::Ok(())
        };
        // Whether it takes the answer is its own affair.
        let _ = timeout(Duration::from_secs(1), say).await;
    }

    async fn speak<S>(self: &Arc<Self>, stream: S, seat: &Arc<Seat>, since: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gate = Gate::new(stream, Arc::clone(seat), Arc::clone(&self.keeper), since);
        let service = service_fn(|request| {
            // At once, not when the answer is first asked for: the gate counts.
            let visit = Visit::begin(&self.keeper.metrics, Some(seat.begin()));
            let (site, client) = (Arc::clone(&self.site), seat.client());
            async move { io::Result::Ok(answer(&site, &request, client, visit).await) }
        });
        let connection = self.builder.serve_connection(TokioIo::new(gate), service);
        let mut connection = Box::pin(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopped() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = quiet(seat) => return,
                }
            }
        };
        if let Err(error) = ended {
            self.ended(&*error, seat);
        }
    }

    /// What the gate has refused is counted; the rest is that clients leave, or break HTTP/2.
    fn ended(&self, error: &(dyn std::error::Error + 'static), seat: &Seat) {
        tracing::debug!(client = %seat.client(), error = ?error, "a connection broke");
        let Some(error) = error.downcast_ref::<hyper::Error>() else {
            return;
        };
        if error.is_parse() {
            self.keeper.metrics.refused(Refusal::Malformed);
        } else if !error.is_canceled() && std::error::Error::source(error).is_some_and(breaks_http2)
        {
            self.keeper.metrics.refused(Refusal::Protocol);
        }
    }

    async fn stopped(&self) {
        // An error says that whoever could stop it is gone, which means the same.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// Returns when a connection has had nothing under way for a moment: HTTP/2 would wait for its client to agree that it ends.
async fn quiet(seat: &Seat) {
    let moment = Duration::from_millis(100);
    let mut quiet = 0;
    while quiet < 5 {
        sleep(moment).await;
        quiet = if seat.answering() == 0 { quiet + 1 } else { 0 };
    }
}

/// Whether the error is of HTTP/2, and not of the socket. hyper doesn't name the type, so that it goes by what remains.
fn breaks_http2(source: &(dyn std::error::Error + 'static)) -> bool {
    !source.is::<io::Error>() && source.source().is_none_or(|inner| !inner.is::<io::Error>())
}

async fn answer(
    site: &Site,
    request: &Request<Incoming>,
    client: std::net::IpAddr,
    visit: Visit,
) -> http::Response<Full<Bytes>> {
    let asked = Asked {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        body: !request.body().is_end_stream(),
        client,
    };
    site.answer(&asked, visit).await
}

/// A connection, counted and seated for as long as its task lives.
struct Here {
    doorman: Arc<Doorman>,
    seat: Arc<Seat>,
    _open: inferometer::InFlight,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.doorman.keeper.crowd.left(&self.seat);
    }
}

/// The first of many, for a log.
fn few<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(10)]
}

/// How many connections the process has descriptors for.
fn descriptors(connections: usize, reserved: usize) -> (usize, usize) {
    /// What the rest of the service needs.
    const OTHERS: usize = 128;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let room = limit.unwrap_or(usize::MAX).saturating_sub(OTHERS).max(16);
    if connections.saturating_add(reserved) <= room {
        return (connections, reserved);
    }
    let reserved = reserved.min(room / 4);
    let connections = connections.min(room - reserved);
    tracing::warn!(
        connections,
        reserved,
        "fewer connections than the limits allow: the process may have no more files open; raise `ulimit -n`"
    );
    (connections, reserved)
}
