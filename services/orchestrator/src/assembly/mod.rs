//! Assembly: what the model is to read, within what it can read.
//!
//! **The system message** is a template's rendering of the client's own system message and the retrieved passages. A
//! template may name `system` (the client's text, or none) and `passages`, a list of `text` and `source`; the shipped one
//! is `templates/system.jinja`. Rendered messages are kept, so one that is needed again is neither rendered nor counted.
//!
//! **The budget.** Prompt and answer share the context window, in the chosen model's own tokens. The system message
//! without passages and the newest message always stay. When the rest doesn't fit, history goes first, the oldest turn
//! before the newer ones, until none is left; then passages go, the lowest ranked first. What went is counted.
//!
//! **History.** The stored history of a session is used only when the request has exactly one message that isn't a
//! system message. A client that sends its earlier turns, as OpenAI's libraries do, has the say on what was said before,
//! and nothing is put in twice.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use crate::{retrieval::Hit, worker::Message};

mod kept;
mod sessions;
mod template;

pub use sessions::{SessionLimits, Sessions};
pub use template::TemplateError;

use kept::Kept;
use template::SystemTemplate;

static SYSTEM: LazyLock<Arc<str>> = LazyLock::new(|| "system".into());

/// How many tokens a prompt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most tokens that the model's prompt and answer may take together.
    pub context_window: usize,
    /// Of these, how many are kept free for the answer.
    pub max_tokens: usize,
    /// What the model's chat format adds to each message.
    pub message_tokens: usize,
    /// What the model's chat format adds once, to begin the answer.
    pub answer_tokens: usize,
}

impl Budget {
    /// A budget with the cost of the ChatML format: 5 tokens a message, 3 to begin the answer.
    pub fn new(context_window: usize, max_tokens: usize) -> Self {
        Self {
            context_window,
            max_tokens,
            message_tokens: 5,
            answer_tokens: 3,
        }
    }

    /// What is left for the prompt.
    pub fn prompt_tokens(&self) -> usize {
        self.context_window.saturating_sub(self.max_tokens)
    }
}

/// What a prompt is assembled from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The model whose tokens are counted.
    pub model: &'a str,
    /// What the client sent.
    pub messages: &'a [Message],
    /// What is stored of its session; see the module's rule on when it is used.
    pub history: &'a [Message],
    /// What was retrieved, best first.
    pub passages: &'a [Hit],
    /// How long the prompt may be.
    pub budget: Budget,
}

/// What was left out for want of room, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Of retrieved passages.
    pub context: usize,
    /// Of earlier messages, stored or sent.
    pub history: usize,
}

/// A prompt's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// The system message, where there is one; then the conversation, oldest first.
    pub messages: Vec<Message>,
    /// About how many tokens they take, the chat format's own included. Texts are counted one by one, so a tokenizer that
    /// merges across their edges may come to a few less.
    pub prompt_tokens: usize,
    /// How many passages are in.
    pub passages: usize,
    /// What is not in.
    pub dropped: Dropped,
}

/// Why a prompt can't be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// There is nothing to answer.
    #[error(
        "the request has no message besides the system's; send at least one with the role `user`"
    )]
    NoMessage,
    /// What must stay doesn't fit.
    #[error(
        "the prompt takes {needed} tokens and only {available} are left for it ({context_window} in the context window, \
         {max_tokens} kept for the answer); shorten the message or ask for fewer tokens"
    )]
    TooLong {
        /// Tokens of the system message without passages and the newest message.
        needed: usize,
        /// Tokens that a prompt may take.
        available: usize,
        /// The model's context window.
        context_window: usize,
        /// What is kept for the answer.
        max_tokens: usize,
    },
    /// The template failed on this request.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Makes prompts. One serves all threads.
#[derive(Debug)]
pub struct Assembler {
    template: SystemTemplate,
    kept: Kept,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            template: SystemTemplate::builtin(),
            kept: Kept::new(),
        }
    }
}

impl Assembler {
    /// An assembler with the shipped template.
    pub fn new() -> Self {
        Self::default()
    }

