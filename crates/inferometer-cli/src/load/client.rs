//! Connections kept open, and one exchange at a time on each.

use std::{cell::RefCell, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::AbortHandle};

use super::target::Target;

/// The largest body of an answer that is read.
const LARGEST_BODY: usize = 16 << 20;

/// Why an exchange came to nothing.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Broken {
    fn because(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self(message)
    }
}

/// An open connection; dropping it closes the socket, whatever is under way on it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer whose head has arrived, and the connection that its body comes from.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    connection: Connection,
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(frame) = self.response.body_mut().frame().await {
            let frame = frame.map_err(|error| {
                Broken::because("the connection broke during the answer", &error)
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The body as a whole.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, Broken> {
        let Some(first) = self.piece().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.piece().await? else {
            return Ok(first);
        };
        let mut body = BytesMut::from(first);
        body.extend_from_slice(&second);
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.len() > LARGEST_BODY {
                return Err(Broken(format!(
                    "the answer is larger than {LARGEST_BODY} bytes"
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

/// Sends requests to one target over connections that are kept open, and as many as are needed.
///
/// Must be used within a [`tokio::task::LocalSet`].
#[derive(Debug)]
pub(crate) struct Client {
    addresses: Vec<SocketAddr>,
    /// The most recently used is last, and taken first: an idle one ages until the server closes it.
    idle: RefCell<Vec<Connection>>,
    host: HeaderValue,
    chat_completions: Uri,
    models: Uri,
}

impl Client {
    /// A client of `target`, which was resolved to `addresses`.
    pub(crate) fn new(target: &Target, addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            idle: RefCell::default(),
            host: target.host(),
            chat_completions: target.chat_completions(),
            models: target.models(),
        }
    }

    /// Asks for a completion; `body` is its JSON.
    pub(crate) async fn complete(
        &self,
        body: Bytes,
        session: Option<HeaderValue>,
    ) -> Result<Answer, Broken> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.chat_completions.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if let Some(session) = session {
            headers.insert("x-session-id", session);
        }
        self.send(request).await
    }

    /// Asks which models there are.
    pub(crate) async fn models(&self) -> Result<Answer, Broken> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = self.models.clone();
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        self.send(request).await
    }

    /// Keeps an answer's connection for the next request; its body must have been read to the end.
    pub(crate) fn keep(&self, answer: Answer) {
        if !answer.connection.sender.is_closed() {
            self.idle.borrow_mut().push(answer.connection);
        }
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(mut connection) => match connection.sender.ready().await {
                    Ok(()) => connection,
                    Err(_) => continue,
                },
                None => self.connect().await?,
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok(Answer {
                        response,
                        connection,
                    });
                }
                Err(mut error) => match error.take_message() {
                    // The server closed an idle connection, and not a byte was sent: another one will do.
                    Some(unsent) if reused => request = unsent,
                    _ => {
                        let error = error.into_error();
                        return Err(Broken::because(
                            "the connection broke before the answer",
                            &error,
                        ));
                    }
                },
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Broken> {
        let stream = TcpStream::connect(self.addresses.as_slice())
            .await
            .map_err(|error| Broken::because("can't connect", &error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| Broken::because("can't set TCP_NODELAY", &error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Broken::because("can't start HTTP", &error))?;
        // What goes wrong on a connection is told to whoever awaits an answer from it.
        let driver = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
        Ok(Connection { sender, driver })
    }
}
