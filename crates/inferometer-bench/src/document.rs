//! The table, and the document around it.

use std::fmt::Write as _;

use crate::{
    instructions::Counted,
    libraries::{ALL, OURS},
    machine,
    measure::Samples,
    outcome::{Outcome, Short, Unit, Verdict},
    rows::Row,
    statistics::Spread,
};

/// Everything that one run has found.
pub(crate) struct Report {
    pub(crate) results: Vec<(&'static Row, Outcome)>,
    pub(crate) instructions: Vec<Counted>,
    pub(crate) repetitions: usize,
    /// A run of the smallest sizes, whose figures mean nothing.
    pub(crate) quick: bool,
}

impl Report {
    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut lines = vec![
            [
                "row",
                "ours",
                "best rival",
                "ratio (min..max)",
                "target",
                "met",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for (row, outcome) in &self.results {
            let verdicts = verdicts(row, outcome);
            lines.push(vec![
                row.title.to_owned(),
                outcome
                    .ours()
                    .map_or_else(|| "–".to_owned(), |ours| cell(ours, outcome.unit)),
                outcome.best_rival().map_or_else(
                    || "–".to_owned(),
                    |rival| format!("{} {}", rival.library, cell(rival, outcome.unit)),
                ),
                outcome.ratio().map_or_else(
                    || "–".to_owned(),
                    |ratio| {
                        format!(
                            "{}× ({}..{})",
                            Short(ratio.median),
                            Short(ratio.least),
                            Short(ratio.most)
                        )
                    },
                ),
                joined(&verdicts, |verdict| verdict.goal.clone()),
                joined(&verdicts, |verdict| {
                    let met = if verdict.met { "yes" } else { "**no**" };
                    match &verdict.standing {
                        Some(standing) => format!("{met}: {standing}"),
                        None => met.to_owned(),
                    }
                }),
            ]);
        }
        aligned(&lines)
    }

    /// How many goals there are, and how many of them are met.
    pub(crate) fn score(&self) -> (usize, usize) {
        let all: Vec<_> = self
            .results
            .iter()
            .flat_map(|(row, outcome)| verdicts(row, outcome))
            .collect();
        (all.len(), all.iter().filter(|verdict| verdict.met).count())
    }

    /// The whole document.
    pub(crate) fn document(&self) -> String {
        let mut text = String::from(HEAD);
        if self.quick {
            text.push_str("\n**A quick run: it shows that everything works, and its figures mean nothing.**\n");
        }
        let versions: Vec<_> = machine::versions()
            .into_iter()
            .map(|(package, version)| format!("{package} {version}"))
            .collect();
        // Writing into a String can't fail.
        let _ = write!(
            text,
            "\n- Machine: {}\n- Compiler: {}\n- Date: {}\n- Repetitions: {}\n- Versions: {}\n\n{}",
            machine::machine(),
            machine::compiler(),
            machine::date(),
            self.repetitions,
            versions.join(", "),
            self.table()
        );
        self.write_losses(&mut text);
        self.write_all_libraries(&mut text);
        self.write_notes(&mut text);
        self.write_instructions(&mut text);
        text
    }

    fn write_losses(&self, text: &mut String) {
        let lost: Vec<_> = self
            .results
            .iter()
            .filter_map(|(row, outcome)| {
                let missed: Vec<_> = verdicts(row, outcome)
                    .into_iter()
                    .filter(|verdict| !verdict.met)
                    .map(|verdict| verdict.goal)
                    .collect();
                (!missed.is_empty()).then(|| (row, missed.join(", ")))
            })
            .collect();
        if lost.is_empty() {
            return;
        }
        text.push_str("\n## Targets missed\n\n");
        for (row, missed) in lost {
            let cause = row.cause.unwrap_or("the cause isn't known yet");
            let _ = writeln!(text, "- **{}** ({missed}): {cause}.", row.title);
        }
    }

    fn write_all_libraries(&self, text: &mut String) {
        let mut lines = vec![vec!["row".to_owned(), "unit".to_owned()]];
        lines[0].extend(ALL.iter().map(|library| library.name().to_owned()));
        for (row, outcome) in &self.results {
            let mut line = vec![row.title.to_owned(), outcome.unit.name().to_owned()];
            line.extend(ALL.iter().map(|library| {
                let samples = outcome
                    .samples
                    .iter()
                    .find(|samples| samples.library == library.name());
                match samples {
                    Some(samples) if !samples.wrong.is_empty() => "wrong".to_owned(),
                    Some(samples) => spread(&samples.values),
                    None => "–".to_owned(),
                }
            }));
            lines.push(line);
        }
        text.push_str("\n## Every library\n\nMedian (min..max).\n\n");
        text.push_str(&aligned(&lines));
    }

    fn write_notes(&self, text: &mut String) {
        text.push_str("\n## Notes\n");
        for (row, outcome) in &self.results {
            let mut notes = outcome.warnings();
            notes.extend_from_slice(&outcome.notes);
            if notes.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n**{}**\n", row.title);
            for note in &notes {
                let _ = writeln!(text, "- {note}");
            }
        }
    }

    fn write_instructions(&self, text: &mut String) {
        if self.instructions.is_empty() {
            return;
        }
        let mut lines = vec![vec!["path".to_owned()]];
        lines[0].extend(ALL.iter().map(|library| library.name().to_owned()));
        for counted in &self.instructions {
            let mut line = vec![counted.path.to_owned()];
            line.extend(ALL.iter().map(|library| {
                let count = counted
                    .instructions
                    .iter()
                    .find(|(name, _)| *name == library.name())
                    .and_then(|(_, count)| *count);
                count.map_or_else(|| "–".to_owned(), |count| format!("{count:.1}"))
            }));
            lines.push(line);
        }
        text.push_str(INSTRUCTIONS);
        text.push_str(&aligned(&lines));
    }
}

const HEAD: &str = "\
# Benchmarks

What recording and scraping cost here and in the other Rust libraries, each in the newest version that this project's compiler builds,
measured in one run. `scripts/compare` makes this page anew; nothing on it is written by hand.

Every library does a share of a row, then every library the next one, so that what disturbs the machine disturbs all. A figure is the
median over the repetitions (ours with its least and greatest), in processor time of one operation, summed over the threads; *wall*
is what a clock on the wall shows for one operation of any thread. A ratio is that of the best rival, which has the lowest median
of its row, to ours, taken in each repetition; its least and greatest stand beside it. After each row every library is scraped and held
to what it was given. Were ours to lose a count, the run would end; a rival that does is out of the row, and the notes say so.
A row that misses its target stays, with the cause below the table.
";

const INSTRUCTIONS: &str = "
## Instructions

Instructions of one operation, counted by `valgrind --tool=callgrind` in two lengths of the same loop: their difference, divided by the
difference in operations. The loop itself is in it. System calls aren't.

";

fn verdicts(row: &Row, outcome: &Outcome) -> Vec<Verdict> {
    row.goals
        .iter()
        .map(|goal| outcome.verdict(*goal))
        .collect()
}

fn joined(verdicts: &[Verdict], text: impl Fn(&Verdict) -> String) -> String {
    if verdicts.is_empty() {
        return "–".to_owned();
    }
    verdicts.iter().map(text).collect::<Vec<_>>().join("; ")
}

fn spread(values: &[f64]) -> String {
    Spread::of(values).map_or_else(
        || "–".to_owned(),
        |spread| {
            format!(
                "{} ({}..{})",
                Short(spread.median),
                Short(spread.least),
                Short(spread.most)
            )
        },
    )
}

fn cell(samples: &Samples, unit: Unit) -> String {
    let Some(spread) = Spread::of(&samples.values) else {
        return "–".to_owned();
    };
    let mut text = format!("{} {}", Short(spread.median), unit.name());
    if let Some(wall) = Spread::of(&samples.wall) {
        let _ = write!(text, " (wall {})", Short(wall.median));
    }
    if samples.library == OURS && samples.values.len() > 1 {
        let _ = write!(text, " [{}..{}]", Short(spread.least), Short(spread.most));
    }
    text
}

/// A table in Markdown that can also be read as it is; the first line is its head.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if at == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Goal, rows::What};

