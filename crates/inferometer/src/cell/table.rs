//! Keys to entries: a table that is read with loads only, and a list in the order of creation.
//!
//! Readers are [pinned](super::grace) and take no lock. Writers hold the one lock, and never change what a reader may be looking at: an entry
//! is published whole; one that is removed is marked first, unlinked later, and freed when no reader can have it any more. A table that
//! has become too small, or too full of removed entries, is replaced by a new one in the same way.
#![expect(
    unsafe_code,
    reason = "entries are published by pointer and freed when nobody can have found them"
)]

use std::{
    hash::BuildHasher as _,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{self, NonNull},
    sync::{PoisonError, TryLockError},
};

use super::{
    bank::Reader,
    grace::Retired,
    thread::{Pin, bank},
    witness::Witness,
};
use crate::key::{self, Keyed};
use crate::sync::{Acquire, Arc, AtomicPtr, AtomicU8, Mutex, Relaxed, Release, fence};

/// The models go through all orders of events again and again, and so want the same hashes each time.
#[cfg(loom)]
use foldhash::fast::FixedState as HashState;
#[cfg(not(loom))]
use foldhash::fast::RandomState as HashState;

/// What a key stands for.
pub(crate) struct Entry<T> {
    hash: u64,
    key: Box<[u8]>,
    state: AtomicU8,
    /// The entry that was made after this one.
    next: AtomicPtr<Self>,
    witness: Witness,
    /// What it holds.
    pub(crate) value: T,
}

/// An entry, kept for as long as one likes.
pub(crate) type Kept<T> = Arc<Entry<T>>;

/// An entry that was found, for as long as who found it stays pinned or holds the lock.
///
/// It is the pointer that the entry's `Arc` was turned into: one that comes from a reference may not be turned back.
pub(crate) struct Located<'a, T> {
    at: NonNull<Entry<T>>,
    stays: PhantomData<&'a Entry<T>>,
}

impl<T> Clone for Located<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Located<'_, T> {}

impl<T> Deref for Located<'_, T> {
    type Target = Entry<T>;

    #[inline]
    fn deref(&self) -> &Entry<T> {
        // SAFETY: it was found, and isn't freed while it can have been.
        let entry = unsafe { self.at.as_ref() };
        entry.witness.look();
        entry
    }
}

impl<T> Located<'_, T> {
    /// The entry at a place or in the list.
    ///
    /// # Safety
    /// The pointer is null or from `Arc::into_raw`, and what it points to isn't freed during the lifetime.
    #[inline]
    unsafe fn new(at: *mut Entry<T>) -> Option<Self> {
        Some(Self {
            at: NonNull::new(at)?,
            stays: PhantomData,
        })
    }

    /// A strong reference to it.
    pub(crate) fn keep(self) -> Kept<T> {
        // SAFETY: the pointer is from `Arc::into_raw`, and the entry isn't freed while it can have been found.
        unsafe { Arc::increment_strong_count(self.at.as_ptr()) };
        // SAFETY: the count was raised for it.
        unsafe { Arc::from_raw(self.at.as_ptr()) }
    }

    /// Whether nobody has a handle to it. What was recorded through the last one happened before.
    fn is_alone(self) -> bool {
        // SAFETY: as in `keep`; this one is not dropped, so the count stays as it is.
        let arc = unsafe { ManuallyDrop::new(Arc::from_raw(self.at.as_ptr())) };
        let alone = Arc::strong_count(&arc) == 1;
        fence(Acquire);
        alone
    }
}

/// Found by its key.
const LIVE: u8 = 0;
/// About to be removed for being idle: not found, still listed, and revived when its key is asked for.
const CONDEMNED: u8 = 1;
/// Neither found nor listed.
const DEAD: u8 = 2;

impl<T: std::fmt::Debug> std::fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Entry<T> {
    /// The key that it is found by.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

struct Places<T> {
    /// A power of two, three times the entries at least.
    places: Box<[AtomicPtr<Entry<T>>]>,
    witness: Witness,
}

impl<T> Places<T> {
    fn new(entries: usize) -> Box<Self> {
        let places = (3 * entries)
            .next_power_of_two()
            .max(if cfg!(loom) { 2 } else { 16 });
        Box::new(Self {
            places: (0..places)
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
            witness: Witness::new(),
        })
    }

    /// The first place that is empty, from where `hash` points to.
    fn put(&self, entry: *mut Entry<T>, hash: u64) {
        let mut at = self.at(hash);
        while !self.places[at].load(Relaxed).is_null() {
            at = (at + 1) & (self.places.len() - 1);
        }
        self.places[at].store(entry, Release);
    }

    #[inline]
    fn at(&self, hash: u64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only the low bits are wanted"
        )]
        let low = hash as usize;
        low & (self.places.len() - 1)
    }
}

/// Entries by key. The lock's side is [`Writer`].
pub(crate) struct Table<T> {
    places: AtomicPtr<Places<T>>,
    /// The oldest entry.
    head: AtomicPtr<Entry<T>>,
    hasher: HashState,
    writer: Mutex<Writer<T>>,
}

