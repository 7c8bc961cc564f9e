//! Writing the network and its tokenizer as one GGUF file.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};

use super::network::{EPSILON, Network, ROTARY_BASE};
use super::vocabulary::Vocabulary;

/// Writes `path`: matrices in Q8_0, norms in F32. A reader never sees half a file.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(network: &Network, vocabulary: &Vocabulary, path: &Path) -> Result<()> {
    let shape = network.shape;
    let number = |value: usize| -> Result<Value> { Ok(Value::U32(u32::try_from(value)?)) };
    let mut metadata = vec![
        ("general.architecture", Value::String("llama".into())),
        ("general.name", Value::String("inferometer-tiny".into())),
        ("general.file_type", Value::U32(7)),
        ("general.alignment", Value::U32(32)),
        ("llama.block_count", number(shape.layers)?),
        ("llama.context_length", number(shape.context)?),
        ("llama.embedding_length", number(shape.width)?),
        ("llama.feed_forward_length", number(shape.inner)?),
        ("llama.attention.head_count", number(shape.heads)?),
        ("llama.attention.head_count_kv", number(shape.heads)?),
        (
            "llama.attention.layer_norm_rms_epsilon",
            Value::F32(EPSILON),
        ),
        (
            "llama.rope.dimension_count",
            number(shape.width / shape.heads)?,
        ),
        ("llama.rope.freq_base", Value::F32(ROTARY_BASE)),
        ("llama.vocab_size", number(shape.vocabulary)?),
    ];
    metadata.extend(vocabulary.metadata());
    let tensors = network
        .parameters()
        .iter()
        .map(|(name, var)| {
            let kind = if var.rank() == 1 {
                GgmlDType::F32
            } else {
                GgmlDType::Q8_0
            };
            Ok((name.as_str(), QTensor::quantize(var.as_tensor(), kind)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let partial = path.with_extension("partial");
    let mut file =
        File::create(&partial).with_context(|| format!("creating {}", partial.display()))?;
    gguf_file::write(&mut file, &metadata, &tensors)?;
    std::fs::rename(&partial, path).with_context(|| format!("putting {} in place", path.display()))
}
