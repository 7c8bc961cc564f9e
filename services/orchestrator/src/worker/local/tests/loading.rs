//! Each way in which a model can be broken.

use std::{collections::HashMap, io::Cursor, path::Path};

use candle_core::quantized::gguf_file::{self, Value};

use super::{
    super::{LoadError, LocalWorker, Settings, Template, Tokenizer, embedded_model},
    metadata, text, tokenizer,
};
use crate::worker::Message;

/// A GGUF file with this metadata and no tensors.
fn file_of(metadata: &[(&str, Value)]) -> Vec<u8> {
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &[]).unwrap();
    file.into_inner()
}

/// Why the embedded model with changed metadata is refused.
fn refusal(change: impl FnOnce(&mut HashMap<String, Value>)) -> LoadError {
    let metadata = metadata(change);
    match Tokenizer::from_metadata(&metadata) {
        Err(error) => error,
        Ok(tokenizer) => Template::from_metadata(&metadata, &tokenizer)
            .err()
            .expect("a refusal"),
    }
}

fn load(bytes: &[u8]) -> LoadError {
    LocalWorker::from_bytes("some bytes", bytes, Settings::default())
        .err()
        .expect("a refusal")
}

#[test]
fn a_missing_file_is_named() {
    let error = LocalWorker::open(Path::new("/nowhere/model.gguf"), Settings::default())
        .err()
        .unwrap();
    assert!(matches!(error, LoadError::Missing { .. }));
    assert!(error.to_string().contains("/nowhere/model.gguf"), "{error}");
    let error = LocalWorker::open(Path::new("/"), Settings::default())
        .err()
        .unwrap();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
}

#[test]
fn what_is_no_gguf_is_said() {
    for bytes in [
        b"".as_slice(),
        b"GG",
        b"PK\x03\x04 a zip",
        b"GGUF\x09\0\0\0 from the future",
    ] {
        assert!(
            matches!(load(bytes), LoadError::NotGguf { .. }),
            "{}",
            load(bytes)
        );
    }
}

#[test]
fn a_truncated_file_is_said() {
    let whole = embedded_model();
    for length in [6, 20, 1_000, whole.len() / 2, whole.len() - 1] {
        assert!(
            matches!(load(&whole[..length]), LoadError::Truncated { .. }),
            "at {length}"
        );
    }
}

#[test]
fn another_architecture_is_named() {
    let error = load(&file_of(&[("general.architecture", text("mamba"))]));
    assert!(
        matches!(&error, LoadError::Architecture { found, .. } if found == "mamba"),
        "{error}"
    );
    assert!(matches!(
        load(&file_of(&[])),
        LoadError::Architecture { .. }
    ));
}

#[test]
fn a_model_that_does_not_fit_together_is_refused() {
    let error = load(&file_of(&[("general.architecture", text("llama"))]));
    assert!(matches!(error, LoadError::Weights { .. }), "{error}");
    let number = Value::U32;
    let error = load(&file_of(&[
        ("general.architecture", text("llama")),
        ("llama.attention.head_count", number(4)),
        ("llama.attention.head_count_kv", number(0)),
    ]));
    assert!(error.to_string().contains("head_count_kv is 0"), "{error}");
}

#[test]
fn a_tokenizer_missing_or_of_another_kind_is_refused() {
    for key in [
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.eos_token_id",
    ] {
        let error = refusal(|values| {
            values.remove(key);
        });
        assert!(
            matches!(error, LoadError::TokenizerMissing { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(key), "{error}");
    }
    let error = refusal(|values| {
        values.insert("tokenizer.ggml.model".into(), text("llama"));
    });
    assert!(
        matches!(&error, LoadError::TokenizerKind { found, .. } if found == "llama"),
        "{error}"
    );
    let error = refusal(|values| {
        values.insert("tokenizer.ggml.pre".into(), text("tekken"));
    });
    assert!(matches!(error, LoadError::TokenizerKind { .. }), "{error}");
    let error = refusal(|values| {
        values.insert(
            "tokenizer.ggml.merges".into(),
            Value::Array(vec![text("zq zq")]),
        );
    });
    assert!(
        matches!(error, LoadError::TokenizerMissing { .. }),
        "{error}"
    );
}

#[test]
fn a_broken_template_is_refused() {
    for template in [
        "{% for %}",
        "{{ raise_exception('never') }}",
        "{{ messages | nonsense }}",
    ] {
        let error = refusal(|values| {
            values.insert("tokenizer.chat_template".into(), text(template));
        });
        assert!(matches!(error, LoadError::Template { .. }), "{error}");
    }
}

#[test]
fn a_model_without_a_template_gets_chatml() {
    let metadata = metadata(|values| {
        values.remove("tokenizer.chat_template");
    });
    let template = Template::from_metadata(&metadata, tokenizer()).unwrap();
    let message = Message {
        role: "user".into(),
        content: "hi".into(),
    };
    assert_eq!(
        template.render(&[message], tokenizer()).unwrap().text,
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    );
}
