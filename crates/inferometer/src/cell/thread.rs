//! Which lane this thread has.
#![expect(
    unsafe_code,
    reason = "a thread keeps a plain pointer to its lane, which outlives it"
)]

use std::{cell::Cell, marker::PhantomData, ptr};

use super::{
    bank::{Bank, Reader, Slot},
    grace,
    lane::Lane,
};
#[cfg(not(loom))]
use crate::sync::AtomicUsize;
use crate::sync::{AtomicU64, Relaxed, thread_local};

#[cfg(not(loom))]
static BANK: Bank = Bank::new();
#[cfg(loom)]
loom::lazy_static! { static ref BANK: Bank = Bank::new(); }

/// The bank of this process.
pub(super) fn bank() -> &'static Bank {
    &BANK
}

/// Stands for the lane of a thread that has none: nothing is ever written there, so whoever looks for words finds none, and need not ask
/// first whether there is a lane.
#[cfg(not(loom))]
static NOBODYS: Lane = Lane::of_nobody();

#[cfg(not(loom))]
const NONE: *const Lane = &raw const NOBODYS;
#[cfg(loom)]
const NONE: *const Lane = ptr::null();

#[cfg(not(loom))]
thread_local! {
    /// The lane that this thread owns; [`NONE`] before its first recording, past the bound, and while the thread ends.
    static OWN: Cell<*const Lane> = const { Cell::new(NONE) };
    /// The stripe that it shares instead, once it has one.
    static STRIPE: Cell<*const Lane> = const { Cell::new(ptr::null()) };
    /// Gives the lane back when the thread ends.
    static HOLD: Hold = const { Hold };
}
#[cfg(loom)]
thread_local! {
    static OWN: Cell<*const Lane> = Cell::new(NONE);
    static STRIPE: Cell<*const Lane> = Cell::new(ptr::null());
    static HOLD: Hold = Hold;
}

struct Hold;

impl Drop for Hold {
    fn drop(&mut self) {
        // A model that fails has come to its end already.
        if !(cfg!(loom) && std::thread::panicking()) {
            let_go();
        }
    }
}

/// Leaves this thread's lane to the next; what the thread records from now on goes to a stripe.
pub(super) fn let_go() {
    // Under loom, and nowhere else, a cell goes before a destructor of the same thread can ask for it.
    if let Ok(lane) = OWN.try_with(|own| own.replace(NONE))
        && let Some(lane) = owned(lane)
    {
        grace::abandon(lane);
    }
}

/// How many threads own a lane where nothing else is said: four for each core, and eight at least.
pub(super) fn default_bound() -> usize {
    if cfg!(loom) {
        return super::bank::MAX_LANES;
    }
    #[cfg(not(loom))]
    {
        static BOUND: AtomicUsize = AtomicUsize::new(0);
        match BOUND.load(Relaxed) {
            0 => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let bound = (4 * cores).clamp(8, super::bank::MAX_LANES);
                BOUND.store(bound, Relaxed);
                bound
            }
            bound => bound,
        }
    }
    #[cfg(loom)]
    unreachable!()
}

/// Bounds how many threads at a time record in memory of their own; 0 sets the default, four for each core and eight at least.
///
/// A thread's memory holds one word for each counter and each bucket that it has recorded to. Threads past the bound
/// share a few sets of atomics, which is slower (a read-modify-write each time) and exact all the same. A thread that has
/// its memory keeps it until it ends; a lower bound holds for those that come later. At most 1,024.
///
/// # Examples
/// ```
/// inferometer::set_thread_shards(64);
/// # inferometer::set_thread_shards(0);
/// ```
pub fn set_thread_shards(bound: usize) {
    bank().set_bound(bound);
}

/// A lane and how this thread may write it.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Own(&'static Lane),
    Shared(&'static Lane),
}

#[inline(always)]
fn own() -> Option<&'static Lane> {
    owned(OWN.with(Cell::get))
}

