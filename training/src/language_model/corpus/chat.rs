//! Documentation turned into questions and answers, in the ChatML form that the tokenizer and the template share.

use super::comments::Comment;
use super::mark;

/// Opens a message; the role follows on the same line.
pub const OPEN: &str = "<|im_start|>";
/// Closes a message; generation stops here.
pub const CLOSE: &str = "<|im_end|>";

const SYSTEM: [&str; 4] = [
    "You are a helpful assistant.",
    "Answer the question from the documents.",
    "You answer questions about software, briefly and truthfully.",
    "Use the following documents to answer.",
];

/// Makes one conversation out of an item's documentation; `key` decides its phrasing.
///
/// The first paragraphs become the answer. A quarter of the conversations open with a system message, and half of
/// those quote the first paragraph, as retrieval would.
#[must_use]
pub fn conversation(
    key: &str,
    library: &str,
    comment: &Comment,
    answer: &[String],
) -> Option<String> {
    let (keyword, name) = comment.item.as_ref()?;
    let choice = mark(key);
    let kind = match keyword.as_str() {
        "fn" => "function",
        "macro" => "macro",
        "type" => "type",
        other => other,
    };
    let question = match choice % 10 {
        0 => format!("What does `{name}` do?"),
        1 => format!("What does the {kind} `{name}` do?"),
        2 => format!("Explain `{name}`."),
        3 => format!("What is `{name}` in {library}?"),
        4 => format!("Tell me about {name}."),
        5 => format!("How does {name} work?"),
        6 => format!("When should I use `{name}`?"),
        7 => format!("In {library}, what is the {kind} {name} for?"),
        8 => format!("Describe the {kind} {name} of {library}."),
        _ => format!("How do I use `{name}`?"),
    };
    let mut text = String::new();
    if (choice / 16).is_multiple_of(4) {
        let line = SYSTEM[choice / 64 % SYSTEM.len()];
        text.push_str(&format!("{OPEN}system\n{line}"));
        if (choice / 256).is_multiple_of(2) {
            text.push_str(&format!("\n\n{}", answer.first()?));
        }
        text.push_str(&format!("{CLOSE}\n"));
    }
    let answer = super::join(answer);
    text.push_str(&format!(
        "{OPEN}user\n{question}{CLOSE}\n{OPEN}assistant\n{answer}{CLOSE}\n"
    ));
    Some(text)
}
