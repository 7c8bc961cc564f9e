//! How a run ends.

use std::{any::Any, fmt::Display};

use inferometer::LabelValue;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum RunOutcome {
    /// As it should.
    Ok,
    /// The task said that it failed.
    Failed,
    /// The task panicked.
    Panicked,
}

impl RunOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Panicked];
}

/// What a task may return: nothing, or a `Result` whose error can be shown.
///
/// # Examples
/// ```
/// use inferometer_monitor::scheduler::TaskResult;
///
/// assert_eq!(().failure(), None);
/// assert_eq!(Ok::<_, String>(3).failure(), None);
/// assert_eq!(Err::<(), _>("no answer").failure(), Some("no answer".to_owned()));
/// ```
pub trait TaskResult {
    /// What went wrong; `None` if nothing did.
    fn failure(self) -> Option<String>;
}

impl TaskResult for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T, E: Display> TaskResult for Result<T, E> {
    /// The error by its alternate form, which for some types has the causes, too.
    fn failure(self) -> Option<String> {
        self.err().map(|error| shortened(format!("{error:#}")))
    }
}

/// How a run ended, and what it said of it.
pub(super) type Ended = Result<(), (RunOutcome, String)>;

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    shortened(text.map_or_else(
        || "panicked, and said nothing".to_owned(),
        |text| format!("panicked: {text}"),
    ))
}

/// A message of bounded length: at most 1,000 bytes are kept of it.
pub(crate) fn shortened(mut message: String) -> String {
    const LIMIT: usize = 1_000;
    if message.len() > LIMIT {
        message.truncate(message.floor_char_boundary(LIMIT));
        message.push('…');
    }
    message
}
