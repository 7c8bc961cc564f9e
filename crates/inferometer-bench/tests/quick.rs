//! The whole comparison in its smallest sizes: every row of every library runs once, and every total is right, or the run fails.

use std::{fs, process::Command};

fn bench(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_inferometer-bench"))
        .args(arguments)
        .output()
        .expect("the program starts");
    (
        output.status.success(),
        String::from_utf8(output.stdout).expect("it prints text"),
        String::from_utf8(output.stderr).expect("its errors are text"),
    )
}

/// The titles that the help lists.
fn titles() -> Vec<String> {
    let (_, help, _) = bench(&["--help"]);
    let (_, rows) = help.split_once("Rows:\n").expect("the help lists rows");
    rows.lines()
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(_, title)| title.trim().to_owned())
        .collect()
}

#[test]
fn every_row_runs_and_is_in_the_table_with_every_library_s_total_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("benchmarks.md");
    let (done, table, errors) = bench(&["--quick", "--write", path.to_str().unwrap()]);
    assert!(done, "{errors}");
    let titles = titles();
    assert!(titles.len() > 30, "{titles:?}");
    let document = fs::read_to_string(path).unwrap();
    for title in &titles {
        let row = table.lines().find(|line| line.contains(title.as_str()));
        let row = row.unwrap_or_else(|| panic!("no row `{title}` in\n{table}"));
        let ours = row.split('|').nth(2).unwrap().trim();
        assert_ne!(ours, "–", "{title}");
        assert!(document.contains(row), "{title}");
    }
    assert!(document.contains("its figures mean nothing"));
    for fact in ["cap held", "drop count exact", "totals exact"] {
        let row = table.lines().find(|line| line.contains(fact)).unwrap();
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let at = cells[5].split("; ").position(|goal| goal == fact).unwrap();
        assert_eq!(cells[6].split("; ").nth(at), Some("yes"), "{row}");
    }
}

#[test]
fn a_row_that_does_not_exist_is_named_in_the_error() {
    let (done, _, errors) = bench(&["--rows", "counter,nonsense"]);
    assert!(!done);
    assert!(errors.contains("no row `nonsense`"), "{errors}");
}
