//! What is asked.

use serde::Deserialize;

use super::error::ApiError;

/// A request, whichever client sent it.
#[derive(Debug)]
pub(super) struct Rerank {
    pub(super) query: String,
    pub(super) documents: Vec<String>,
    /// How many of the best are wanted; all without it.
    pub(super) top_n: Option<usize>,
    /// Whether the answer repeats the documents.
    pub(super) with_documents: bool,
    pub(super) shape: Shape,
}

/// The shape of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As Cohere and Jina have it.
    Results,
    /// As Text Embeddings Inference has it; `raw` are logits.
    Ranks { raw: bool },
}

#[derive(Debug, Deserialize)]
struct Fields {
    query: String,
    documents: Option<Vec<Document>>,
    texts: Option<Vec<String>>,
    top_n: Option<usize>,
    #[serde(default)]
    return_documents: bool,
    #[serde(default)]
    return_text: bool,
    #[serde(default)]
    raw_scores: bool,
    model: Option<String>,
}

/// A document, bare or as an object.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, or an object with a `text`")]
enum Document {
    Text(String),
    Object { text: String },
}

impl Rerank {
    /// Reads a body, for the model of this name.
    pub(super) fn read(body: &[u8], model: &str) -> Result<Self, ApiError> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let fields: Fields = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            let named = path != "." && inner.is_data();
            if named {
                ApiError::invalid(path.clone(), format!("{path}: {inner}"))
            } else {
                ApiError::invalid_json(format!("the request's body can't be read: {inner}"))
            }
        })?;
        json.end().map_err(|error| {
            ApiError::invalid_json(format!(
                "the request's body has more than one value: {error}"
            ))
        })?;
        if let Some(asked) = fields.model.filter(|asked| asked != model) {
            let asked: String = asked.chars().take(200).collect();
            return Err(ApiError::unknown_model(format!(
                "there is no model {asked:?}; this service has {model:?}, or leave `model` out"
            )));
        }
        if fields.top_n == Some(0) {
            let message = "top_n is 0: take 1 or more, or leave it out for all".to_owned();
            return Err(ApiError::invalid("top_n", message));
        }
        let (documents, with_documents, shape) = match (fields.documents, fields.texts) {
            (Some(documents), None) => {
                let texts = documents.into_iter().map(|document| match document {
                    Document::Text(text) | Document::Object { text } => text,
                });
                (texts.collect(), fields.return_documents, Shape::Results)
            }
            (None, Some(texts)) => {
                let raw = fields.raw_scores;
                (texts, fields.return_text, Shape::Ranks { raw })
            }
            (None, None) => {
                let message = "there are no documents: send `documents` or `texts`".to_owned();
                return Err(ApiError::invalid("documents", message));
            }
            (Some(_), Some(_)) => {
                let message = "there are documents and texts: send one or the other".to_owned();
                return Err(ApiError::invalid("texts", message));
            }
        };
        Ok(Self {
            query: fields.query,
            documents,
            top_n: fields.top_n,
            with_documents,
            shape,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Rerank, ApiError> {
        Rerank::read(body.as_bytes(), "m")
    }

    #[test]
    fn both_shapes_are_read() {
        let cohere = r#"{"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": true}"#;
        let cohere = read(cohere).unwrap();
        assert_eq!(cohere.documents, ["a", "b"]);
        assert_eq!((cohere.top_n, cohere.with_documents), (Some(1), true));
        assert_eq!(cohere.shape, Shape::Results);
        let tei = r#"{"query": "q", "texts": ["a"], "raw_scores": true, "truncate": true}"#;
        assert_eq!(read(tei).unwrap().shape, Shape::Ranks { raw: true });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, says) in [
            ("{", "can't be read"),
            (r#"{"query": 5, "documents": []}"#, "query: "),
            (r#"{"query": "q", "documents": ["a", 5]}"#, "documents[1]: "),
            (r#"{"query": "q"}"#, "`documents` or `texts`"),
            (
                r#"{"query": "q", "documents": [], "texts": []}"#,
                "one or the other",
            ),
            (
                r#"{"query": "q", "documents": ["a"], "top_n": 0}"#,
                "top_n is 0",
            ),
            (
                r#"{"query": "q", "documents": ["a"], "top_n": -1}"#,
                "top_n: ",
            ),
            (
                r#"{"query": "q", "documents": ["a"], "model": "n"}"#,
                "no model \"n\"",
            ),
            (r#"{"query": "q", "documents": ["a"]} x"#, "more than one"),
        ] {
            let message = read(body).unwrap_err().message;
            assert!(message.contains(says), "{body}: {message}");
        }
    }
}
