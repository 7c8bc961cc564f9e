//! Post-processing: what of a model's answer the client gets.
//!
//! Three things are done to the text, in this order, while it streams:
//!
//! 1. **Stop sequences**, on the model's own text: the answer ends right before the first one. Held back: at most what
//!    may be the beginning of one.
//! 2. **Redaction** of secrets, by the table [`PATTERNS`]. Held back: the current word, as it may become an e-mail address
//!    until a space follows it, at most 64 characters; more only while a key is being read (8 KiB at most), a number that
//!    may be a card's, or a `Bearer` and what follows it. The inside of a private key block is not held but dropped.
//! 3. **Limits**, on what is left: the answer ends at the last whole character within them.
//!
//! How the text is cut into chunks changes nothing in what comes out; property tests hold this.

use std::sync::Arc;

mod machine;
mod patterns;
mod redaction;
mod stops;

pub use patterns::{BLOCK_BYTES, Extent, PATTERNS, Pattern};
pub use stops::StopError;

use redaction::Redactor;
use stops::Stops;

/// Which secrets are redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redaction {
    enabled: u32,
}

impl Default for Redaction {
    fn default() -> Self {
        Self::all()
    }
}

impl Redaction {
    /// Every pattern of the table.
    pub const fn all() -> Self {
        Self {
            enabled: (1 << PATTERNS.len()) - 1,
        }
    }

    /// None: text is passed on as it is.
    pub const fn off() -> Self {
        Self { enabled: 0 }
    }

    /// All of these but the pattern with this name; `None` when there is no such pattern.
    pub fn without(self, name: &str) -> Option<Self> {
        let place = PATTERNS.iter().position(|pattern| pattern.name == name)?;
        Some(Self {
            enabled: self.enabled & !(1 << place),
        })
    }
}

/// How much text one answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes.
    pub bytes: usize,
    /// The most characters.
    pub characters: usize,
}

impl Default for Limits {
    /// 1 MiB, as many characters as fit.
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            characters: usize::MAX,
        }
    }
}

/// What ended an answer before the model did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A stop sequence, by its index in the list.
    Stop(usize),
    /// One of the [`Limits`].
    Length,
}

/// One answer's text on its way to the client.
///
/// # Examples
///
/// ```
/// use orchestrator::postprocess::{Ended, Limits, Post, Redaction};
///
/// let stops = vec!["END".to_owned()].into();
/// let mut post = Post::new(Redaction::all(), stops, Limits::default())?;
/// let mut out = String::new();
/// for chunk in ["My key is AKIAIOSF", "ODNN7EXAMPLE, keep it. E", "ND of story"] {
///     post.push(chunk, &mut out);
/// }
/// post.finish(&mut out);
/// assert_eq!(out, "My key is [redacted:aws_access_key_id], keep it. ");
/// assert_eq!(post.ended(), Some(Ended::Stop(0)));
/// # Ok::<(), orchestrator::postprocess::StopError>(())
/// ```
#[derive(Debug)]
pub struct Post {
    stops: Stops,
    redactor: Redactor,
    left: Limits,
    ended: Option<Ended>,
}

impl Post {
    /// A processor for one answer.
    ///
    /// # Errors
    ///
    /// [`StopError`] when a stop sequence is empty or too long, or there are too many.
    pub fn new(
        redaction: Redaction,
        stops: Arc<[String]>,
        limits: Limits,
    ) -> Result<Self, StopError> {
        Ok(Self {
            stops: Stops::new(stops)?,
            redactor: Redactor::new(redaction.enabled),
            left: limits,
            ended: None,
        })
    }

    /// Takes a chunk of the model's text and appends to `out` what the client may have by now; nothing once the answer
    /// has [`ended`](Self::ended).
    pub fn push(&mut self, chunk: &str, out: &mut String) {
        if self.ended.is_some() {
            return;
        }
        let from = out.len();
        let Self {
            stops, redactor, ..
        } = self;
        let stop = stops.push(chunk, |text| redactor.push(text, out));
        if stop.is_some() {
            redactor.finish(out);
        }
        self.settle(stop, from, out);
    }

    /// Appends what was held back: the model has ended its answer.
    pub fn finish(&mut self, out: &mut String) {
        if self.ended.is_some() {
            return;
        }
        let from = out.len();
        let Self {
            stops, redactor, ..
        } = self;
        let stop = stops.finish(|text| redactor.push(text, out));
        redactor.finish(out);
        self.settle(stop, from, out);
    }

    /// What has ended the answer, if anything has: then the generation can be cancelled.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How many secrets were replaced so far.
    pub fn redactions(&self) -> u64 {
        self.redactor.count()
    }

    /// How many bytes of the model's text are held back at the moment.
    pub fn held(&self) -> usize {
        self.stops.held() + self.redactor.held()
    }

    /// Cuts what was appended from `from` on at the limits.
    fn settle(&mut self, stop: Option<usize>, from: usize, out: &mut String) {
        let text = &out[from..];
        let whole = if self.left.characters < text.len() {
            text.char_indices()
                .nth(self.left.characters)
                .map_or(text.len(), |(end, _)| end)
        } else {
            text.len()
        };
        let mut end = whole.min(self.left.bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.ended = stop.map(Ended::Stop);
        if end < text.len() {
            self.ended = Some(Ended::Length);
            out.truncate(from + end);
        }
        self.left.bytes -= end;
        if self.left.characters != usize::MAX {
            self.left.characters -= out[from..].chars().count();
        }
    }
}

#[cfg(test)]
mod tests;
