//! The derives of inferometer.
