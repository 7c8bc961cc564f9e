//! A queue before a store that fails, refuses, hangs and panics.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use inferometer_quality::{
    journal::{Journal, JournalOptions, Unwritten},
    score::{BoardOptions, Output, Scoreboard, Task, Truth},
    store::{
        Bounds, Entry, Forgotten, Held, Label, MemoryStore, Outcome, Prediction, Store, StoreError,
    },
};

use crate::waiting::wait_until;

/// A store that does as it is told, before or after it has written.
struct Fickle {
    store: Arc<Mutex<MemoryStore>>,
    mood: Arc<Mood>,
}

#[derive(Default)]
struct Mood {
    away: AtomicBool,
    forgets_to_answer: AtomicBool,
    panics: AtomicBool,
}

impl Store for Fickle {
    fn write(&mut self, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
        assert!(!self.mood.panics.load(Relaxed), "it was told to panic");
        let away = || StoreError::new("write to", "the store", true, "it is away");
        if self.mood.away.load(Relaxed) {
            return Err(away());
        }
        if entries.iter().any(|entry| &**entry.id() == "poison") {
            return Err(StoreError::new(
                "write to",
                "the store",
                false,
                "it is poison",
            ));
        }
        let outcomes = self.store.lock().unwrap().write(entries)?;
        if self.mood.forgets_to_answer.swap(false, Relaxed) {
            return Err(away());
        }
        Ok(outcomes)
    }

    fn forget(&mut self, now: SystemTime) -> Result<Forgotten, StoreError> {
        self.store.lock().unwrap().forget(now)
    }

    fn replay(
        &mut self,
        take: &mut dyn FnMut(Prediction, Option<Label>),
    ) -> Result<(), StoreError> {
        self.store.lock().unwrap().replay(take)
    }

    fn held(&mut self) -> Result<Held, StoreError> {
        self.store.lock().unwrap().held()
    }
}

struct Fixture {
    journal: Journal,
    board: Arc<Scoreboard>,
    store: Arc<Mutex<MemoryStore>>,
    mood: Arc<Mood>,
}

fn started(queue: usize, store: MemoryStore) -> Fixture {
    let (store, mood) = (Arc::new(Mutex::new(store)), Arc::new(Mood::default()));
    let board = Arc::new(Scoreboard::new(Task::Regression, BoardOptions::default()));
    let fickle = Fickle {
        store: Arc::clone(&store),
        mood: Arc::clone(&mood),
    };
    let options = JournalOptions {
        queue,
        batch: 4,
        retry: Duration::from_millis(1),
        retry_at_most: Duration::from_millis(4),
        forget_every: Duration::from_millis(5),
    };
    Fixture {
        journal: Journal::start(fickle, Arc::clone(&board), options).unwrap(),
        board,
        store,
        mood,
    }
}

fn empty() -> MemoryStore {
    MemoryStore::new(Bounds::default())
}

fn made(id: &str) -> Prediction {
    Prediction::new(
        id,
        "v1",
        "production",
        Output::Number(1.0),
        SystemTime::now(),
    )
}

fn truth(id: &str) -> Label {
    Label::new(id, Truth::Number(1.0), SystemTime::now())
}

type Answers = mpsc::Receiver<Result<Outcome, Unwritten>>;

fn send(journal: &Journal, id: &str) -> Result<Answers, Unwritten> {
    let (sender, receiver) = mpsc::channel();
    journal.labelled(truth(id), move |outcome| sender.send(outcome).unwrap())?;
    Ok(receiver)
}

fn answer(answers: &Answers) -> Result<Outcome, Unwritten> {
    answers
        .recv_timeout(Duration::from_secs(20))
        .expect("somebody always answers")
}

#[test]
fn while_the_store_is_away_predictions_are_dropped_and_labels_refused_beyond_the_room() {
    let it = started(6, empty());
    it.mood.away.store(true, Relaxed);
    let waiting: Vec<_> = (0..3)
        .map(|id| {
            let id = id.to_string();
            assert!(it.journal.predicted(made(&id)));
            send(&it.journal, &id).unwrap()
        })
        .collect();
    wait_until("it fails", || it.journal.status().failing.is_some());
    assert!(!it.journal.predicted(made("too many")));
    assert_eq!(
        send(&it.journal, "too many").unwrap_err(),
        Unwritten::Full(6)
    );
    let status = it.journal.status();
    assert_eq!(
        (
            status.queued,
            status.dropped_predictions,
            status.refused_labels
        ),
        (6, 1, 1)
    );
    let (_, told) = status.failing.unwrap();
    assert_eq!(
        &*told,
        "can't write to the store: it is away; it is tried again"
    );
    assert!(
        waiting.iter().all(|answers| answers.try_recv().is_err()),
        "nothing is acknowledged"
    );

    it.mood.away.store(false, Relaxed);
    for answers in &waiting {
        assert!(matches!(answer(answers), Ok(Outcome::Joined(_))));
    }
    assert_eq!(it.board.tallied().joined, 3);
    wait_until("it works", || it.journal.status().failing.is_none());
}

