//! Whole generations with the embedded model.

use std::time::{Duration, Instant};

use inferometer_catalog::orchestrator::ErrorType;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::{super::*, tokenizer};
use crate::worker::{FinishReason, Message, Piece, Sampling};

fn worker() -> LocalWorker {
    LocalWorker::embedded(Settings::default()).unwrap()
}

fn prompt(content: &str, max_tokens: u32) -> Prompt {
    Prompt {
        model: "inferometer-tiny".into(),
        messages: vec![Message {
            role: "user".into(),
            content: content.into(),
        }],
        sampling: Sampling {
            temperature: 1.0,
            top_p: 1.0,
            seed: 11,
            max_tokens,
            stop: [].into(),
        },
        deadline: None,
        cancel: CancellationToken::new(),
    }
}

/// Long enough for its beginning to be worth keeping, in any vocabulary.
const QUESTION: &str =
    "Please tell me, in your own words, how the weather was last week, and what you made of it.";

fn drain(pieces: &mut UnboundedReceiver<Piece>) -> (String, u64) {
    let (mut whole, mut tokens) = (String::new(), 0);
    while let Ok(piece) = pieces.try_recv() {
        whole.push_str(&piece.text);
        tokens += u64::from(piece.tokens);
    }
    (whole, tokens)
}

async fn answer(worker: &LocalWorker, prompt: Prompt) -> (String, Result<Usage, WorkerError>) {
    let (sink, mut pieces) = Sink::new();
    let result = worker.generate(prompt, sink, &|| {}).await;
    let (whole, tokens) = drain(&mut pieces);
    if let Ok(usage) = &result {
        assert_eq!(
            usage.generated_tokens,
            Some(tokens),
            "pieces and usage agree"
        );
    }
    (whole, result)
}

/// A long answer of at least `tokens` tokens: the model may end one early, and then another seed is tried.
async fn long_prompt(worker: &LocalWorker, tokens: u32) -> Prompt {
    for seed in 0..200 {
        let mut prompt = prompt("Tell me something long.", tokens);
        // Nearly every token equally likely: a trained model that keeps its answers short would end too early.
        prompt.sampling.temperature = 50.0;
        prompt.sampling.seed = seed;
        let (_, usage) = answer(worker, prompt.clone()).await;
        if usage.unwrap().finish == FinishReason::Length {
            return prompt;
        }
    }
    panic!("no seed of 200 gave {tokens} tokens");
}

#[tokio::test]
async fn equal_seeds_give_equal_text() {
    let worker = worker();
    let (first, _) = answer(&worker, prompt(QUESTION, 40)).await;
    // The second time, part of the prompt's state is reused; with a fresh worker, none is.
    let (again, _) = answer(&worker, prompt(QUESTION, 40)).await;
    let (third, usage) = answer(&worker, prompt(QUESTION, 40)).await;
    assert_eq!(first, again);
    assert_eq!(first, third);
    assert!(usage.unwrap().cached_tokens.unwrap() > 0);
    let mut others = Vec::new();
    for seed in 0..5 {
        let mut other = prompt(QUESTION, 40);
        other.sampling.seed = seed;
        others.push(answer(&worker, other).await.0);
    }
    assert!(
        others.iter().any(|other| *other != first),
        "the seed has an effect"
    );
}

#[tokio::test]
async fn temperature_zero_is_deterministic() {
    let mut texts = Vec::new();
    for seed in 0..3 {
        let mut greedy = prompt("How are you?", 40);
        greedy.sampling.temperature = 0.0;
        greedy.sampling.seed = seed;
        texts.push(answer(&worker(), greedy).await.0);
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[0], texts[2]);
}

#[tokio::test]
async fn no_more_than_max_tokens_are_generated() {
    let worker = worker();
    let prompt = long_prompt(&worker, 9).await;
    let (_, usage) = answer(&worker, prompt.clone()).await;
    assert_eq!(usage.unwrap().generated_tokens, Some(9));
    let none = Prompt {
        sampling: Sampling {
            max_tokens: 0,
            ..prompt.sampling.clone()
        },
        ..prompt
    };
    let usage = answer(&worker, none).await.1.unwrap();
    assert_eq!(
        (usage.generated_tokens, usage.finish),
        (Some(0), FinishReason::Length)
    );
}

