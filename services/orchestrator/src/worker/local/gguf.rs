//! A GGUF file: its metadata, its weights, and whether the two fit together.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use candle_core::{
    Device, Tensor,
    quantized::gguf_file::{Content, Value},
};
use candle_transformers::models::quantized_llama::{MAX_SEQ_LEN, ModelWeights};

use super::LoadError;

/// What a GGUF file says about itself.
pub(super) struct Metadata {
    /// The file, or the name of the bytes.
    pub(super) origin: String,
    values: HashMap<String, Value>,
}

impl Metadata {
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.to_string().ok().map(String::as_str)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        whole(self.values.get(key)?)?.try_into().ok()
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.values.get(key)?.to_bool().ok()
    }

    /// An array of strings; `None` when it is absent or holds anything else.
    pub(super) fn strings(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.values.get(key)?.to_vec().ok()?;
        values
            .iter()
            .map(|value| value.to_string().ok().map(String::as_str))
            .collect()
    }

    /// An array of whole numbers; `None` when it is absent or holds anything else.
    pub(super) fn numbers(&self, key: &str) -> Option<Vec<i64>> {
        let values = self.values.get(key)?.to_vec().ok()?;
        values.iter().map(whole).collect()
    }

    /// The most tokens that the model can look at, as trained and as the runtime can hold.
    pub(super) fn context_length(&self) -> usize {
        self.number("llama.context_length")
            .and_then(|length| usize::try_from(length).ok())
            .map_or(MAX_SEQ_LEN, |length| length.min(MAX_SEQ_LEN))
    }

    #[cfg(test)]
    pub(super) fn of(origin: &str, values: HashMap<String, Value>) -> Self {
        Self {
            origin: origin.into(),
            values,
        }
    }
}

/// A whole number of whatever width the file's writer chose.
fn whole(value: &Value) -> Option<i64> {
    Some(match *value {
        Value::U8(value) => value.into(),
        Value::I8(value) => value.into(),
        Value::U16(value) => value.into(),
        Value::I16(value) => value.into(),
        Value::U32(value) => value.into(),
        Value::I32(value) => value.into(),
        Value::U64(value) => value.try_into().ok()?,
        Value::I64(value) => value,
        Value::F32(_) | Value::F64(_) | Value::Bool(_) | Value::String(_) | Value::Array(_) => {
            return None;
        }
    })
}

/// Reads metadata and weights, and runs one token through them, so that a model that doesn't fit together is refused
/// here and not by the first request.
pub(super) fn read<R: Read + Seek>(
    origin: &str,
    reader: &mut R,
) -> Result<(Metadata, ModelWeights), LoadError> {
    let length = check_magic(origin, reader)?;
    let content = Content::read(reader).map_err(|error| LoadError::Truncated {
        origin: origin.into(),
        detail: plain(&error),
    })?;
    let metadata = Metadata {
        origin: origin.into(),
        values: content.metadata.clone(),
    };
    match metadata.string("general.architecture") {
        Some("llama") => {}
        found => {
            return Err(LoadError::Architecture {
                origin: origin.into(),
                found: found.unwrap_or("(none named)").into(),
            });
        }
    }
    check_length(origin, &content, length)?;
    check_shape(&metadata, &content)?;
    if content.tensor_infos.contains_key("rope_freqs.weight") {
        tracing::warn!(
            model = origin,
            "the model scales its rotary frequencies, which this runtime leaves out: answers to long prompts suffer"
        );
    }
    let broken = |error: candle_core::Error| LoadError::Weights {
        origin: origin.into(),
        detail: plain(&error),
    };
    let weights = ModelWeights::from_gguf(content, reader, &Device::Cpu).map_err(broken)?;
    // On a clone: the original's state stays empty, and every request starts from it.
    Tensor::new(&[[0u32]], &Device::Cpu)
        .and_then(|token| weights.clone().forward(&token, 0))
        .map_err(broken)?;
    Ok((metadata, weights))
}

/// The error in one line, without the trace that candle appends.
pub(super) fn plain(error: &candle_core::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn check_magic<R: Read + Seek>(origin: &str, reader: &mut R) -> Result<u64, LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: origin.into(),
        source,
    };
    let mut start = Vec::with_capacity(8);
    reader
        .by_ref()
        .take(8)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let not_gguf = |detail: String| LoadError::NotGguf {
        origin: origin.into(),
        detail,
    };
    match start.as_slice() {
        [] => return Err(not_gguf("it is empty".into())),
        [b'G', b'G', b'U', b'F', version @ ..] => {
            match version.try_into().map(u32::from_le_bytes) {
                Ok(1..=3) => {}
                Ok(version) => {
                    return Err(not_gguf(format!(
                        "its version is {version}, and 1 to 3 are known"
                    )));
                }
                Err(_) => {
                    return Err(LoadError::Truncated {
                        origin: origin.into(),
                        detail: "it ends within its first 8 bytes".into(),
                    });
                }
            }
        }
        other => {
            return Err(not_gguf(format!(
                "it starts with \"{}\"",
                other.escape_ascii()
            )));
        }
    }
    let length = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
    reader.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(length)
}

fn check_length(origin: &str, content: &Content, length: u64) -> Result<(), LoadError> {
    let end = content.tensor_infos.values().map(|tensor| {
        let blocks = tensor.shape.elem_count() / tensor.ggml_dtype.block_size();
        let bytes = blocks.saturating_mul(tensor.ggml_dtype.type_size()) as u64;
        content
            .tensor_data_offset
            .saturating_add(tensor.offset)
            .saturating_add(bytes)
    });
    let needed = end.max().unwrap_or(0);
    if needed > length {
        return Err(LoadError::Truncated {
            origin: origin.into(),
            detail: format!("its tensors end at byte {needed}, and it has {length}"),
        });
    }
    Ok(())
}

/// The sizes that the runtime divides by, or indexes with, before it would notice by itself.
fn check_shape(metadata: &Metadata, content: &Content) -> Result<(), LoadError> {
    let wrong = |detail: String| LoadError::Weights {
        origin: metadata.origin.clone(),
        detail,
    };
    let size = |key: &str| match metadata.number(key) {
        None => Err(wrong(format!("the metadata lacks {key}"))),
        Some(0) => Err(wrong(format!("{key} is 0"))),
        Some(value) => Ok(value),
    };
    let heads = size("llama.attention.head_count")?;
    let shared = size("llama.attention.head_count_kv")?;
    let width = size("llama.embedding_length")?;
    let rotary = size("llama.rope.dimension_count")?;
    size("llama.block_count")?;
    if heads % shared != 0 || width % heads != 0 || rotary != width / heads || rotary % 2 != 0 {
        return Err(wrong(format!(
            "{heads} heads over {shared} key heads, a width of {width} and {rotary} rotary dimensions"
        )));
    }
    if metadata.context_length() < 2 {
        return Err(wrong("a context window below 2 tokens".into()));
    }
    let Some(embedding) = content.tensor_infos.get("token_embd.weight") else {
        return Err(wrong("the tensor token_embd.weight is missing".into()));
    };
    let rows = embedding.shape.dims().first().copied().unwrap_or(0);
    match metadata.strings("tokenizer.ggml.tokens") {
        Some(tokens) if tokens.len() != rows => Err(wrong(format!(
            "{} tokens in the tokenizer, and embeddings for {rows}",
            tokens.len()
        ))),
        _ => Ok(()),
    }
}
