//! Pages of metrics: rendered once for all who ask at once, shared while they are read, and few in memory.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use inferometer::{EncodeOptions, Format, Registry};
use tokio::time::Instant;

use crate::{
    coding::Coding,
    crowd::Seat,
    problem::Refusal,
    round::{Panicked, Round},
};

/// A page this young is served again where memory for another is lacking, and its readers are not yet cut off.
const YOUNG: Duration = Duration::from_secs(1);

/// A format and its compression.
type Kind = (Format, Coding);

/// A page, shared by those who read it. Its memory goes back to the kitchen when the last has done so.
pub(crate) struct Page {
    /// What was asked for. A small page isn't compressed.
    kind: Kind,
    coding: Coding,
    bytes: Vec<u8>,
    made: Instant,
    readers: Mutex<BTreeMap<u64, Arc<Seat>>>,
    spare: Arc<Mutex<Option<Vec<u8>>>>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Page {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    /// `reader`, one of its numbers, has begun to read.
    pub(crate) fn taken_by(&self, reader: u64, seat: Arc<Seat>) {
        lock(&self.readers).insert(reader, seat);
    }

    pub(crate) fn left_by(&self, reader: u64) {
        lock(&self.readers).remove(&reader);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        keep(&self.spare, std::mem::take(&mut self.bytes));
    }
}

/// Keeps the larger of two pages for the next one: a page that is written over need not be allocated, nor cleared.
fn keep(spare: &Mutex<Option<Vec<u8>>>, page: Vec<u8>) {
    let mut spare = lock(spare);
    if spare
        .as_ref()
        .is_none_or(|kept| kept.capacity() < page.capacity())
    {
        *spare = Some(page);
    }
}

/// Where pages are made.
pub(crate) struct Pages {
    registry: Registry,
    compress_from: usize,
    /// Memory for pages beside the newest two.
    room: usize,
    rounds: HashMap<Kind, Arc<Round<Arc<Page>>>>,
    shelf: Arc<Mutex<Shelf>>,
    spare: Arc<Mutex<Option<Vec<u8>>>>,
}

/// The pages that somebody may still read, the oldest first.
#[derive(Debug, Default)]
struct Shelf {
    pages: Vec<Weak<Page>>,
}

impl Shelf {
    fn alive(&mut self) -> Vec<Arc<Page>> {
        self.pages.retain(|page| page.strong_count() > 0);
        self.pages.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Pages {
    pub(crate) fn new(registry: Registry, compress_from: usize, room: usize) -> Self {
        let codings = [Coding::Identity, Coding::Gzip, Coding::Zstd];
        let kinds = Format::ALL
            .into_iter()
            .flat_map(|format| codings.map(|coding| (format, coding)));
        Self {
            registry,
            compress_from,
            room,
            rounds: kinds.map(|kind| (kind, Round::new())).collect(),
            shelf: Arc::default(),
            spare: Arc::default(),
        }
    }

    /// A page that was begun after this question; or, where slow readers hold too many pages, one of at most a second's age.
    pub(crate) async fn page(&self, kind: Kind) -> Result<Arc<Page>, Panicked> {
        if let Some(page) = self.make_room(kind) {
            return Ok(page);
        }
        let round = self.rounds.get(&kind).ok_or(Panicked)?;
        let registry = self.registry.clone();
        let (shelf, spare) = (Arc::clone(&self.shelf), Arc::clone(&self.spare));
        let from = self.compress_from;
        let work = move || {
            let page = Arc::new(render(&registry, kind, from, spare));
            lock(&shelf).pages.push(Arc::downgrade(&page));
            page
        };
        round.ask(work).await
    }

    /// Sees to it that the pages in memory are few. `Some` is a young page to be served instead of a new one.
    fn make_room(&self, kind: Kind) -> Option<Arc<Page>> {
        let alive = lock(&self.shelf).alive();
        let held: usize = alive.iter().map(|page| page.bytes.len()).sum();
        let next = alive.last().map_or(0, |page| page.bytes.len());
        if held + next <= self.room.max(2 * next) {
            return None;
        }
        let (old, young): (Vec<_>, Vec<_>) = alive
            .into_iter()
            .partition(|page| page.made.elapsed() >= YOUNG);
        // All but the newest: its readers have hardly begun.
        let spared = usize::from(young.is_empty());
        for page in &old[..old.len().saturating_sub(spared)] {
            for seat in lock(&page.readers).values() {
                seat.dismiss(Refusal::PageHeld);
            }
        }
        young.into_iter().rev().find(|page| page.kind == kind)
    }
}

fn render(
    registry: &Registry,
    kind: Kind,
    compress_from: usize,
    spare: Arc<Mutex<Option<Vec<u8>>>>,
) -> Page {
    // It comes as it was left, and not emptied, which saves clearing it.
    let mut page = lock(&spare).take().unwrap_or_default();
    let (format, coding) = kind;
    registry.encode_into(format, EncodeOptions::default(), &mut page);
    // After a crowd of series has gone, so should its memory.
    if page.capacity() / 4 > page.len() {
        page.shrink_to(page.len() + page.len() / 4);
    }
    let compressed = (page.len() >= compress_from)
        .then(|| coding.compress(&page))
        .flatten();
    let (bytes, coding) = match compressed {
        Some(Ok(compressed)) => {
            keep(&spare, page);
            (compressed, coding)
        }
        // Memory alone can lack for it; the page itself is there.
        Some(Err(_)) | None => (page, Coding::Identity),
    };
    Page {
        kind,
        coding,
        bytes,
        made: Instant::now(),
        readers: Mutex::default(),
        spare,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
