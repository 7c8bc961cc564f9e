//! The one door to atomics, locks and thread-local state: loom's under `cfg(loom)`, the standard library's otherwise.

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence},
    },
    thread_local,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence},
    },
    thread_local,
};

pub(crate) use std::sync::{
    PoisonError,
    atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst},
};
