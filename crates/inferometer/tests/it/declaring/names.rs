//! Names: their letters, their suffixes, and that each is written by one metric alone.

use inferometer::{Counter, Gauge, Histogram, Info, LabelSet, Registry, Rule};

use super::refusal;

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