/// What only the one who holds the lock sees.
struct Writer<T> {
    /// The newest entry of the list.
    tail: *mut Entry<T>,
    /// Entries that are found or condemned.
    live: usize,
    /// Entries that are marked and still in places and list.
    dead: usize,
    retired: Vec<Retired<Garbage<T>>>,
    /// Over when nobody can have found the condemned entries before they were condemned.
    condemned: Option<Retired<()>>,
}

impl<T> Writer<T> {
    /// Entries whose memory is taken, but for the few that are dead and not retired yet.
    fn taken(&self) -> usize {
        let retired = self
            .retired
            .iter()
            .map(|garbage| garbage.get().entries.len());
        self.live + retired.sum::<usize>()
    }
}

/// A former set of places, and the entries that are in none any more.
struct Garbage<T> {
    places: *mut Places<T>,
    entries: Vec<Arc<Entry<T>>>,
}

impl<T> Drop for Garbage<T> {
    fn drop(&mut self) {
        // SAFETY: it came from `Box::into_raw`, and garbage is dropped when nobody can be looking at it any more.
        drop(unsafe { Box::from_raw(self.places) });
    }
}

// SAFETY: the pointers are to entries and places that the table owns, and are shared only as references; so what holds for
// a `Vec<Arc<Entry<T>>>` holds here.
unsafe impl<T: Send + Sync> Send for Table<T> {}
// SAFETY: as above; what is changed is changed under the lock or atomically.
unsafe impl<T: Send + Sync> Sync for Table<T> {}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: AtomicPtr::new(Box::into_raw(Places::new(0))),
            head: AtomicPtr::new(ptr::null_mut()),
            hasher: HashState::default(),
            writer: Mutex::new(Writer {
                tail: ptr::null_mut(),
                live: 0,
                dead: 0,
                retired: Vec::new(),
                condemned: None,
            }),
        }
    }

    #[inline(always)]
    fn hash(&self, key: &impl Keyed) -> u64 {
        key::hash(key, self.hasher.build_hasher())
    }

    /// The entry of `key`: loads only.
    #[inline(always)]
    pub(crate) fn find<'a>(&'a self, pin: &'a Pin, key: &impl Keyed) -> Option<Located<'a, T>> {
        let _ = pin;
        self.look(key, self.hash(key))
            .filter(|entry| entry.state.load(Acquire) == LIVE)
    }

    /// The entry of `key` that isn't dead, for a thread that is pinned or holds the lock.
    #[inline(always)]
    fn look(&self, key: &impl Keyed, hash: u64) -> Option<Located<'_, T>> {
        // SAFETY: places are freed only by the holder of the lock, and when no thread is pinned that was when they could be found.
        let places = unsafe { &*self.places.load(Acquire) };
        places.witness.look();
        let mut at = places.at(hash);
        loop {
            // SAFETY: as the places, and so are the entries in them.
            let entry = unsafe { Located::new(places.places[at].load(Acquire)) }?;
            if entry.hash == hash
                && key::matches(key, &entry.key)
                && entry.state.load(Relaxed) != DEAD
            {
                return Some(entry);
            }
            at = (at + 1) & (places.places.len() - 1);
        }
    }

    /// The entry of `key`, made by `make` if there is none and `room` says that there is room beside the entries that take some now.
    ///
    /// Both run under the lock. An entry that is condemned is revived.
    pub(crate) fn find_or_insert<'a>(
        &'a self,
        pin: &'a Pin,
        key: &impl Keyed,
        room: impl FnOnce(usize) -> bool,
        make: impl FnOnce() -> T,
    ) -> Option<Located<'a, T>> {
        let hash = self.hash(key);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = pin;
        if let Some(entry) = self.look(key, hash) {
            entry.state.store(LIVE, Release);
            return Some(entry);
        }
        Self::reclaim(&mut writer);
        if !room(writer.taken()) {
            return None;
        }
        // SAFETY: only the holder of the lock replaces the places.
        let capacity = unsafe { &*self.places.load(Relaxed) }.places.len();
        if 3 * (writer.live + writer.dead + 1) > capacity {
            self.rebuild(&mut writer);
        }
        let entry = Arc::into_raw(Arc::new(Entry {
            hash,
            key: key::bytes(key),
            state: AtomicU8::new(LIVE),
            next: AtomicPtr::new(ptr::null_mut()),
            witness: Witness::new(),
            value: make(),
        }))
        .cast_mut();
        // SAFETY: only the holder of the lock replaces the places.
        unsafe { &*self.places.load(Relaxed) }.put(entry, hash);
        // SAFETY: null, or the last entry of the list, which is freed after it was unlinked, and `rebuild` moves the tail then.
        match unsafe { writer.tail.as_ref() } {
            Some(tail) => tail.next.store(entry, Release),
            None => self.head.store(entry, Release),
        }
        writer.tail = entry;
        writer.live += 1;
        // SAFETY: it was made just now, and the pin keeps it from being freed.
        unsafe { Located::new(entry) }
    }

    /// Removes the entry of `key`, and hands it out.
    pub(crate) fn remove(&self, key: &impl Keyed) -> Option<Kept<T>> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.look(key, self.hash(key))?.keep();
        entry.state.store(DEAD, Release);
        writer.live -= 1;
        writer.dead += 1;
        self.tidy(&mut writer);
        Some(entry)
    }

    /// Removes what is idle, in two rounds, so that no recording is lost.
    ///
    /// An entry that `idle` says so of is condemned: it isn't found any more. In a later round, when nobody can have found it before and
    /// no handle is left, it is removed if it is idle still, and revived if not. Returns those that were removed; a round that meets a
    /// writer does nothing.
    pub(crate) fn sweep(&self, mut idle: impl FnMut(&T, &Reader<'_>) -> bool) -> Vec<Kept<T>> {
        let mut gone = Vec::new();
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return gone,
        };
        let quiet = writer
            .condemned
            .as_mut()
            .is_none_or(|waiting| waiting.is_over(bank()));
        let (mut condemned, mut alone) = (false, Vec::new());
        let reader = bank().reader();
        for entry in self.listed() {
            match entry.state.load(Relaxed) {
                LIVE if idle(&entry.value, &reader) => {
                    entry.state.store(CONDEMNED, Release);
                    condemned = true;
                }
                CONDEMNED if !idle(&entry.value, &reader) => entry.state.store(LIVE, Release),
                CONDEMNED if quiet && entry.is_alone() => alone.push(entry),
                _ => {}
            }
        }
        if !alone.is_empty() {
            // Whoever let go of the last handle has recorded before, maybe in a lane that wasn't there yet: look once more.
            let reader = bank().reader();
            for entry in alone {
                if idle(&entry.value, &reader) {
                    entry.state.store(DEAD, Release);
                    writer.live -= 1;
                    writer.dead += 1;
                    gone.push(entry.keep());
                } else {
                    entry.state.store(LIVE, Release);
                }
            }
        }
        if condemned {
            writer.condemned = Some(Retired::new((), bank()));
        }
        self.tidy(&mut writer);
        gone
    }

    /// Every entry, in the order of creation, condemned ones included.
    pub(crate) fn walk<'a>(&'a self, pin: &'a Pin) -> impl Iterator<Item = Located<'a, T>> {
        let _ = pin;
        self.listed()
    }

    /// As [`walk`](Self::walk), for a thread that is pinned or holds the lock.
    fn listed(&self) -> impl Iterator<Item = Located<'_, T>> {
        let mut at = self.head.load(Acquire);
        std::iter::from_fn(move || {
            // SAFETY: null, or an entry that was listed while this thread was pinned or had the lock, which isn't freed meanwhile.
            let entry = unsafe { Located::new(at) }?;
            at = entry.next.load(Acquire);
            Some(entry)
        })
        .filter(|entry| entry.state.load(Acquire) != DEAD)
    }

    /// Unlinks dead entries when they are many, and frees what can be.
    fn tidy(&self, writer: &mut Writer<T>) {
        if writer.dead > if cfg!(loom) { 0 } else { 16 + writer.live / 8 } {
            self.rebuild(writer);
        }
        Self::reclaim(writer);
    }

    /// New places for the entries that aren't dead; those that are leave the list too.
    fn rebuild(&self, writer: &mut Writer<T>) {
        let places = Places::new(2 * (writer.live + 1));
        let mut dead = Vec::new();
        let mut last: *mut Entry<T> = ptr::null_mut();
        let mut at = self.head.load(Relaxed);
        // SAFETY: null, or an entry of the list, and only the holder of the lock unlinks entries.
        while let Some(entry) = unsafe { at.as_ref() } {
            let next = entry.next.load(Relaxed);
            if entry.state.load(Relaxed) == DEAD {
                // SAFETY: null, or the entry before, which stays in the list.
                match unsafe { last.as_ref() } {
                    Some(last) => last.next.store(next, Release),
                    None => self.head.store(next, Release),
                }
                // SAFETY: the pointer is the table's own strong reference, which it gives up here: list and places are done with it.
                dead.push(unsafe { Arc::from_raw(at.cast_const()) });
            } else {
                places.put(at, entry.hash);
                last = at;
            }
            at = next;
        }
        writer.tail = last;
        writer.dead = 0;
        let former = self.places.swap(Box::into_raw(places), crate::sync::AcqRel);
        writer.retired.push(Retired::new(
            Garbage {
                places: former,
                entries: dead,
            },
            bank(),
        ));
    }

    /// Frees what nobody can be looking at any more.
    fn reclaim(writer: &mut Writer<T>) {
        writer
            .retired
            .retain_mut(|garbage| !garbage.is_over(bank()));
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        let mut at = self.head.load(Relaxed);
        // SAFETY: null, or an entry of the list, of which the table has a strong reference.
        while let Some(entry) = unsafe { at.as_ref() } {
            let next = entry.next.load(Relaxed);
            // SAFETY: the table's own strong reference; nobody looks for it any more.
            drop(unsafe { Arc::from_raw(at.cast_const()) });
            at = next;
        }
        // SAFETY: it came from `Box::into_raw`, and nobody looks at it any more.
        drop(unsafe { Box::from_raw(self.places.load(Relaxed)) });
    }
}
