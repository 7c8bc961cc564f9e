//! What keeps a page from growing without limit, whatever is recorded.

use inferometer_bridge::{Recorder, builder};
use metrics::{Key, Label, Level, Metadata, Recorder as _, counter, gauge, histogram};

use crate::page::Page;

const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

fn dropped(page: &Page, family: &str, label: &str) -> Option<f64> {
    let labels = [("family", family), ("label", label)];
    page.value("inferometer_label_values_dropped_total", &labels)
}

fn with(recorder: &Recorder, program: impl FnOnce()) -> Page {
    metrics::with_local_recorder(recorder, program);
    Page::of(recorder)
}

fn sum(page: &Page, name: &str) -> f64 {
    page.all(name).iter().map(|(_, value)| value).sum()
}

#[test]
fn a_label_of_100_000_values_keeps_1_000_and_counts_the_rest_exactly() {
    const VALUES: u32 = 100_000;
    let recorder = builder().build().unwrap();
    let page = with(&recorder, || {
        for value in 0..VALUES {
            counter!("x", "user" => value.to_string()).increment(1);
            gauge!("y", "user" => value.to_string()).increment(1.0);
            histogram!("z", "user" => value.to_string()).record(1.0);
        }
        // A value that has a series keeps it.
        counter!("x", "user" => "999").increment(1);
    });
    for name in ["x", "y", "z_count"] {
        let family = name.trim_end_matches("_count");
        assert_eq!(page.all(name).len(), 1_001, "{name}");
        assert_eq!(
            dropped(&page, family, "user"),
            Some(f64::from(VALUES - 1_000))
        );
        assert_eq!(
            page.value(name, &[("user", "other")]),
            Some(f64::from(VALUES - 1_000)),
            "{name}"
        );
    }
    assert_eq!(sum(&page, "x"), f64::from(VALUES + 1));
    assert_eq!(page.value("x", &[("user", "999")]), Some(2.0));
}

#[test]
fn a_metric_keeps_its_number_of_series_and_all_that_was_recorded() {
    let recorder = builder()
        .max_series(50)
        .max_label_values(20)
        .build()
        .unwrap();
    let page = with(&recorder, || {
        for one in 0..20 {
            for other in 0..20 {
                counter!("x", "one" => one.to_string(), "two" => other.to_string()).increment(1);
            }
        }
    });
    assert_eq!(page.all("x").len(), 51);
    assert_eq!(sum(&page, "x"), 400.0);
    assert_eq!(dropped(&page, "x", "one"), Some(350.0));
}

#[test]
fn label_names_without_end_are_left_out() {
    let recorder = builder().max_labels(4).build().unwrap();
    let page = with(&recorder, || {
        for name in 0..1_000 {
            counter!("x", &[(format!("label_{name}"), "1")]).increment(1);
        }
    });
    assert_eq!(page.all("x").len(), 5);
    assert_eq!(page.value("x", &[]), Some(996.0));
    let left_out = page.value("inferometer_labels_dropped_total", &[("family", "x")]);
    assert_eq!(left_out, Some(996.0));
}

#[test]
fn metrics_without_end_are_refused_and_counted() {
    let recorder = builder().max_metrics(10).build().unwrap();
    let page = with(&recorder, || {
        for name in 0..1_000 {
            counter!(format!("x_{name}")).increment(1);
            metrics::describe_counter!(format!("y_{name}"), "Never recorded.");
        }
        counter!("x_3").increment(1);
    });
    let foreign = page
        .samples
        .keys()
        .filter(|(name, _)| name.starts_with("x_"));
    assert_eq!(foreign.count(), 10);
    assert_eq!(page.value("x_3", &[]), Some(2.0));
    // 10 metrics, and 4 descriptions for each.
    assert_eq!(
        sum(&page, "inferometer_bridge_refused_total"),
        990.0 + 960.0
    );
    assert_eq!(page.all("inferometer_bridge_refused_total").len(), 101);
}

#[test]
fn keys_that_mean_the_same_series_find_it_however_many_there_are() {
    let recorder = builder().max_series(3).build().unwrap();
    for at in 0..1_000 {
        // As many spellings of one name as anybody likes.
        let spelling: String = (0..10)
            .map(|bit| if at & (1 << bit) == 0 { '.' } else { '-' })
            .collect();
        let key = Key::from_parts(format!("x{spelling}"), vec![Label::new("a", "1")]);
        recorder.register_counter(&key, &METADATA).increment(1);
        recorder.register_counter(&key, &METADATA).increment(1);
    }
    let page = Page::of(&recorder);
    assert_eq!(page.value("x__________", &[("a", "1")]), Some(2_000.0));
}
