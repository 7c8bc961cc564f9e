//! What the derives accept, and how they refuse the rest.

use inferometer::{LabelSet, LabelValue, MetricSet, descriptors};

#[test]
fn the_derives_refuse_with_a_reason_and_survive_a_shadowed_prelude() {
    let cases = trybuild::TestCases::new();
    // A pass case makes the failing ones be built in full, which `StateSet`'s check needs.
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn values_are_named_after_variants() {
    #[derive(Clone, Copy, LabelValue)]
    #[expect(clippy::upper_case_acronyms, reason = "its text is what is tested")]
    enum Names {
        Plain,
        TwoWords,
        #[label(value = "as told")]
        Told,
        r#Try,
        GPU,
        V2,
    }
    assert_eq!(
        Names::VALUES,
        Some(&["plain", "two_words", "as told", "try", "g_p_u", "v2"][..])
    );
    for (at, value) in [
        Names::Plain,
        Names::TwoWords,
        Names::Told,
        Names::r#Try,
        Names::GPU,
        Names::V2,
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(value.index(), at);
        value.with_text(&mut |text| assert_eq!(Some(text), Names::VALUES.map(|values| values[at])));
    }
}

#[test]
fn the_last_label_runs_fastest() {
    #[derive(Clone, Copy, LabelValue)]
    enum Three {
        A,
        B,
        C,
    }
    #[derive(LabelSet)]
    struct Two {
        three: Three,
        r#type: bool,
    }
    let mut indices = Vec::new();
    for three in [Three::A, Three::B, Three::C] {
        for r#type in [false, true] {
            indices.push(Two { three, r#type }.index());
        }
    }
    assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
    assert_eq!(Two::LABELS[1].name, "type");
}

#[test]
fn help_is_the_first_paragraph_of_any_kind_of_comment() {
    #[derive(MetricSet)]
    #[expect(dead_code, reason = "described only")]
    struct Comments {
        /// One line.
        one: inferometer::Gauge,
        ///   Two
        ///   lines.  
        ///
        /// Not this.
        two: inferometer::Gauge,
        /** A block. */
        block: inferometer::Gauge,
        /**
         * A block
         * with stars.
         *
         * Not this.
         */
        stars: inferometer::Gauge,
        #[doc = "Said\nby hand."]
        said: inferometer::Gauge,
    }
    let helps: Vec<_> = descriptors::<Comments>()
        .into_iter()
        .map(|one| one.help)
        .collect();
    assert_eq!(
        helps,
        [
            "One line.",
            "Two lines.",
            "A block.",
            "A block with stars.",
            "Said by hand."
        ]
    );
}

#[test]
fn names_are_namespace_field_unit_and_suffix_none_twice() {
    #[derive(MetricSet)]
    #[metrics(namespace = "inner")]
    #[expect(dead_code, reason = "described only")]
    struct Inner {
        /// x
        depth: inferometer::Gauge,
    }
    #[derive(MetricSet)]
    #[expect(dead_code, reason = "described only")]
    struct Loose {
        /// x
        depth: inferometer::Gauge,
    }
    #[derive(MetricSet)]
    #[metrics(namespace = "outer")]
    #[expect(dead_code, reason = "described only")]
    struct Outer {
        /// x
        requests: inferometer::Counter,
        /// x
        errors_total: inferometer::Counter,
        /// x
        #[metric(unit = "bytes")]
        sent: inferometer::Counter,
        /// x
        #[metric(unit = "bytes")]
        received_bytes: inferometer::FloatCounter,
        /// x
        #[metric(name = "fixed_by_contract", unit = "seconds")]
        fixed: inferometer::Gauge,
        /// x
        r#type: inferometer::Gauge,
        #[metric(flatten)]
        inner: Inner,
        #[metric(flatten)]
        loose: Loose,
    }
    let names: Vec<_> = descriptors::<Outer>()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(
        names,
        [
            "outer_requests_total",
            "outer_errors_total",
            "outer_sent_bytes_total",
            "outer_received_bytes_total",
            "fixed_by_contract",
            "outer_type",
            "inner_depth",
            "outer_depth",
        ]
    );
}
