//! Labels: their names, their values, and how many series they make.

use inferometer::{Counter, Gauge, Histogram, LabelSet, LabelValue, Registry, Rule, StateSet};

use super::refusal;

#[test]
fn label_names_are_checked() {
    macro_rules! labelled {
        ($set:ident, $labels:ident, $name:literal, $type:ty, $metric:literal) => {
            #[derive(LabelSet)]
            struct $labels {
                #[label(name = $name)]
                it: bool,
            }
            set!($set {
                #[doc = "x"]
                #[metric(name = $metric, buckets = [1.0])]
                x: $type,
            });
            let error = refusal::<$set>();
            assert_eq!(
                (error.metric(), error.rule()),
                ($metric, &Rule::LabelName($name.into()))
            );
            let _ = $labels { it: true }.it;
        };
    }
    labelled!(Dashed, ByDash, "a-b", Counter<ByDash>, "dashed_total");
    labelled!(Nothing, ByNothing, "", Counter<ByNothing>, "nothing_total");
    labelled!(Quote, ByQuote, "a=\"b\",c", Counter<ByQuote>, "quote_total");
    labelled!(
        Reserved,
        ByReserved,
        "__name__",
        Counter<ByReserved>,
        "reserved_total"
    );
    labelled!(Bound, ByBound, "le", Histogram<ByBound>, "bound");
    labelled!(Itself, ByItself, "itself", Gauge<ByItself>, "itself");

    #[derive(LabelSet)]
    struct ByLe {
        le: bool,
    }
    set!(Counted { #[doc = "x"] counted: Counter<ByLe>, });
    Registry::new()
        .register::<Counted>()
        .expect("only a histogram has `le` of its own");
    let _ = ByLe { le: true }.le;
}

#[test]
fn a_label_stands_once() {
    #[derive(LabelSet)]
    struct Twice {
        model: bool,
        #[label(name = "model")]
        again: bool,
    }
    set!(Repeated { #[doc = "x"] x: Counter<Twice>, });
    assert_eq!(
        refusal::<Repeated>().to_string(),
        "metric `x_total` can't be declared: label `model` stands twice"
    );
    let twice = Twice {
        model: true,
        again: false,
    };
    assert_ne!(twice.model, twice.again);
}

#[test]
fn closed_labels_have_distinct_values() {
    macro_rules! handmade {
        ($name:ident, $values:expr) => {
            struct $name;
            impl LabelValue for $name {
                const VALUES: Option<&'static [&'static str]> = Some($values);
                fn index(&self) -> usize {
                    0
                }
                fn with_text(&self, take: &mut dyn FnMut(&str)) {
                    take("a");
                }
            }
        };
    }
    handmade!(Never, &[]);
    handmade!(Doubled, &["a", "b", "a"]);
    set!(NoState { #[doc = "x"] state: StateSet<Never>, });
    set!(TwoStates { #[doc = "x"] state: StateSet<Doubled>, });
    assert_eq!(
        refusal::<NoState>().rule(),
        &Rule::LabelValues("state".into())
    );
    assert_eq!(
        refusal::<TwoStates>().to_string(),
        "metric `state` can't be declared: label `state` has no values, or one of them twice"
    );
}

#[test]
fn closed_labels_make_a_bounded_number_of_series() {
    #[derive(LabelSet)]
    struct Bits {
        a: bool,
        b: bool,
        c: bool,
        d: bool,
        e: bool,
        f: bool,
        g: bool,
        h: bool,
        i: bool,
        j: bool,
        k: bool,
        l: bool,
        m: bool,
        n: bool,
    }
    set!(Many { #[doc = "x"] many: Counter<Bits>, });
    assert_eq!(
        refusal::<Many>().to_string(),
        "metric `many_total` can't be declared: its closed labels make 16384 combinations, and a family has 10000 \
         series at most; leave a label out, split the metric, or say `#[metric(max_series = 16384)]`"
    );
    let it = true;
    let bits = Bits {
        a: it,
        b: it,
        c: it,
        d: it,
        e: it,
        f: it,
        g: it,
        h: it,
        i: it,
        j: it,
        k: it,
        l: it,
        m: it,
        n: it,
    };
    assert_eq!(bits.index(), 16_383);
}
