//! Refusals at declaration: each rule, with a message that names the metric and the rule.

use inferometer::{FieldSpec, MetricSet, RegisterError, Registry};

macro_rules! set {
    ($name:ident { $(#[doc = $help:literal] $(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(inferometer::MetricSet)]
        #[expect(dead_code, reason = "declared only")]
        struct $name { $(#[doc = $help] $(#[$meta])* $field: $type,)* }
    };
}

mod buckets;
mod descriptors;
mod labels;
mod names;
mod sets;

fn refusal<S: MetricSet>() -> RegisterError {
    match Registry::new().register::<S>() {
        Ok(_) => panic!("the set breaks a rule"),
        Err(error) => error,
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
