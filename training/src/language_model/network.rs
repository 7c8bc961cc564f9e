//! The network: Llama's architecture, small, with all positions' logits, for training and for measuring.

use std::io::{Read, Seek};

use anyhow::{Context, Result, ensure};
use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::kernels::{Attend, Gate, Heads, Normalize, Surprise};

/// The sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Tokens known.
    pub vocabulary: usize,
    /// Numbers that describe a token.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Width of the gated part of a layer.
    pub inner: usize,
    /// Tokens it can look back on.
    pub context: usize,
}

/// Added under the root of the norms.
pub const EPSILON: f32 = 1e-5;
/// The base of the rotary position frequencies.
pub const ROTARY_BASE: f32 = 10_000.0;

/// A network's parameters, under the names that GGUF gives them.
#[derive(Debug)]
pub struct Network {
    /// Its sizes.
    pub shape: Shape,
    parameters: Vec<(String, Var)>,
}

impl Network {
    /// A network with random weights, the same for the same seed.
    ///
    /// # Errors
    ///
    /// When the memory cannot be had.
    pub fn random(shape: Shape, seed: u64) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut parameters = Vec::new();
        for (name, dims) in Self::layout(shape) {
            let count = dims.iter().product();
            let values: Vec<f32> = match dims[..] {
                [_] => vec![1.0; count],
                // The projections back into the stream start at zero: a fresh layer changes nothing.
                _ if name.contains("output") || name.contains("down") => vec![0.0; count],
                _ => {
                    let fan_in = if name.starts_with("token") {
                        1_000.0
                    } else {
                        f32::from(u16::try_from(shape.width)?)
                    };
                    let bound = (3.0 / fan_in).sqrt();
                    (0..count)
                        .map(|_| random.random_range(-bound..bound))
                        .collect()
                }
            };
            parameters.push((name, Var::from_vec(values, dims, &Device::Cpu)?));
        }
        Ok(Self { shape, parameters })
    }

    /// Reads a GGUF file that [`export`](super::export) wrote, with its weights dequantized.
    ///
    /// # Errors
    ///
    /// When a key or a tensor is missing.
    pub fn from_gguf(content: &Content, reader: &mut (impl Read + Seek)) -> Result<Self> {
        let number = |key: &str| -> Result<usize> {
            let value = content
                .metadata
                .get(key)
                .with_context(|| format!("the GGUF file has no {key}"))?;
            Ok(value.to_u32()? as usize)
        };
        let vocabulary = content
            .metadata
            .get("tokenizer.ggml.tokens")
            .context("the GGUF file has no tokens")?;
        let shape = Shape {
            vocabulary: vocabulary.to_vec()?.len(),
            width: number("llama.embedding_length")?,
            layers: number("llama.block_count")?,
            heads: number("llama.attention.head_count")?,
            inner: number("llama.feed_forward_length")?,
            context: number("llama.context_length")?,
        };
        let mut parameters = Vec::new();
        for (name, dims) in Self::layout(shape) {
            let tensor = content
                .tensor(reader, &name, &Device::Cpu)?
                .dequantize(&Device::Cpu)?;
            ensure!(
                tensor.dims() == dims,
                "{name} is {:?} and should be {dims:?}",
                tensor.dims()
            );
            parameters.push((name, Var::from_tensor(&tensor)?));
        }
        Ok(Self { shape, parameters })
    }

    /// Names and dimensions of all parameters, in the order in which they are stored.
    fn layout(shape: Shape) -> Vec<(String, Vec<usize>)> {
        let Shape {
            vocabulary,
            width,
            layers,
            inner,
            ..
        } = shape;
        let mut layout = vec![("token_embd.weight".to_owned(), vec![vocabulary, width])];
        for layer in 0..layers {
            for (part, dims) in [
                ("attn_norm", vec![width]),
                ("attn_q", vec![width, width]),
                ("attn_k", vec![width, width]),
                ("attn_v", vec![width, width]),
                ("attn_output", vec![width, width]),
                ("ffn_norm", vec![width]),
                ("ffn_gate", vec![inner, width]),
                ("ffn_up", vec![inner, width]),
                ("ffn_down", vec![width, inner]),
            ] {
                layout.push((format!("blk.{layer}.{part}.weight"), dims));
            }
        }
        layout.push(("output_norm.weight".to_owned(), vec![width]));
        layout
    }

    /// All parameters with their GGUF names. The token embedding is also the output matrix.
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

    /// The logits of every position, `[windows * length, vocabulary]`, of windows of equal length laid end to end.
    ///
    /// # Errors
    ///
    /// When a token is not in the vocabulary.
    ///
    /// # Panics
    ///
    /// Never: both constructors make every parameter that the layout lists.
    pub fn logits(&self, tokens: &[u32], length: usize) -> Result<Tensor> {
        let Shape { width, heads, .. } = self.shape;
        let split = Heads {
            length,
            heads,
            width: width / heads,
            rotate: Some(ROTARY_BASE),
            back: false,
        };
        let plain = Heads {
            rotate: None,
            ..split
        };
        let join = Heads {
            back: true,
            ..plain
        };
        #[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
        let scale = ((width / heads) as f32).sqrt().recip();

        let mut parameters = self.parameters.iter().map(|(_, var)| var.as_tensor());
        let mut next = || {
            parameters
                .next()
                .expect("both constructors follow the layout, which lists them all")
        };
        let embedding = next();
        let index = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        let mut stream = embedding.index_select(&index, 0)?;
        for _ in 0..self.shape.layers {
            let normed = norm(&stream, next())?;
            let queries = normed.matmul(&next().t()?)?.apply_op1(split)?;
            let keys = normed.matmul(&next().t()?)?.apply_op1(split)?;
            let values = normed.matmul(&next().t()?)?.apply_op1(plain)?;
            let weights = queries.matmul(&keys.t()?)?.apply_op1(Attend(scale))?;
            let heard = weights.matmul(&values)?.apply_op1(join)?;
            stream = (stream + heard.matmul(&next().t()?)?)?;
            let normed = norm(&stream, next())?;
            let gate = normed.matmul(&next().t()?)?;
            let up = normed.matmul(&next().t()?)?;
            stream = (stream + gate.apply_op2(&up, Gate)?.matmul(&next().t()?)?)?;
        }
        Ok(norm(&stream, next())?.matmul(&embedding.t()?)?)
    }

    /// The surprise (nats) of each target, given the tokens up to it.
    ///
    /// # Errors
    ///
    /// When a token is not in the vocabulary.
    ///
    /// # Panics
    ///
    /// Never: both constructors make every parameter that the layout lists.
    pub fn surprise(&self, tokens: &[u32], targets: &[u32], length: usize) -> Result<Tensor> {
        let logits = self.logits(tokens, length)?.to_dtype(DType::F32)?;
        Ok(logits.apply_op1(Surprise {
            targets: targets.to_vec(),
        })?)
    }
}

fn norm(stream: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok(stream
        .apply_op1(Normalize(EPSILON))?
        .broadcast_mul(weight)?)
}
