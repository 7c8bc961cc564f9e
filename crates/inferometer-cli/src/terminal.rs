//! Colours, where somebody can see them.

use std::io::IsTerminal;

use clap::builder::styling::{AnsiColor, Style};

/// Colours text, or leaves it plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    colours: bool,
}

impl Palette {
    /// Colours if `stream` is a terminal, `NO_COLOR` is unset and `TERM` isn't `dumb`.
    pub fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colours: stream.is_terminal() && !unwanted && !dumb,
        }
    }

    /// No colours.
    pub const fn plain() -> Self {
        Self { colours: false }
    }

    /// Colours always.
    pub const fn coloured() -> Self {
        Self { colours: true }
    }

    /// Text that stands out.
    pub fn strong(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Text that stands back.
    pub fn dim(self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// Good news.
    pub fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// Something to look at.
    pub fn doubtful(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Bad news.
    pub fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// Something to copy.
    pub fn link(self, text: &str) -> String {
        self.paint(AnsiColor::Cyan.on_default(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.colours {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escapes_and_coloured_text_ends_its_own() {
        assert_eq!(Palette::plain().bad("x"), "x");
        let text = Palette::coloured().bad("x");
        assert!(
            text.starts_with("\u{1b}[") && text.ends_with("\u{1b}[0m"),
            "{text:?}"
        );
    }
}
