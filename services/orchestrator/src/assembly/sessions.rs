//! What was said before, by session.

use std::{
    num::NonZeroUsize,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

use crate::worker::Message;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The most sessions; the one not used for longest makes room for a new one. At least 1.
    pub sessions: usize,
    /// The most messages of a session; the oldest turns go first.
    pub messages: usize,
    /// The most bytes of text of a session; the oldest turns go first.
    pub bytes: usize,
    /// A session is forgotten when nothing was added to it for this long.
    pub idle: Duration,
}

impl Default for SessionLimits {
    /// 1,000 sessions of 40 messages and 64 KiB, for one hour.
    fn default() -> Self {
        Self {
            sessions: 1000,
            messages: 40,
            bytes: 64 << 10,
            idle: Duration::from_secs(3600),
        }
    }
}

/// A session's id longer than this keeps no history, so that ids can't fill the memory.
const ID_BYTES: usize = 256;

static USER: LazyLock<Arc<str>> = LazyLock::new(|| "user".into());
static ASSISTANT: LazyLock<Arc<str>> = LazyLock::new(|| "assistant".into());
static NOTHING: LazyLock<Arc<[Message]>> = LazyLock::new(|| Arc::new([]));

#[derive(Debug)]
struct Session {
    messages: Arc<[Message]>,
    last: Instant,
}

/// The history of a bounded number of sessions, in memory.
///
/// **Consistency.** A history once given out never changes; what is added later is seen by the next call. Two
/// answers of one session that are added at the same time both stay, in the order of their adding, each with its own
/// question. The lock is held for a look-up, and for copying a session's list of pointers when a turn is added.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    sessions: Mutex<LruCache<Arc<str>, Session>>,
}

impl Sessions {
    /// An empty store.
    pub fn new(limits: SessionLimits) -> Self {
        let most = NonZeroUsize::new(limits.sessions).unwrap_or(NonZeroUsize::MIN);
        // The table grows as sessions come: a large limit costs nothing by itself.
        let mut sessions = LruCache::unbounded();
        sessions.resize(most);
        Self {
            limits,
            sessions: Mutex::new(sessions),
        }
    }

    /// What was said in a session so far, oldest first; empty for one that isn't known.
    pub fn history(&self, session: &str) -> Arc<[Message]> {
        self.history_at(session, Instant::now())
    }

    /// Adds a question and its answer to a session, which begins with this when it isn't known.
    pub fn append(&self, session: &str, user: Arc<str>, assistant: Arc<str>) {
        self.append_at(session, user, assistant, Instant::now());
    }

