//! What is answered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use serde::Serialize;

use super::request::{Rerank, Shape};
use crate::pipeline::Answer;

#[derive(Serialize)]
struct Results<'a> {
    id: String,
    model: &'a str,
    results: Vec<Ranked<'a>>,
    usage: Usage,
    meta: Meta,
}

#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document<'a>>,
}

#[derive(Serialize)]
struct Document<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Usage {
    total_tokens: u64,
}

/// What neither client asks for and whoever looks may want to know.
#[derive(Serialize)]
struct Meta {
    truncated: u32,
}

#[derive(Serialize)]
struct Rank<'a> {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// A logit as a share between 0 and 1.
fn logistic(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The best first; of those with one score, the one that was sent first.
fn ranking(scores: &[f32], top_n: Option<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order.truncate(top_n.unwrap_or(scores.len()));
    order
}

pub(super) fn write(asked: &Rerank, answer: &Answer, model: &str) -> Response {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let order = ranking(&answer.scores, asked.top_n);
    let text = |index: usize| asked.with_documents.then(|| &*asked.documents[index]);
    let body = match asked.shape {
        Shape::Results => serde_json::to_vec(&Results {
            id: format!("rerank-{}", COUNT.fetch_add(1, Relaxed)),
            model,
            results: order
                .into_iter()
                .map(|index| Ranked {
                    index,
                    relevance_score: logistic(answer.scores[index]),
                    document: text(index).map(|text| Document { text }),
                })
                .collect(),
            usage: Usage {
                total_tokens: answer.tokens,
            },
            meta: Meta {
                truncated: answer.truncated,
            },
        }),
        Shape::Ranks { raw } => {
            let ranks = order.into_iter().map(|index| Rank {
                index,
                score: if raw {
                    answer.scores[index]
                } else {
                    logistic(answer.scores[index])
                },
                text: text(index),
            });
            serde_json::to_vec(&ranks.collect::<Vec<_>>())
        }
    };
    let body = body.expect("texts and finite numbers always have a JSON form");
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_ties_as_they_were_sent() {
        assert_eq!(ranking(&[0.0, 2.0, -1.0, 2.0], None), [1, 3, 0, 2]);
        assert_eq!(ranking(&[0.0, 2.0, -1.0, 2.0], Some(1)), [1]);
        assert_eq!(ranking(&[0.0], Some(5)), [0]);
    }
}
