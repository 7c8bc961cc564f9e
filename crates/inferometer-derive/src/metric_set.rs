//! `#[derive(MetricSet)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Fields, Lit, LitStr, Meta, Result,
    ext::IdentExt as _,
};

/// What `#[metric(…)]` says of a field.
#[derive(Default)]
struct Options {
    flatten: bool,
    name: Option<String>,
    unit: Option<String>,
    buckets: Option<Expr>,
    native: Option<Option<Expr>>,
    max_series: Option<Expr>,
    idle: Option<Expr>,
}

impl Options {
    /// Whether nothing is said of the metric itself.
    fn is_plain(&self) -> bool {
        self.name.is_none()
            && self.unit.is_none()
            && self.buckets.is_none()
            && self.native.is_none()
            && self.max_series.is_none()
            && self.idle.is_none()
    }

    fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("metric"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("flatten") {
                    options.flatten = true;
                } else if meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("unit") {
                    let unit = meta.value()?.parse::<LitStr>()?;
                    if !is_unit(&unit.value()) {
                        return Err(Error::new(
                            unit.span(),
                            "a unit is made of `a-z` and `_`, such as `seconds`; it ends the metric's name",
                        ));
                    }
                    options.unit = Some(unit.value());
                } else if meta.path.is_ident("buckets") {
                    options.buckets = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("native") {
                    let value = meta.input.peek(syn::Token![=]);
                    options.native = Some(if value { Some(meta.value()?.parse()?) } else { None });
                } else if meta.path.is_ident("max_series") {
                    options.max_series = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("idle") {
                    options.idle = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error(
                        "a metric takes `flatten`, `name = \"…\"`, `unit = \"…\"`, `buckets = …`, `native`, `max_series = N` and `idle = …`",
                    ));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }
}

fn is_unit(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The doc comment, its lines joined, up to the first empty one.
fn help(attributes: &[Attribute]) -> String {
    let mut comment = String::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
        {
            comment.push_str(&text.value());
            comment.push('\n');
        }
    }
    // The lines of a block comment may start with a star.
    let lines = comment.trim().lines().map(|line| match line.trim() {
        "*" => "",
        line => line.strip_prefix("* ").unwrap_or(line).trim(),
    });
    lines
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn namespace(attributes: &[Attribute]) -> Result<Option<String>> {
    let mut namespace = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("metrics"))
    {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("namespace") {
                return Err(meta.error("a set takes `namespace = \"…\"`"));
            }
            namespace = Some(meta.value()?.parse::<LitStr>()?.value());
            Ok(())
        })?;
    }
    Ok(namespace)
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "MetricSet is derived for a struct: each field is a metric",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            input.ident.span(),
            "a metric is named after its field; use named fields",
        ));
    };
    let mut describes = Vec::new();
    let mut creates = Vec::new();
    for field in &fields.named {
        let ident = field.ident.as_ref().expect("named fields have names");
        let ty = &field.ty;
        let options = Options::parse(&field.attrs)?;
        if options.flatten {
            if !options.is_plain() {
                return Err(Error::new(
                    ident.span(),
                    "`flatten` takes nothing beside it: the set within has its own names",
                ));
            }
            describes.push(quote! {
                <#ty as ::inferometer::MetricSet>::describe(namespace, into);
            });
            creates.push(quote! {
                #ident: <#ty as ::inferometer::MetricSet>::create(namespace, registrar)
            });
            continue;
        }
        let help = help(&field.attrs);
        if help.is_empty() {
            return Err(Error::new(
                ident.span(),
                "a metric needs a doc comment: it becomes the HELP of every scrape",
            ));
        }
        let field_name = ident.unraw().to_string();
        let optional = |text: &Option<String>| match text {
            Some(text) => quote!(::core::option::Option::Some(#text)),
            None => quote!(::core::option::Option::None),
        };
        let (name, unit) = (optional(&options.name), optional(&options.unit));
        let buckets = match &options.buckets {
            Some(bounds) => quote! {
                ::core::option::Option::Some(
                    ::core::convert::AsRef::<[::core::primitive::f64]>::as_ref(&(#bounds)).to_vec()
                )
            },
            None => quote!(::core::option::Option::None),
        };
        let native = match &options.native {
            Some(Some(buckets)) => quote!(::core::option::Option::Some(#buckets)),
            Some(None) => quote!(::core::option::Option::Some(
                ::inferometer::NativeBuckets::new()
            )),
            None => quote!(::core::option::Option::None),
        };
        let expression = |value: &Option<Expr>| match value {
            Some(value) => quote!(::core::option::Option::Some(#value)),
            None => quote!(::core::option::Option::None),
        };
        let (max_series, idle) = (expression(&options.max_series), expression(&options.idle));
        let spec = quote! {
            ::inferometer::FieldSpec {
                field: #field_name,
                name: #name,
                unit: #unit,
                help: #help,
                buckets: #buckets,
                native: #native,
                max_series: #max_series,
                idle: #idle,
            }
        };
        describes.push(quote! {
            into.push(<#ty as ::inferometer::Metric>::describe(&#spec, namespace));
        });
        creates.push(quote! {
            #ident: ::inferometer::create_field::<#ty>(&#spec, namespace, registrar)
        });
    }
    let own = namespace(&input.attrs)?;
    let namespace = own.map(|own| quote!(let namespace = #own;));
    let name = &input.ident;
    let (impls, types, wheres) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impls ::inferometer::MetricSet for #name #types #wheres {
            fn describe(
                namespace: &::core::primitive::str,
                into: &mut ::std::vec::Vec<::inferometer::Descriptor>,
            ) {
                #namespace
                #(#describes)*
            }

            fn create(
                namespace: &::core::primitive::str,
                registrar: &mut ::inferometer::Registrar<'_>,
            ) -> Self {
                #namespace
                Self { #(#creates),* }
            }
        }
    })
}
