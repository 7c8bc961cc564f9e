//! How the program says that it failed.

use std::{fmt::Write as _, io::Write as _};

use crate::terminal::Palette;

/// Prints an error and its causes on standard error.
pub fn print(error: &anyhow::Error) {
    let mut stream = std::io::stderr().lock();
    let text = render(error, Palette::of(&stream));
    // Standard error may be closed; there is nowhere left to say so.
    drop(stream.write_all(text.as_bytes()));
}

/// An error as `error: …`, then each cause on a line of its own.
///
/// A cause whose text the line above already ends with is left out.
pub fn render(error: &anyhow::Error, palette: Palette) -> String {
    let mut text = format!("{} {error}\n", palette.bad("error:"));
    let mut above = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !above.ends_with(&cause) {
            writeln!(text, "  {} {cause}", palette.dim("because:"))
                .expect("a String takes any text");
        }
        above = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_follow_the_error_once_each() {
        let error = Err::<(), _>(std::io::Error::other("disk full"))
            .context("disk full")
            .context("can't write a.json; free some room")
            .unwrap_err();
        let text = render(&error, Palette::plain());
        assert_eq!(
            text,
            "error: can't write a.json; free some room\n  because: disk full\n"
        );
    }
}