#[test]
fn a_write_whose_answer_was_lost_is_repeated_and_counted_once() {
    let it = started(100, empty());
    it.mood.forgets_to_answer.store(true, Relaxed);
    assert!(it.journal.predicted(made("a")));
    assert!(matches!(
        answer(&send(&it.journal, "a").unwrap()),
        Ok(Outcome::Joined(_))
    ));
    assert!(matches!(
        answer(&send(&it.journal, "a").unwrap()),
        Ok(Outcome::Duplicate)
    ));
    assert!(!it.mood.forgets_to_answer.load(Relaxed));
    let tallied = it.board.tallied();
    assert_eq!(
        (
            tallied.predictions,
            tallied.joined,
            tallied.duplicate_labels
        ),
        (1, 1, 1)
    );
    assert_eq!(tallied.duplicate_predictions, 0);
}

#[test]
fn what_the_store_refuses_stops_nothing_behind_it() {
    let it = started(100, empty());
    it.mood.away.store(true, Relaxed);
    let waiting = ["a", "poison", "b"].map(|id| send(&it.journal, id).unwrap());
    it.mood.away.store(false, Relaxed);
    assert_eq!(answer(&waiting[0]), Ok(Outcome::Waiting));
    assert_eq!(answer(&waiting[2]), Ok(Outcome::Waiting));
    let Err(Unwritten::Refused(told)) = answer(&waiting[1]) else {
        panic!("it is refused")
    };
    assert!(told.contains("it is poison"), "{told}");
    assert_eq!(it.journal.status().unwritable, 1);
}

#[test]
fn stopping_writes_what_is_queued() {
    let it = started(100, empty());
    for id in 0..50 {
        assert!(it.journal.predicted(made(&id.to_string())));
    }
    let status = it.journal.stop(Duration::from_secs(20));
    assert_eq!((status.queued, status.written), (0, 50));
    assert_eq!(it.store.lock().unwrap().held().unwrap().predictions, 50);
}

#[test]
fn stopping_while_the_store_is_away_tells_those_who_wait() {
    let it = started(100, empty());
    it.mood.away.store(true, Relaxed);
    let waiting = ["a", "b", "c", "d", "e", "f"].map(|id| send(&it.journal, id).unwrap());
    let status = it.journal.stop(Duration::from_millis(20));
    assert_eq!(status.queued, 6);
    for answers in &waiting {
        assert_eq!(answer(answers), Err(Unwritten::Stopped));
    }
}

#[test]
fn a_store_that_panics_leaves_nobody_waiting() {
    let it = started(100, empty());
    it.mood.panics.store(true, Relaxed);
    assert_eq!(
        answer(&send(&it.journal, "a").unwrap()),
        Err(Unwritten::Stopped)
    );
    wait_until("it takes no more", || send(&it.journal, "b").is_err());
    assert_eq!(send(&it.journal, "c").unwrap_err(), Unwritten::Stopped);
    assert!(!it.journal.predicted(made("c")));
}

#[test]
fn who_panics_at_an_answer_harms_nobody_else() {
    let it = started(100, empty());
    it.journal
        .labelled(truth("a"), |_| panic!("at the answer"))
        .unwrap();
    assert_eq!(
        answer(&send(&it.journal, "b").unwrap()),
        Ok(Outcome::Waiting)
    );
}

#[test]
fn a_journal_started_again_has_the_scores_of_before() {
    let mut store = empty();
    store
        .write(&[made("a").into(), truth("a").into(), made("b").into()])
        .unwrap();
    let it = started(100, store);
    assert!(matches!(
        answer(&send(&it.journal, "b").unwrap()),
        Ok(Outcome::Joined(_))
    ));
    let scores = it.board.scores(SystemTime::now());
    assert_eq!(
        (scores[0].lifetime.samples, scores[0].lifetime.predictions),
        (2, 2)
    );
}

#[test]
fn what_the_store_gives_up_is_counted_as_time_goes() {
    let bounds = Bounds {
        entries: 10,
        age: Duration::from_millis(10),
    };
    let it = started(100, MemoryStore::new(bounds));
    assert!(it.journal.predicted(made("a")));
    wait_until("it is too old", || it.board.tallied().expired == 1);
}
