//! The monitors as programs use them.

mod host;
