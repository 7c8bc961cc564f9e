//! Loom's atomics, with loads that loom keeps in order.
//!
//! Loom tries another order of two accesses when the later one finds the earlier one recorded as the last of its kind. Of several loads it
//! records only the last, so a thread that loads and then stores hides that another has loaded before: orders go untried. Here each load
//! also drops a clone of a counter of its own atomic, and loom does try both orders of two such drops. They make nothing
//! visible: that would take the last one, and [`KEPT`] has a clone until a run is over.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use loom::sync::{Arc, atomic};

use super::Ordering;

loom::lazy_static! { static ref KEPT: Mutex<Vec<Arc<()>>> = Mutex::new(Vec::new()); }

#[derive(Debug)]
struct Loads(Arc<()>);

impl Loads {
    fn new() -> Self {
        let loads = Arc::new(());
        // Cloned before the lock is taken: loom may run another thread meanwhile.
        let kept = Arc::clone(&loads);
        KEPT.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kept);
        Self(loads)
    }

    fn tell(&self) {
        drop(Arc::clone(&self.0));
    }
}

macro_rules! atomics {
    ($($name:ident $(<$generic:ident>)? of $value:ty),*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name $(<$generic>)? {
            inner: atomic::$name $(<$generic>)?,
            loads: Loads,
        }

        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self {
                    inner: atomic::$name::new(value),
                    loads: Loads::new(),
                }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.loads.tell();
                self.inner.load(order)
            }
        }

        impl $(<$generic>)? Deref for $name $(<$generic>)? {
            type Target = atomic::$name $(<$generic>)?;

            fn deref(&self) -> &Self::Target {
                &self.inner
            }
        }

        impl $(<$generic>)? DerefMut for $name $(<$generic>)? {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.inner
            }
        }
    )*};
}
atomics!(AtomicBool of bool, AtomicU8 of u8, AtomicU32 of u32, AtomicU64 of u64, AtomicUsize of usize, AtomicPtr<T> of *mut T);
