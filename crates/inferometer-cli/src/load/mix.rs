//! What kinds of request a load is made of, and how much of each.

use std::{fmt, str::FromStr};

use rand::{Rng, RngExt};
use serde::Serialize;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One question, a short answer, sent whole.
    Short,
    /// Several questions in one, a long answer, sent whole.
    Long,
    /// One question, its answer streamed.
    Stream,
    /// One question of a conversation: `X-Session-ID` names one of the plan's sessions.
    Session,
    /// An invalid request, which a correct server refuses.
    Bad,
    /// A stream whose client closes the connection midway.
    Leave,
}

impl Kind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Short,
        Self::Long,
        Self::Stream,
        Self::Session,
        Self::Bad,
        Self::Leave,
    ];

    /// The name that a mix and a report give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Stream => "stream",
            Self::Session => "session",
            Self::Bad => "bad",
            Self::Leave => "leave",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// How often each kind is sent, relative to the others.
///
/// # Examples
///
/// ```
/// use inferometer_cli::load::Mix;
///
/// let mix: Mix = "short=9,bad=1".parse()?;
/// assert_eq!(mix.to_string(), "short=9,bad=1");
/// assert_eq!("stream".parse::<Mix>()?.to_string(), "stream=1");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; Kind::ALL.len()],
}

impl Mix {
    /// A mix of one kind.
    pub const fn only(kind: Kind) -> Self {
        let mut weights = [0; Kind::ALL.len()];
        weights[kind.index()] = 1;
        Self { weights }
    }

    /// How often `kind` is sent, relative to the other kinds.
    pub const fn weight(&self, kind: Kind) -> u32 {
        self.weights[kind.index()]
    }

    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Kind {
        let total: u64 = self.weights.iter().copied().map(u64::from).sum();
        let mut at = rng.random_range(0..total);
        for kind in Kind::ALL {
            let weight = u64::from(self.weight(kind));
            if at < weight {
                return kind;
            }
            at -= weight;
        }
        unreachable!("the number drawn is below the sum of the weights")
    }
}

/// People who chat: mostly streams, some conversations, a few mistakes and a few who leave.
impl Default for Mix {
    fn default() -> Self {
        Self {
            weights: [30, 8, 40, 15, 2, 5],
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [0; Kind::ALL.len()];
        for part in text.split(',').map(str::trim) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim())
                .ok_or_else(|| {
                    let known = Kind::ALL.map(Kind::name).join(", ");
                    format!("no kind of request is called `{name}`; the kinds are {known}")
                })?;
            weights[kind.index()] = weight.trim().parse().map_err(|_| {
                format!("`{weight}` is no weight for `{name}`: give a whole number, as in short=3")
            })?;
        }
        if weights.iter().all(|&weight| weight == 0) {
            return Err("every weight is 0: give at least one kind a weight above 0".into());
        }
        Ok(Self { weights })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in Kind::ALL {
            if self.weight(kind) > 0 {
                write!(f, "{separator}{}={}", kind.name(), self.weight(kind))?;
                separator = ",";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_mix_reads_back_as_it_prints() {
        for text in ["short=1", "short=3,stream=2,leave=1", "bad=7"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        let mix = Mix::default();
        assert_eq!(mix.to_string().parse::<Mix>().unwrap(), mix);
    }

    #[test]
    fn an_unknown_kind_is_refused_with_the_known_ones() {
        let error = "short=1,tall=2".parse::<Mix>().unwrap_err();
        assert!(
            error.contains("`tall`") && error.contains("session"),
            "{error}"
        );
        assert!("short=-1".parse::<Mix>().is_err());
        assert!("short=0".parse::<Mix>().is_err());
        assert!("".parse::<Mix>().is_err());
    }

    #[test]
    fn kinds_are_drawn_in_proportion_to_their_weights() {
        let mix: Mix = "short=3,bad=1".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let bad = (0..40_000)
            .filter(|_| mix.draw(&mut rng) == Kind::Bad)
            .count();
        // 10,000 expected, standard deviation 87.
        assert!((9_600..10_400).contains(&bad), "{bad}");
    }
}
