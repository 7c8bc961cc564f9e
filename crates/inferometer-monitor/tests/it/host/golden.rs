//! What recorded machines look like on a page. `UPDATE_GOLDEN=1` writes the pages anew.

use std::fs;

use inferometer::Registry;

use super::{fixture, monitor};

/// How long it took and when it was is another each time.
const OF_THE_MOMENT: [&str; 2] = [
    "inferometer_host_collector_duration_seconds{",
    "inferometer_host_collector_last_success_timestamp_seconds{",
];

fn page(registry: &Registry) -> String {
    let page = registry.encode_text();
    let ours = page.lines().filter(|line| {
        let name = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "))
            .unwrap_or(line);
        (name.starts_with("inferometer_host_") || name.starts_with("inferometer_process_"))
            && !OF_THE_MOMENT.iter().any(|moment| line.starts_with(moment))
    });
    ours.map(|line| format!("{line}\n")).collect()
}

fn judge(name: &str) {
    let (registry, monitor) = monitor(&fixture(name));
    monitor.update();
    let found = page(&registry);
    let golden = fixture(name).join("page.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "the page of {} is another (UPDATE_GOLDEN=1 accepts it)",
        golden.display()
    );
}

#[test]
fn a_healthy_machine_shows_all_it_has() {
    judge("healthy");
}

#[test]
fn a_machine_whose_files_are_malformed_shows_what_can_be_read() {
    judge("malformed");
}

#[test]
fn names_that_try_to_break_the_page_are_labels_and_no_more() {
    judge("hostile");
}
