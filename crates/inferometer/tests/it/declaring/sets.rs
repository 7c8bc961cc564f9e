//! Sets: registered whole or not at all, and as described.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use inferometer::{
    Counter, Descriptor, Gauge, Histogram, Metric, MetricSet, Registrar, Registry, Rule,
    create_field,
};

use super::{refusal, spec};

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

#[test]
fn a_metric_has_a_help_text() {
    assert_eq!(
        refusal::<Blank>().to_string(),
        "metric `handmade` can't be declared: it has no help text; document the field"
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
