//! What was worked out before: rendered system messages, and how many tokens they and passages take.

use std::{
    hash::BuildHasher,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::{DefaultHasher, LruCache};

use super::template::{SystemTemplate, TemplateError};
use crate::retrieval::{Hit, Passage};

const RENDERED: NonZeroUsize = NonZeroUsize::new(512).expect("not 0");
const COUNTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("not 0");
/// Beyond this many models nothing is kept for the later ones.
const MODELS: usize = 64;
/// A longer rendered message isn't kept, so that all of them take 16 MiB at most.
const RENDERED_BYTES: usize = 32 << 10;

/// A rendered system message.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) text: Arc<str>,
    pub(super) tokens: usize,
}

/// What a rendered message was made of. Hashes lead to it; it is compared in full.
#[derive(Debug)]
struct Origin {
    model: usize,
    system: Option<Arc<str>>,
    passages: Box<[u64]>,
}

impl Origin {
    fn is(&self, model: usize, system: Option<&str>, passages: &[Hit]) -> bool {
        self.model == model
            && self.system.as_deref() == system
            && self.passages.len() == passages.len()
            && self
                .passages
                .iter()
                .zip(passages)
                .all(|(&id, hit)| id == hit.passage.id())
    }
}

#[derive(Debug)]
struct Tables {
    models: Vec<Box<str>>,
    rendered: LruCache<u64, (Origin, Rendered)>,
    counts: LruCache<(usize, u64), usize>,
}

impl Tables {
    fn model(&mut self, name: &str) -> Option<usize> {
        let known = self.models.iter().position(|model| &**model == name);
        if known.is_none() && self.models.len() < MODELS {
            self.models.push(name.into());
            return Some(self.models.len() - 1);
        }
        known
    }
}

/// The tables behind one lock. Nothing is rendered and no token counted while it is held.
#[derive(Debug)]
pub(super) struct Kept {
    hasher: DefaultHasher,
    tables: Mutex<Tables>,
}

impl Kept {
    pub(super) fn new() -> Self {
        let mut counts = LruCache::unbounded();
        counts.resize(COUNTS);
        Self {
            hasher: DefaultHasher::default(),
            tables: Mutex::new(Tables {
                models: Vec::new(),
                rendered: LruCache::new(RENDERED),
                counts,
            }),
        }
    }

    /// The system message with these passages, and its tokens.
    pub(super) fn rendered(
        &self,
        template: &SystemTemplate,
        model: &str,
        system: Option<&Arc<str>>,
        passages: &[Hit],
        count: &dyn Fn(&str) -> usize,
    ) -> Result<Rendered, TemplateError> {
        let text = system.map(|system| &**system);
        let (number, hash) = {
            let mut tables = self.lock();
            let number = tables.model(model);
            let hash = self.hash(number, text, passages);
            if let (Some(number), Some((origin, rendered))) = (number, tables.rendered.get(&hash))
                && origin.is(number, text, passages)
            {
                return Ok(rendered.clone());
            }
            (number, hash)
        };
        let message = template.render(text, passages)?;
        let rendered = Rendered {
            tokens: count(&message),
            text: message.into(),
        };
        if let Some(model) = number
            && rendered.text.len() + text.map_or(0, str::len) <= RENDERED_BYTES
        {
            let passages = passages.iter().map(|hit| hit.passage.id()).collect();
            let origin = Origin {
                model,
                system: system.cloned(),
                passages,
            };
            self.lock().rendered.put(hash, (origin, rendered.clone()));
        }
        Ok(rendered)
    }

    /// A passage's tokens in a model's count.
    pub(super) fn passage_tokens(
        &self,
        model: &str,
        passage: &Passage,
        count: &dyn Fn(&str) -> usize,
    ) -> usize {
        let number = {
            let mut tables = self.lock();
            let number = tables.model(model);
            if let Some(&tokens) =
                number.and_then(|number| tables.counts.get(&(number, passage.id())))
            {
                return tokens;
            }
            number
        };
        let tokens = count(passage.text());
        if let Some(number) = number {
            self.lock().counts.put((number, passage.id()), tokens);
        }
        tokens
    }

    fn hash(&self, model: Option<usize>, system: Option<&str>, passages: &[Hit]) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = self.hasher.build_hasher();
        (model, system).hash(&mut hasher);
        for hit in passages {
            hasher.write_u64(hit.passage.id());
        }
        hasher.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
