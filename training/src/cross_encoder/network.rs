//! The network: BERT with a pooler and a head of one label, small, for training.
//!
//! Of the last layer only the first position is computed: nothing else of it reaches the score.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::kernels::{Attend, Center};
use super::vocabulary::Pair;
use crate::kernels::Heads;

/// The sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Tokens known.
    pub vocabulary: usize,
    /// Numbers that describe a token.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Width of the middle of the feed-forward part.
    pub inner: usize,
    /// Positions.
    pub positions: usize,
}

/// Added under the root of the norms.
const EPSILON: f32 = 1e-5;

/// A network's parameters, under the names that `transformers` gives them.
#[derive(Debug)]
pub struct Network {
    /// Its sizes.
    pub shape: Shape,
    parameters: Vec<(String, Var)>,
    places: HashMap<String, usize>,
}

impl Network {
    /// A network with random weights, the same for the same seed.
    ///
    /// The first layer starts out looking for a token's other occurrences: its queries and keys are both the token's own
    /// embedding. To find out from examples that the same word on both sides means something would take most of the
    /// training.
    ///
    /// # Errors
    ///
    /// When the memory cannot be had.
    pub fn random(shape: Shape, seed: u64) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut parameters = Vec::new();
        for (name, dims) in Self::layout(shape) {
            let count = dims.iter().product();
            let mut uniform = |deviation: f32| -> Vec<f32> {
                let bound = deviation * 3f32.sqrt();
                (0..count)
                    .map(|_| random.random_range(-bound..bound))
                    .collect()
            };
            let fan_in = f32::from(u16::try_from(*dims.last().unwrap_or(&1))?)
                .sqrt()
                .recip();
            let first = name.contains("layer.0.attention.self");
            let values = match dims[..] {
                [_] if name.ends_with("LayerNorm.weight") => vec![1.0; count],
                [_] => vec![0.0; count],
                _ if name.contains("word_embeddings") => uniform(0.3),
                _ if name.contains("token_type_embeddings") => uniform(0.1),
                _ if name.contains("position_embeddings") => waves(shape.positions, shape.width),
                _ if name.starts_with("classifier") => vec![0.0; count],
                _ if first && !name.contains("value") => identity(shape.width),
                _ if name.contains("output.dense") => uniform(fan_in * 0.5),
                _ => uniform(fan_in),
            };
            parameters.push((name, Var::from_vec(values, dims, &Device::Cpu)?));
        }
        Ok(Self::of(shape, parameters))
    }

    fn of(shape: Shape, parameters: Vec<(String, Var)>) -> Self {
        let places = parameters
            .iter()
            .enumerate()
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
        Self {
            shape,
            parameters,
            places,
        }
    }

    /// Reads a `model.safetensors` and its `config.json` that [`Network::save`] wrote.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or lacks something.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let config: serde_json::Value = serde_json::from_slice(&text)?;
        let size = |key: &str| -> Result<usize> {
            let value = config[key]
                .as_u64()
                .with_context(|| format!("{} has no {key}", path.display()))?;
            Ok(usize::try_from(value)?)
        };
        let shape = Shape {
            vocabulary: size("vocab_size")?,
            width: size("hidden_size")?,
            layers: size("num_hidden_layers")?,
            heads: size("num_attention_heads")?,
            inner: size("intermediate_size")?,
            positions: size("max_position_embeddings")?,
        };
        let path = folder.join("model.safetensors");
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .with_context(|| format!("reading {}", path.display()))?;
        let parameters = Self::layout(shape)
            .into_iter()
            .map(|(name, dims)| {
                let tensor = tensors
                    .get(&name)
                    .with_context(|| format!("{} has no {name}", path.display()))?;
                let tensor = tensor.to_dtype(DType::F32)?.reshape(dims)?;
                Ok((name, Var::from_tensor(&tensor)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self::of(shape, parameters))
    }

    /// Writes `config.json` and `model.safetensors`, the weights in f16.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
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
            "hidden_act": "relu",
            "layer_norm_eps": 1e-5,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "initializer_range": 0.02,
            "pad_token_id": 0,
            "id2label": {"0": "LABEL_0"},
            "label2id": {"LABEL_0": 0},
        });
        let path = folder.join("config.json");
        std::fs::write(&path, serde_json::to_string_pretty(&config)? + "\n")
            .with_context(|| format!("writing {}", path.display()))?;
        let tensors = self
            .parameters
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().to_dtype(DType::F16)?)))
            .collect::<Result<HashMap<String, Tensor>>>()?;
        let path = folder.join("model.safetensors");
        candle_core::safetensors::save(&tensors, &path)
            .with_context(|| format!("writing {}", path.display()))
    }

    fn layout(shape: Shape) -> Vec<(String, Vec<usize>)> {
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

    /// All parameters by name.
    #[must_use]
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// How many numbers were learned.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parameters
            .iter()
            .map(|(_, var)| var.elem_count())
            .sum()
    }

    fn find(&self, name: &str) -> &Tensor {
        self.parameters[self.places[name]].1.as_tensor()
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.find(&format!("{name}.weight"));
        Ok(x.matmul(&weight.t()?)?
            .broadcast_add(self.find(&format!("{name}.bias")))?)
    }

    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        Ok(x.apply_op1(Center(EPSILON))?
            .broadcast_mul(self.find(&format!("{name}.weight")))?
            .broadcast_add(self.find(&format!("{name}.bias")))?)
    }

    /// The score of each pair.
    ///
    /// # Errors
    ///
    /// When a token is not in the vocabulary, or a pair longer than the positions.
    ///
    /// # Panics
    ///
    /// Never: both constructors make every parameter that the layout lists.
    pub fn scores(&self, pairs: &[&Pair]) -> Result<Tensor> {
        let Shape {
            width,
            heads,
            layers,
            ..
        } = self.shape;
        let (count, length) = (
            pairs.len(),
            pairs.iter().map(|pair| pair.ids.len()).max().unwrap_or(0),
        );
        let (mut ids, mut places, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (index, pair) in pairs.iter().enumerate() {
            ids.extend(&pair.ids);
            ids.resize((index + 1) * length, 0);
            kinds.resize(index * length + pair.first, 0u32);
            kinds.resize((index + 1) * length, 1);
            places.extend(0..u32::try_from(length)?);
        }
        let look = |name: &str, index: Vec<u32>| -> Result<Tensor> {
            let index = Tensor::new(index, &Device::Cpu)?;
            Ok(self
                .find(&format!("bert.embeddings.{name}_embeddings.weight"))
                .index_select(&index, 0)?)
        };
        let embedded =
            ((look("word", ids)? + look("position", places)?)? + look("token_type", kinds)?)?;
        let mut stream = self.norm("bert.embeddings.LayerNorm", &embedded)?;

        let all = Heads {
            length,
            heads,
            width: width / heads,
            rotate: None,
            back: false,
        };
        #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
        let scale = ((width / heads) as f32).sqrt().recip();
        for index in 0..layers {
            let name = |part: &str| format!("bert.encoder.layer.{index}.{part}");
            let keys = self
                .linear(&name("attention.self.key"), &stream)?
                .apply_op1(all)?;
            let values = self
                .linear(&name("attention.self.value"), &stream)?
                .apply_op1(all)?;
            let mut asking = all;
            if index + 1 == layers {
                stream = stream
                    .reshape((count, length, width))?
                    .narrow(1, 0, 1)?
                    .squeeze(1)?
                    .contiguous()?;
                asking.length = 1;
            }
            let queries = self
                .linear(&name("attention.self.query"), &stream)?
                .apply_op1(asking)?;
            let lengths = pairs.iter().map(|pair| pair.ids.len()).collect();
            let weights = queries
                .matmul(&keys.t()?)?
                .apply_op1(Attend { scale, lengths })?;
            let heard = weights.matmul(&values)?.apply_op1(Heads {
                back: true,
                ..asking
            })?;
            let heard = self.linear(&name("attention.output.dense"), &heard)?;
            stream = self.norm(&name("attention.output.LayerNorm"), &(stream + heard)?)?;
            let inner = self.linear(&name("intermediate.dense"), &stream)?.relu()?;
            let made = self.linear(&name("output.dense"), &inner)?;
            stream = self.norm(&name("output.LayerNorm"), &(stream + made)?)?;
        }
        let pooled = self.linear("bert.pooler.dense", &stream)?.tanh()?;
        Ok(self.linear("classifier", &pooled)?.squeeze(1)?)
    }
}

fn identity(width: usize) -> Vec<f32> {
    (0..width * width)
        .map(|i| if i / width == i % width { 1.0 } else { 0.0 })
        .collect()
}

/// Sines and cosines of falling frequency, so that positions beyond the training text's look like their neighbours.
#[expect(clippy::cast_precision_loss, reason = "positions and widths are small")]
fn waves(positions: usize, width: usize) -> Vec<f32> {
    let wave = |i: usize| {
        let (position, column) = ((i / width) as f32, i % width);
        let angle = position / 1_000f32.powf((column / 2 * 2) as f32 / width as f32);
        0.05 * if column.is_multiple_of(2) {
            angle.sin()
        } else {
            angle.cos()
        }
    };
    (0..positions * width).map(wave).collect()
}
