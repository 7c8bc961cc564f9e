//! `started = finished + in flight`, whatever happens to requests.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use inferometer::{
    MetricSet, Registry,
    lifecycle::{Lifecycle, Outcome, Request, RequestCounts, StageTimer, Summary},
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::Config};

use crate::page;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stage {
    First,
    Second,
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Waited(Stage, Duration),
    Ended(Stage, Duration),
    Progressed(Stage),
    FirstToken(Duration),
    NextTokens(Duration, u32),
    Finished(&'static str, Summary),
}

#[derive(MetricSet)]
#[metrics(namespace = "probe")]
struct Probe {
    #[metric(flatten)]
    counts: RequestCounts,
}

/// Writes down what it is told.
struct Notes {
    probe: Probe,
    events: Mutex<Vec<Event>>,
}

impl Notes {
    fn new() -> (Registry, Arc<Self>) {
        let registry = Registry::new();
        let probe = registry.register().expect("the set keeps the rules");
        (
            registry,
            Arc::new(Self {
                probe,
                events: Mutex::default(),
            }),
        )
    }

    fn note(&self, event: Event) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lifecycle for Notes {
    type Stage = Stage;
    type Context = &'static str;

    fn counts(&self) -> &RequestCounts {
        &self.probe.counts
    }

    fn waited(&self, stage: Stage, wait: Duration) {
        self.note(Event::Waited(stage, wait));
    }

    fn stage_ended(&self, stage: Stage, duration: Duration) {
        self.note(Event::Ended(stage, duration));
    }

    fn progressed(&self, stage: Stage, _at: Instant) {
        self.note(Event::Progressed(stage));
    }

    fn first_token(&self, since_start: Duration) {
        self.note(Event::FirstToken(since_start));
    }

    fn next_tokens(&self, gap: Duration, tokens: u32) {
        self.note(Event::NextTokens(gap, tokens));
    }

    fn finished(&self, context: &&'static str, summary: &Summary) {
        self.note(Event::Finished(context, *summary));
    }
}

/// Drops the request while its thread unwinds, without the panic's message.
fn drop_unwinding<M: Lifecycle>(request: Request<M>) {
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _request = request;
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn a_request_tells_each_part_of_its_way() {
    let (_registry, notes) = Notes::new();
    let start = Instant::now();
    let mut request = Request::admit_at(&notes, "unknown", start);
    *request.context_mut() = "tea";
    request.enqueue_at(Stage::First, start + ms(1));
    request.begin_at(Stage::First, start + ms(4));
    request.end_at(start + ms(9));
    request.begin_at(Stage::Second, start + ms(10));
    let generation = request.detach_stage().expect("it is in a stage");
    request.prompt_tokens(70, 50);
    request.tokens_at(0, start + ms(11));
    request.tokens_at(2, start + ms(20));
    request.tokens_at(1, start + ms(24));
    generation.progress_at(start + ms(25));
    request.tokens_at(3, start + ms(30));
    generation.end_at(start + ms(35));
    let summary = request.finish_at(Outcome::Ok, start + ms(40));

    let expected = Summary {
        outcome: Outcome::Ok,
        duration: ms(40),
        time_to_first_token: Some(ms(20)),
        time_per_output_token: Some(Duration::from_micros(2_500)),
        prompt_tokens: 70,
        cached_tokens: 50,
        generated_tokens: 6,
    };
    assert_eq!(summary, expected);
    assert_eq!(
        notes.take(),
        [
            Event::Waited(Stage::First, ms(3)),
            Event::Progressed(Stage::First),
            Event::Progressed(Stage::First),
            Event::Ended(Stage::First, ms(5)),
            Event::Progressed(Stage::Second),
            Event::FirstToken(ms(20)),
            Event::NextTokens(ms(4), 1),
            Event::Progressed(Stage::Second),
            Event::NextTokens(ms(2), 3),
            Event::Progressed(Stage::Second),
            Event::Ended(Stage::Second, ms(25)),
            Event::Finished("tea", expected),
        ]
    );
}

#[test]
fn calls_out_of_order_record_nothing_that_was_not_measured() {
    let (_registry, notes) = Notes::new();
    let start = Instant::now();
    let mut request = Request::admit_at(&notes, "", start);
    request.end_at(start);
    assert!(request.detach_stage().is_none());
    request.enqueue_at(Stage::First, start);
    request.begin_at(Stage::Second, start + ms(1));
    request.end_at(start + ms(2));
    request.end_at(start + ms(3));
    assert_eq!(
        notes.take(),
        [
            Event::Progressed(Stage::Second),
            Event::Progressed(Stage::Second),
            Event::Ended(Stage::Second, ms(1)),
        ]
    );
    drop(request);
}

#[test]
fn what_never_came_is_absent_and_clocks_that_step_back_are_no_disaster() {
    let (_registry, notes) = Notes::new();
    let start = Instant::now() + ms(1_000);
    let mut request = Request::admit_at(&notes, "", start);
    request.enqueue_at(Stage::First, start);
    request.begin_at(Stage::First, start - ms(5));
    let summary = request.finish_at(Outcome::Error, start - ms(10));
    assert_eq!(summary.duration, Duration::ZERO);
    assert_eq!(summary.time_to_first_token, None);
    assert_eq!(summary.time_per_output_token, None);
    assert_eq!(notes.take()[0], Event::Waited(Stage::First, Duration::ZERO));

    let mut one_piece = Request::admit_at(&notes, "", start);
    one_piece.tokens_at(4, start + ms(3));
    let summary = one_piece.finish_at(Outcome::Ok, start + ms(9));
    assert_eq!(summary.time_to_first_token, Some(ms(3)));
    assert_eq!(summary.time_per_output_token, None, "one piece has no gap");
}

#[test]
fn a_dropped_request_settles_its_tokens() {
    let (_registry, notes) = Notes::new();
    let mut request = Request::admit(&notes);
    request.tokens(3);
    request.tokens(4);
    assert_eq!(request.generated(), 7);
    drop(request);
    let events = notes.take();
    let Some(Event::Finished(_, summary)) = events.last() else {
        panic!("it has ended")
    };
    assert_eq!(
        (summary.outcome, summary.generated_tokens),
        (Outcome::Cancelled, 7)
    );
}

#[test]
fn a_drop_counts_as_expected_and_as_panicked_while_unwinding() {
    let (_registry, notes) = Notes::new();
    let counts = &notes.probe.counts;
    drop(Request::admit(&notes));
    assert_eq!(counts.finished(Outcome::Cancelled), 1);
    let mut expecting = Request::admit(&notes);
    expecting.expect(Outcome::Timeout);
    drop(expecting);
    assert_eq!(counts.finished(Outcome::Timeout), 1);
    let mut expecting = Request::admit(&notes);
    expecting.expect(Outcome::Timeout);
    drop_unwinding(expecting);
    drop_unwinding(Request::admit(&notes));
    assert_eq!(counts.finished(Outcome::Panicked), 2);
    assert_eq!(
        (
            counts.started(),
            counts.finished_in_all(),
            counts.in_flight()
        ),
        (4, 4, 0)
    );
}

#[test]
fn a_request_is_counted_though_the_services_own_recording_panics() {
    struct Faulty(Probe);
    impl Lifecycle for Faulty {
        type Stage = Stage;
        type Context = ();
        fn counts(&self) -> &RequestCounts {
            &self.0.counts
        }
        fn progressed(&self, stage: Stage, _at: Instant) {
            if stage == Stage::Second {
                resume_unwind(Box::new(()));
            }
        }
        fn finished(&self, _context: &(), summary: &Summary) {
            if summary.outcome != Outcome::Panicked {
                resume_unwind(Box::new(()));
            }
        }
    }
    let registry = Registry::new();
    let faulty = Arc::new(Faulty(registry.register().unwrap()));
    let counts = &faulty.0.counts;
    let finished = catch_unwind(AssertUnwindSafe(|| {
        Request::admit(&faulty).finish(Outcome::Ok)
    }));
    assert!(finished.is_err());
    assert_eq!((counts.finished(Outcome::Ok), counts.in_flight()), (1, 0));
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(Request::admit(&faulty))));
    assert!(dropped.is_err());
    assert_eq!(
        (counts.finished(Outcome::Cancelled), counts.in_flight()),
        (1, 0)
    );
    let begun = catch_unwind(AssertUnwindSafe(|| {
        Request::admit(&faulty).begin(Stage::Second);
    }));
    assert!(begun.is_err());
    assert_eq!(
        (counts.finished(Outcome::Panicked), counts.in_flight()),
        (1, 0)
    );
    assert_eq!((counts.started(), counts.finished_in_all()), (3, 3));
}

#[test]
fn the_equation_stands_in_the_scrape() {
    let (registry, notes) = Notes::new();
    let waiting = Request::admit(&notes);
    Request::admit(&notes).finish(Outcome::Shed);
    let page = registry.encode_text();
    let value = |name, labels: &[_]| page::value(&page, name, labels);
    assert_eq!(value("probe_requests_started_total", &[]), Some(2.0));
    assert_eq!(value("probe_requests_in_flight", &[]), Some(1.0));
    assert_eq!(
        value("probe_requests_finished_total", &[("outcome", "shed")]),
        Some(1.0)
    );
    assert_eq!(
        value("probe_requests_finished_total", &[("outcome", "ok")]),
        Some(0.0)
    );
    assert_eq!(
        page.matches("\nprobe_requests_finished_total{").count(),
        Outcome::ALL.len()
    );
    drop(waiting);
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Admit,
    Enqueue(Stage),
    Begin(Stage),
    End,
    Detach,
    EndDetached,
    Tokens(u32),
    Expect(Outcome),
    Finish(Outcome),
    Drop,
    DropUnwinding,
}

fn call() -> impl Strategy<Value = Call> {
    let stage = || select(&[Stage::First, Stage::Second][..]);
    let outcome = || select(&Outcome::ALL[..]);
    prop_oneof![
        4 => Just(Call::Admit),
        2 => stage().prop_map(Call::Enqueue),
        2 => stage().prop_map(Call::Begin),
        2 => Just(Call::End),
        1 => Just(Call::Detach),
        1 => Just(Call::EndDetached),
        2 => any::<u32>().prop_map(Call::Tokens),
        1 => outcome().prop_map(Call::Expect),
        2 => outcome().prop_map(Call::Finish),
        1 => Just(Call::Drop),
        1 => Just(Call::DropUnwinding),
    ]
}

/// What the counts must be, kept by plain arithmetic.
#[derive(Default)]
struct Ledger {
    started: u64,
    finished: [u64; Outcome::ALL.len()],
    open: i64,
}

impl Ledger {
    fn end(&mut self, outcome: Outcome) {
        self.finished[outcome as usize] += 1;
        self.open -= 1;
    }

    fn check(&self, counts: &RequestCounts) -> Result<(), TestCaseError> {
        prop_assert_eq!(counts.started(), self.started);
        prop_assert_eq!(counts.in_flight(), self.open);
        for (outcome, finished) in Outcome::ALL.into_iter().zip(self.finished) {
            prop_assert_eq!(counts.finished(outcome), finished);
        }
        let in_flight = u64::try_from(counts.in_flight()).expect("nothing runs beside this test");
        prop_assert_eq!(counts.started(), counts.finished_in_all() + in_flight);
        Ok(())
    }
}

/// A request, what its drop means, and a stage that goes on beside it.
type Slot = Option<(Request<Notes>, Outcome, Option<StageTimer<Notes>>)>;

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(150) })]

    #[test]
    fn the_equation_holds_after_every_call(calls in vec((0..6_usize, call()), 0..120)) {
        let (_registry, notes) = Notes::new();
        let mut slots: Vec<Slot> = (0..6).map(|_| None).collect();
        let mut ledger = Ledger::default();
        for (at, call) in calls {
            let slot = &mut slots[at];
            match (call, slot.take()) {
                (Call::Admit, before) => {
                    // What was in the slot is dropped.
                    if let Some((_request, expected, _stage)) = before {
                        ledger.end(expected);
                    }
                    ledger.started += 1;
                    ledger.open += 1;
                    *slot = Some((Request::admit(&notes), Outcome::Cancelled, None));
                }
                (_, None) => {}
                (call, Some((mut request, mut expected, mut stage))) => {
                    match call {
                        Call::Finish(outcome) => {
                            let summary = request.finish(outcome);
                            prop_assert_eq!(summary.outcome, outcome);
                            ledger.end(outcome);
                            ledger.check(&notes.probe.counts)?;
                            continue;
                        }
                        Call::Drop => {
                            drop(request);
                            ledger.end(expected);
                            ledger.check(&notes.probe.counts)?;
                            continue;
                        }
                        Call::DropUnwinding => {
                            drop_unwinding(request);
                            ledger.end(Outcome::Panicked);
                            ledger.check(&notes.probe.counts)?;
                            continue;
                        }
                        Call::Enqueue(stage) => request.enqueue(stage),
                        Call::Begin(stage) => request.begin(stage),
                        Call::End => request.end(),
                        Call::Detach => stage = request.detach_stage(),
                        Call::EndDetached => {
                            if let Some(stage) = stage.take() {
                                stage.end_at(Instant::now());
                            }
                        }
                        Call::Tokens(tokens) => request.tokens(tokens),
                        Call::Expect(outcome) => {
                            request.expect(outcome);
                            expected = outcome;
                        }
                        Call::Admit => unreachable!("matched above"),
                    }
                    *slot = Some((request, expected, stage));
                }
            }
            ledger.check(&notes.probe.counts)?;
        }
        drop(slots);
        let counts = &notes.probe.counts;
        prop_assert_eq!(counts.in_flight(), 0);
        prop_assert_eq!(counts.started(), counts.finished_in_all());
        let ends = notes.take().into_iter().filter(|event| matches!(event, Event::Finished(..)));
        prop_assert_eq!(ends.count() as u64, counts.started(), "each end is told once");
    }
}
