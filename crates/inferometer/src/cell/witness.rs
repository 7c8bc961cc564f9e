//! What tells the models that memory is looked at when it may be gone.

/// A part of memory that is freed while others may be looking: the models fail when a look doesn't come before the end. Otherwise nothing.
pub(super) struct Witness {
    #[cfg(loom)]
    looks: loom::sync::atomic::AtomicU8,
}

impl Witness {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            #[cfg(loom)]
            looks: loom::sync::atomic::AtomicU8::new(0),
        }
    }

    /// The memory is being looked at.
    #[inline(always)]
    pub(super) fn look(&self) {
        #[cfg(loom)]
        #[expect(unsafe_code, reason = "loom's way to note a plain read")]
        // SAFETY: nobody ever writes it.
        unsafe {
            self.looks.unsync_load();
        }
    }
}

#[cfg(loom)]
impl Drop for Witness {
    fn drop(&mut self) {
        self.looks.with_mut(|_| ());
    }
}
