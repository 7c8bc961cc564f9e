//! Each way in which a folder can be wrong.

use std::{collections::HashMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use serde_json::json;

use super::{Folder, PIECES};
use crate::encoder::{CrossEncoder, ModelError};

#[test]
fn a_missing_folder_or_file_is_named() {
    let error = CrossEncoder::open(Path::new("/nowhere/model")).unwrap_err();
    assert!(
        error.to_string().starts_with("no /nowhere/model:"),
        "{error}"
    );
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let folder = Folder::new();
        fs::remove_file(folder.file(name)).unwrap();
        let error = folder.refusal(name);
        assert!(matches!(error, ModelError::Missing { .. }), "{error}");
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_no_model() {
    let folder = Folder::new();
    let error = CrossEncoder::open(&folder.file("config.json")).unwrap_err();
    assert!(matches!(error, ModelError::Missing { .. }), "{error}");
}

#[test]
fn a_folder_in_place_of_a_file_is_unreadable() {
    let folder = Folder::new();
    fs::remove_file(folder.file("tokenizer.json")).unwrap();
    fs::create_dir(folder.file("tokenizer.json")).unwrap();
    let error = folder.refusal("tokenizer.json");
    assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
}

#[test]
fn a_config_that_is_not_json_or_lacks_a_size_is_refused() {
    let folder = Folder::new();
    for (text, said) in [
        ("", "EOF"),
        ("{\"model_type\": \"bert\",", "line 1"),
        ("[]", "invalid"),
        ("{\"model_type\": \"bert\"}", "vocab_size"),
        ("{}", "model_type"),
    ] {
        folder.write("config.json", text);
        let error = folder.refusal("config.json");
        assert!(matches!(error, ModelError::Config { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn sizes_that_no_model_has_are_refused() {
    for (key, value, said) in [
        ("hidden_size", 0, "hidden_size is 0"),
        ("num_hidden_layers", 0, "num_hidden_layers is 0"),
        ("num_attention_heads", 3, "doesn't divide by 3 heads"),
        ("type_vocab_size", 1, "2 segments"),
        ("max_position_embeddings", 2, "max_position_embeddings is 2"),
    ] {
        let folder = Folder::new();
        folder.change_config(|config| config[key] = json!(value));
        let error = folder.refusal("config.json");
        assert!(matches!(error, ModelError::Config { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn another_architecture_is_named() {
    for (key, value) in [
        ("model_type", "roberta"),
        ("position_embedding_type", "relative_key"),
        ("hidden_act", "swish"),
    ] {
        let folder = Folder::new();
        folder.change_config(|config| config[key] = json!(value));
        let error = folder.refusal("config.json");
        assert!(matches!(error, ModelError::Architecture { .. }), "{error}");
        assert!(error.to_string().contains(value), "{error}");
    }
}

#[test]
fn more_than_one_label_is_refused_wherever_it_shows() {
    let folder = Folder::new();
    folder.change_config(|config| config["id2label"] = json!({"0": "no", "1": "yes"}));
    let error = folder.refusal("config.json");
    assert!(
        matches!(error, ModelError::Labels { labels: 2, .. }),
        "{error}"
    );

    let folder = Folder::new();
    folder
        .change_config(|config| {
            config.as_object_mut().unwrap().remove("id2label");
        })
        .change_tensors(|tensors| {
            let wide = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
            tensors.insert("classifier.weight".into(), wide(&[3, 8]));
            tensors.insert("classifier.bias".into(), wide(&[3]));
        });
    let error = folder.refusal("model.safetensors");
    assert!(
        matches!(error, ModelError::Labels { labels: 3, .. }),
        "{error}"
    );
}

#[test]
fn weights_cut_short_or_of_another_format_are_refused() {
    let folder = Folder::new();
    let whole = fs::read(folder.file("model.safetensors")).unwrap();
    for length in [0, 4, 100, whole.len() - 1] {
        fs::write(folder.file("model.safetensors"), &whole[..length]).unwrap();
        let error = folder.refusal("model.safetensors");
        assert!(
            matches!(error, ModelError::Weights { .. }),
            "at {length}: {error}"
        );
    }
    folder.write("model.safetensors", "PK\u{3} this is a zip, or so it says");
    let error = folder.refusal("model.safetensors");
    assert!(matches!(error, ModelError::Weights { .. }), "{error}");
}

#[test]
fn a_tensor_missing_or_of_another_shape_is_named() {
    for name in [
        "classifier.weight",
        "bert.pooler.dense.bias",
        "bert.encoder.layer.1.attention.self.key.weight",
        "bert.embeddings.LayerNorm.weight",
    ] {
        let plain = name.trim_start_matches("bert.");
        let folder = Folder::new();
        folder.change_tensors(|tensors| {
            tensors.remove(name).unwrap();
        });
        let error = folder.refusal("model.safetensors");
        assert!(
            matches!(&error, ModelError::TensorMissing { name, .. } if name == plain),
            "{error}"
        );
    }
    let folder = Folder::new();
    folder.change_config(|config| config["intermediate_size"] = json!(32));
    let error = folder.refusal("model.safetensors");
    assert!(
        matches!(
            &error,
            ModelError::TensorShape { name, found, expected, .. }
                if name.contains("intermediate") && found[0] == 16 && expected[0] == 32
        ),
        "{error}"
    );
}

#[test]
fn a_broken_tokenizer_is_refused() {
    let folder = Folder::new();
    for text in ["", "{}", "{\"model\": 7}"] {
        folder.write("tokenizer.json", text);
        let error = folder.refusal("tokenizer.json");
        assert!(matches!(error, ModelError::Tokenizer { .. }), "{error}");
    }
}

#[test]
fn a_tokenizer_without_its_marks_is_refused() {
    for mark in ["[CLS]", "[SEP]"] {
        let folder = Folder::new();
        folder.change_tokenizer(|tokenizer| {
            tokenizer["added_tokens"] = json!([]);
            tokenizer["model"]["vocab"]
                .as_object_mut()
                .unwrap()
                .remove(mark);
        });
        let error = folder.refusal("tokenizer.json");
        assert!(
            matches!(&error, ModelError::SpecialToken { token, .. } if *token == mark),
            "{error}"
        );
    }
}

#[test]
fn tokens_beyond_the_embeddings_are_refused() {
    let folder = Folder::new();
    folder.change_tokenizer(|tokenizer| {
        tokenizer["model"]["vocab"]["extra"] = json!(PIECES.len());
    });
    let error = folder.refusal("tokenizer.json");
    assert!(
        matches!(
            error,
            ModelError::Vocabulary {
                highest: 12,
                embeddings: 12,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn exports_differ_in_prefix_and_in_the_names_of_norms() {
    let folder = Folder::new();
    let pair = |model: &CrossEncoder| {
        let pair = model
            .tokenizer()
            .encode("read", "the file reads a channel", 24)
            .unwrap();
        model.score(&[&pair]).unwrap()
    };
    let usual = pair(&folder.open());
    folder.change_tensors(|tensors| {
        let renamed: HashMap<String, Tensor> = tensors
            .drain()
            .map(|(name, tensor)| {
                let name = name
                    .trim_start_matches("bert.")
                    .replace("LayerNorm.weight", "LayerNorm.gamma")
                    .replace("LayerNorm.bias", "LayerNorm.beta");
                (name, tensor)
            })
            .collect();
        *tensors = renamed;
    });
    assert_eq!(pair(&folder.open()), usual);
}

#[test]
fn a_model_is_called_as_its_folder() {
    let folder = Folder::new();
    let name = folder
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(folder.open().name(), name);
    assert_eq!(folder.open().max_tokens(), 24);
}
