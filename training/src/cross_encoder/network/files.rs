//! A network as files: the folder that `transformers` reads, and a backbone with the layers that were trained on it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{Bend, Network, Shape};

impl Network {
    /// Reads a folder with `config.json` and `model.safetensors`, all of it to be learned.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or lacks something.
    pub fn open(folder: &Path) -> Result<Self> {
        let shape = read_shape(&folder.join("config.json"))?;
        Self::assemble(
            shape,
            &read_tensors(&folder.join("model.safetensors"))?,
            |_| true,
        )
    }

    /// Reads a sentence encoder's folder, of which only what [`Shape::is_delta`] names is to be learned, and adds a head by
    /// lot, the same for the same seed: of nothing, it would let no slope through to the layers for dozens of steps.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or lacks something.
    pub fn on_backbone(folder: &Path, seed: u64) -> Result<Self> {
        let shape = read_shape(&folder.join("config.json"))?;
        let mut tensors = read_tensors(&folder.join("model.safetensors"))?;
        let mut random = StdRng::seed_from_u64(seed);
        let head: Vec<f32> = (0..shape.width)
            .map(|_| random.random_range(-0.1..0.1))
            .collect();
        let head = Tensor::from_vec(head, (1, shape.width), &Device::Cpu)?;
        tensors.insert("classifier.weight".into(), head);
        let bias = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
        tensors.insert("classifier.bias".into(), bias);
        Self::assemble(shape, &tensors, |name| shape.is_delta(name))
    }

    /// Reads a sentence encoder's folder, with the tensors of `delta` in the place of its own.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or the two together lack something.
    pub fn with_delta(folder: &Path, delta: &Path) -> Result<Self> {
        let shape = read_shape(&folder.join("config.json"))?;
        let mut tensors = read_tensors(&folder.join("model.safetensors"))?;
        tensors.extend(read_tensors(delta)?);
        Self::assemble(shape, &tensors, |name| shape.is_delta(name))
    }

    fn assemble(
        shape: Shape,
        from: &HashMap<String, Tensor>,
        learned: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let (mut tensors, mut parameters) = (HashMap::new(), Vec::new());
        for (name, dims) in layout(shape) {
            let plain = name.strip_prefix("bert.").unwrap_or(&name);
            let tensor = from
                .get(plain)
                .with_context(|| format!("the file has no {name}"))?;
            ensure!(
                tensor.dims() == dims,
                "{name} is {:?}, and config.json makes it {dims:?}",
                tensor.dims()
            );
            let tensor = tensor.to_dtype(DType::F32)?;
            if learned(&name) {
                let var = Var::from_tensor(&tensor)?;
                tensors.insert(name.clone(), var.as_tensor().clone());
                parameters.push((name, var));
            } else {
                tensors.insert(name, tensor);
            }
        }
        Ok(Self {
            shape,
            tensors,
            parameters,
        })
    }

    /// Writes `config.json` and `model.safetensors`, the weights as numbers of the kind `dtype`.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, dtype: DType) -> Result<()> {
        self.save_config(folder)?;
        write_tensors(
            self.tensors.iter(),
            dtype,
            &folder.join("model.safetensors"),
        )
    }

    /// Writes `config.json`, and what was learned as `delta.safetensors` in f16.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save_delta(&self, folder: &Path) -> Result<()> {
        self.save_config(folder)?;
        let learned = self
            .parameters
            .iter()
            .map(|(name, var)| (name, var.as_tensor()));
        write_tensors(learned, DType::F16, &folder.join("delta.safetensors"))
    }

    fn save_config(&self, folder: &Path) -> Result<()> {
        let config = json!({
            "architectures": ["BertForSequenceClassification"],
            "model_type": "bert",
            "vocab_size": self.shape.vocabulary,
            "hidden_size": self.shape.width,
            "num_hidden_layers": self.shape.layers,
            "num_attention_heads": self.shape.heads,
            "intermediate_size": self.shape.inner,
            "max_position_embeddings": self.shape.positions,
            "type_vocab_size": 2,
            "hidden_act": match self.shape.bend {
                Bend::Relu => "relu",
                Bend::Gelu => "gelu",
            },
            // As it was written: f32's nearest has more digits.
            "layer_norm_eps": format!("{:e}", self.shape.epsilon).parse::<f64>()?,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": 0.02,
            "pad_token_id": 0,
            "id2label": {"0": "LABEL_0"},
            "label2id": {"LABEL_0": 0},
        });
        let path = folder.join("config.json");
        std::fs::write(&path, serde_json::to_string_pretty(&config)? + "\n")
            .with_context(|| format!("writing {}", path.display()))
    }
}

