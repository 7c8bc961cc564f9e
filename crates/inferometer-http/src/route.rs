//! The route table: every path that is answered, and who may ask for it. What is not in it is refused.

use inferometer::LabelValue;

/// The table. Each row takes GET and HEAD; its handler is in `site/handlers.rs`.
pub(crate) const ROUTES: [Route; 10] = [
    row(Page::Metrics, "/metrics", Access::Public, Handler::Scrape),
    row(Page::Health, "/health", Access::Public, Handler::Json),
    row(
        Page::HealthLive,
        "/health/live",
        Access::Public,
        Handler::Json,
    ),
    row(
        Page::HealthReady,
        "/health/ready",
        Access::Public,
        Handler::Json,
    ),
    row(
        Page::HealthDetailed,
        "/health/detailed",
        STATS,
        Handler::Json,
    ),
    row(Page::GpuStats, "/gpu/stats", STATS, Handler::Json),
    row(Page::QueueStats, "/queue/stats", STATS, Handler::Json),
    row(Page::ModelsStats, "/models/stats", STATS, Handler::Json),
    row(Page::OpenApi, "/openapi.json", STATS, Handler::Document),
    row(Page::Index, "/", STATS, Handler::Document),
];

const STATS: Access = Access::Key(Scope::Stats);

/// What a route shows. As a label: the route of `inferometer_http_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, LabelValue)]
pub enum Page {
    /// The scrape.
    Metrics,
    /// Whether the service can do its work.
    Health,
    /// Whether the process answers at all.
    HealthLive,
    /// Whether it wants to be sent requests.
    HealthReady,
    /// Health, component by component.
    HealthDetailed,
    /// What is known of each GPU.
    GpuStats,
    /// How full the queues are.
    QueueStats,
    /// Which models are loaded, and where.
    ModelsStats,
    /// The OpenAPI document of all routes.
    OpenApi,
    /// A page that links the rest.
    Index,
}

impl Page {
    /// Every page, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        ROUTES.iter().map(|route| route.page)
    }

    /// Its row.
    pub(crate) fn route(self) -> &'static Route {
        ROUTES
            .iter()
            .find(|route| route.page == self)
            .expect("each page has a row, which a test walks")
    }

    /// Where it is, unless told otherwise.
    pub fn default_path(self) -> &'static str {
        self.route().path
    }

    /// Who may ask for it, unless told otherwise.
    pub fn default_access(self) -> Access {
        self.route().access
    }
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The scrape.
    Metrics,
    /// Health in detail and statistics.
    Stats,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Stats, Self::Admin];

    /// Its name in a key file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Stats => "stats",
            Self::Admin => "admin",
        }
    }
}

/// Who may ask for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Everyone.
    Public,
    /// Who has a key of this scope, or of [`Scope::Admin`].
    Key(Scope),
    /// Nobody: it is as if the route were not there.
    Off,
}

/// How a route is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handler {
    /// A page of metrics: formats, compression, shared by those who ask at once.
    Scrape,
    /// What a provider says, as JSON.
    Json,
    /// The same bytes for as long as the server runs.
    Document,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) page: Page,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) handler: Handler,
}

const fn row(page: Page, path: &'static str, access: Access, handler: Handler) -> Route {
    Route {
        page,
        path,
        access,
        handler,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_one_row_and_every_path_is_its_own() {
        let pages: std::collections::BTreeSet<_> = Page::all().collect();
        let paths: std::collections::BTreeSet<_> = ROUTES.iter().map(|row| row.path).collect();
        let values = Page::VALUES.unwrap().len();
        assert_eq!((pages.len(), paths.len()), (values, values));
        assert_eq!(ROUTES.len(), values);
    }

    #[test]
    fn metrics_and_plain_health_are_public_and_the_rest_takes_a_key() {
        let public: Vec<_> = ROUTES
            .iter()
            .filter(|row| row.access == Access::Public)
            .map(|row| row.path)
            .collect();
        assert_eq!(
            public,
            ["/metrics", "/health", "/health/live", "/health/ready"]
        );
        let closed = |row: &&Route| row.access == Access::Key(Scope::Stats);
        assert_eq!(
            ROUTES.iter().filter(closed).count(),
            ROUTES.len() - public.len()
        );
    }
}
