//! A model on this machine's CPU: any GGUF of the Llama family that carries its tokenizer.
//!
//! Generation runs on threads of its own, so a busy model never holds up the service's tasks. Between any two tokens it
//! looks whether somebody still waits.

mod engine;
mod error;
mod gguf;
mod prefixes;
mod sampler;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod threads;
mod tokenizer;

use std::{
    fs::File,
    io::{BufReader, Cursor, ErrorKind, Read, Seek},
    path::Path,
    sync::Arc,
};

use inferometer_catalog::orchestrator::WorkerType;

pub use self::error::LoadError;
use self::{engine::Engine, template::Template, threads::Threads, tokenizer::Tokenizer};
use super::{Generation, Prompt, Sink, Usage, Worker, WorkerError};

/// How a local model is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many generations may run at once, each on a thread of its own. 0 counts as 1.
    pub threads: usize,
    /// The most tokens of prompt and answer together; `None`, or anything above the model's own window, takes the
    /// model's.
    pub context_window: Option<usize>,
    /// The model's id; `None` takes the file's name without its ending, or the name in the metadata, in lower case.
    pub model: Option<String>,
    /// The most tokens whose state is kept for prompts that begin alike; 0 keeps none. A state takes
    /// `8 × layers × key heads × head width` bytes a token: 46 kB with `SmolLM2-135M`.
    pub prefix_tokens: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: 1,
            context_window: None,
            model: None,
            prefix_tokens: 2_048,
        }
    }
}

/// A worker that generates on this machine's CPU.
pub struct LocalWorker {
    engine: Arc<Engine>,
    threads: Threads<(Prompt, Sink), Result<Usage, WorkerError>>,
}

/// The small model that comes with the program, as a GGUF file.
pub fn embedded_model() -> &'static [u8] {
    include_bytes!("../../../models/inferometer-tiny.gguf")
}

impl LocalWorker {
    /// Loads the small model that comes with the program.
    ///
    /// # Errors
    /// [`LoadError::Threads`] when the system gives no thread.
    pub fn embedded(settings: Settings) -> Result<Self, LoadError> {
        let settings = Settings {
            model: settings.model.or_else(|| Some("inferometer-tiny".into())),
            ..settings
        };
        Self::from_bytes("the embedded model", embedded_model(), settings)
    }

    /// Loads a model from a GGUF file.
    ///
    /// # Errors
    /// A [`LoadError`] that names the file and what is wrong with it.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, LoadError> {
        let unreadable = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound => LoadError::Missing { path: path.into() },
            _ => LoadError::Unreadable {
                path: path.into(),
                source,
            },
        };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(ErrorKind::IsADirectory.into()));
        }
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().to_lowercase());
        let settings = Settings {
            model: settings.model.or(stem),
            ..settings
        };
        Self::load(
            &path.display().to_string(),
            &mut BufReader::new(file),
            settings,
        )
    }

    /// Loads a model from the bytes of a GGUF file, which errors call `origin`.
    ///
    /// # Errors
    /// A [`LoadError`] that names `origin` and what is wrong with it.
    pub fn from_bytes(origin: &str, bytes: &[u8], settings: Settings) -> Result<Self, LoadError> {
        Self::load(origin, &mut Cursor::new(bytes), settings)
    }

    fn load<R: Read + Seek>(
        origin: &str,
        reader: &mut R,
        settings: Settings,
    ) -> Result<Self, LoadError> {
        let (metadata, weights) = gguf::read(origin, reader)?;
        let tokenizer = Tokenizer::from_metadata(&metadata)?;
        let template = Template::from_metadata(&metadata, &tokenizer)?;
        let model = settings.model.unwrap_or_else(|| {
            let name = metadata.string("general.name").unwrap_or("local");
            name.to_lowercase()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join("-")
        });
        let window = metadata.context_length();
        let context = settings
            .context_window
            .map_or(window, |asked| asked.clamp(2, window));
        let engine = Arc::new(Engine::new(
            model,
            context,
            tokenizer,
            template,
            weights,
            settings.prefix_tokens,
        ));
        let (runs, panics) = (Arc::clone(&engine), Arc::clone(&engine));
        let threads = Threads::start(
            settings.threads,
            move |(prompt, sink): &(Prompt, Sink)| runs.generate(prompt, sink),
            move || Err(panics.panicked()),
        )
        .map_err(|source| LoadError::Threads { source })?;
        Ok(Self { engine, threads })
    }
}

impl Worker for LocalWorker {
    fn worker_type(&self) -> WorkerType {
        WorkerType::Local
    }

    fn model(&self) -> &str {
        &self.engine.model
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.engine.tokenizer.encode(text).len()
    }

    fn context_window(&self) -> usize {
        self.engine.context
    }

    fn concurrency(&self) -> usize {
        self.threads.count()
    }

    fn generate<'a>(
        &'a self,
        prompt: Prompt,
        sink: Sink,
        _on_retry: &'a (dyn Fn() + Send + Sync),
    ) -> Generation<'a> {
        Box::pin(async move {
            let (deadline, left) = (prompt.deadline, prompt.cancel.clone());
            let cancel = left.child_token();
            // Dropping the future, at whatever point, ends the generation before its next token.
            let _ends_with_this = cancel.clone().drop_guard();
            let result = self.threads.submit((Prompt { cancel, ..prompt }, sink));
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                result = result => result.unwrap_or_else(|_| Err(self.engine.panicked())),
                () = left.cancelled() => Err(self.engine.left()),
                () = late => Err(self.engine.late()),
            }
        })
    }
}
