//! A hundred thousand requests, cut off wherever they happen to be.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use inferometer::{
    MetricSet, Registry,
    lifecycle::{Lifecycle, Outcome, Request, RequestCounts},
};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc, oneshot},
    task::{AbortHandle, yield_now},
    time::timeout,
};

use crate::page;

const REQUESTS: u64 = 100_000;

#[derive(MetricSet)]
#[metrics(namespace = "aborted")]
struct Aborted {
    #[metric(flatten)]
    counts: RequestCounts,
}

impl Lifecycle for Aborted {
    type Stage = u8;
    type Context = ();

    fn counts(&self) -> &RequestCounts {
        &self.counts
    }
}

/// Numbers that look random and are the same in every run (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn panics(&mut self) {
        if self.below(200) == 0 {
            // A panic without its message.
            resume_unwind(Box::new(()));
        }
    }
}

type Job = (Request<Aborted>, oneshot::Sender<Request<Aborted>>);

/// What all requests share: a queue with few places, and a worker that requests are handed to and come back from.
struct Shared {
    places: Semaphore,
    worker: mpsc::Sender<Job>,
}

async fn worker(mut jobs: mpsc::Receiver<Job>) {
    while let Some((mut request, reply)) = jobs.recv().await {
        request.begin(1);
        yield_now().await;
        request.end();
        // Nobody waits for it any more: it is dropped, and so counted.
        drop(reply.send(request));
    }
}

/// The way of a request that is let go on to its end.
async fn serve(mut request: Request<Aborted>, shared: &Shared, dice: &mut Dice) -> Outcome {
    request.enqueue(0);
    let Ok(place) = shared.places.try_acquire() else {
        request.finish(Outcome::Shed);
        return Outcome::Shed;
    };
    request.begin(0);
    for _ in 0..dice.below(4) {
        yield_now().await;
        dice.panics();
    }
    request.end();
    drop(place);

    request.enqueue(1);
    let (reply, answered) = oneshot::channel();
    if shared.worker.send((request, reply)).await.is_err() {
        return Outcome::Cancelled;
    }
    let Ok(mut request) = answered.await else {
        return Outcome::Cancelled;
    };
    dice.panics();
    request.begin(2);
    let stream = request.detach_stage();
    for tokens in 0..4 {
        request.tokens(tokens);
        yield_now().await;
        dice.panics();
    }
    if let Some(stream) = stream {
        stream.end_at(std::time::Instant::now());
    }
    request.finish(Outcome::Ok);
    Outcome::Ok
}

async fn run(mut request: Request<Aborted>, shared: Arc<Shared>, mut dice: Dice) -> Outcome {
    match dice.below(16) {
        0 => {
            // It waits for something that never comes: only an abort ends it.
            std::future::pending::<()>().await;
            request.finish(Outcome::Ok);
            Outcome::Ok
        }
        1 => {
            request.expect(Outcome::Timeout);
            let never = async move {
                request.begin(0);
                std::future::pending::<()>().await;
                request.finish(Outcome::Ok);
            };
            let limit = Duration::from_millis(dice.below(3));
            if timeout(limit, never).await.is_err() {
                Outcome::Timeout
            } else {
                Outcome::Ok
            }
        }
        _ => serve(request, &shared, &mut dice).await,
    }
}

/// Fires each handle after a while of its own.
async fn abort_all(mut handles: mpsc::UnboundedReceiver<AbortHandle>) -> u64 {
    let mut dice = Dice(2);
    let mut fired = 0;
    while let Some(handle) = handles.recv().await {
        for _ in 0..dice.below(3) {
            yield_now().await;
        }
        handle.abort();
        fired += 1;
    }
    fired
}

/// How the tasks ended, as their runtime has it.
#[derive(Debug, Default)]
struct Ends {
    returned: [u64; Outcome::ALL.len()],
    panicked: u64,
    cancelled: u64,
}

async fn storm(aborted: &Arc<Aborted>) -> Ends {
    let (worker_jobs, jobs) = mpsc::channel(64);
    let working = tokio::spawn(worker(jobs));
    let shared = Arc::new(Shared {
        places: Semaphore::new(96),
        worker: worker_jobs,
    });
    let (fire, handles) = mpsc::unbounded_channel();
    let aborting = tokio::spawn(abort_all(handles));
    // Requests that begin inside their task exist only if it was ever polled.
    let begun_inside = Arc::new(AtomicU64::new(0));
    let mut inside = 0;

    let mut tasks = Vec::new();
    for number in 0..REQUESTS {
        let (shared, dice) = (Arc::clone(&shared), Dice(number));
        let task = if number % 2 == 0 {
            tokio::spawn(run(Request::admit(aborted), shared, dice))
        } else {
            inside += 1;
            let (aborted, begun) = (Arc::clone(aborted), Arc::clone(&begun_inside));
            tokio::spawn(async move {
                begun.fetch_add(1, Relaxed);
                run(Request::admit(&aborted), shared, dice).await
            })
        };
        fire.send(task.abort_handle())
            .expect("the other end waits for the last handle");
        tasks.push(task);
        if number % 32 == 0 {
            yield_now().await;
        }
    }
    drop(fire);
    drop(shared);

    let mut ends = Ends::default();
    for task in tasks {
        match task.await {
            Ok(outcome) => ends.returned[outcome as usize] += 1,
            Err(error) if error.is_panic() => ends.panicked += 1,
            Err(_) => ends.cancelled += 1,
        }
    }
    assert_eq!(aborting.await.expect("it only waits and fires"), REQUESTS);
    working
        .await
        .expect("it ends when nobody can hand it a request");
    ends.cancelled -= inside - begun_inside.load(Relaxed);
    ends
}

#[test]
fn a_hundred_thousand_aborted_tasks_leave_nothing_in_flight() {
    let registry = Registry::new();
    let aborted: Arc<Aborted> = Arc::new(registry.register().unwrap());
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let ends = runtime.block_on(storm(&aborted));

    let counts = &aborted.counts;
    assert_eq!(counts.in_flight(), 0, "{ends:?}");
    assert_eq!(counts.started(), counts.finished_in_all());
    assert!(counts.started() >= REQUESTS / 2);

    // What the runtime says of the tasks is what the counts say of the requests.
    let returned = |outcome: Outcome| ends.returned[outcome as usize];
    for outcome in [Outcome::Ok, Outcome::Shed] {
        assert_eq!(
            counts.finished(outcome),
            returned(outcome),
            "{outcome:?} of {ends:?}"
        );
    }
    assert_eq!(counts.finished(Outcome::Panicked), ends.panicked);
    // An abort of a request that waits for its deadline counts as what a drop was declared to mean.
    assert_eq!(
        counts.finished(Outcome::Cancelled) + counts.finished(Outcome::Timeout),
        returned(Outcome::Timeout) + ends.cancelled,
        "{ends:?}"
    );
    assert_eq!(
        returned(Outcome::Cancelled),
        0,
        "the worker outlives every request: {ends:?}"
    );

    // The storm had every kind of weather.
    let met = [
        Outcome::Ok,
        Outcome::Shed,
        Outcome::Cancelled,
        Outcome::Timeout,
        Outcome::Panicked,
    ];
    for outcome in met {
        assert!(
            counts.finished(outcome) > 0,
            "no request ended as {outcome:?}: {ends:?}"
        );
    }
    let page = registry.encode_text();
    assert_eq!(
        page::value(&page, "aborted_requests_in_flight", &[]),
        Some(0.0)
    );
}