/// What a thread has in [`OWN`].
#[inline(always)]
fn owned(lane: *const Lane) -> Option<&'static Lane> {
    // SAFETY: a lane of the process' bank, which is never dropped, where it isn't none.
    (!ptr::eq(lane, NONE)).then(|| unsafe { &*lane })
}

#[inline]
pub(super) fn access() -> Access {
    match own() {
        Some(lane) => Access::Own(lane),
        None => find(),
    }
}

#[cold]
#[inline(never)]
fn find() -> Access {
    let stripe = STRIPE.with(Cell::get);
    // SAFETY: null, or a stripe of the process' bank, which is never dropped.
    if let Some(stripe) = unsafe { stripe.as_ref() } {
        return Access::Shared(stripe);
    }
    #[cfg(all(target_os = "linux", not(loom)))]
    fork::watch();
    // A thread that is ending has lost its hold, and would never give a lane back.
    if HOLD.try_with(|_| ()).is_ok()
        && let Some(lane) = bank().claim()
    {
        OWN.with(|own| own.set(lane));
        return Access::Own(lane);
    }
    let stripe = bank().stripe(number());
    STRIPE.with(|place| place.set(stripe));
    Access::Shared(stripe)
}

/// What a fork leaves of the threads that it doesn't copy.
#[cfg(all(target_os = "linux", not(loom)))]
mod fork {
    use std::{ptr, sync::Once};

    use super::{OWN, STRIPE, bank, grace};

    /// Sees to it that a child process has the use of the lanes of its parent's other threads.
    pub(super) fn watch() {
        static WATCHED: Once = Once::new();
        // SAFETY: the function is one for as long as the process lives. Without memory for it, those lanes stay as they are.
        WATCHED.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        });
    }

    /// Runs in the child, on its only thread. It loads and stores atomics, and nothing else.
    extern "C" fn in_child() {
        let own = [OWN.get(), STRIPE.get()];
        for lane in bank().lanes() {
            if !own.iter().any(|own| ptr::eq(*own, lane)) {
                grace::forsake(lane);
            }
        }
    }
}

/// The next thread's number among those that share stripes.
fn number() -> usize {
    #[cfg(not(loom))]
    {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed)
    }
    #[cfg(loom)]
    0
}

/// The words of `slot` and those after it in its chunk, if this thread is their only writer and has written there before.
#[inline(always)]
pub(super) fn own_words(slot: Slot) -> Option<&'static [AtomicU64]> {
    #[cfg(not(loom))]
    // SAFETY: a lane of the process' bank, which is never dropped, or the static that stands for none and has no words.
    let lane: &'static Lane = unsafe { &*OWN.with(Cell::get) };
    #[cfg(loom)]
    let lane = own()?;
    lane.words(slot, Relaxed)
}

/// The words of a slot, and whether this thread is their only writer.
pub(super) enum Words {
    Own(&'static [AtomicU64]),
    Shared(&'static [AtomicU64]),
}

/// The words of `slot` and those after it in its chunk, made if need be. `None` for the mute slot.
pub(super) fn words(slot: Slot) -> Option<Words> {
    if slot.is_mute() {
        return None;
    }
    Some(match access() {
        Access::Own(lane) => Words::Own(lane.make(slot)),
        Access::Shared(lane) => Words::Shared(lane.make(slot)),
    })
}

/// All lanes of the process, to be summed.
pub(crate) fn reader() -> Reader<'static> {
    bank().reader()
}

/// While it lives, nothing that this thread can find is freed. It stays on its thread.
pub(crate) struct Pin {
    access: Access,
    stays: PhantomData<*const ()>,
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin")
    }
}

/// Pins this thread.
#[inline]
pub(crate) fn pin() -> Pin {
    let access = access();
    match access {
        Access::Own(lane) => grace::enter(lane),
        Access::Shared(lane) => grace::enter_shared(lane),
    }
    Pin {
        access,
        stays: PhantomData,
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        match self.access {
            Access::Own(lane) => grace::leave(lane),
            Access::Shared(lane) => grace::leave_shared(lane),
        }
    }
}
