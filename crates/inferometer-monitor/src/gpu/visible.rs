//! Which of the machine's GPUs are shown: those that CUDA would let this process use.

use super::source::Seat;

/// The variable that CUDA reads.
pub(super) const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

/// Which GPUs a monitor shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// Every one.
    All,
    /// Those that `CUDA_VISIBLE_DEVICES` names, as it was when the monitor was made; every one without it.
    FromEnvironment,
    /// Those that a list names, in the form of `CUDA_VISIBLE_DEVICES`.
    List(String),
}

impl Visible {
    /// The list, if there is one.
    pub(super) fn list(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::FromEnvironment => {
                std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned())
            }
            Self::List(list) => Some(list),
        }
    }
}

/// What a list comes to on this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Whether each seat is shown.
    pub(super) shown: Vec<bool>,
    /// What is wrong with the list, and what follows.
    pub(super) complaint: Option<String>,
}

/// Reads a list as CUDA does: in order, up to the first entry that names nothing.
///
/// An entry is an index, a whole UUID or the beginning of one (`GPU-5fd4`, `MIG-7a0c`). A GPU that is named brings its
/// instances. Indices are those of the PCI bus, as with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
pub(super) fn select(list: &str, seats: &[&Seat]) -> Selection {
    let mut named: Vec<usize> = Vec::new();
    let mut complaint = None;
    for entry in list.split(',').map(str::trim) {
        match find(entry, seats) {
            Ok(at) if named.contains(&at) => {
                named.clear();
                complaint = Some(format!(
                    "{entry} is named twice, and CUDA then uses no GPU at all; name it once"
                ));
                break;
            }
            Ok(at) => named.push(at),
            Err(None) => break,
            Err(Some(why)) => {
                complaint = Some(format!("{why}; CUDA ignores it and all that follows"));
                break;
            }
        }
    }
    let shown: Vec<_> = seats
        .iter()
        .enumerate()
        .map(|(at, seat)| {
            named.iter().any(|place| {
                *place == at
                    || seat
                        .instance
                        .as_ref()
                        .is_some_and(|(_, parent)| *parent == seats[*place].uuid)
            })
        })
        .collect();
    let left: Vec<_> = seats
        .iter()
        .zip(&shown)
        .filter(|(_, shown)| **shown)
        .map(|(seat, _)| seat.id())
        .collect();
    let left = match &*left {
        [] => "no GPU is shown".to_owned(),
        left => format!("shown: {}", left.join(", ")),
    };
    let complaint = complaint.map(|why| format!("{VARIABLE} is {list:?}: {why}; {left}"));
    Selection { shown, complaint }
}

/// The place of what an entry names. `Err(None)` ends the list on purpose.
fn find(entry: &str, seats: &[&Seat]) -> Result<usize, Option<String>> {
    if entry.is_empty() || entry.eq_ignore_ascii_case("NoDevFiles") {
        return Err(None);
    }
    if let Ok(number) = entry.parse::<i64>() {
        if number < 0 {
            return Err(None);
        }
        return seats
            .iter()
            .position(|seat| seat.instance.is_none() && i64::from(seat.index) == number)
            .ok_or_else(|| Some(no_such_index(number, seats)));
    }
    let of_a_part = entry.starts_with("MIG-");
    if !of_a_part && !entry.starts_with("GPU-") {
        return Err(Some(format!(
            "{entry:?} is neither an index nor the beginning of a UUID (GPU-… or MIG-…)"
        )));
    }
    let mut matching = seats
        .iter()
        .enumerate()
        .filter(|(_, seat)| seat.instance.is_some() == of_a_part && seat.uuid.starts_with(entry))
        .map(|(at, _)| at);
    match (matching.next(), matching.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => Err(Some(format!(
            "{entry} is the beginning of more than one UUID; write more of it"
        ))),
        (None, _) => Err(Some(format!(
            "no GPU here has a UUID that begins with {entry}"
        ))),
    }
}

fn no_such_index(number: i64, seats: &[&Seat]) -> String {
    let whole = seats.iter().filter(|seat| seat.instance.is_none());
    match whole.map(|seat| seat.index).max() {
        Some(0) => format!("there is no GPU {number}, this machine has only GPU 0"),
        Some(last) => format!("there is no GPU {number}, this machine has 0 to {last}"),
        None => format!("there is no GPU {number}, this machine has none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Vec<Seat> {
        vec![
            Seat::whole(0, "GPU-aaaa-1"),
            Seat::part(0, "GPU-aaaa-1", 0, "MIG-1111"),
            Seat::part(0, "GPU-aaaa-1", 2, "MIG-2222"),
            Seat::whole(1, "GPU-aabb-2"),
        ]
    }

    fn shown(list: &str) -> (Vec<String>, Option<String>) {
        let seats = seats();
        let seats: Vec<_> = seats.iter().collect();
        let selection = select(list, &seats);
        let ids = seats
            .iter()
            .zip(&selection.shown)
            .filter(|(_, shown)| **shown)
            .map(|(seat, _)| seat.id())
            .collect();
        (ids, selection.complaint)
    }

    #[test]
    fn indices_uuids_and_their_beginnings_name_gpus_and_instances() {
        for (list, expected) in [
            ("1", &["1"][..]),
            (" 1 , 0 ", &["0", "0:0", "0:2", "1"]),
            ("GPU-aabb-2", &["1"]),
            ("GPU-aab", &["1"]),
            ("MIG-22", &["0:2"]),
            ("", &[]),
            ("-1", &[]),
            ("NoDevFiles", &[]),
            ("1,-1,0", &["1"]),
        ] {
            assert_eq!(
                shown(list),
                (expected.iter().map(|&id| id.to_owned()).collect(), None),
                "{list:?}"
            );
        }
    }

    #[test]
    fn a_bad_entry_ends_the_list_and_is_said() {
        for (list, ids, words) in [
            ("1,7,0", &["1"][..], "no GPU 7, this machine has 0 to 1"),
            ("GPU-aa", &[], "more than one UUID"),
            (
                "GPU-ffff",
                &[],
                "no GPU here has a UUID that begins with GPU-ffff",
            ),
            ("1,cuda:0", &["1"], r#""cuda:0" is neither an index nor"#),
            ("0,1,0", &[], "0 is named twice"),
            ("MIG-1111,GPU-aaaa-1,GPU-aaaa-1", &[], "named twice"),
        ] {
            let (shown, complaint) = shown(list);
            assert_eq!(shown, ids, "{list:?}");
            let complaint = complaint.unwrap();
            assert!(complaint.contains(words), "{complaint}");
            assert!(
                complaint.starts_with(&format!("CUDA_VISIBLE_DEVICES is {list:?}: ")),
                "{complaint}"
            );
        }
    }
}
