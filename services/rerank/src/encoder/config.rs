//! `config.json` of a BERT model: what is read of it, and what is refused.

use std::path::Path;

use candle_transformers::models::bert::{Config, HiddenAct, PositionEmbeddingType};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

use super::error::ModelError;

#[derive(Deserialize)]
struct Family {
    model_type: Option<String>,
    position_embedding_type: Option<String>,
    num_labels: Option<usize>,
    id2label: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
struct Sizes {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default = "gelu")]
    hidden_act: String,
}

// What `transformers` takes for keys that a file leaves out.
fn two() -> usize {
    2
}

fn tiny() -> f64 {
    1e-12
}

fn gelu() -> String {
    "gelu".into()
}

/// Reads the sizes of a model, and refuses one that can't be run.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Config, ModelError> {
    let malformed = |detail: String| ModelError::Config {
        path: path.into(),
        detail,
    };
    let strange = |found: String| ModelError::Architecture {
        path: path.into(),
        found,
    };
    let family: Family =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    match family.model_type.as_deref() {
        Some("bert") => {}
        Some(other) => return Err(strange(format!("the architecture \"{other}\""))),
        None => return Err(malformed("it has no model_type".into())),
    }
    if let Some(other) = family
        .position_embedding_type
        .filter(|kind| kind != "absolute")
    {
        return Err(strange(format!("positions of the kind \"{other}\"")));
    }
    let labels = family.id2label.map(|labels| labels.len());
    if let Some(labels) = labels.or(family.num_labels).filter(|labels| *labels != 1) {
        return Err(ModelError::Labels {
            path: path.into(),
            labels,
        });
    }
    let sizes: Sizes =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let hidden_act = match sizes.hidden_act.as_str() {
        "gelu" => HiddenAct::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => HiddenAct::GeluApproximate,
        "relu" => HiddenAct::Relu,
        other => return Err(strange(format!("the activation \"{other}\""))),
    };
    for (key, size) in [
        ("vocab_size", sizes.vocab_size),
        ("hidden_size", sizes.hidden_size),
        ("num_hidden_layers", sizes.num_hidden_layers),
        ("num_attention_heads", sizes.num_attention_heads),
        ("intermediate_size", sizes.intermediate_size),
    ] {
        if size == 0 {
            return Err(malformed(format!("{key} is 0")));
        }
    }
    if !sizes.hidden_size.is_multiple_of(sizes.num_attention_heads) {
        return Err(malformed(format!(
            "a hidden_size of {} doesn't divide by {} heads",
            sizes.hidden_size, sizes.num_attention_heads
        )));
    }
    if sizes.type_vocab_size < 2 {
        return Err(malformed(format!(
            "type_vocab_size is {}, and a pair has 2 segments",
            sizes.type_vocab_size
        )));
    }
    if sizes.max_position_embeddings < 3 {
        return Err(malformed(format!(
            "max_position_embeddings is {}, and the marks around a pair alone are 3",
            sizes.max_position_embeddings
        )));
    }
    Ok(Config {
        vocab_size: sizes.vocab_size,
        hidden_size: sizes.hidden_size,
        num_hidden_layers: sizes.num_hidden_layers,
        num_attention_heads: sizes.num_attention_heads,
        intermediate_size: sizes.intermediate_size,
        hidden_act,
        hidden_dropout_prob: 0.0,
        max_position_embeddings: sizes.max_position_embeddings,
        type_vocab_size: sizes.type_vocab_size,
        initializer_range: 0.02,
        layer_norm_eps: sizes.layer_norm_eps,
        pad_token_id: sizes.pad_token_id.unwrap_or(0),
        position_embedding_type: PositionEmbeddingType::Absolute,
        use_cache: false,
        classifier_dropout: None,
        model_type: Some("bert".into()),
    })
}
