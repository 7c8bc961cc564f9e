//! A GPU, and what it was found to do at one moment.
