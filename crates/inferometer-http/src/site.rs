//! From a request to its answer: the route, who may have it, and its handler.

mod access;
mod visit;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;
use inferometer::{Format, Registry};
use tokio::sync::Semaphore;

use crate::{
    coding::Coding,
    documents, head,
    keys::{KeyFileError, Keys},
    negotiation::negotiate,
    options::{Limits, ServerOptions},
    own::{ByFormat, ByRoute, HttpMetrics},
    page::Pages,
    problem::{Problem, Refusal},
    providers::Providers,
    round::{Panicked, Round},
    route::{Access, Handler, Page, ROUTES},
};

pub(crate) use visit::Visit;

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Where a client was told to come back.
const SOON: Duration = Duration::from_secs(1);

/// JSON that was told, ready to be sent.
type Told = (StatusCode, Bytes);

/// What a server serves.
pub(crate) struct Site {
    pub(crate) metrics: HttpMetrics,
    limits: Limits,
    /// The paths that are answered, and who may ask for them.
    table: HashMap<String, (Page, Access)>,
    keys: Option<Keys>,
    pages: Pages,
    providers: Providers,
    rounds: HashMap<Page, Arc<Round<Told>>>,
    documents: HashMap<Page, (HeaderValue, Bytes)>,
    in_flight: Semaphore,
    stopping: AtomicBool,
}

/// What matters of a request.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: bool,
    pub(crate) client: IpAddr,
}

impl Site {
    pub(crate) fn new(
        registry: Registry,
        options: &ServerOptions,
        providers: Providers,
        metrics: HttpMetrics,
    ) -> Result<Self, KeyFileError> {
        let limits = options.limits.clone();
        let keys = options.keys.clone();
        let keys = keys
            .map(|path| Keys::read(path, limits.wrong_keys, metrics.clone()))
            .transpose()?;
        let row = |page: Page| {
            let path = options.path_of(page).to_owned();
            (path, (page, options.access_of(page)))
        };
        let of = |handler| ROUTES.iter().filter(move |row| row.handler == handler);
        Ok(Self {
            metrics,
            table: Page::all()
                .map(row)
                .filter(|(_, (_, access))| *access != Access::Off)
                .collect(),
            keys,
            pages: Pages::new(registry, limits.compress_from, limits.page_bytes),
            providers,
            rounds: of(Handler::Json)
                .map(|row| (row.page, Round::new()))
                .collect(),
            documents: of(Handler::Document)
                .map(|row| (row.page, documents::make(row.page, options)))
                .collect(),
            in_flight: Semaphore::new(limits.in_flight),
            stopping: AtomicBool::new(false),
            limits,
        })
    }

    /// From now on it isn't ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Answers. The visit ends with the answer's last byte, or when either is dropped.
    pub(crate) async fn answer(&self, asked: &Asked<'_>, mut visit: Visit) -> Answer {
        match self.try_answer(asked, &mut visit).await {
            Ok(answer) => visit.with(answer),
            Err(problem) => {
                self.metrics.refused(problem.refusal);
                tracing::debug!(client = %asked.client, reason = problem.refusal.reason(), "refused");
                visit.refused(problem.response())
            }
        }
    }

    async fn try_answer(&self, asked: &Asked<'_>, visit: &mut Visit) -> Result<Reply, Problem> {
        self.fits(asked)?;
        let path = asked.uri.path();
        let Some((page, access)) = self.table.get(path).copied() else {
            let detail = "no such path here; GET / lists what there is";
            return Err(Problem::new(Refusal::UnknownRoute, detail));
        };
        self.admit(access, asked).await?;
        if !matches!(*asked.method, Method::GET | Method::HEAD) {
            let detail = "every path here is for GET and HEAD";
            return Err(Problem::new(Refusal::Method, detail));
        }
        if asked.body {
            return Err(head::body());
        }
        self.metrics.requests.with(ByRoute { route: page }).inc();
        let Ok(_permit) = self.in_flight.try_acquire() else {
            let detail = format!(
                "{} requests are in flight, which is the most at once; come back in a second",
                self.limits.in_flight
            );
            return Err(Problem::new(Refusal::Busy, detail).retry_after(SOON));
        };
        let making = async {
            match page.route().handler {
                Handler::Scrape => self.scrape(asked, visit).await,
                Handler::Json => self.tell(page).await,
                Handler::Document => Ok(self.document(page)),
            }
        };
        let Ok(made) = tokio::time::timeout(self.limits.answer, making).await else {
            let detail = format!("the answer was not there after {:?}", self.limits.answer);
            return Err(Problem::new(Refusal::AnswerTimeout, detail).retry_after(SOON));
        };
        made.map_err(|Panicked| {
            let detail = "the code that makes this answer panicked; the service's log says where";
            Problem::new(Refusal::Failed, detail)
        })
    }

    /// HTTP/1's gate has looked already; HTTP/2 has none.
    fn fits(&self, asked: &Asked<'_>) -> Result<(), Problem> {
        let target = asked
            .uri
            .path_and_query()
            .map_or(0, |target| target.as_str().len());
        if target > self.limits.uri_bytes {
            return Err(head::uri_too_long(&self.limits));
        }
        let fields = asked.headers.iter();
        let bytes: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if bytes > self.limits.head_bytes || asked.headers.len() > self.limits.head_fields {
            return Err(head::head_too_large(&self.limits));
        }
        Ok(())
    }

    async fn scrape(&self, asked: &Asked<'_>, visit: &mut Visit) -> Result<Reply, Panicked> {
        let format = negotiate(text(asked.headers, &header::ACCEPT));
        let coding = Coding::negotiate(text(asked.headers, &header::ACCEPT_ENCODING));
        let page = self.pages.page((format, coding)).await?;
        let format_label = ByFormat {
            format: format.into(),
        };
        self.metrics.scrapes.with(format_label).inc();
        #[expect(clippy::cast_precision_loss, reason = "pages are far below 2^53 bytes")]
        self.metrics.scrape_size.observe(page.bytes().len() as f64);
        visit.scrape();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type(format));
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
        if let Some(name) = page.coding().name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Ok(Reply {
            status: StatusCode::OK,
            headers,
            content: Content::Page(page),
        })
    }

    async fn tell(&self, page: Page) -> Result<Reply, Panicked> {
        let round = self.rounds.get(&page).ok_or(Panicked)?;
        let (providers, stopping) = (self.providers.clone(), self.stopping.load(Relaxed));
        let work = move || {
            let (status, json) = providers
                .tell(page, stopping)
                .expect("rounds are for pages of JSON");
            (status, Bytes::from(format!("{json:#}\n")))
        };
        let (status, json) = round.ask(work).await?;
        let headers = [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )];
        Ok(Reply {
            status,
            headers: headers.into_iter().collect(),
            content: Content::Bytes(json),
        })
    }

    fn document(&self, page: Page) -> Reply {
        let (content_type, bytes) = &self.documents[&page];
        let headers = [(header::CONTENT_TYPE, content_type.clone())];
        Reply {
            status: StatusCode::OK,
            headers: headers.into_iter().collect(),
            content: Content::Bytes(bytes.clone()),
        }
    }
}

/// An answer before it has its visit.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

pub(crate) enum Content {
    Page(Arc<crate::page::Page>),
    Bytes(Bytes),
}

fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(format.content_type())
}

/// A header's text; nothing where it is missing or isn't ASCII.
fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
