//! What the tests share.

mod generation;
mod loading;
mod tokens;

use std::{collections::HashMap, io::Cursor, sync::OnceLock};

use candle_core::quantized::gguf_file::{self, Value};

use super::{Tokenizer, embedded_model, gguf};

/// One tokenizer for the tests that need nothing else: reading the model takes longer than they do.
fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| Tokenizer::from_metadata(&metadata(|_| {})).unwrap())
}

/// The embedded model's metadata, changed.
fn metadata(change: impl FnOnce(&mut HashMap<String, Value>)) -> gguf::Metadata {
    let content = gguf_file::Content::read(&mut Cursor::new(embedded_model())).unwrap();
    let mut values = content.metadata;
    change(&mut values);
    gguf::Metadata::of("the test's model", values)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}
