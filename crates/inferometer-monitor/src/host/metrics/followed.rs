//! Counters that follow a count which somebody else keeps.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The kernel corrects its processor times by less than this, in seconds; a larger step back is a count that began anew.
const CORRECTION: f64 = 3.0;

/// How far each counter of a family has followed, by the values of its labels.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<BTreeMap<[&'static str; 2], f64>>);

impl Followed {
    /// Tells `add` how much the counter named `labels` grows to follow `reading`, or has `remove` take it away when there is none.
    ///
    /// A counter never falls. A reading a little lower than the highest so far adds nothing until it is passed; one that is lower by
    /// more began anew, and the counter goes on from there: what was counted between the two is unknown, so nothing is added for it.
    pub(super) fn follow<R>(
        &self,
        labels: [&'static str; 2],
        reading: Option<f64>,
        add: impl FnOnce(f64),
        remove: impl FnOnce() -> R,
    ) {
        let mut highest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reading) = reading else {
            if highest.remove(&labels).is_some() {
                remove();
            }
            return;
        };
        match highest.get_mut(&labels) {
            None => {
                highest.insert(labels, reading);
                add(reading);
            }
            Some(highest) if reading >= *highest => {
                add(reading - *highest);
                *highest = reading;
            }
            Some(highest) if *highest - reading > CORRECTION => *highest = reading,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_waits_through_a_correction_and_goes_on_after_a_new_beginning() {
        let followed = Followed::default();
        let mut shown = 0.0;
        let mut follow = |reading| {
            followed.follow(["", ""], Some(reading), |more| shown += more, || ());
            shown
        };
        assert_eq!(follow(100.0), 100.0);
        assert_eq!(follow(99.5), 100.0);
        assert_eq!(follow(100.5), 100.5);
        assert_eq!(follow(10.0), 100.5);
        assert_eq!(follow(11.0), 101.5);
    }

    #[test]
    fn a_counter_without_a_reading_goes_and_comes_back_whole() {
        let followed = Followed::default();
        let mut added = Vec::new();
        let mut removed = 0;
        for reading in [Some(7.0), None, None, Some(9.0)] {
            followed.follow(["", ""], reading, |more| added.push(more), || removed += 1);
        }
        assert_eq!((added, removed), (vec![7.0, 9.0], 1));
    }
}
