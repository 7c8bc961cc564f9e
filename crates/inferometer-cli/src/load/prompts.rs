//! What is asked, and the request bodies that ask it.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use serde_json::json;

use super::mix::Kind;

/// Questions about inference serving, for loads that bring no prompts of their own.
pub(crate) const BUILT_IN: &[&str] = &[
    "What is time to first token, and why do users notice it?",
    "When does a request queue start to hurt latency?",
    "Explain the difference between throughput and goodput.",
    "How does continuous batching raise the use of an accelerator?",
    "Why is an average latency a poor number to alert on?",
    "What does a key-value cache hold, and how large does it grow?",
    "Name three reasons for a server to refuse a request with status 429.",
    "How should a client react to a Retry-After header?",
    "What does quantization to four bits cost in quality?",
    "Describe the prefill and decode phases of a language model.",
    "How would you choose histogram buckets for token latency?",
    "What happens to work already done when a client disconnects?",
    "Why should a queue have a limit?",
    "How does retrieval change the length of a prompt?",
    "What is an error budget, and who spends it?",
    "Compare horizontal scaling with a larger accelerator.",
    "How can a load test hide a stalled server?",
    "When is it right to fail over to another worker?",
    "What do the 95th and 99th percentile tell that the median does not?",
    "How are tokens counted for billing?",
    "Why can a label with many values harm a monitoring system?",
    "What is speculative decoding, in two sentences?",
    "How do deadlines travel through the stages of a pipeline?",
    "What should a health endpoint check, and what should it not?",
];

/// How many prompts a long request puts together.
const LONG_QUESTIONS: usize = 8;

/// How many different invalid requests there are.
pub(crate) const BAD_VARIANTS: usize = 6;

/// A list of prompts, never empty; clones share it.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// JSON strings without their quotes.
    escaped: Arc<[Box<str>]>,
}

impl Prompts {
    /// The given prompts, or `None` where there is none.
    pub fn new(prompts: impl IntoIterator<Item = impl AsRef<str>>) -> Option<Self> {
        let escaped: Arc<[Box<str>]> = prompts
            .into_iter()
            .map(|prompt| {
                let quoted = json!(prompt.as_ref()).to_string();
                Box::from(&quoted[1..quoted.len() - 1])
            })
            .collect();
        (!escaped.is_empty()).then_some(Self { escaped })
    }

    /// The prompts of a text file, one a line; blank lines are skipped.
    ///
    /// # Errors
    ///
    /// When the file can't be read, is not UTF-8, or holds no prompt.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Self::new(lines).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the file holds no prompt: write one a line",
            )
        })
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "the list is never empty")]
    pub fn len(&self) -> usize {
        self.escaped.len()
    }

    fn at(&self, index: usize) -> &str {
        &self.escaped[index % self.escaped.len()]
    }
}

/// Two dozen questions about inference serving.
impl Default for Prompts {
    fn default() -> Self {
        Self::new(BUILT_IN).expect("the built-in list is not empty")
    }
}

/// Writes request bodies by putting prompts that were escaped once between constant text.
#[derive(Debug)]
pub(crate) struct Bodies {
    prompts: Prompts,
    /// `{"model":"…","messages":[{"role":"user","content":"`
    head: String,
    model: String,
}

impl Bodies {
    pub(crate) fn new(prompts: Prompts, model: &str) -> Self {
        let model = json!(model).to_string();
        let head = format!(r#"{{"model":{model},"messages":[{{"role":"user","content":""#);
        Self {
            prompts,
            head,
            model,
        }
    }

    /// The body of a request of `kind` about prompt number `prompt`.
    pub(crate) fn write(&self, kind: Kind, prompt: usize) -> Bytes {
        let streamed =
            r#""}],"max_tokens":64,"stream":true,"stream_options":{"include_usage":true}}"#;
        match kind {
            Kind::Short => self.ask(prompt, 1, r#""}],"max_tokens":16}"#),
            Kind::Long => self.ask(prompt, LONG_QUESTIONS, r#""}],"max_tokens":128}"#),
            Kind::Session => self.ask(prompt, 1, r#""}],"max_tokens":32}"#),
            Kind::Stream => self.ask(prompt, 1, streamed),
            Kind::Leave => self.ask(
                prompt,
                1,
                r#""}],"max_tokens":512,"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            Kind::Bad => self.invalid(prompt),
        }
    }

    fn ask(&self, prompt: usize, questions: usize, tail: &str) -> Bytes {
        let text = (prompt..prompt + questions).map(|index| self.prompts.at(index));
        let size: usize = text.clone().map(|question| question.len() + 1).sum();
        let mut body = String::with_capacity(self.head.len() + size + tail.len());
        body.push_str(&self.head);
        for (number, question) in text.enumerate() {
            if number > 0 {
                body.push(' ');
            }
            body.push_str(question);
        }
        body.push_str(tail);
        body.into()
    }

    fn invalid(&self, variant: usize) -> Bytes {
        let model = &self.model;
        match variant % BAD_VARIANTS {
            0 => r#"{"model":"#.into(),
            1 => format!(r#"{{"model":{model}}}"#).into(),
            2 => format!(r#"{{"model":{model},"messages":[]}}"#).into(),
            3 => format!(r#"{{"model":{model},"messages":"not a list"}}"#).into(),
            4 => self.ask(0, 1, r#""}],"max_tokens":-1}"#),
            _ => self.ask(0, 1, r#""}],"temperature":"hot"}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn bodies_carry_any_prompt_intact() {
        let awkward = "a \"quoted\" \\ line\u{1}\n of ünïcödé";
        let bodies = Bodies::new(Prompts::new([awkward]).unwrap(), "m\"1");
        for kind in Kind::ALL.into_iter().filter(|&kind| kind != Kind::Bad) {
            let body: Value = serde_json::from_slice(&bodies.write(kind, 3)).unwrap();
            let content = body["messages"][0]["content"].as_str().unwrap();
            let questions = if kind == Kind::Long {
                LONG_QUESTIONS
            } else {
                1
            };
            assert_eq!(content, vec![awkward; questions].join(" "));
            assert_eq!(body["model"], "m\"1");
            assert_eq!(
                body["stream"] == true,
                matches!(kind, Kind::Stream | Kind::Leave)
            );
        }
    }

    #[test]
    fn every_bad_request_differs() {
        let bodies = Bodies::new(Prompts::default(), "m");
        let all: std::collections::BTreeSet<_> = (0..BAD_VARIANTS)
            .map(|variant| bodies.write(Kind::Bad, variant))
            .collect();
        assert_eq!(all.len(), BAD_VARIANTS);
    }

    #[test]
    fn an_empty_prompt_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.txt");
        std::fs::write(&path, "\n  \n").unwrap();
        assert!(Prompts::from_file(&path).is_err());
        std::fs::write(&path, "one\n\n two \n").unwrap();
        assert_eq!(Prompts::from_file(&path).unwrap().len(), 2);
    }
}
