//! Its view of the GPUs.
