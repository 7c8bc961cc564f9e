//! A barrier that is cheap for the many who look, and dear for the one who removes.
//!
//! Who looks stores that it does, and then loads; who removes stores that something is gone, and then loads who looks. Each must see
//! the other's store, or its own load comes too early: that takes a full fence on both sides. Linux can run one on every
//! core that runs this process, when it is asked by one side (`membarrier`, since 4.14); the other side then needs no more than that the
//! compiler keeps the order. Elsewhere, and where the call is forbidden, both sides have a fence of their own.

#[cfg(all(target_os = "linux", not(loom)))]
mod asked {
    #![expect(unsafe_code, reason = "there is no safe wrapper of this system call")]

    use std::sync::atomic::{
        AtomicU8,
        Ordering::{Relaxed, SeqCst},
        compiler_fence, fence,
    };

    const UNKNOWN: u8 = 0;
    const FENCES: u8 = 1;
    const MEMBARRIER: u8 = 2;

    /// Changes once.
    static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    fn register() -> bool {
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    #[cold]
    #[inline(never)]
    fn find_mode() -> u8 {
        let mode = if register() { MEMBARRIER } else { FENCES };
        // The first to answer decides for all.
        match MODE.compare_exchange(UNKNOWN, mode, SeqCst, SeqCst) {
            Ok(_) => mode,
            Err(decided) => decided,
        }
    }

    #[inline(always)]
    pub(in super::super) fn light() {
        if MODE.load(Relaxed) == MEMBARRIER {
            compiler_fence(SeqCst);
        } else {
            light_fence();
        }
    }

    #[cold]
    #[inline(never)]
    fn light_fence() {
        if MODE.load(Relaxed) == UNKNOWN {
            find_mode();
        }
        fence(SeqCst);
    }

    pub(in super::super) fn heavy() -> bool {
        let mode = match MODE.load(Relaxed) {
            UNKNOWN => find_mode(),
            mode => mode,
        };
        fence(SeqCst);
        // A process that was forked may have to register anew.
        mode == FENCES
            || membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
            || (register() && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED))
    }
}

#[cfg(not(all(target_os = "linux", not(loom))))]
mod asked {
    use crate::sync::{SeqCst, fence};

    #[inline]
    pub(in super::super) fn light() {
        fence(SeqCst);
    }

    pub(in super::super) fn heavy() -> bool {
        fence(SeqCst);
        true
    }
}

/// After a store that says that this thread looks, before the loads with which it does.
pub(super) use asked::light;

/// After a store that makes something unreachable, before the loads that tell who looks; `false` when it could not be had.
pub(super) use asked::heavy;
