//! The head of a request, and the route that took it.

use std::sync::Arc;

use axum::extract::MatchedPath;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use inferometer::sample::http::UNMATCHED;

/// What can be known of a request before its body: what routes and limits go by.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// What was asked for.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What layers further out, and the router, have put there.
    pub extensions: &'a Extensions,
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// The template of the route that takes a request, such as `/models/{id}`: a text of the service's own, never of the client's.
#[derive(Clone, Debug)]
pub struct Route(Text);

#[derive(Clone, Debug)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
    Matched(MatchedPath),
}

impl Route {
    /// No route takes it.
    pub const UNMATCHED: Self = Self::new(UNMATCHED);

    /// A template known when the service was written.
    pub const fn new(template: &'static str) -> Self {
        Self(Text::Static(template))
    }

    /// The template.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
            Text::Matched(path) => path.as_str(),
        }
    }
}

impl From<Arc<str>> for Route {
    fn from(template: Arc<str>) -> Self {
        Self(Text::Shared(template))
    }
}

/// The route that axum's router has found, which it tells layers that are put on it by `Router::layer`.
pub fn matched_route(head: Head<'_>) -> Route {
    match head.extensions.get::<MatchedPath>() {
        Some(path) => Route(Text::Matched(path.clone())),
        None => Route::UNMATCHED,
    }
}
