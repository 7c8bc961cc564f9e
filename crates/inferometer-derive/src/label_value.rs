//! `#[derive(LabelValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Result, ext::IdentExt as _};

/// `SnakeCase` as `snake_case`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, character) in name.chars().enumerate() {
        if character.is_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "LabelValue is derived for an enum: each variant is a value",
        ));
    };
    if data.variants.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "a label needs at least one value",
        ));
    }
    let mut values: Vec<String> = Vec::new();
    let mut arms = Vec::new();
    for (index, variant) in data.variants.iter().enumerate() {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(
                variant.ident.span(),
                "a variant with fields has no fixed text; use a variant without fields",
            ));
        }
        let mut value = snake(&variant.ident.unraw().to_string());
        for attribute in variant
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("label"))
        {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("value") {
                    return Err(meta.error("a variant takes `value = \"…\"`"));
                }
                value = meta.value()?.parse::<LitStr>()?.value();
                Ok(())
            })?;
        }
        if values.contains(&value) {
            return Err(Error::new(
                variant.ident.span(),
                format!("two variants have the value `{value}`"),
            ));
        }
        values.push(value);
        let variant = &variant.ident;
        arms.push(quote!(Self::#variant => #index));
    }
    let name = &input.ident;
    let (impls, types, wheres) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impls ::inferometer::LabelValue for #name #types #wheres {
            const VALUES: ::core::option::Option<&'static [&'static ::core::primitive::str]> =
                ::core::option::Option::Some(&[#(#values),*]);

            #[inline]
            fn index(&self) -> ::core::primitive::usize {
                match self { #(#arms),* }
            }

            fn with_text(&self, take: &mut dyn ::core::ops::FnMut(&::core::primitive::str)) {
                const VALUES: &[&::core::primitive::str] = &[#(#values),*];
                take(VALUES[::inferometer::LabelValue::index(self)]);
            }
        }
    })
}
