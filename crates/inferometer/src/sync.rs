//! The one door to atomics, locks and thread-local state: loom's under `cfg(loom)`, the standard library's otherwise.

#[cfg(loom)]
mod modelled;

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Arc, Mutex, atomic::fence},
    thread_local,
};
#[cfg(loom)]
pub(crate) use modelled::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence},
    },
    thread_local,
};

#[cfg(any(loom, not(target_os = "linux")))]
pub(crate) use std::sync::atomic::Ordering::SeqCst;
pub(crate) use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
