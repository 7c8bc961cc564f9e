//! The derives of [`inferometer`](https://docs.rs/inferometer): `MetricSet`, `LabelSet`, `LabelValue`. Their documentation is at
//! the traits of the same names.

mod label_set;
mod label_value;
mod metric_set;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `inferometer::MetricSet` for a struct whose fields are metrics or sets.
#[proc_macro_derive(MetricSet, attributes(metrics, metric))]
pub fn metric_set(input: TokenStream) -> TokenStream {
    expand(
        &parse_macro_input!(input as DeriveInput),
        metric_set::derive,
    )
}

/// Derives `inferometer::LabelSet` for a struct whose fields are label values.
#[proc_macro_derive(LabelSet, attributes(label))]
pub fn label_set(input: TokenStream) -> TokenStream {
    expand(&parse_macro_input!(input as DeriveInput), label_set::derive)
}

/// Derives `inferometer::LabelValue` for an enum without fields.
#[proc_macro_derive(LabelValue, attributes(label))]
pub fn label_value(input: TokenStream) -> TokenStream {
    expand(
        &parse_macro_input!(input as DeriveInput),
        label_value::derive,
    )
}

fn expand(
    input: &DeriveInput,
    derive: fn(&DeriveInput) -> syn::Result<proc_macro2::TokenStream>,
) -> TokenStream {
    derive(input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
