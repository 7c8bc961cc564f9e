//! Trained layers on a backbone: the right one, and each way in which it can be another.

use std::{collections::HashMap, fs, path::Path};

use candle_core::Tensor;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Folder, config, tensors};
use crate::encoder::{CrossEncoder, ModelError, backbone::Delta};

/// Layers for the model of the tests, and the folder that they go on top of.
struct Trained {
    backbone: Folder,
    layers: HashMap<String, Tensor>,
}

impl Trained {
    /// The head, the pooler and the last layer are twice what the backbone has, or all that there is of them.
    fn new() -> Self {
        let backbone = Folder::new();
        backbone.change_tensors(|tensors| {
            tensors.retain(|name, _| !name.starts_with("classifier"));
        });
        let layers = tensors()
            .into_iter()
            .filter(|(name, _)| {
                ["classifier", "bert.pooler", "bert.encoder.layer.1"]
                    .iter()
                    .any(|begin| name.starts_with(begin))
            })
            .map(|(name, tensor)| (name, (tensor * 2.0).unwrap()))
            .collect();
        Self { backbone, layers }
    }

    /// What names the backbone as it is now.
    fn needed(&self) -> String {
        let digest = |file: &str| {
            let bytes = fs::read(self.backbone.file(file)).unwrap();
            let digits = Sha256::digest(&bytes);
            digits
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        json!({"name": "little-bert", "sha256": {
            "model.safetensors": digest("model.safetensors"),
            "tokenizer.json": digest("tokenizer.json"),
        }})
        .to_string()
    }

    fn load(&self, needed: &str, folder: &Path) -> Result<CrossEncoder, ModelError> {
        let scratch = Folder::new();
        scratch.write_tensors(&self.layers);
        let config = config().to_string();
        let delta = Delta {
            name: "trained",
            config: config.as_bytes(),
            backbone: needed.as_bytes(),
            weights: &fs::read(scratch.file("model.safetensors")).unwrap(),
        };
        delta.on(folder)
    }
}

fn score(model: &CrossEncoder) -> Vec<f32> {
    let pair = model
        .tokenizer()
        .encode("read", "the file reads a channel", 24)
        .unwrap();
    model.score(&[&pair]).unwrap()
}

#[test]
fn backbone_and_layers_are_the_model_they_make_together() {
    let trained = Trained::new();
    let model = trained
        .load(&trained.needed(), trained.backbone.path())
        .unwrap();
    assert_eq!((model.name(), model.max_tokens()), ("trained", 24));

    let whole = Folder::new();
    whole.change_tensors(|tensors| tensors.extend(trained.layers.clone()));
    assert_eq!(score(&model), score(&whole.open()));
    assert_ne!(score(&model), score(&Folder::new().open()));
}

#[test]
fn a_missing_backbone_says_how_to_fetch_it() {
    let trained = Trained::new();
    let needed = trained.needed();
    let refused = |path: &Path| trained.load(&needed, path).unwrap_err().to_string();
    let error = refused(Path::new("/nowhere"));
    assert!(error.contains("/nowhere/tokenizer.json"), "{error}");
    assert!(
        error.contains("trained needs the backbone little-bert"),
        "{error}"
    );
    assert!(
        error.contains("inferometer models pull little-bert"),
        "{error}"
    );
    fs::remove_file(trained.backbone.file("model.safetensors")).unwrap();
    let error = refused(trained.backbone.path());
    assert!(
        error.contains("model.safetensors: trained needs"),
        "{error}"
    );
}

#[test]
fn another_backbone_is_refused_by_its_checksum() {
    for file in ["tokenizer.json", "model.safetensors"] {
        let trained = Trained::new();
        let needed = trained.needed();
        let path = trained.backbone.file(file);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = trained.load(&needed, trained.backbone.path()).unwrap_err();
        assert!(
            matches!(&error, ModelError::Backbone { path: named, found, expected, .. }
                if *named == path && found.len() == 64 && expected.len() == 64),
            "{error}"
        );
        let error = error.to_string();
        assert!(
            error.contains("inferometer models pull little-bert"),
            "{error}"
        );
    }
}

#[test]
fn a_backbone_of_another_shape_is_refused() {
    let trained = Trained::new();
    trained.backbone.change_tensors(|tensors| {
        tensors.remove("bert.embeddings.LayerNorm.weight").unwrap();
        tensors.retain(|name, _| !name.starts_with("classifier"));
    });
    let error = trained
        .load(&trained.needed(), trained.backbone.path())
        .unwrap_err();
    assert!(matches!(error, ModelError::TensorMissing { .. }), "{error}");
}

#[test]
fn the_shipped_layers_name_the_backbone_that_the_program_fetches() {
    let error = CrossEncoder::minilm(Path::new("/nowhere")).unwrap_err();
    let said = format!("inferometer models pull {}", crate::encoder::BACKBONE);
    assert!(error.to_string().contains(&said), "{error}");

    // The small model's folder holds the same kinds of files, of another model.
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inferometer-rerank-tiny");
    let error = CrossEncoder::minilm(&other).unwrap_err();
    assert!(
        matches!(error, ModelError::Backbone { .. }) && error.to_string().contains(&said),
        "{error}"
    );
}