#[tokio::test]
async fn a_stop_string_ends_the_answer() {
    let worker = worker();
    let mut prompt = long_prompt(&worker, 60).await;
    let (whole, _) = answer(&worker, prompt.clone()).await;
    let middle: String = whole
        .chars()
        .skip(whole.chars().count() / 2)
        .take(2)
        .collect();
    prompt.sampling.stop = [middle.clone()].into();
    let (cut, usage) = answer(&worker, prompt).await;
    assert_eq!(usage.unwrap().finish, FinishReason::Stop);
    assert!(
        whole.starts_with(&cut) && cut.contains(&middle),
        "{cut:?} of {whole:?}"
    );
    assert!(cut.len() < whole.len());
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused_with_both_numbers() {
    let settings = Settings {
        context_window: Some(64),
        ..Settings::default()
    };
    let worker = LocalWorker::embedded(settings).unwrap();
    assert_eq!(worker.context_window(), 64);
    let error = answer(&worker, prompt(&"longer and ".repeat(200), 5))
        .await
        .1
        .unwrap_err();
    assert_eq!(
        (error.kind, error.retryable),
        (ErrorType::InvalidRequest, false)
    );
    assert!(
        error.message.contains("takes 63 at most"),
        "{}",
        error.message
    );
    let numbers: Vec<usize> = error
        .message
        .split(|char: char| !char.is_ascii_digit())
        .flat_map(str::parse)
        .collect();
    assert!(numbers[0] > 63, "{}", error.message);
}

#[tokio::test]
async fn the_context_window_ends_an_answer() {
    let whole = worker();
    let mut prompt = long_prompt(&whole, 60).await;
    let usage = answer(&whole, prompt.clone()).await.1.unwrap();
    let window = usize::try_from(usage.prompt_tokens.unwrap()).unwrap() + 20;
    let settings = Settings {
        context_window: Some(window),
        ..Settings::default()
    };
    let narrow = LocalWorker::embedded(settings).unwrap();
    prompt.sampling.max_tokens = 1_000;
    let usage = answer(&narrow, prompt).await.1.unwrap();
    assert_eq!(
        (usage.generated_tokens, usage.finish),
        (Some(20), FinishReason::Length)
    );
}

#[tokio::test]
async fn cancellation_ends_the_generation_before_the_next_token() {
    let worker = worker();
    let prompt = long_prompt(&worker, 300).await;
    let (sink, mut pieces) = Sink::new();
    let generation = worker.generate(prompt.clone(), sink, &|| {});
    let watch = async {
        pieces.recv().await.unwrap();
        prompt.cancel.cancel();
        // The sink goes when the thread has let go of the request.
        let mut after = 0;
        while pieces.recv().await.is_some() {
            after += 1;
        }
        after
    };
    let (result, after) = tokio::join!(generation, watch);
    assert!(!result.unwrap_err().retryable);
    assert!(after < 298, "{after} tokens came after the cancellation");
}

#[tokio::test]
async fn a_dropped_future_frees_the_thread() {
    let worker = worker();
    let prompt = long_prompt(&worker, 300).await;
    let (sink, mut pieces) = Sink::new();
    {
        let mut generation = worker.generate(prompt, sink, &|| {});
        tokio::select! {
            biased;
            piece = pieces.recv() => assert!(piece.is_some()),
            _ = &mut generation => panic!("no piece came"),
        }
    }
    let mut after = 0;
    while pieces.recv().await.is_some() {
        after += 1;
    }
    assert!(after < 299, "the generation went on to its end");
}

#[tokio::test]
async fn a_closed_sink_ends_the_generation() {
    let worker = worker();
    let prompt = long_prompt(&worker, 300).await;
    let (sink, pieces) = Sink::new();
    drop(pieces);
    assert!(
        !worker
            .generate(prompt, sink, &|| {})
            .await
            .unwrap_err()
            .retryable
    );
}

#[tokio::test]
async fn a_passed_deadline_is_a_timeout() {
    let worker = worker();
    let mut late = prompt("How are you?", 300);
    late.deadline = Some(Instant::now());
    let (text, result) = answer(&worker, late).await;
    assert_eq!(
        (text.as_str(), result.unwrap_err().kind),
        ("", ErrorType::Timeout)
    );
}

#[test]
fn a_deadline_is_noticed_between_tokens() {
    let worker = worker();
    let mut late = prompt("How are you?", 10);
    late.deadline = Some(Instant::now());
    // Straight to the engine: no timer of the runtime helps.
    let (sink, _pieces) = Sink::new();
    assert_eq!(
        worker.engine.generate(&late, &sink).unwrap_err().kind,
        ErrorType::Timeout
    );
    late.deadline = Some(Instant::now() + Duration::from_secs(3_600));
    assert!(worker.engine.generate(&late, &sink).is_ok());
}

#[tokio::test]
async fn reuse_is_reported_and_changes_no_answer() {
    let shared = "The quick brown fox jumps over the lazy dog, again and again. ".repeat(2);
    // A line's end is a word of its own: the tokens are the same up to it and differ right after it.
    let shared = format!("{}\n", shared.trim());
    let with = worker();
    let settings = Settings {
        prefix_tokens: 0,
        ..Settings::default()
    };
    let without = LocalWorker::embedded(settings).unwrap();
    let mut cached = Vec::new();
    for question in ["Which?", "And then?", "Explain this."] {
        let mut prompt = prompt(&format!("{shared}{question}"), 30);
        prompt.sampling.temperature = 0.0;
        let (text, usage) = answer(&with, prompt.clone()).await;
        let (plain, plain_usage) = answer(&without, prompt).await;
        assert_eq!(text, plain);
        assert_eq!(plain_usage.unwrap().cached_tokens, Some(0));
        cached.push(usage.unwrap().cached_tokens.unwrap());
    }
    assert_eq!(cached[0], 0);
    assert!(
        cached[2] >= tokenizer().encode(&shared).len() as u64 - 2,
        "{cached:?}"
    );
}

#[tokio::test]
async fn several_threads_generate_at_once() {
    let worker = LocalWorker::embedded(Settings {
        threads: 2,
        ..Settings::default()
    })
    .unwrap();
    assert_eq!(worker.concurrency(), 2);
    let (a, b, c) = tokio::join!(
        answer(&worker, prompt("one", 20)),
        answer(&worker, prompt("two", 20)),
        answer(&worker, prompt("one", 20))
    );
    assert_eq!(a.0, c.0);
    assert!(a.1.is_ok() && b.1.is_ok());
}
