//! Refusals at declaration: each rule, with a message that names the metric and the rule.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use inferometer::{
    Counter, Descriptor, FieldSpec, Gauge, Histogram, Info, Kind, LabelBound, LabelSet, LabelValue,
    Metric, MetricSet, RegisterError, Registrar, Registry, Rule, StateSet, create_field,
};

fn refusal<S: MetricSet>() -> RegisterError {
    match Registry::new().register::<S>() {
        Ok(_) => panic!("the set breaks a rule"),
        Err(error) => error,
    }
}

macro_rules! set {
    ($name:ident { $(#[doc = $help:literal] $(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(MetricSet)]
        #[expect(dead_code, reason = "declared only")]
        struct $name { $(#[doc = $help] $(#[$meta])* $field: $type,)* }
    };
}

#[test]
fn names_are_letters_digits_and_underscores() {
    set!(Dashed {
        #[doc = "x"]
        #[metric(name = "a-b_total")]
        x: Counter,
    });
    set!(Digit {
        #[doc = "x"]
        #[metric(name = "0a")]
        x: Gauge,
    });
    set!(Empty {
        #[doc = "x"]
        #[metric(name = "")]
        x: Gauge,
    });
    set!(Forged {
        #[doc = "x"]
        #[metric(name = "a 1\nevil")]
        x: Gauge,
    });
    set!(Accent {
        #[doc = "x"]
        #[metric(name = "é")]
        x: Gauge,
    });
    for (error, name) in [
        (refusal::<Dashed>(), "a-b_total"),
        (refusal::<Digit>(), "0a"),
        (refusal::<Empty>(), ""),
        (refusal::<Forged>(), "a 1\nevil"),
        (refusal::<Accent>(), "é"),
    ] {
        assert_eq!((error.metric(), error.rule()), (name, &Rule::MetricName));
    }
    assert_eq!(
        refusal::<Dashed>().to_string(),
        "metric `a-b_total` can't be declared: a name is made of letters, digits and `_`, and doesn't start with a digit"
    );
}

#[test]
fn suffixes_belong_to_their_kinds() {
    #[derive(LabelSet)]
    struct Version<'a> {
        version: &'a str,
    }
    set!(Bare {
        #[doc = "x"]
        #[metric(name = "requests")]
        x: Counter,
    });
    set!(Fact { #[doc = "x"] #[metric(name = "build")] x: Info<Version<'static>>, });
    set!(Level {
        #[doc = "x"]
        #[metric(name = "bytes_total")]
        x: Gauge,
    });
    assert_eq!(
        refusal::<Bare>().to_string(),
        "metric `requests` can't be declared: its kind asks for a name that ends in `_total`"
    );
    assert_eq!(refusal::<Fact>().rule(), &Rule::Suffix("_info"));
    assert_eq!(
        refusal::<Level>().to_string(),
        "metric `bytes_total` can't be declared: only a counter's name ends in `_total`, and this isn't one"
    );
    // The type is only named in a set above.
    assert_eq!(Version { version: "1" }.version, "1");
}

/// A set that a derive wouldn't write.
struct Blank;

impl MetricSet for Blank {
    fn describe(namespace: &str, into: &mut Vec<Descriptor>) {
        into.push(Gauge::<()>::describe(&spec(" \n", None), namespace));
    }

    fn create(_namespace: &str, _registrar: &mut Registrar<'_>) -> Self {
        Self
    }
}

fn spec(help: &'static str, buckets: Option<Vec<f64>>) -> FieldSpec {
    FieldSpec {
        field: "handmade",
        name: None,
        unit: None,
        help,
        buckets,
        ..Default::default()
    }
}

#[test]
fn a_metric_has_a_help_text() {
    assert_eq!(
        refusal::<Blank>().to_string(),
        "metric `handmade` can't be declared: it has no help text; document the field"
    );
}

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

#[test]
fn buckets_are_there_finite_and_rising() {
    set!(Missing {
        #[doc = "x"]
        sizes: Histogram,
    });
    set!(None {
        #[doc = "x"]
        #[metric(buckets = [])]
        sizes: Histogram,
    });
    set!(Infinite {
        #[doc = "x"]
        #[metric(buckets = [1.0, f64::INFINITY])]
        sizes: Histogram,
    });
    set!(NoNumber {
        #[doc = "x"]
        #[metric(buckets = [f64::NAN])]
        sizes: Histogram,
    });
    set!(Falling {
        #[doc = "x"]
        #[metric(buckets = [1.0, 3.0, 2.0])]
        sizes: Histogram,
    });
    set!(Level {
        #[doc = "x"]
        #[metric(buckets = [-0.0, 0.0])]
        sizes: Histogram,
    });
    let start = "metric `sizes` can't be declared: its buckets ";
    for (error, fault) in [
        (
            refusal::<Missing>(),
            "are missing; say `#[metric(buckets = …)]` or `#[metric(native)]`",
        ),
        (
            refusal::<None>(),
            "are missing; say `#[metric(buckets = …)]` or `#[metric(native)]`",
        ),
        (
            refusal::<Infinite>(),
            "hold inf, and a bound must be finite; `+Inf` is added by itself",
        ),
        (
            refusal::<NoNumber>(),
            "hold NaN, and a bound must be finite; `+Inf` is added by itself",
        ),
        (refusal::<Falling>(), "don't rise: 3 comes before 2"),
        (refusal::<Level>(), "don't rise: -0 comes before 0"),
    ] {
        assert_eq!(error.to_string(), format!("{start}{fault}"));
    }
    set!(Seconds {
        #[doc = "x"]
        #[metric(unit = "seconds")]
        time: Histogram,
    });
    let bounds = &inferometer::descriptors::<Seconds>()[0].buckets;
    assert_eq!(
        bounds[..],
        inferometer::buckets::LATENCY,
        "seconds have bounds of their own"
    );
}

#[test]
fn no_two_metrics_write_one_name() {
    set!(Sizes {
        #[doc = "x"]
        #[metric(buckets = [1.0])]
        sizes: Histogram,
    });
    set!(Requests {
        #[doc = "x"]
        requests: Counter,
    });
    macro_rules! collides {
        ($with:ty, $name:ident, $metric:literal, $type:ty, $message:literal) => {
            set!($name {
                #[doc = "x"]
                #[metric(name = $metric)]
                it: $type,
            });
            let registry = Registry::new();
            let _first: $with = registry.register().unwrap();
            let error = registry.register::<$name>().map(|_| ()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    concat!("metric `{}` can't be declared: ", $message),
                    $metric
                )
            );
        };
    }
    collides!(
        Requests,
        Again,
        "requests_total",
        Counter,
        "it is declared already"
    );
    collides!(
        Requests,
        Family,
        "requests",
        Gauge,
        "its sample `requests` is already written by `requests_total`"
    );
    collides!(
        Requests,
        Made,
        "requests_created",
        Gauge,
        "its sample `requests_created` is already written by `requests_total`"
    );
    collides!(
        Sizes,
        Bucket,
        "sizes_bucket",
        Gauge,
        "its sample `sizes_bucket` is already written by `sizes`"
    );
    collides!(
        Sizes,
        Count,
        "sizes_count",
        Gauge,
        "its sample `sizes_count` is already written by `sizes`"
    );
    collides!(
        Sizes,
        Sum,
        "sizes_sum",
        Gauge,
        "its sample `sizes_sum` is already written by `sizes`"
    );
    collides!(
        Sizes,
        Counted,
        "sizes_total",
        Counter,
        "its sample `sizes` is already written by `sizes`"
    );
    collides!(
        Requests,
        Own,
        "inferometer_series",
        Gauge,
        "its sample `inferometer_series` is already written by `the registry`"
    );
    collides!(
        Requests,
        OwnFamily,
        "inferometer_scrape_failures",
        Gauge,
        "its sample `inferometer_scrape_failures` is already written by `the registry`"
    );
}

#[test]
fn one_set_cannot_declare_a_name_twice() {
    set!(Twice {
        #[doc = "x"]
        #[metric(name = "same")]
        one: Gauge,
        #[doc = "y"]
        #[metric(name = "same")]
        other: Gauge,
    });
    assert_eq!(
        refusal::<Twice>().to_string(),
        "metric `same` can't be declared: it is declared already"
    );
}

#[test]
fn a_set_is_registered_whole_or_not_at_all() {
    set!(Half {
        #[doc = "x"]
        fine: Counter,
        #[doc = "y"]
        #[metric(name = "not fine")]
        broken: Gauge,
    });
    #[derive(MetricSet)]
    struct Fine {
        /// x
        fine: Counter,
    }
    let registry = Registry::new();
    let before = registry.encode_text();
    assert!(registry.register::<Half>().is_err());
    assert_eq!(registry.encode_text(), before);
    let fine: Fine = registry.register().expect("the name is still free");
    fine.fine.inc();
    assert!(registry.encode_text().contains("\nfine_total 1\n"));
}

#[test]
fn a_set_that_panics_while_it_is_made_leaves_nothing_behind() {
    struct Fails;
    impl MetricSet for Fails {
        fn describe(namespace: &str, into: &mut Vec<Descriptor>) {
            into.push(Counter::<()>::describe(&spec("x", None), namespace));
        }
        fn create(namespace: &str, registrar: &mut Registrar<'_>) -> Self {
            let _made: Counter = create_field(&spec("x", None), namespace, registrar);
            panic!("halfway");
        }
    }
    let registry = Registry::new();
    let before = registry.encode_text();
    let shared = std::panic::AssertUnwindSafe(&registry);
    assert!(std::panic::catch_unwind(move || shared.register::<Fails>().is_ok()).is_err());
    assert_eq!(registry.encode_text(), before);
    set!(Free {
        #[doc = "x"]
        handmade: Counter,
    });
    registry.register::<Free>().expect("the name is still free");
}

#[test]
fn a_declaration_says_the_same_twice() {
    static READ: AtomicBool = AtomicBool::new(false);
    fn bounds() -> Vec<f64> {
        if READ.swap(true, Relaxed) {
            vec![2.0, 1.0]
        } else {
            vec![1.0, 2.0]
        }
    }
    set!(Unsteady {
        #[doc = "x"]
        fine: Gauge,
        #[doc = "x"]
        #[metric(buckets = bounds())]
        sizes: Histogram,
    });
    let registry = Registry::new();
    let before = registry.encode_text();
    let error = registry.register::<Unsteady>().map(|_| ()).unwrap_err();
    assert_eq!((error.metric(), error.rule()), ("sizes", &Rule::Unsteady));
    assert_eq!(
        error.to_string(),
        "metric `sizes` can't be declared: it was declared otherwise when it was made; let `describe` and `create` \
         agree, and its buckets not change"
    );
    assert_eq!(registry.encode_text(), before);
}

#[test]
fn a_set_makes_what_it_describes() {
    struct Hidden;
    impl MetricSet for Hidden {
        fn describe(_namespace: &str, _into: &mut Vec<Descriptor>) {}
        fn create(namespace: &str, registrar: &mut Registrar<'_>) -> Self {
            let _made: Counter = create_field(&spec("x", None), namespace, registrar);
            Self
        }
    }
    struct Idle;
    impl MetricSet for Idle {
        fn describe(namespace: &str, into: &mut Vec<Descriptor>) {
            into.push(Counter::<()>::describe(&spec("x", None), namespace));
        }
        fn create(_namespace: &str, _registrar: &mut Registrar<'_>) -> Self {
            Self
        }
    }
    for error in [refusal::<Hidden>(), refusal::<Idle>()] {
        assert_eq!(
            (error.metric(), error.rule()),
            ("handmade_total", &Rule::Unsteady)
        );
    }
}

#[test]
fn descriptors_without_an_instance_equal_those_of_the_registry() {
    #[derive(Clone, Copy, LabelValue)]
    enum Phase {
        Loading,
        Ready,
    }
    #[derive(LabelSet)]
    struct Mixed {
        phase: Phase,
        #[label(limit = 7)]
        slot: u8,
        node: String,
    }
    set!(Inner { #[doc = "A phase."] phase: StateSet<Phase>, });
    #[derive(MetricSet)]
    #[metrics(namespace = "outer")]
    #[expect(dead_code, reason = "declared only")]
    struct Outer {
        /// Sizes,
        /// on two lines.
        ///
        /// And what isn't part of the help.
        #[metric(unit = "bytes", buckets = vec![1.0, 2.0])]
        sizes: Histogram<Mixed>,
        #[metric(flatten)]
        inner: Inner,
        /// Energy that a name already says the unit of.
        #[metric(unit = "joules")]
        energy_joules_total: Counter,
    }
    let described = inferometer::descriptors::<Outer>();
    let registry = Registry::new();
    let _outer: Outer = registry.register().unwrap();
    let registered = registry.descriptors();
    assert_eq!(registered[..described.len()], described);
    assert_eq!(
        registered.len(),
        described.len() + 7,
        "the registry's own come last"
    );
    let snapshot = registry.snapshot();
    assert!(
        snapshot
            .families
            .iter()
            .map(|family| &*family.descriptor)
            .eq(&registered)
    );

    let [sizes, phase, energy] = &described[..] else {
        panic!("three metrics")
    };
    assert_eq!(
        (&*sizes.name, &*sizes.help),
        ("outer_sizes_bytes", "Sizes, on two lines.")
    );
    assert_eq!((&*phase.name, phase.kind), ("outer_phase", Kind::StateSet));
    assert_eq!(
        (&*energy.name, energy.family()),
        ("outer_energy_joules_total", "outer_energy_joules")
    );
    let bounds: Vec<_> = sizes
        .labels
        .iter()
        .map(|label| (&*label.name, label.bound))
        .collect();
    assert_eq!(
        bounds,
        [
            ("phase", LabelBound::Closed(&["loading", "ready"])),
            ("slot", LabelBound::Open(7)),
            ("node", LabelBound::Open(inferometer::DEFAULT_LIMIT)),
        ]
    );
    let mixed = Mixed {
        phase: Phase::Ready,
        slot: 1,
        node: String::new(),
    };
    assert_eq!(
        (mixed.slot, &*mixed.node, mixed.phase as u8),
        (1, "", Phase::Loading as u8 + 1)
    );
}
