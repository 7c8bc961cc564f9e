//! Whether a service, and each thing that it depends on, can do its work.