    static WON: Row = Row {
        name: "won",
        title: "a row that we win",
        what: What::Request,
        goals: &[Goal::Ratio(2.0), Goal::OwnFactor(1.3)],
        cause: None,
    };

    static LOST: Row = Row {
        name: "lost",
        title: "a row that we lose",
        what: What::Request,
        goals: &[Goal::AtMost(1.0)],
        cause: Some("it is a hard one; a smaller table was tried"),
    };

    fn samples(library: &str, values: &[f64], wall: &[f64]) -> Samples {
        Samples {
            wall: wall.to_vec(),
            ..Samples::of(library, values.to_vec())
        }
    }

    fn report() -> Report {
        let won = Outcome {
            own_base: Some(samples(OURS, &[1.0, 1.0, 1.0], &[])),
            notes: vec!["a note".to_owned()],
            ..Outcome::of(
                Unit::Nanoseconds,
                vec![
                    samples(OURS, &[1.0, 2.0, 1.2], &[0.5, 0.5, 0.5]),
                    samples("measured", &[10.0, 30.0, 11.0], &[5.0, 6.0, 7.0]),
                ],
            )
        };
        let lost = Outcome::of(Unit::Milliseconds, vec![samples(OURS, &[2e6], &[])]);
        Report {
            results: vec![(&WON, won), (&LOST, lost)],
            instructions: vec![Counted {
                path: "a path",
                instructions: vec![(OURS, Some(6.0)), ("prometheus-client", None)],
            }],
            repetitions: 3,
            quick: false,
        }
    }

    #[test]
    fn a_row_shows_both_sides_the_ratio_with_its_spread_and_the_verdicts() {
        let table = report().table();
        let won = table.lines().find(|line| line.contains("win")).unwrap();
        let cells: Vec<_> = won.split('|').map(str::trim).collect();
        assert_eq!(
            cells,
            [
                "",
                "a row that we win",
                "1.20 ns (wall 0.50) [1.00..2.00]",
                "measured 11.0 ns (wall 6.00)",
                "10.0× (9.17..15.0)",
                "≥ 2×; ≤ 1.3× our 1 thread",
                "yes; yes: 1.20× (1.00..2.00)",
                ""
            ]
        );
        assert_eq!(report().score(), (3, 2));
    }

    #[test]
    fn a_row_that_is_lost_stays_with_its_cause() {
        let document = report().document();
        assert!(document.contains("| **no**"));
        assert!(document.contains(
            "- **a row that we lose** (≤ 1 ms): it is a hard one; a smaller table was tried."
        ));
        assert!(!document.contains("**a row that we win** ("));
    }

    #[test]
    fn the_document_names_machine_date_and_every_version() {
        let document = report().document();
        for (package, version) in machine::versions() {
            assert!(document.contains(&format!("{package} {version}")));
        }
        assert!(document.contains(&format!("- Date: {}\n", machine::date())));
        assert!(document.contains("| a path | 6.0"));
        assert!(document.contains("- a note"));
    }

    #[test]
    fn every_line_of_a_table_has_the_columns_of_its_head() {
        let document = report().document();
        let mut columns = 0;
        for line in document.lines() {
            let here = line.matches('|').count();
            if line.starts_with('|') && columns > 0 {
                assert_eq!(here, columns, "{line}");
            }
            columns = here;
        }
    }
}
