use std::sync::atomic::AtomicU32;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::worker::{Piece, Sampling};

fn prompt(max_tokens: u32) -> Prompt {
    Prompt {
        model: "scripted".into(),
        messages: Vec::new(),
        sampling: Sampling {
            temperature: 1.0,
            top_p: 1.0,
            seed: 0,
            max_tokens,
            stop: Vec::new().into(),
        },
        deadline: None,
        cancel: CancellationToken::new(),
    }
}

fn worker(script: &str) -> ScriptedWorker {
    ScriptedWorker::new(script.parse().expect("a script"))
}

fn pieces(mut receiver: UnboundedReceiver<Piece>) -> Vec<Piece> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

async fn run(worker: &ScriptedWorker, prompt: Prompt) -> (Result<Usage, WorkerError>, Vec<Piece>) {
    let (sink, receiver) = Sink::new();
    let outcome = worker.generate(prompt, sink, &|| {}).await;
    (outcome, pieces(receiver))
}

#[tokio::test]
async fn an_instant_answer_is_one_piece_of_all_its_tokens() {
    let (usage, pieces) = run(&worker("scripted:tokens=3,text=a b"), prompt(100)).await;
    assert_eq!(
        pieces,
        [Piece {
            text: "a b a".to_owned(),
            tokens: 3
        }]
    );
    let usage = usage.expect("an answer");
    assert_eq!(
        (usage.generated_tokens, usage.finish),
        (Some(3), FinishReason::Stop)
    );
}

#[tokio::test]
async fn an_answer_by_token_is_the_same_text_in_pieces() {
    let (_, pieces) = run(&worker("tokens=3,pieces=each,text=a b"), prompt(100)).await;
    let texts: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.text.as_str(), piece.tokens))
        .collect();
    assert_eq!(texts, [("a", 1), (" b", 1), (" a", 1)]);
}

#[tokio::test]
async fn max_tokens_ends_an_answer_by_length() {
    for script in ["tokens=5,text=a b", "tokens=5,per_token=1us,text=a b"] {
        let (usage, pieces) = run(&worker(script), prompt(2)).await;
        assert_eq!(
            pieces
                .iter()
                .map(|piece| piece.text.as_str())
                .collect::<String>(),
            "a b"
        );
        assert_eq!(usage.expect("an answer").finish, FinishReason::Length);
    }
}

