//! Doc comments out of Rust sources, each with the item it describes.

use std::sync::LazyLock;

use regex::Regex;

/// A run of doc comment lines, as Markdown, and what it documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The keyword and name of the item, such as `("fn", "spawn")`; `None` for modules, fields and variants.
    pub item: Option<(String, String)>,
    /// The Markdown, without the comment marks.
    pub markdown: String,
}

static ITEM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"^(?:pub(?:\([^)]*\))?\s+)?(?:(?:default|const|async|unsafe|extern(?:\s+"[^"]*")?)\s+)*(fn|struct|enum|trait|type|macro_rules!)\s+([A-Za-z_][A-Za-z0-9_]*)"#,
    )
    .expect("a constant pattern")
});

/// Reads the doc comments of one source file, in order.
#[must_use]
pub fn read(source: &str) -> Vec<Comment> {
    let mut comments = Vec::new();
    let mut outer: Vec<&str> = Vec::new();
    let mut inner: Vec<&str> = Vec::new();
    for line in source.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("//!") {
            inner.push(unindent(text));
            continue;
        }
        if !inner.is_empty() {
            comments.push(Comment {
                item: None,
                markdown: inner.join("\n"),
            });
            inner.clear();
        }
        if let Some(text) = line
            .strip_prefix("///")
            .filter(|text| !text.starts_with('/'))
        {
            outer.push(unindent(text));
        } else if !outer.is_empty() && !line.starts_with("#[") && !line.is_empty() {
            let item = ITEM.captures(line).map(|found| {
                let keyword = found[1].trim_end_matches("_rules!");
                (keyword.to_owned(), found[2].to_owned())
            });
            comments.push(Comment {
                item,
                markdown: outer.join("\n"),
            });
            outer.clear();
        }
    }
    for rest in [inner, outer] {
        if !rest.is_empty() {
            comments.push(Comment {
                item: None,
                markdown: rest.join("\n"),
            });
        }
    }
    comments
}

fn unindent(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_bound_to_the_item_below_their_attributes() {
        let source = "//! A module.\n\n/// Spawns.\n///\n/// Twice.\n#[inline]\npub async fn spawn() {}\n//// no\n";
        let comments = read(source);
        assert_eq!(comments.len(), 2);
        assert_eq!(comments[0].markdown, "A module.");
        assert_eq!(comments[1].item, Some(("fn".into(), "spawn".into())));
        assert_eq!(comments[1].markdown, "Spawns.\n\nTwice.");
    }
}