    /// An assembler with a template of the user's own.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] when the file can't be read, isn't a template, or names what it isn't given; with the line.
    pub fn with_template(path: impl AsRef<Path>) -> Result<Self, TemplateError> {
        Ok(Self {
            template: SystemTemplate::open(path.as_ref())?,
            kept: Kept::new(),
        })
    }

    /// Puts a prompt together; `count` gives the tokens of a text in the chosen model's own count.
    ///
    /// Each text is counted once, and a passage or a system message that was counted for the same model before, not at
    /// all while it is remembered (512 system messages, 65,536 passages).
    ///
    /// # Errors
    ///
    /// [`AssemblyError`] when there is no message, when the newest one doesn't fit with the system message, or when the
    /// template fails.
    pub fn assemble(
        &self,
        parts: &Parts<'_>,
        count: &dyn Fn(&str) -> usize,
    ) -> Result<Assembled, AssemblyError> {
        let Parts {
            model,
            messages,
            passages,
            budget,
            ..
        } = *parts;
        let turns = || messages.iter().filter(|message| !is_system(message));
        let newest = turns().next_back().ok_or(AssemblyError::NoMessage)?;
        let sent = turns().count() - 1;
        let history = if sent == 0 { parts.history } else { &[] };
        let earlier = || history.iter().chain(turns().take(sent));

        let system = system_text(messages);
        let render = |kept: usize| {
            self.kept.rendered(
                &self.template,
                model,
                system.as_ref(),
                &passages[..kept],
                count,
            )
        };
        let of_message = |tokens: usize| tokens + budget.message_tokens;
        let of_system = |tokens: usize| if tokens == 0 { 0 } else { of_message(tokens) };

        let available = budget.prompt_tokens();
        let newest_tokens = budget.answer_tokens + of_message(count(&newest.content));
        let costs: Vec<usize> = earlier()
            .map(|message| of_message(count(&message.content)))
            .collect();
        let mut kept = passages.len();
        let mut rendered = render(kept)?;
        let mut total = newest_tokens + of_system(rendered.tokens) + costs.iter().sum::<usize>();
        let mut dropped = Dropped::default();

        // A turn goes as a whole: an answer isn't left without its question.
        let mut from = 0;
        let mut turn = earlier().peekable();
        while total > available && turn.next().is_some() {
            loop {
                total -= costs[from];
                dropped.history += costs[from] - budget.message_tokens;
                from += 1;
                if turn.next_if(|message| &*message.role != "user").is_none() {
                    break;
                }
            }
        }
        while total > available && kept > 0 {
            let before = total - of_system(rendered.tokens);
            let mut excess = total - available;
            while excess > 0 && kept > 0 {
                kept -= 1;
                let tokens = self
                    .kept
                    .passage_tokens(model, &passages[kept].passage, count);
                dropped.context += tokens;
                excess = excess.saturating_sub(tokens);
            }
            rendered = render(kept)?;
            total = before + of_system(rendered.tokens);
        }
        if total > available {
            let Budget {
                context_window,
                max_tokens,
                ..
            } = budget;
            return Err(AssemblyError::TooLong {
                needed: total,
                available,
                context_window,
                max_tokens,
            });
        }

        let mut assembled = Vec::with_capacity(2 + costs.len() - from);
        if !rendered.text.is_empty() {
            assembled.push(Message {
                role: Arc::clone(&SYSTEM),
                content: rendered.text,
            });
        }
        assembled.extend(earlier().skip(from).cloned());
        assembled.push(newest.clone());
        Ok(Assembled {
            messages: assembled,
            prompt_tokens: total,
            passages: kept,
            dropped,
        })
    }
}

fn is_system(message: &Message) -> bool {
    matches!(&*message.role, "system" | "developer")
}

/// The client's system messages as one.
fn system_text(messages: &[Message]) -> Option<Arc<str>> {
    let mut texts = messages
        .iter()
        .filter(|message| is_system(message))
        .map(|message| &message.content);
    let first = texts.next()?;
    let Some(second) = texts.next() else {
        return Some(Arc::clone(first));
    };
    let mut joined = format!("{first}\n\n{second}");
    for text in texts {
        joined.push_str("\n\n");
        joined.push_str(text);
    }
    Some(joined.into())
}

#[cfg(test)]
mod tests;
