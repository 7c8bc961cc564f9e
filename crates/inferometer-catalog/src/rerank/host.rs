//! Its view of the machine.
