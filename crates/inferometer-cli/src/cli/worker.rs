//! How the command line names a worker.

use std::{path::PathBuf, str::FromStr};

/// What generates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerSpec {
    /// A model on this machine's CPU: the GGUF file given, or the best at hand.
    Local(Option<PathBuf>),
    /// An OpenAI-compatible server, by its base URL.
    OpenAi(String),
    /// Latency and failures by this script.
    Scripted(String),
}

impl FromStr for WorkerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text
            .split_once(':')
            .map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        match (kind, rest) {
            ("local", None) => Ok(Self::Local(None)),
            ("local", Some(path)) if !path.is_empty() => Ok(Self::Local(Some(path.into()))),
            ("openai", Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::OpenAi(url.to_owned()))
            }
            ("openai", _) => Err(
                "an OpenAI-compatible worker needs its URL, as in openai:http://127.0.0.1:8000/v1"
                    .into(),
            ),
            ("scripted", script) => Ok(Self::Scripted(script.unwrap_or_default().to_owned())),
            _ => {
                Err("the workers are local, local:PATH.gguf, openai:URL and scripted:SCRIPT".into())
            }
        }
    }
}