impl Shape {
    /// Whether a tensor is one of the last two layers, of the pooler or of the head: what is trained on a backbone.
    #[must_use]
    pub fn is_delta(&self, name: &str) -> bool {
        !name.starts_with("bert.")
            || name.starts_with("bert.pooler.")
            || (self.layers.saturating_sub(2)..self.layers)
                .any(|index| name.starts_with(&format!("bert.encoder.layer.{index}.")))
    }
}

/// Names and dimensions of all tensors, the embeddings first.
pub(super) fn layout(shape: Shape) -> Vec<(String, Vec<usize>)> {
    let Shape { width, inner, .. } = shape;
    let mut layout = Vec::new();
    for (name, rows) in [
        ("word", shape.vocabulary),
        ("position", shape.positions),
        ("token_type", 2),
    ] {
        layout.push((
            format!("bert.embeddings.{name}_embeddings.weight"),
            vec![rows, width],
        ));
    }
    let mut both = |name: String, weight: Vec<usize>| {
        let bias = vec![weight[0]];
        layout.push((format!("{name}.weight"), weight));
        layout.push((format!("{name}.bias"), bias));
    };
    both("bert.embeddings.LayerNorm".into(), vec![width]);
    for index in 0..shape.layers {
        let layer = format!("bert.encoder.layer.{index}");
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
    both("bert.pooler.dense".into(), vec![width, width]);
    both("classifier".into(), vec![1, width]);
    layout
}

fn read_shape(path: &Path) -> Result<Shape> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let config: Value = serde_json::from_slice(&text)?;
    let size = |key: &str| -> Result<usize> {
        let value = config[key]
            .as_u64()
            .with_context(|| format!("{} has no {key}", path.display()))?;
        Ok(usize::try_from(value)?)
    };
    let bend = match config["hidden_act"].as_str() {
        Some("relu") => Bend::Relu,
        Some("gelu") => Bend::Gelu,
        other => anyhow::bail!("{}: {other:?} is neither relu nor gelu", path.display()),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a small number, in f32 from here on"
    )]
    let epsilon = config["layer_norm_eps"]
        .as_f64()
        .with_context(|| format!("{} has no layer_norm_eps", path.display()))?
        as f32;
    Ok(Shape {
        vocabulary: size("vocab_size")?,
        width: size("hidden_size")?,
        layers: size("num_hidden_layers")?,
        heads: size("num_attention_heads")?,
        inner: size("intermediate_size")?,
        positions: size("max_position_embeddings")?,
        bend,
        epsilon,
    })
}

/// Tensors by their names without the leading `bert.`, which only some exports write.
fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(tensors
        .into_iter()
        .map(|(name, tensor)| {
            (
                name.strip_prefix("bert.").unwrap_or(&name).to_owned(),
                tensor,
            )
        })
        .collect())
}

fn write_tensors<'a>(
    tensors: impl Iterator<Item = (&'a String, &'a Tensor)>,
    dtype: DType,
    path: &Path,
) -> Result<()> {
    let tensors = tensors
        .map(|(name, tensor)| Ok((name.clone(), tensor.to_dtype(dtype)?)))
        .collect::<Result<HashMap<String, Tensor>>>()?;
    candle_core::safetensors::save(&tensors, path)
        .with_context(|| format!("writing {}", path.display()))
}
