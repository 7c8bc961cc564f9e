//! `#[derive(LabelSet)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Error, Expr, Fields, GenericParam, LitStr, Result, ext::IdentExt as _,
    spanned::Spanned,
};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "LabelSet is derived for a struct: each field is a label",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            input.ident.span(),
            "a label is named after its field; use named fields",
        ));
    };
    if fields.named.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "a set without labels is `()`",
        ));
    }
    let mut specs = Vec::new();
    let mut idents = Vec::new();
    let mut types = Vec::new();
    for field in &fields.named {
        let ident = field.ident.as_ref().expect("named fields have names");
        let ty = &field.ty;
        let mut name = ident.unraw().to_string();
        let mut limit = quote!(::inferometer::DEFAULT_LIMIT);
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("label"))
        {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    name = meta.value()?.parse::<LitStr>()?.value();
                } else if meta.path.is_ident("limit") {
                    let value: Expr = meta.value()?.parse()?;
                    limit = quote!(#value);
                } else {
                    return Err(meta.error("a label takes `name = \"…\"` and `limit = N`"));
                }
                Ok(())
            })?;
        }
        specs.push(quote!(::inferometer::LabelSpec::of::<#ty>(#name, #limit)));
        idents.push(ident);
        types.push(ty);
    }

    let name = &input.ident;
    let mut lifetimes = 0;
    for parameter in &input.generics.params {
        match parameter {
            GenericParam::Lifetime(_) if lifetimes == 0 => lifetimes += 1,
            other => {
                return Err(Error::new(
                    other.span(),
                    "a label set takes one lifetime at the most",
                ));
            }
        }
    }
    let of = format_ident!("__of");
    let of = syn::Lifetime::new(&format!("'{of}"), name.span());
    let borrowed = if lifetimes == 0 {
        quote!(#name)
    } else {
        quote!(#name<#of>)
    };
    let (impls, generics, wheres) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impls ::inferometer::LabelSet for #name #generics #wheres {
            type Of<#of> = #borrowed;

            const LABELS: &'static [::inferometer::LabelSpec] = &[#(#specs),*];

            fn visit(&self, take: &mut dyn ::core::ops::FnMut(&dyn ::inferometer::AnyLabelValue)) {
                #(take(&self.#idents);)*
            }

            #[inline]
            fn key<__K: ::inferometer::KeySink>(&self, key: &mut __K) {
                #(::inferometer::LabelValue::key(&self.#idents, key);)*
            }

            #[inline]
            fn index(&self) -> ::core::primitive::usize {
                let mut index = 0;
                #(
                    index = index * match <#types as ::inferometer::LabelValue>::VALUES {
                        ::core::option::Option::Some(values) => values.len(),
                        ::core::option::Option::None => 1,
                    } + ::inferometer::LabelValue::index(&self.#idents);
                )*
                index
            }
        }
    })
}
