//! Its view of the health of its components.
