//! Bucket bounds for what inference services measure, and generators for others.

/// From 1 ms to 10 s, for requests and stages in seconds.
pub const LATENCY: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0,
];

/// From 100 µs to 60 s, for the time that a request waits in a queue, in seconds.
pub const QUEUE_WAIT: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    20.0, 60.0,
];

/// From 1 ms to 160 s, for the time to the first token, in seconds.
pub const TIME_TO_FIRST_TOKEN: [f64; 20] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0,
];

/// From 1 ms to 2.5 s, for the time of one output token, in seconds.
pub const TIME_PER_TOKEN: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5,
];

/// From 1 to 65,536 in powers of 4, for tokens of a request.
pub const TOKENS: [f64; 9] = [
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0,
];

/// `count` bounds, the first `start`, each `factor` times the one before.
///
/// # Examples
/// ```
/// assert_eq!(inferometer::buckets::exponential(1.0, 2.0, 4), [1.0, 2.0, 4.0, 8.0]);
/// ```
pub fn exponential(start: f64, factor: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound * factor))
        .take(count)
        .collect()
}

/// `count` bounds, the first `start`, each `width` more than the one before.
///
/// # Examples
/// ```
/// assert_eq!(inferometer::buckets::linear(0.0, 0.5, 3), [0.0, 0.5, 1.0]);
/// ```
pub fn linear(start: f64, width: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound + width))
        .take(count)
        .collect()
}
