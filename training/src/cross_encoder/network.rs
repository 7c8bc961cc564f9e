//! The network: BERT with a pooler and a head of one label, for training the whole of it or its last layers.
//!
//! Of the last layer only the first position is computed: nothing else of it reaches the score.

mod files;

use std::collections::HashMap;

use anyhow::Result;
use candle_core::{Device, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::kernels::{Attend, Center, Gelu};
use super::vocabulary::Pair;
use crate::kernels::Heads;

/// The sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// What bends the middle of the feed-forward part.
    pub bend: Bend,
    /// Added under the root of the norms.
    pub epsilon: f32,
}

/// The function in the middle of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bend {
    /// Nothing below zero, itself above.
    Relu,
    /// The exact GELU, with the error function.
    Gelu,
}

/// A network's tensors, under the names that `transformers` gives them.
#[derive(Debug)]
pub struct Network {
    /// Its sizes.
    pub shape: Shape,
    tensors: HashMap<String, Tensor>,
    /// Those of them that are learned. The others carry no slopes, which saves most of the backward pass.
    parameters: Vec<(String, Var)>,
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
        for (name, dims) in files::layout(shape) {
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
        Ok(Self {
            shape,
            tensors: parameters
                .iter()
                .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
                .collect(),
            parameters,
        })
    }

    /// What is learned, by name.
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
        &self.tensors[name]
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.find(&format!("{name}.weight"));
        Ok(x.matmul(&weight.t()?)?
            .broadcast_add(self.find(&format!("{name}.bias")))?)
    }

    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        Ok(x.apply_op1(Center(self.shape.epsilon))?
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
    /// Never: every constructor makes each tensor that the layout lists.
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
            let inner = self.linear(&name("intermediate.dense"), &stream)?;
            let inner = match self.shape.bend {
                Bend::Relu => inner.relu()?,
                Bend::Gelu => inner.apply_op1(Gelu)?,
            };
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
