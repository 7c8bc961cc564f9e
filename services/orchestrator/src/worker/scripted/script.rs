//! A script, and its text form.

use std::{num::NonZeroU64, str::FromStr, sync::Arc, time::Duration};

use inferometer_catalog::orchestrator::ErrorType;

/// What a scripted worker does; the [module](super) has the text form and the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The model's id.
    pub model: Arc<str>,
    /// Time to the first token.
    pub first_token: Duration,
    /// Time from each token to the next.
    pub per_token: Duration,
    /// Share by which both times vary, evenly around their mean; 0 to 1.
    pub jitter: f64,
    /// Tokens of an answer, unless the prompt allows fewer. A token is a word.
    pub tokens: u32,
    /// Without a time per token: whether to hand on each token by itself.
    pub by_token: bool,
    /// The words that answers repeat.
    pub text: Arc<str>,
    /// What goes wrong; the first rule that applies to a generation counts.
    pub failures: Vec<Rule>,
    /// The seed of jitter and chance.
    pub seed: u64,
    /// Context window in tokens.
    pub context_window: usize,
    /// Generations at once.
    pub concurrency: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            model: "scripted".into(),
            first_token: Duration::ZERO,
            per_token: Duration::ZERO,
            jitter: 0.0,
            tokens: 16,
            by_token: false,
            text:
                "The river rises in the hills, turns the mill, feeds the fields and finds the sea."
                    .into(),
            failures: Vec::new(),
            seed: 0,
            context_window: 8192,
            concurrency: 1024,
        }
    }
}

/// One way to fail, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Which generations fail.
    pub when: When,
    /// How they fail.
    pub fault: Fault,
}

/// Which generations a rule is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// The n-th, the 2n-th and so on.
    Every(NonZeroU64),
    /// Each with this probability, by the script's seed.
    Chance(f64),
}

/// How a generation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of this type, after the time to the first token.
    Error(ErrorType),
    /// Nothing at all, until the deadline or the client's leaving.
    Hang,
    /// A panic.
    Panic,
    /// Half the answer, then a stream closed.
    Cut,
    /// Half the answer, then nothing until the deadline or the client's leaving.
    Stall,
}

impl Script {
    /// What happens to the generation `ordinal`, counted from 0.
    pub(super) fn fault(&self, ordinal: u64) -> Option<Fault> {
        let mut rules = (0_u64..).zip(&self.failures);
        let applies = |place: u64, rule: &Rule| match rule.when {
            When::Every(n) => (ordinal + 1).is_multiple_of(n.get()),
            When::Chance(chance) => draw(self.seed, ordinal, u64::MAX - place) < chance,
        };
        rules
            .find(|(place, rule)| applies(*place, rule))
            .map(|(_, rule)| rule.fault)
    }

    /// Whether answers take no time and nothing can fail.
    pub(super) fn is_instant(&self) -> bool {
        self.first_token.is_zero() && self.per_token.is_zero() && self.failures.is_empty()
    }
}

/// A number from 0 to 1 that depends on nothing but these three.
pub(super) fn draw(seed: u64, ordinal: u64, place: u64) -> f64 {
    let bits = mix(mix(mix(seed) ^ ordinal) ^ place) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let whole = bits as f64;
    whole / 9_007_199_254_740_992.0
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014), one step after `state`.
fn mix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A script's text that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A part without `=`.
    #[error(
        "`{0}` in the script is no `key=value`; an example is scripted:first=20ms,per_token=5ms,tokens=32"
    )]
    NoValue(String),
    /// A key that no script has.
    #[error(
        "the script has no key `{0}`; it has first, per_token, jitter, tokens, pieces, fail, seed, model, context, \
         concurrency and text"
    )]
    UnknownKey(String),
    /// A value that its key can't take.
    #[error("the script's {key} can't be `{value}`; it takes {rule}")]
    BadValue {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What the key takes.
        rule: &'static str,
    },
}

impl FromStr for Script {
    type Err = ScriptError;

