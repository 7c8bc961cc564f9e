//! A rate limiter's decision about one request.

use std::sync::Arc;

/// What a rate limiter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request went through.
    pub allowed: bool,
    /// How many more would have gone through at once.
    pub remaining: u32,
    /// How many go through at once after a long rest.
    pub burst: u32,
    /// Whether the bucket was that of all who have none of their own.
    pub shared: bool,
    /// How many callers have a bucket of their own now.
    pub keys: usize,
    /// How many may have one.
    pub most_keys: usize,
}

/// Whoever wants to be told of a rate limiter's decisions. It must not wait, and must not panic.
pub trait LimitView: Send + Sync {
    /// A request was let through or turned away.
    fn decided(&self, decision: &Decision);
}

impl<V: LimitView + ?Sized> LimitView for Arc<V> {
    fn decided(&self, decision: &Decision) {
        self.as_ref().decided(decision);
    }
}

impl<A: LimitView, B: LimitView> LimitView for (A, B) {
    fn decided(&self, decision: &Decision) {
        self.0.decided(decision);
        self.1.decided(decision);
    }
}
