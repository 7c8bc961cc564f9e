//! Bits per byte on the held-out slice, the same for the network and for both 5-grams.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::quantized::gguf_file::Content;
use serde::Serialize;

use super::baseline::FiveGram;
use super::corpus::{Corpus, END};
use super::network::Network;
use super::vocabulary::Vocabulary;

/// Bytes of held-out text that scores are measured on, about.
pub const SLICE: usize = 40_000;

/// Stands between documents for the model over bytes; no text contains it.
const ZERO: u32 = 0;

/// Bits per byte of held-out text; less is better.
#[derive(Debug, Clone, Serialize)]
pub struct Scores {
    /// Bytes measured.
    pub bytes: usize,
    /// Tokens that those bytes are to the network and to the 5-gram over tokens.
    pub tokens: usize,
    /// Of the network, as exported.
    pub model: f64,
    /// Of the 5-gram over the same tokens.
    pub token_five_gram: f64,
    /// Of the 5-gram over bytes.
    pub byte_five_gram: f64,
}

/// Opens a GGUF file as a network and its tokenizer.
///
/// # Errors
///
/// When the file cannot be read or is not one of ours.
pub fn open(path: &Path) -> Result<(Network, Vocabulary)> {
    let mut file =
        File::open(path).with_context(|| format!("opening the model {}", path.display()))?;
    let content =
        Content::read(&mut file).with_context(|| format!("reading {} as GGUF", path.display()))?;
    Ok((
        Network::from_gguf(&content, &mut file)?,
        Vocabulary::from_gguf(&content)?,
    ))
}

/// Measures the model at `path` and both 5-grams, counted anew from the training text.
///
/// # Errors
///
/// When the model cannot be read or the text not be tokenized.
pub fn score(corpus: &Corpus, path: &Path) -> Result<Scores> {
    let (network, vocabulary) = open(path)?;
    let slice = corpus.slice(SLICE);
    let bytes = slice.iter().map(|text| text.len()).sum();
    let held_out: Vec<Vec<u32>> = slice
        .iter()
        .map(|text| vocabulary.encode(text))
        .collect::<Result<_>>()?;
    let training: Vec<Vec<u32>> = corpus
        .training
        .iter()
        .map(|text| vocabulary.encode(text))
        .collect::<Result<_>>()?;
    let end = vocabulary.end();
    let tokens = FiveGram::count(training.iter().map(Vec::as_slice), vocabulary.len(), end);
    let token_bits = tokens.bits(held_out.iter().map(Vec::as_slice), end);

    let spell = |text: &str| -> Vec<u32> { text.replace(END, "").bytes().map(u32::from).collect() };
    let training: Vec<Vec<u32>> = corpus.training.iter().map(|text| spell(text)).collect();
    let spelled: Vec<Vec<u32>> = slice.iter().map(|text| spell(text)).collect();
    let over_bytes = FiveGram::count(training.iter().map(Vec::as_slice), 256, ZERO);
    let byte_bits = over_bytes.bits(spelled.iter().map(Vec::as_slice), ZERO);

    #[expect(clippy::cast_precision_loss, reason = "the slice is small")]
    let share = |bits: f64| bits / bytes as f64;
    Ok(Scores {
        bytes,
        tokens: held_out.iter().map(Vec::len).sum(),
        model: share(bits(&network, &held_out, end)?),
        token_five_gram: share(token_bits),
        byte_five_gram: share(byte_bits),
    })
}

/// Bits that the network needs for the documents, each read in windows of its context that overlap by half.
///
/// # Errors
///
/// When a token is not in the vocabulary.
pub fn bits(network: &Network, documents: &[Vec<u32>], end: u32) -> Result<f64> {
    let context = network.shape.context;
    let mut nats = 0.0;
    for document in documents {
        let inputs: Vec<u32> = [end].iter().chain(document).copied().collect();
        let mut measured = 0;
        while measured < document.len() {
            let start = (measured + context / 2)
                .saturating_sub(context)
                .min(measured);
            let start = if measured == 0 { 0 } else { start };
            let stop = (start + context).min(document.len());
            let losses = network
                .surprise(&inputs[start..stop], &document[start..stop], stop - start)?
                .to_vec1::<f32>()?;
            nats += losses[measured - start..]
                .iter()
                .map(|loss| f64::from(*loss))
                .sum::<f64>();
            measured = stop;
        }
    }
    Ok(nats / std::f64::consts::LN_2)
}