    /// How many sessions are kept.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no session is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn history_at(&self, session: &str, now: Instant) -> Arc<[Message]> {
        let mut sessions = self.lock();
        match sessions.get(session) {
            Some(known) if now.saturating_duration_since(known.last) < self.limits.idle => {
                Arc::clone(&known.messages)
            }
            Some(_) => {
                sessions.pop(session);
                Arc::clone(&NOTHING)
            }
            None => Arc::clone(&NOTHING),
        }
    }

    fn append_at(&self, session: &str, user: Arc<str>, assistant: Arc<str>, now: Instant) {
        if session.len() > ID_BYTES {
            return;
        }
        let turn = [(&USER, user), (&ASSISTANT, assistant)].map(|(role, content)| Message {
            role: Arc::clone(role),
            content,
        });
        let mut sessions = self.lock();
        match sessions.get_mut(session) {
            Some(known) => {
                let expired = now.saturating_duration_since(known.last) >= self.limits.idle;
                let before = if expired { &[][..] } else { &known.messages };
                known.messages = self.bounded(before, turn);
                known.last = now;
            }
            None => {
                sessions.put(
                    session.into(),
                    Session {
                        messages: self.bounded(&[], turn),
                        last: now,
                    },
                );
            }
        }
    }

    /// The newest turns that are within the limits; none when even the last one alone is not.
    fn bounded(&self, before: &[Message], turn: [Message; 2]) -> Arc<[Message]> {
        let mut bytes: usize = before
            .iter()
            .chain(&turn)
            .map(|message| message.content.len())
            .sum();
        let mut count = before.len() + turn.len();
        let mut dropped = 0;
        for pair in before.chunks(2).chain([&turn[..]]) {
            if count <= self.limits.messages && bytes <= self.limits.bytes {
                break;
            }
            count -= pair.len();
            bytes -= pair
                .iter()
                .map(|message| message.content.len())
                .sum::<usize>();
            dropped += pair.len();
        }
        before.iter().cloned().chain(turn).skip(dropped).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<Arc<str>, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(history: &[Message]) -> Vec<&str> {
        history.iter().map(|message| &*message.content).collect()
    }

    #[test]
    fn turns_come_back_in_order_with_their_roles() {
        let sessions = Sessions::new(SessionLimits::default());
        assert!(sessions.history("a").is_empty());
        sessions.append("a", "q1".into(), "a1".into());
        sessions.append("a", "q2".into(), "a2".into());
        sessions.append("b", "other".into(), "thing".into());
        let history = sessions.history("a");
        assert_eq!(contents(&history), ["q1", "a1", "q2", "a2"]);
        let roles: Vec<&str> = history.iter().map(|message| &*message.role).collect();
        assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    }

    #[test]
    fn texts_are_shared_and_not_copied() {
        let sessions = Sessions::new(SessionLimits::default());
        let question: Arc<str> = "q".into();
        sessions.append("a", Arc::clone(&question), "a".into());
        sessions.append("a", "q2".into(), "a2".into());
        assert!(Arc::ptr_eq(&sessions.history("a")[0].content, &question));
    }

    #[test]
    fn least_recently_used_session_makes_room() {
        let sessions = Sessions::new(SessionLimits {
            sessions: 2,
            ..SessionLimits::default()
        });
        for id in ["a", "b"] {
            sessions.append(id, id.into(), "x".into());
        }
        sessions.history("a");
        sessions.append("c", "c".into(), "x".into());
        assert_eq!(sessions.len(), 2);
        assert!(sessions.history("b").is_empty());
        assert_eq!(sessions.history("a").len(), 2);
    }

    #[test]
    fn oldest_turns_go_when_messages_or_bytes_are_too_many() {
        let limits = SessionLimits {
            messages: 4,
            bytes: 20,
            ..SessionLimits::default()
        };
        let sessions = Sessions::new(limits);
        for number in 0..3 {
            sessions.append(
                "a",
                format!("q{number}").into(),
                format!("a{number}").into(),
            );
        }
        assert_eq!(contents(&sessions.history("a")), ["q1", "a1", "q2", "a2"]);
        sessions.append("a", "long question".into(), "a3".into());
        assert_eq!(
            contents(&sessions.history("a")),
            ["q2", "a2", "long question", "a3"]
        );
        sessions.append("a", "much too long a question".into(), "a4".into());
        assert!(sessions.history("a").is_empty());
    }

    #[test]
    fn idle_session_is_forgotten() {
        let sessions = Sessions::new(SessionLimits {
            idle: Duration::from_secs(10),
            ..SessionLimits::default()
        });
        let start = Instant::now();
        sessions.append_at("a", "q".into(), "a".into(), start);
        assert_eq!(
            sessions
                .history_at("a", start + Duration::from_secs(9))
                .len(),
            2
        );
        sessions.append_at(
            "a",
            "late".into(),
            "a".into(),
            start + Duration::from_secs(20),
        );
        assert_eq!(
            contents(&sessions.history_at("a", start + Duration::from_secs(20))),
            ["late", "a"]
        );
        assert!(
            sessions
                .history_at("a", start + Duration::from_secs(30))
                .is_empty()
        );
        assert!(sessions.is_empty());
    }

    #[test]
    fn overlong_id_keeps_no_history() {
        let sessions = Sessions::new(SessionLimits::default());
        sessions.append(&"x".repeat(257), "q".into(), "a".into());
        assert!(sessions.is_empty());
    }

    #[test]
    fn concurrent_appends_keep_every_turn_whole() {
        let sessions = Sessions::new(SessionLimits {
            messages: 10_000,
            ..SessionLimits::default()
        });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let sessions = &sessions;
                scope.spawn(move || {
                    for turn in 0..200 {
                        let text: Arc<str> = format!("{thread}-{turn}").into();
                        sessions.append("a", Arc::clone(&text), text);
                    }
                });
            }
        });
        let history = sessions.history("a");
        assert_eq!(history.len(), 1600);
        assert!(
            history
                .chunks(2)
                .all(|turn| turn[0].content == turn[1].content)
        );
    }
}
