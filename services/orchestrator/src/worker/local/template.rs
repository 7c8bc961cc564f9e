//! The chat template: a conversation, written the way the model learned it.

use std::collections::HashSet;

use minijinja::{Environment, Error, ErrorKind, context, syntax::SyntaxConfig};

use super::{LoadError, gguf::Metadata, tokenizer::Tokenizer};
use crate::worker::Message;

/// Used by models that carry no template of their own.
const CHATML: &str = "{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}\
    {% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A rendered conversation, in which control tokens are the template's own and never a message's.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) text: String,
    /// The character that breaks up what looks like a control token in a message; it is no part of the text.
    pub(super) guard: char,
}

pub(super) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    /// Compiles the model's template, and tries it on the simplest conversation.
    pub(super) fn from_metadata(
        metadata: &Metadata,
        tokenizer: &Tokenizer,
    ) -> Result<Self, LoadError> {
        let broken = |error: Error| LoadError::Template {
            origin: metadata.origin.clone(),
            detail: describe(&error),
        };
        let source = metadata.string("tokenizer.chat_template").unwrap_or(CHATML);
        let mut environment = Environment::new();
        let whitespace = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(whitespace.expect("the usual delimiters are valid"));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<String, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned("chat", source.to_owned())
            .map_err(broken)?;
        let template = Self {
            environment,
            bos: tokenizer.bos.clone(),
            eos: tokenizer.eos.clone(),
        };
        let greeting = Message {
            role: "user".into(),
            content: "hello".into(),
        };
        template.render(&[greeting], tokenizer).map_err(broken)?;
        Ok(template)
    }

    pub(super) fn render(
        &self,
        messages: &[Message],
        tokenizer: &Tokenizer,
    ) -> Result<Marked, Error> {
        let guard = unused_character(messages)?;
        let guarded: Vec<_> = messages
            .iter()
            .map(|message| {
                context! {
                    role => tokenizer.guard(&message.role, guard),
                    content => tokenizer.guard(&message.content, guard),
                }
            })
            .collect();
        let text = self.environment.get_template("chat")?.render(context! {
            messages => guarded,
            add_generation_prompt => true,
            bos_token => &self.bos,
            eos_token => &self.eos,
        })?;
        Ok(Marked { text, guard })
    }
}

/// The error in one line, the template's own words included.
pub(super) fn describe(error: &Error) -> String {
    match (error.detail(), error.line()) {
        (Some(detail), Some(line)) => format!("{} (line {line})", detail.trim_end_matches('.')),
        _ => error.to_string(),
    }
}

/// A private-use character that stands in none of the messages.
fn unused_character(messages: &[Message]) -> Result<char, Error> {
    let mut private = ('\u{f0000}'..='\u{ffffd}').chain('\u{100000}'..='\u{10fffd}');
    let used: HashSet<char> = messages
        .iter()
        .flat_map(|message| message.role.chars().chain(message.content.chars()))
        .filter(|char| *char >= '\u{f0000}')
        .collect();
    private.find(|char| !used.contains(char)).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidOperation,
            "the messages use up all private-use characters: leave one out",
        )
    })
}
