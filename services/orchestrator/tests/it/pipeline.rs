//! The pipeline in process: shedding, leaving, deadlines, failures, and the equation after each.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use inferometer::{Registry, lifecycle::Outcome};
use inferometer_catalog::orchestrator::{
    ByError, ByFailover, ByStage, ByWorker, ErrorType, Stage, WorkerType,
};
use orchestrator::{
    pipeline::{Event, FailureReason, Pipeline, PipelineConfig, PipelineError},
    worker::{FinishReason, Worker},
};

use crate::gate::{Fault, Gate, ask, at_rest, small, until, whole};

fn start(config: PipelineConfig, workers: Vec<Arc<Gate>>) -> (Pipeline, Registry) {
    let registry = Registry::new();
    let workers = workers
        .into_iter()
        .map(|worker| worker as Arc<dyn Worker>)
        .collect();
    (
        Pipeline::start(config, workers, &registry).unwrap(),
        registry,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_passes_through_all_five_stages() {
    let (pipeline, page) = start(small(8), vec![Arc::new(Gate::open())]);
    let (text, finished) = whole(pipeline.submit(ask(3)).unwrap()).await;
    assert_eq!(text, "word word word ");
    let finished = finished.unwrap();
    assert_eq!(
        (finished.generated_tokens, finished.finish),
        (3, FinishReason::Length)
    );
    let metrics = &pipeline.recorder().metrics;
    for stage in Stage::ALL {
        let by = ByStage { stage };
        assert_eq!(metrics.requests.with(by).get(), 1, "{stage:?}");
        assert_eq!(metrics.stage_duration.with(by).get().0, 1, "{stage:?}");
        assert_eq!(metrics.queue_wait.with(by).get().0, 1, "{stage:?}");
    }
    assert_eq!(
        metrics
            .tokens_generated
            .with(ByWorker {
                worker_type: WorkerType::Scripted
            })
            .get(),
        3
    );
    assert_eq!(metrics.counts.finished(Outcome::Ok), 1);
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_of_a_whole_answer_take_no_longer_than_the_request() {
    let (pipeline, page) = start(small(8), vec![Arc::new(Gate::open())]);
    assert!(whole(pipeline.submit(ask(4)).unwrap()).await.1.is_ok());
    let metrics = &pipeline.recorder().metrics;
    let of_stages: f64 = Stage::ALL
        .iter()
        .map(|stage| ByStage { stage: *stage })
        .map(|by| metrics.stage_duration.with(by).get().1 + metrics.queue_wait.with(by).get().1)
        .sum();
    until("the request is recorded", || {
        metrics.counts.finished(Outcome::Ok) == 1
    })
    .await;
    let session = inferometer_catalog::orchestrator::BySession { session: "none" };
    let whole = metrics.request_duration.with(session).get().1;
    assert!(
        of_stages <= whole,
        "{of_stages} s in stages and queues, {whole} s in all"
    );
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_sheds_and_says_when_to_come_back() {
    let gate = Arc::new(Gate::new());
    let (pipeline, page) = start(small(2), vec![Arc::clone(&gate)]);
    let depth = pipeline.recorder().metrics.requests.with(ByStage {
        stage: Stage::Assemble,
    });
    let mut waiting = Vec::new();
    for sent in 1..=3 {
        waiting.push(pipeline.submit(ask(1)).unwrap());
        until("it is assembled", || depth.get() == sent).await;
    }
    until("one generates", || gate.entered.load(SeqCst) == 1).await;
    let (_, turned_away) = whole(pipeline.submit(ask(1)).unwrap()).await;
    let FailureReason::Shed { stage, retry_after } = turned_away.unwrap_err().reason else {
        panic!("not shed")
    };
    assert_eq!(stage, Stage::Inference);
    assert!(retry_after >= Duration::from_secs(1));
    let metrics = &pipeline.recorder().metrics;
    assert_eq!(
        metrics
            .requests_shed
            .with(ByStage {
                stage: Stage::Inference
            })
            .get(),
        1
    );
    gate.allow(3);
    for answer in waiting {
        assert!(whole(answer).await.1.is_ok());
    }
    assert_eq!(metrics.counts.finished(Outcome::Shed), 1);
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_leaves_a_queue_frees_the_place_at_once() {
    let gate = Arc::new(Gate::new());
    let (pipeline, page) = start(small(1), vec![Arc::clone(&gate)]);
    let first = pipeline.submit(ask(1)).unwrap();
    until("the first generates", || gate.entered.load(SeqCst) == 1).await;
    let depth = || {
        page.encode_text()
            .contains("orchestrator_queue_depth{stage=\"inference\"} 1.0")
    };
    let second = pipeline.submit(ask(1)).unwrap();
    until("the second waits", depth).await;
    drop(second);
    // No stage has moved meanwhile: the place is free in this very moment.
    assert!(
        page.encode_text()
            .contains("orchestrator_queue_depth{stage=\"inference\"} 0.0")
    );
    assert_eq!(
        pipeline
            .recorder()
            .metrics
            .counts
            .finished(Outcome::Cancelled),
        1
    );
    let third = pipeline.submit(ask(1)).unwrap();
    until("the third waits", depth).await;
    gate.allow(2);
    assert!(whole(first).await.1.is_ok());
    assert!(whole(third).await.1.is_ok());
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_leaves_ends_the_generation() {
    let gate = Arc::new(Gate::new());
    let (pipeline, page) = start(small(8), vec![Arc::clone(&gate)]);
    let mut answer = pipeline.submit(ask(100)).unwrap();
    gate.allow(2);
    assert!(matches!(answer.next().await, Some(Event::Text(_))));
    drop(answer);
    until("the generation ends", || gate.left.load(SeqCst) == 1).await;
    at_rest(&pipeline, &page).await;
    let metrics = &pipeline.recorder().metrics;
    assert_eq!(metrics.counts.finished(Outcome::Cancelled), 1);
    // Two tokens were generated, and both count, though the generation never ended.
    assert_eq!(
        metrics
            .tokens_generated
            .with(ByWorker {
                worker_type: WorkerType::Scripted
            })
            .get(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_request_wherever_it_is() {
    let gate = Arc::new(Gate::new());
    let (pipeline, page) = start(small(8), vec![Arc::clone(&gate)]);
    let mut soon = ask(1);
    // Long enough to come to the worker, or to the queue before it, on a busy machine.
    soon.timeout = Some(Duration::from_secs(2));
    let generating = pipeline.submit(soon.clone()).unwrap();
    until("it generates", || gate.entered.load(SeqCst) == 1).await;
    let waiting = pipeline.submit(soon).unwrap();
    for answer in [generating, waiting] {
        assert_eq!(
            whole(answer).await.1.unwrap_err().reason,
            FailureReason::Timeout
        );
    }
    at_rest(&pipeline, &page).await;
    let metrics = &pipeline.recorder().metrics;
    assert_eq!(metrics.counts.finished(Outcome::Timeout), 2);
    let by = ByError {
        stage: Stage::Inference,
        error_type: ErrorType::Timeout,
    };
    assert_eq!(metrics.errors.with(by).get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_costs_its_own_request() {
    let broken = Arc::new(Gate {
        fault: Some(Fault::Panic),
        model: "broken",
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![broken, Arc::new(Gate::open())]);
    let mut to_broken = ask(1);
    to_broken.model = Some("broken".into());
    let (_, failed) = whole(pipeline.submit(to_broken).unwrap()).await;
    assert_eq!(
        failed.unwrap_err().reason,
        FailureReason::Worker(ErrorType::Panic)
    );
    let mut to_sound = ask(1);
    to_sound.model = Some("gate".into());
    assert!(whole(pipeline.submit(to_sound).unwrap()).await.1.is_ok());
    at_rest(&pipeline, &page).await;
    let counts = &pipeline.recorder().metrics.counts;
    assert_eq!(
        (
            counts.finished(Outcome::Panicked),
            counts.finished(Outcome::Ok)
        ),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_takes_over_from_one_that_fails() {
    let failing = Arc::new(Gate {
        fault: Some(Fault::Retryable),
        model: "failing",
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![Arc::clone(&failing), Arc::new(Gate::open())]);
    let mut first = pipeline.submit(ask(2)).unwrap();
    assert!(matches!(first.next().await, Some(Event::Text(_))));
    assert_eq!(
        first.model().as_deref(),
        Some("gate"),
        "the model that answers"
    );
    assert!(whole(first).await.1.is_ok());
    // The one that failed rests: the next request goes straight to the other.
    assert!(whole(pipeline.submit(ask(2)).unwrap()).await.1.is_ok());
    assert_eq!(failing.entered.load(SeqCst), 1);
    let by = ByFailover {
        from: WorkerType::Scripted,
        to: WorkerType::Scripted,
    };
    assert_eq!(
        pipeline.recorder().metrics.worker_failovers.with(by).get(),
        1
    );
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_will_not_pass_is_told_at_once() {
    let failing = Arc::new(Gate {
        fault: Some(Fault::Final),
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![failing, Arc::new(Gate::open())]);
    let (_, failed) = whole(pipeline.submit(ask(2)).unwrap()).await;
    assert_eq!(
        failed.unwrap_err().reason,
        FailureReason::Worker(ErrorType::Model)
    );
    let by = ByError {
        stage: Stage::Inference,
        error_type: ErrorType::Model,
    };
    assert_eq!(pipeline.recorder().metrics.errors.with(by).get(), 1);
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_ends_the_generation_and_is_cut_off() {
    let gate = Arc::new(Gate {
        words: &["one ", "two ", "three "],
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![Arc::clone(&gate)]);
    let mut request = ask(1_000_000);
    request.sampling.stop = Arc::new(["o thr".to_owned()]);
    let (text, finished) = whole(pipeline.submit(request).unwrap()).await;
    assert_eq!(text, "one tw");
    assert_eq!(finished.unwrap().finish, FinishReason::Stop);
    until("the generation ends", || gate.left.load(SeqCst) == 1).await;
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_never_reaches_the_client_whatever_the_pieces() {
    let gate = Arc::new(Gate {
        words: &["key AKIAIOSF", "ODNN7EX", "AMPLE ok "],
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![gate]);
    let (text, _) = whole(pipeline.submit(ask(3)).unwrap()).await;
    assert_eq!(text, "key [redacted:aws_access_key_id] ok ");
    assert_eq!(pipeline.recorder().metrics.redactions.get(), 1);
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_remembered() {
    let gate = Arc::new(Gate {
        words: &["blue."],
        ..Gate::open()
    });
    let (pipeline, page) = start(small(8), vec![Arc::clone(&gate)]);
    let mut first = ask(1);
    first.session = Some("ada".into());
    assert!(
        whole(pipeline.submit(first.clone()).unwrap())
            .await
            .1
            .is_ok()
    );
    assert!(whole(pipeline.submit(first).unwrap()).await.1.is_ok());
    let roles: Vec<_> = gate
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|message| message.role.to_string())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    at_rest(&pipeline, &page).await;
    let page = page.encode_text();
    assert!(page.contains("orchestrator_request_duration_seconds_count{session=\"ada\"} 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_longer_than_the_window_is_refused_with_both_numbers() {
    let (pipeline, page) = start(
        small(8),
        vec![Arc::new(Gate {
            window: 20,
            ..Gate::open()
        })],
    );
    let mut long = ask(1);
    long.messages[0].content = "word ".repeat(100).into();
    let failure = whole(pipeline.submit(long).unwrap()).await.1.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Invalid);
    assert!(failure.message.contains("20"), "{failure}");
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_refused_before_it_is_queued() {
    let (pipeline, page) = start(small(8), vec![Arc::new(Gate::open())]);
    let mut stranger = ask(1);
    stranger.model = Some("gpt-9".into());
    let failure = pipeline.submit(stranger).unwrap_err();
    assert_eq!(failure.reason, FailureReason::UnknownModel);
    assert_eq!(
        pipeline
            .recorder()
            .metrics
            .counts
            .finished(Outcome::Rejected),
        1
    );
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_what_is_under_way_end_and_takes_nothing_new() {
    let gate = Arc::new(Gate::new());
    let (pipeline, page) = start(small(8), vec![Arc::clone(&gate)]);
    let answer = pipeline.submit(ask(1)).unwrap();
    until("it generates", || gate.entered.load(SeqCst) == 1).await;
    let draining = tokio::spawn({
        let pipeline = pipeline.clone();
        async move { pipeline.drain(Duration::from_secs(20)).await }
    });
    until("it takes nothing new", || !pipeline.is_open()).await;
    assert_eq!(
        pipeline.submit(ask(1)).unwrap_err().reason,
        FailureReason::ShuttingDown
    );
    gate.allow(1);
    assert!(whole(answer).await.1.is_ok());
    assert!(draining.await.unwrap());
    at_rest(&pipeline, &page).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_vanish_at_any_moment_leave_nothing_behind() {
    let gate = Arc::new(Gate {
        concurrency: 4,
        ..Gate::open()
    });
    let (pipeline, page) = start(
        PipelineConfig {
            capacities: [64; 5],
            ..PipelineConfig::default()
        },
        vec![gate],
    );
    let clients: Vec<_> = (0..3000_u32)
        .map(|number| {
            let pipeline = pipeline.clone();
            tokio::spawn(async move {
                let Ok(mut answer) = pipeline.submit(ask(number % 7)) else {
                    return;
                };
                for _ in 0..number % 5 {
                    tokio::task::yield_now().await;
                }
                for _ in 0..number % 3 {
                    if answer.next().await.is_none() {
                        break;
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    at_rest(&pipeline, &page).await;
    assert_eq!(pipeline.recorder().metrics.counts.started(), 3000);
}

#[tokio::test]
async fn a_pipeline_that_cannot_work_is_refused_with_the_reason() {
    let registry = Registry::new();
    let refused = Pipeline::start(small(8), Vec::new(), &registry).unwrap_err();
    assert!(matches!(refused, PipelineError::NoWorker));
    let config = PipelineConfig {
        capacities: [1, 1, 0, 1, 1],
        ..PipelineConfig::default()
    };
    let refused =
        Pipeline::start(config, vec![Arc::new(Gate::open())], &Registry::new()).unwrap_err();
    assert!(refused.to_string().contains("`inference`"), "{refused}");
}