    /// Reads the text form; the leading `scripted:` may be left out.
    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        let mut rest = text
            .strip_prefix("scripted")
            .filter(|rest| rest.is_empty() || rest.starts_with(':'))
            .unwrap_or(text);
        rest = rest.strip_prefix(':').unwrap_or(rest);
        while !rest.is_empty() {
            if let Some(words) = rest.strip_prefix("text=") {
                script.text = words.into();
                break;
            }
            let (part, after) = rest.split_once(',').unwrap_or((rest, ""));
            rest = after;
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| ScriptError::NoValue(part.to_owned()))?;
            script.set(key.trim(), value.trim())?;
        }
        Ok(script)
    }
}

impl Script {
    fn set(&mut self, key: &str, value: &str) -> Result<(), ScriptError> {
        const TIME: &str = "a number and its unit: us, ms or s";
        const COUNT: &str = "a whole number above 0";
        let bad = |rule| ScriptError::BadValue {
            key: key.to_owned(),
            value: value.to_owned(),
            rule,
        };
        match key {
            "first" => self.first_token = duration(value).ok_or_else(|| bad(TIME))?,
            "per_token" => self.per_token = duration(value).ok_or_else(|| bad(TIME))?,
            "jitter" => self.jitter = share(value).ok_or_else(|| bad("a share from 0 to 1"))?,
            "tokens" => {
                let tokens = value.parse().ok().filter(|tokens| (1..=1_000_000).contains(tokens));
                self.tokens = tokens.ok_or_else(|| bad("a whole number from 1 to 1000000"))?;
            }
            "pieces" => {
                self.by_token = match value {
                    "each" => true,
                    "whole" => false,
                    _ => return Err(bad("whole or each")),
                }
            }
            "fail" => self.failures.push(rule(value).ok_or_else(|| {
                bad(
                    "WHEN or HOW@WHEN, where WHEN is a probability (0.01) or every n-th (1/100), and HOW one of error, \
                     timeout, connection, authentication, rate_limited, bad_response, model, invalid_request, hang, panic, \
                     cut and stall",
                )
            })?),
            "seed" => self.seed = value.parse().map_err(|_| bad("a whole number from 0"))?,
            "model" if !value.is_empty() => self.model = value.into(),
            "model" => return Err(bad("a name")),
            "context" => self.context_window = count(value).ok_or_else(|| bad(COUNT))?,
            "concurrency" => self.concurrency = count(value).ok_or_else(|| bad(COUNT))?,
            _ => return Err(ScriptError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }
}

fn count(value: &str) -> Option<usize> {
    value.parse().ok().filter(|count| *count > 0)
}

fn share(value: &str) -> Option<f64> {
    value
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
}

fn duration(value: &str) -> Option<Duration> {
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok().filter(|number: &f64| *number >= 0.0)?;
    let seconds = match &value[digits.len()..] {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "" if number == 0.0 => 0.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(3600))
}

fn rule(value: &str) -> Option<Rule> {
    let (how, when) = value.split_once('@').unwrap_or(("error", value));
    let fault = match how {
        "error" => Fault::Error(ErrorType::UpstreamStatus),
        "timeout" => Fault::Error(ErrorType::Timeout),
        "connection" => Fault::Error(ErrorType::Connection),
        "authentication" => Fault::Error(ErrorType::Authentication),
        "rate_limited" => Fault::Error(ErrorType::RateLimited),
        "bad_response" => Fault::Error(ErrorType::BadResponse),
        "model" => Fault::Error(ErrorType::Model),
        "invalid_request" => Fault::Error(ErrorType::InvalidRequest),
        "hang" => Fault::Hang,
        "panic" => Fault::Panic,
        "cut" => Fault::Cut,
        "stall" => Fault::Stall,
        _ => return None,
    };
    let when = match when.strip_prefix("1/") {
        Some(n) => When::Every(n.parse().ok()?),
        None => When::Chance(share(when)?),
    };
    Some(Rule { when, fault })
}
