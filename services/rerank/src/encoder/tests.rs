//! What the tests share: a model of a few numbers, as a folder that each test can spoil.

mod backbone;
mod loading;
mod reference;
mod scoring;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CrossEncoder, ModelError};

const PIECES: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "file", "read", "##s", "close", "channel", "a", ".",
];

/// A folder with a model of 8 numbers a token, which knows twelve word pieces and nothing else.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("config.json", &config().to_string());
        folder.write("tokenizer.json", &tokenizer().to_string());
        folder.write_tensors(&tensors());
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn write_tensors(&self, tensors: &HashMap<String, Tensor>) {
        candle_core::safetensors::save(tensors, self.file("model.safetensors")).unwrap();
    }

    fn change_config(&self, change: impl FnOnce(&mut Value)) -> &Self {
        let mut value = config();
        change(&mut value);
        self.write("config.json", &value.to_string());
        self
    }

    fn change_tensors(&self, change: impl FnOnce(&mut HashMap<String, Tensor>)) -> &Self {
        let mut tensors = tensors();
        change(&mut tensors);
        self.write_tensors(&tensors);
        self
    }

    fn change_tokenizer(&self, change: impl FnOnce(&mut Value)) -> &Self {
        let mut value = tokenizer();
        change(&mut value);
        self.write("tokenizer.json", &value.to_string());
        self
    }

    fn open(&self) -> CrossEncoder {
        CrossEncoder::open(self.path()).unwrap()
    }

    /// Why the folder is refused, which always names the file `about`.
    fn refusal(&self, about: &str) -> ModelError {
        let error = CrossEncoder::open(self.path()).expect_err("a refusal");
        let file = self.file(about).display().to_string();
        assert!(error.to_string().contains(&file), "{error}");
        error
    }
}

fn config() -> Value {
    json!({
        "model_type": "bert", "vocab_size": PIECES.len(), "hidden_size": 8, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 24, "type_vocab_size": 2,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0, "id2label": {"0": "LABEL_0"},
    })
}

fn tokenizer() -> Value {
    let vocabulary: HashMap<&str, usize> = PIECES
        .iter()
        .enumerate()
        .map(|(id, piece)| (*piece, id))
        .collect();
    let special = |id: usize| {
        json!({
            "id": id, "content": PIECES[id], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

/// Weights that follow from their names and places, under the names of the usual export.
fn tensors() -> HashMap<String, Tensor> {
    let (width, inner) = (8, 16);
    let mut shapes = vec![
        (
            "bert.embeddings.word_embeddings.weight".to_owned(),
            vec![PIECES.len(), width],
        ),
        (
            "bert.embeddings.position_embeddings.weight".to_owned(),
            vec![24, width],
        ),
        (
            "bert.embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, width],
        ),
    ];
    let mut both = |name: &str, weight: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![weight[0]]));
        shapes.push((format!("{name}.weight"), weight));
    };
    both("bert.embeddings.LayerNorm", vec![width]);
    for layer in ["bert.encoder.layer.0", "bert.encoder.layer.1"] {
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            both(&format!("{layer}.attention.{part}"), vec![width, width]);
        }
        both(&format!("{layer}.attention.output.LayerNorm"), vec![width]);
        both(&format!("{layer}.intermediate.dense"), vec![inner, width]);
        both(&format!("{layer}.output.dense"), vec![width, inner]);
        both(&format!("{layer}.output.LayerNorm"), vec![width]);
    }
    both("bert.pooler.dense", vec![width, width]);
    both("classifier", vec![1, width]);
    shapes
        .into_iter()
        .enumerate()
        .map(|(number, (name, shape))| {
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count)
                .map(|place| {
                    let angle = f32::from(u16::try_from(place * 7 + number * 13).unwrap());
                    angle.sin() * 0.7 + f32::from(u8::from(name.ends_with("LayerNorm.weight")))
                })
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect()
}