#[tokio::test]
async fn times_are_kept_at_least() {
    let started = std::time::Instant::now();
    let (usage, pieces) = run(&worker("first=20ms,per_token=5ms,tokens=5"), prompt(100)).await;
    assert!(usage.is_ok() && pieces.len() == 5);
    assert!(
        started.elapsed() >= Duration::from_millis(40),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn every_nth_generation_fails_as_told() {
    let worker = worker("fail=rate_limited@1/3,fail=cut@1/2,tokens=4,text=a");
    let mut kinds = Vec::new();
    for _ in 0..6 {
        let (outcome, pieces) = run(&worker, prompt(100)).await;
        kinds.push((
            outcome.err().map(|error| error.kind),
            pieces.iter().map(|piece| piece.tokens).sum::<u32>(),
        ));
    }
    let (cut, limited) = (
        (Some(ErrorType::StreamClosed), 2),
        (Some(ErrorType::RateLimited), 0),
    );
    assert_eq!(kinds, [(None, 4), cut, limited, cut, (None, 4), limited]);
}

#[tokio::test]
async fn chance_follows_the_seed() {
    async fn failures(script: &str) -> Vec<bool> {
        let worker = worker(script);
        let mut failed = Vec::new();
        for _ in 0..2000 {
            failed.push(run(&worker, prompt(1)).await.0.is_err());
        }
        failed
    }
    let first = failures("fail=0.1,seed=7").await;
    assert_eq!(first, failures("fail=0.1,seed=7").await);
    assert_ne!(first, failures("fail=0.1,seed=8").await);
    let share = first.iter().filter(|failed| **failed).count();
    assert!((140..260).contains(&share), "{share} of 2000");
}

#[tokio::test]
async fn a_hang_ends_at_the_deadline_and_at_once_when_the_client_leaves() {
    for script in [
        "fail=hang@1/1",
        "fail=stall@1/1",
        "first=1000s",
        "per_token=1000s",
    ] {
        let worker = worker(script);
        let mut hurried = prompt(8);
        hurried.deadline = Some(std::time::Instant::now() + Duration::from_millis(10));
        let error = run(&worker, hurried).await.0.expect_err("too late");
        assert_eq!(error.kind, ErrorType::Timeout, "{script}");

        let left = prompt(8);
        let cancel = left.cancel.clone();
        let (outcome, ()) = tokio::join!(run(&worker, left), async { cancel.cancel() });
        assert!(
            outcome
                .0
                .expect_err("nobody waits")
                .message
                .contains("client left"),
            "{script}"
        );
    }
}

#[tokio::test]
async fn a_client_that_left_gets_no_token() {
    for script in ["tokens=4", "first=1ms,tokens=4"] {
        let left = prompt(8);
        left.cancel.cancel();
        let (outcome, pieces) = run(&worker(script), left).await;
        assert!(outcome.is_err() && pieces.is_empty(), "{script}");
    }
    let (sink, receiver) = Sink::new();
    drop(receiver);
    assert!(
        worker("tokens=4")
            .generate(prompt(8), sink, &|| {})
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_scripted_panic_unwinds() {
    let outcome =
        tokio::spawn(async { run(&worker("fail=panic@1/1"), prompt(1)).await.0.is_ok() }).await;
    assert!(outcome.expect_err("a panic").is_panic());
}

#[test]
fn jitter_stays_within_its_share() {
    let worker = worker("first=100ms,jitter=0.5,seed=3");
    let delays: Vec<_> = (0..500)
        .map(|ordinal| worker.delay(Duration::from_millis(100), ordinal, 0))
        .collect();
    assert!(
        delays
            .iter()
            .all(|delay| (50..=150).contains(&delay.as_millis()))
    );
    assert!(
        delays.iter().any(|delay| delay.as_millis() < 70)
            && delays.iter().any(|delay| delay.as_millis() > 130)
    );
}

#[test]
fn tokens_are_words() {
    let worker = worker("scripted");
    for text in ["", "  ", "one", " two  words\n", "drei kleine Wörter"] {
        assert_eq!(
            worker.count_tokens(text),
            text.split_ascii_whitespace().count(),
            "{text:?}"
        );
    }
}

#[test]
fn the_text_form_reads_every_key() {
    let script: Script = "scripted:first=20ms,per_token=0.5s,jitter=0.1,tokens=32,pieces=each,fail=0.01,fail=hang@1/100,seed=9,\
                          model=m,context=100,concurrency=3,text=one, two"
        .parse()
        .expect("a script");
    let expected = Script {
        model: "m".into(),
        first_token: Duration::from_millis(20),
        per_token: Duration::from_millis(500),
        jitter: 0.1,
        tokens: 32,
        by_token: true,
        text: "one, two".into(),
        failures: vec![
            Rule {
                when: When::Chance(0.01),
                fault: Fault::Error(ErrorType::UpstreamStatus),
            },
            Rule {
                when: When::Every(100.try_into().expect("not zero")),
                fault: Fault::Hang,
            },
        ],
        seed: 9,
        context_window: 100,
        concurrency: 3,
    };
    assert_eq!(script, expected);
    for plain in ["", "scripted", "scripted:"] {
        assert_eq!(plain.parse(), Ok(Script::default()));
    }
}

#[test]
fn a_bad_script_is_refused_with_its_key_and_rule() {
    let bad = [
        ("first", "first"),
        ("speed=3", "speed"),
        ("first=20", "us, ms or s"),
        ("first=-1ms", "first"),
        ("first=20min", "first"),
        ("first=1e99s", "first"),
        ("tokens=0", "tokens"),
        ("tokens=-1", "tokens"),
        ("jitter=2", "jitter"),
        ("jitter=NaN", "jitter"),
        ("fail=2", "fail"),
        ("fail=1/0", "fail"),
        ("fail=explode@0.1", "explode@0.1"),
        ("pieces=some", "pieces"),
        ("model=", "model"),
        ("context=0", "context"),
    ];
    for (text, named) in bad {
        let error = text.parse::<Script>().expect_err(text).to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}

/// Prints the cost of an instant generation of 16 tokens; run by hand, optimized, to see it.
#[tokio::test]
async fn an_instant_generation_needs_no_timer() {
    let worker = worker("tokens=16");
    let retries = AtomicU32::new(0);
    let count = || {
        retries.fetch_add(1, Ordering::Relaxed);
    };
    let started = std::time::Instant::now();
    const ROUNDS: u32 = 100_000;
    for _ in 0..ROUNDS {
        let (sink, mut receiver) = Sink::new();
        let generation = worker.generate(prompt(100), sink, &count);
        assert!(
            futures_util::FutureExt::now_or_never(generation)
                .expect("ready at once")
                .is_ok()
        );
        assert!(receiver.try_recv().is_ok());
    }
    println!(
        "{:?} a generation, prompt and channel included",
        started.elapsed() / ROUNDS
    );
    assert_eq!(retries.load(Ordering::Relaxed), 0);
}
