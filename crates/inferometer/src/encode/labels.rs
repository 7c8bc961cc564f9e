//! Rendered labels, `name="value",…`: escaping them, and reading them back.

use std::ops::Range;

/// Appends a label's value with its backslashes, quotes and line feeds escaped.
pub(crate) fn escape_label_value(into: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

/// Appends an escaped value as it was.
pub(super) fn unescape(into: &mut Vec<u8>, escaped: &[u8]) {
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => into.push(b'\n'),
                Some(other) => into.push(*other),
                None => {}
            },
            other => into.push(*other),
        }
    }
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn continues_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `name` can name a metric. Colons are allowed here: what a recording rule made may be shown again.
pub(super) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| starts_name(first) || first == b':')
        && bytes.all(|byte| continues_name(byte) || byte == b':')
}

/// Where one label stands in the text.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) name: Range<usize>,
    /// Between the quotes, still escaped.
    pub(super) value: Range<usize>,
    /// How many escapes it has.
    pub(super) escapes: usize,
}

/// Where the labels of the text read last stand. Kept from one text to the next, for its memory.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<Pair>);

impl Pairs {
    /// Reads `text`. Returns whether it is of the form, with no name twice; otherwise nothing else here means anything.
    pub(super) fn read(&mut self, text: &str) -> bool {
        self.0.clear();
        let text = text.as_bytes();
        text.is_empty() || (self.read_pairs(text).is_some() && !self.has_repetition(text))
    }

    fn read_pairs(&mut self, text: &[u8]) -> Option<()> {
        let mut at = 0;
        loop {
            let start = at;
            if !starts_name(*text.get(at)?) {
                return None;
            }
            while continues_name(*text.get(at)?) {
                at += 1;
            }
            let name = start..at;
            if text.get(at..at + 2)? != b"=\"" {
                return None;
            }
            at += 2;
            let start = at;
            let mut escapes = 0;
            loop {
                match *text.get(at)? {
                    b'"' => break,
                    b'\n' => return None,
                    b'\\' => {
                        if !matches!(text.get(at + 1)?, b'\\' | b'"' | b'n') {
                            return None;
                        }
                        escapes += 1;
                        at += 2;
                    }
                    _ => at += 1,
                }
            }
            let value = start..at;
            self.0.push(Pair {
                name,
                value,
                escapes,
            });
            match text.get(at + 1) {
                None => return Some(()),
                Some(b',') => at += 2,
                Some(_) => return None,
            }
        }
    }

    fn has_repetition(&self, text: &[u8]) -> bool {
        let name = |at: usize| &text[self.0[at].name.clone()];
        (1..self.0.len()).any(|at| (0..at).any(|before| name(before) == name(at)))
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Pair> {
        self.0.iter()
    }

    pub(super) fn has(&self, text: &str, name: &str) -> bool {
        self.iter().any(|pair| &text[pair.name.clone()] == name)
    }

    /// How many characters the names and the values have together, unescaped.
    pub(super) fn characters(&self, text: &str) -> usize {
        self.iter()
            .map(|pair| {
                text[pair.name.clone()].len() + text[pair.value.clone()].chars().count()
                    - pair.escapes
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_label_values_stay_inside_their_quotes() {
        let value = "} 1\n# EOF\nevil\\ \"666\"";
        let mut into = String::new();
        escape_label_value(&mut into, value);
        assert_eq!(into, r#"} 1\n# EOF\nevil\\ \"666\""#);
        let mut back = Vec::new();
        unescape(&mut back, into.as_bytes());
        assert_eq!(back, value.as_bytes());
    }

    #[test]
    fn what_is_of_the_form_is_read() {
        let mut pairs = Pairs::default();
        assert!(pairs.read(""));
        assert_eq!(pairs.iter().count(), 0);
        let text = r#"a="",_b2="x,\"y\\\n}=",c="ü""#;
        assert!(pairs.read(text));
        let read: Vec<_> = pairs
            .iter()
            .map(|pair| (&text[pair.name.clone()], &text[pair.value.clone()]))
            .collect();
        assert_eq!(read, [("a", ""), ("_b2", r#"x,\"y\\\n}="#), ("c", "ü")]);
        assert!(pairs.has(text, "c") && !pairs.has(text, "b"));
        assert_eq!(pairs.characters(text), 1 + 3 + 8 + 1 + 1);
    }

    #[test]
    fn what_is_not_of_the_form_is_refused() {
        let mut pairs = Pairs::default();
        for text in [
            " ",
            "a",
            "a=",
            "a=\"",
            "a=\"\\",
            "a=\"\\\"",
            "a=\"\\t\"",
            "a=\"\n\"",
            "a=\"x\",",
            "a=\"x\"b=\"y\"",
            "a=\"x\" ",
            "a=\"x\"} 1\nevil 666",
            "1a=\"x\"",
            "=\"x\"",
            "ä=\"x\"",
            "a:b=\"x\"",
            "a=\"x\",a=\"y\"",
            ",a=\"x\"",
        ] {
            assert!(!pairs.read(text), "{text:?}");
        }
    }

    #[test]
    fn names_of_metrics_are_told_from_others() {
        for name in ["a", "_", ":", "a:b_9"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["", "9", "a b", "a\n", "ä", "a-b", "a.b"] {
            assert!(!is_metric_name(name), "{name}");
        }
    }
}
