//! Work that is done again and again, at an interval.
