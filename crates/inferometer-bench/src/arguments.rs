//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::rows::{ROWS, Row};

/// Measures Inferometer beside the other metrics libraries of Rust, in one run, and prints one table.
///
/// Close what else runs: two cores are needed for themselves. The whole takes about ten minutes; `--rows counter` takes seconds.
#[derive(Debug, Parser)]
#[command(name = "inferometer-bench", version, after_help = rows_help(), args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,

    /// Measure these rows alone: names, or beginnings of names such as `counter` or `memory-histogram`
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    rows: Vec<String>,

    /// How often each library does its share of a row
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,

    /// How long a share takes, in milliseconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub(crate) milliseconds: u16,

    /// The smallest sizes, once: shows in seconds that every row works and every total is right; the figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,

    /// Count instructions too, with valgrind (some minutes)
    #[arg(long)]
    pub(crate) instructions: bool,

    /// Print the whole document: what every library took, and notes
    #[arg(long)]
    pub(crate) details: bool,

    /// Write the document with the table to this file too
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// Does one job of a row in this process and prints its answer
    #[command(hide = true)]
    Job { json: String },
}

impl Arguments {
    pub(crate) fn repetitions(&self) -> usize {
        if self.quick {
            1
        } else {
            self.repetitions.into()
        }
    }

    /// The rows that are asked for.
    ///
    /// # Errors
    /// A name is no row's beginning.
    pub(crate) fn rows(&self) -> anyhow::Result<Vec<&'static Row>> {
        let asked = |row: &Row, name: &str| {
            row.name
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        for name in &self.rows {
            anyhow::ensure!(
                ROWS.iter().any(|row| asked(row, name)),
                "there is no row `{name}`; --help lists them"
            );
        }
        Ok(ROWS
            .iter()
            .filter(|row| self.rows.is_empty() || self.rows.iter().any(|name| asked(row, name)))
            .collect())
    }
}

fn rows_help() -> String {
    let width = ROWS.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let rows: Vec<_> = ROWS
        .iter()
        .map(|row| format!("  {:width$}  {}", row.name, row.title))
        .collect();
    format!("Rows:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn rows(asked: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let arguments = Arguments::try_parse_from(
            std::iter::once("inferometer-bench").chain(asked.iter().copied()),
        )?;
        Ok(arguments.rows()?.iter().map(|row| row.name).collect())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn rows_are_asked_for_by_name_or_by_its_beginning() {
        assert_eq!(rows(&[]).unwrap().len(), ROWS.len());
        assert_eq!(
            rows(&["--rows", "counter,wait"]).unwrap(),
            ["counter-1", "counter-2", "counter-4", "wait"]
        );
        assert_eq!(rows(&["--rows", "counter-2"]).unwrap(), ["counter-2"]);
        rows(&["--rows", "count"]).unwrap_err();
    }

    #[test]
    fn a_part_of_the_table_is_not_written_over_the_whole() {
        rows(&["--rows", "wait", "--write", "page.md"]).unwrap_err();
    }
}
