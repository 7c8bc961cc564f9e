//! The queue before a store as metrics.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use inferometer::{Counter, Gauge, LabelSet, LabelValue, MetricSet, RegisterError, Registry};

use super::show;
use crate::{journal::JournalStatus, score::float};

/// What became of an entry in the queue.
#[derive(Clone, Copy, Debug, LabelValue)]
enum Fate {
    Written,
    PredictionDropped,
    LabelRefused,
    Unwritable,
}

#[derive(Clone, Copy, Debug, LabelSet)]
struct ByFate {
    fate: Fate,
}

#[derive(Debug, MetricSet)]
#[metrics(namespace = "inferometer_quality_journal")]
struct Set {
    /// Predictions and labels that wait to be written.
    queued: Gauge,
    /// Entries by what became of them: written, dropped or refused for want of room, or refused by the store.
    entries: Counter<ByFate>,
    /// How long the store has failed without a success; 0 while it works.
    #[metric(unit = "seconds")]
    failing: Gauge,
}

/// Shows how a [`Journal`](crate::journal::Journal) fares.
///
/// **When it moves.** With each [`show`](Self::show), which a scheduler calls, every few seconds say.
/// **Labels.** `fate`, one of four.
#[derive(Debug)]
pub struct JournalMetrics {
    set: Set,
    shown: Mutex<JournalStatus>,
}

impl JournalMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self {
            set: registry.register()?,
            shown: Mutex::default(),
        })
    }

    /// Shows how it fares at `now`.
    pub fn show(&self, status: JournalStatus, now: SystemTime) {
        let failing = status.failing.as_ref();
        let failing = failing.map(|(since, _)| now.duration_since(*since).unwrap_or_default());
        show(
            &self.set.failing,
            Some(failing.unwrap_or_default().as_secs_f64()),
        );
        show(&self.set.queued, Some(float(status.queued as u64)));
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = [
            (Fate::Written, shown.written, status.written),
            (
                Fate::PredictionDropped,
                shown.dropped_predictions,
                status.dropped_predictions,
            ),
            (
                Fate::LabelRefused,
                shown.refused_labels,
                status.refused_labels,
            ),
            (Fate::Unwritable, shown.unwritable, status.unwritable),
        ];
        for (fate, before, now) in moved {
            self.set
                .entries
                .with(ByFate { fate })
                .add(now.saturating_sub(before));
        }
        *shown = status;
    }
}
