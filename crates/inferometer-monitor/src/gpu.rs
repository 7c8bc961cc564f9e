//! GPUs: what each card does, what it costs, and whether it can still be asked.
