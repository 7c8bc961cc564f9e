//! Markdown in, plain paragraphs out: no code, no tables, no headings, no link targets, no markup but backquotes.

use std::sync::LazyLock;

use regex::Regex;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static IMAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?"));
static LINK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\[([^\[\]]+)\](?:\([^)]*\)|\[[^\]]*\])?"));
static TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"</?[a-z][a-z0-9]*(?: [^>]*)?/?>|<!--.*?-->"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"<?https?://[^\s>)]+>?"));
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\[[^\]]+\]:"));
static BULLET: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:[-*+]|\d+[.)])\s+"));

/// Splits Markdown into its paragraphs and list items (which start with `- `), each on one line.
#[must_use]
pub fn paragraphs(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut fence: Option<&str> = None;
    let mut in_list = false;
    for line in markdown.lines() {
        let text = line.trim();
        if let Some(mark) = fence {
            if text.starts_with(mark) {
                fence = None;
            }
            continue;
        }
        if let Some(mark) = ["```", "~~~"]
            .into_iter()
            .find(|mark| text.starts_with(mark))
        {
            fence = Some(mark);
            flush(&mut current, &mut found);
            continue;
        }
        if text.is_empty() {
            flush(&mut current, &mut found);
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let bullet = BULLET.find(text);
        if current.is_empty() && indent >= 4 && !in_list {
            continue;
        }
        if text.starts_with(['#', '|', '='])
            || text.starts_with("---")
            || text.starts_with("+-")
            || REFERENCE.is_match(text)
        {
            flush(&mut current, &mut found);
            in_list = false;
            continue;
        }
        if let Some(bullet) = bullet {
            flush(&mut current, &mut found);
            in_list = true;
            current.push_str("- ");
            current.push_str(&text[bullet.end()..]);
            continue;
        }
        if current.is_empty() {
            in_list = in_list && indent >= 2;
        } else {
            current.push(' ');
        }
        current.push_str(text.trim_start_matches("> "));
    }
    flush(&mut current, &mut found);
    found
}

fn flush(current: &mut String, found: &mut Vec<String>) {
    let text = plain(current);
    current.clear();
    if worth_reading(&text) {
        found.push(text);
    }
}

fn plain(text: &str) -> String {
    let text = IMAGE.replace_all(text, "");
    let text = LINK.replace_all(&text, "$1");
    let text = LINK.replace_all(&text, "$1");
    let text = TAG.replace_all(&text, "");
    let text = ADDRESS.replace_all(&text, "");
    let text = text
        .replace("**", "")
        .replace(['\u{2018}', '\u{2019}'], "'");
    let text = text
        .replace(['\u{201c}', '\u{201d}'], "\"")
        .replace("<|", "< |");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a paragraph is English prose: long enough, mostly letters, plain characters.
fn worth_reading(text: &str) -> bool {
    let characters = text.chars().count();
    let letters = text
        .chars()
        .filter(|c| c.is_ascii_alphabetic() || *c == ' ')
        .count();
    let foreign = text.chars().filter(|c| !c.is_ascii()).count();
    let words = text
        .split(' ')
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        .count();
    characters >= 24 && words >= 3 && letters * 100 >= characters * 80 && foreign * 50 <= characters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_prose_stays() {
        let markdown = "# Title\n\nReads a [`File`](crate::File) from the\ndisk, see [the guide][1] for **more**.\n\n\
            ```\nlet code = 1;\n```\n\n- the first item of a list\n  that goes on here\n- the second item of the list\n\n[1]: target\n\n| a | b |\n";
        assert_eq!(
            paragraphs(markdown),
            [
                "Reads a `File` from the disk, see the guide for more.",
                "- the first item of a list that goes on here",
                "- the second item of the list",
            ]
        );
    }

    #[test]
    fn code_and_addresses_are_left_out() {
        assert!(
            paragraphs("    let indented = code_that_is_long();\n\nx = {1, 2, 3, 4, 5, 6}[a+b];")
                .is_empty()
        );
        assert_eq!(
            paragraphs("The format is described at <https://a.example/b> in full."),
            ["The format is described at in full."]
        );
    }
}
