//! Rows in, reports out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    ClosedWindow, FeatureDrift, FeatureReference, Reference, Report, Value, WindowOptions,
    window::{Open, Sketch},
};

/// Compares what is served with a [`Reference`], window by window.
///
/// [`observe`](Self::observe) takes a row, which costs a lock and a few nanoseconds a value. The row that completes a window returns it, to be
/// [judged](Self::judge) wherever there is time: that takes tens of microseconds a feature.
///
/// **Empty windows.** A period without a row makes no report: it is [counted](Self::empty_windows), and the latest report grows older.
/// **Consistency.** A row is in one window, whole.
///
/// # Examples
/// ```
/// use std::time::SystemTime;
///
/// use inferometer_quality::drift::{DriftMonitor, Method, Reference, WindowOptions};
///
/// let mut builder = Reference::builder("v1").numeric("size");
/// let mut random = fastrand::Rng::with_seed(1);
/// for _ in 0..10_000 {
///     builder.push(&[random.f64().into()])?;
/// }
/// let now = SystemTime::now();
/// let monitor = DriftMonitor::new(builder.freeze(now)?.into(), WindowOptions::default(), now);
///
/// for _ in 0..1_000 {
///     let shifted = 0.3 + random.f64();
///     if let Some(window) = monitor.observe(&[shifted.into()], now) {
///         let report = monitor.judge(window);
///         let size = report.feature("size").expect("it is a feature");
///         assert_eq!(size.alert(), Some(true));
///         assert!(size.get(Method::Psi).expect("there are rows").value > 0.2);
///     }
/// }
/// assert_eq!(monitor.latest().map(|report| report.rows), Some(1_000));
/// # Ok::<(), inferometer_quality::drift::ReferenceError>(())
/// ```
#[derive(Debug)]
pub struct DriftMonitor {
    reference: Arc<Reference>,
    open: Mutex<Open>,
    latest: Mutex<Option<Arc<Report>>>,
}

impl DriftMonitor {
    /// One whose first window opens at `now`.
    pub fn new(reference: Arc<Reference>, options: WindowOptions, now: SystemTime) -> Self {
        Self {
            open: Mutex::new(Open::new(&reference, options, now)),
            reference,
            latest: Mutex::new(None),
        }
    }

    /// What is compared with.
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// Takes a row, served at `at`: a value for each feature of the reference, in their order. Returns the window that it completes, or that
    /// was due before it.
    ///
    /// A row of another width is counted as [refused](Self::refused_rows), and nothing else.
    #[inline]
    pub fn observe(&self, row: &[Value<'_>], at: SystemTime) -> Option<ClosedWindow> {
        let mut open = self.open();
        if row.len() != self.reference.features.len() {
            open.refused += 1;
            return None;
        }
        open.push(&self.reference, row, at)
    }

    /// The window, if it is due at `now` for its period and has a row. To be asked from time to time where windows have one.
    pub fn close_due(&self, now: SystemTime) -> Option<ClosedWindow> {
        self.open().close_due(&self.reference, now)
    }

    /// Compares a window with the reference. The report is the [latest](Self::latest) from now on, unless that is of a later window.
    pub fn judge(&self, mut window: ClosedWindow) -> Arc<Report> {
        let judged = window.rows >= self.reference.chunk;
        let compare = |(sketch, feature): (&mut Sketch, &FeatureReference)| {
            FeatureDrift::new(sketch, feature, judged)
        };
        let features = window.sketches.iter_mut().zip(&self.reference.features);
        let report = Arc::new(Report {
            model_version: Arc::clone(&self.reference.model_version),
            opened: window.opened,
            closed: window.closed,
            rows: window.rows,
            features: features.map(compare).collect(),
        });
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest
            .as_ref()
            .is_none_or(|latest| latest.closed <= report.closed)
        {
            *latest = Some(Arc::clone(&report));
        }
        report
    }

    /// The report on the latest window that was judged.
    pub fn latest(&self) -> Option<Arc<Report>> {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Periods that ended without a row.
    pub fn empty_windows(&self) -> u64 {
        self.open().empty
    }

    /// Rows that had not one value for each feature.
    pub fn refused_rows(&self) -> u64 {
        self.open().refused
    }

    /// A panic under this lock leaves a window with one row of fewer values.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
