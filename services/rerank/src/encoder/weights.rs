//! `model.safetensors`: every tensor found, of the right shape, in f32.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use candle_transformers::models::bert::Config;

use super::error::ModelError;

/// Reads all tensors of a file, under their names without the leading `bert.`.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<HashMap<String, Tensor>, ModelError> {
    Ok(candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| broken(path, &error))?
        .into_iter()
        .map(|(name, tensor)| (plain(&name), tensor))
        .collect())
}

/// Of the tensors `found` in a file, those that a model of these sizes has, in f32.
pub(super) fn fit(
    path: &Path,
    mut found: HashMap<String, Tensor>,
    config: &Config,
) -> Result<HashMap<String, Tensor>, ModelError> {
    let mut tensors = HashMap::new();
    for (name, expected) in layout(config) {
        let Some(tensor) = found.remove(&name) else {
            return Err(ModelError::TensorMissing {
                path: path.into(),
                name,
            });
        };
        if tensor.dims() != expected {
            if let ("classifier.weight", [labels, _]) = (name.as_str(), tensor.dims()) {
                return Err(ModelError::Labels {
                    path: path.into(),
                    labels: *labels,
                });
            }
            return Err(ModelError::TensorShape {
                path: path.into(),
                found: tensor.dims().to_vec(),
                name,
                expected,
            });
        }
        let tensor = tensor
            .to_dtype(DType::F32)
            .map_err(|error| broken(path, &error))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn broken(path: &Path, error: &candle_core::Error) -> ModelError {
    ModelError::Weights {
        path: path.into(),
        detail: first_line(error),
    }
}

/// The name as the layout has it: without the prefix that only some exports write, and norms as they are called today.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    match name.rsplit_once(".LayerNorm.") {
        Some((before, "gamma")) => format!("{before}.LayerNorm.weight"),
        Some((before, "beta")) => format!("{before}.LayerNorm.bias"),
        _ => name.to_owned(),
    }
}

/// Names and dimensions of all tensors, the embeddings first.
fn layout(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let mut layout = Vec::new();
    for (name, rows) in [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ] {
        layout.push((
            format!("embeddings.{name}_embeddings.weight"),
            vec![rows, width],
        ));
    }
    let mut both = |name: String, weight: Vec<usize>| {
        let bias = vec![weight[0]];
        layout.push((format!("{name}.weight"), weight));
        layout.push((format!("{name}.bias"), bias));
    };
    both("embeddings.LayerNorm".into(), vec![width]);
    for index in 0..config.num_hidden_layers {
        let layer = format!("encoder.layer.{index}");
        for part in ["query", "key", "value"] {
            both(format!("{layer}.attention.self.{part}"), vec![width, width]);
        }
        both(
            format!("{layer}.attention.output.dense"),
            vec![width, width],
        );
        both(format!("{layer}.attention.output.LayerNorm"), vec![width]);
        both(format!("{layer}.intermediate.dense"), vec![inner, width]);
        both(format!("{layer}.output.dense"), vec![width, inner]);
        both(format!("{layer}.output.LayerNorm"), vec![width]);
    }
    both("pooler.dense".into(), vec![width, width]);
    both("classifier".into(), vec![1, width]);
    layout
}

/// What a library's error says, without the trace below it.
pub(super) fn first_line(error: &impl ToString) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
