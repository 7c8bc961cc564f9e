//! Trained layers on a backbone that is fetched: what comes with the program is a twelfth of the model.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use candle_core::Tensor;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{CrossEncoder, ModelError, config, read_file, weights};

/// The backbone that [`CrossEncoder::minilm`] needs, as `inferometer models pull` calls it.
pub const BACKBONE: &str = "all-minilm-l6-v2";

/// Layers, and the backbone they were trained on.
pub(super) struct Delta<'a> {
    /// What the two together are called.
    pub(super) name: &'a str,
    /// `config.json` of the two together.
    pub(super) config: &'a [u8],
    /// Name and checksums of the backbone: [`Needed`].
    pub(super) backbone: &'a [u8],
    /// The tensors that take the place of the backbone's.
    pub(super) weights: &'a [u8],
}

/// The backbone that layers were trained on.
#[derive(Deserialize)]
struct Needed {
    name: String,
    /// SHA-256 of its files.
    sha256: BTreeMap<String, String>,
}

impl CrossEncoder {
    /// Loads the MiniLM-based model, of which the trained layers come with the program and the rest lies in the folder
    /// `backbone`: that of [`BACKBONE`], with `tokenizer.json` and `model.safetensors`. It is called
    /// `inferometer-rerank-minilm`.
    ///
    /// # Errors
    /// [`ModelError::BackboneMissing`] and [`ModelError::Backbone`], which name the command that fetches the right one.
    pub fn minilm(backbone: &Path) -> Result<Self, ModelError> {
        let delta = Delta {
            name: "inferometer-rerank-minilm",
            config: include_bytes!("../../models/inferometer-rerank-minilm/config.json"),
            backbone: include_bytes!("../../models/inferometer-rerank-minilm/backbone.json"),
            weights: include_bytes!("../../models/inferometer-rerank-minilm/delta.safetensors"),
        };
        delta.on(backbone)
    }
}

impl Delta<'_> {
    /// The model that the layers and their backbone make.
    pub(super) fn on(&self, folder: &Path) -> Result<CrossEncoder, ModelError> {
        let embedded = |file: &str| Path::new(self.name).join(file);
        let needed: Needed =
            serde_json::from_slice(self.backbone).map_err(|error| ModelError::Config {
                path: embedded("backbone.json"),
                detail: error.to_string(),
            })?;
        let config = config::read(&embedded("config.json"), self.config)?;
        let tokenizer = self.read(folder, "tokenizer.json", &needed)?;
        let bytes = self.read(folder, "model.safetensors", &needed)?;
        let mut tensors: HashMap<String, Tensor> =
            weights::read(&folder.join("model.safetensors"), &bytes)?;
        drop(bytes);
        tensors.extend(weights::read(&embedded("delta.safetensors"), self.weights)?);
        CrossEncoder::assemble(self.name.into(), folder, &config, &tokenizer, tensors)
    }

    /// Reads a file of the backbone, which must be the one that the layers were trained on.
    fn read(&self, folder: &Path, file: &str, needed: &Needed) -> Result<Vec<u8>, ModelError> {
        let path = folder.join(file);
        let bytes = read_file(&path).map_err(|error| match error {
            ModelError::Missing { path } => ModelError::BackboneMissing {
                path,
                model: self.name.into(),
                backbone: needed.name.clone(),
            },
            other => other,
        })?;
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = needed.sha256.get(file).cloned().unwrap_or_default();
        if found != expected {
            return Err(ModelError::Backbone {
                path,
                model: self.name.into(),
                backbone: needed.name.clone(),
                found,
                expected,
            });
        }
        Ok(bytes)
    }
}
