//! Answers that are the same for as long as the server runs: the page that links the rest, and the OpenAPI document.

use std::fmt::Write as _;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use crate::{
    options::ServerOptions,
    route::{Access, Page},
};

/// The OpenAPI 3.1 document of every route, for a server that keeps the defaults. A test holds it against the route table.
pub const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn make(page: Page, options: &ServerOptions) -> (HeaderValue, Bytes) {
    match page {
        Page::OpenApi => (
            HeaderValue::from_static("application/json"),
            openapi(options).into(),
        ),
        _ => (
            HeaderValue::from_static("text/html; charset=utf-8"),
            index(options).into(),
        ),
    }
}

/// The document with this server's paths and keys.
pub(crate) fn openapi(options: &ServerOptions) -> String {
    let mut document: Value = serde_json::from_str(OPENAPI).expect("a test reads the document");
    let mut paths = serde_json::Map::new();
    let by_key = answers_to_keys(&document);
    for page in Page::all() {
        let mut path = document["paths"][page.default_path()].take();
        let get = &mut path["get"];
        match options.access_of(page) {
            Access::Off => continue,
            Access::Public => {
                get["security"] = Value::Array(Vec::new());
                if let Some(answers) = get["responses"].as_object_mut() {
                    answers.retain(|status, _| !by_key.contains_key(status));
                }
            }
            Access::Key(_) => {
                if let Some(get) = get.as_object_mut() {
                    // The document's own rule, which is by key, is in force again.
                    get.remove("security");
                }
                if let Some(answers) = get["responses"].as_object_mut() {
                    answers.extend(by_key.clone());
                }
            }
        }
        paths.insert(options.path_of(page).into(), path);
    }
    document["paths"] = paths.into();
    format!("{document:#}\n")
}

/// The answers that only a path by key has.
fn answers_to_keys(document: &Value) -> serde_json::Map<String, Value> {
    let answers = |page: Page| &document["paths"][page.default_path()]["get"]["responses"];
    let (closed, open) = (answers(Page::GpuStats), answers(Page::Health));
    let closed = closed.as_object().into_iter().flatten();
    closed
        .filter(|(status, _)| open[status.as_str()].is_null())
        .map(|(status, answer)| (status.clone(), answer.clone()))
        .collect()
}

fn index(options: &ServerOptions) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Inferometer</title>\n<h1>Inferometer</h1>\n<ul>\n",
    );
    for row in Page::all() {
        let access = match options.access_of(row) {
            Access::Off => continue,
            Access::Public => "public".into(),
            Access::Key(scope) => format!("key with scope {}", scope.name()),
        };
        // A path has no character that HTML would have to escape: the options see to that.
        let path = options.path_of(row);
        let _ = writeln!(page, "<li><a href=\"{path}\">{path}</a>: {access}");
    }
    page.push_str("</ul>\n");
    page
}
