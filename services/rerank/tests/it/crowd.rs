//! Clients that ask in every way there is, and count.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream};
use rerank::{
    grpc::proto::{
        InferRequest, infer_stream_response::Result as Of, reranker_client::RerankerClient,
    },
    pipeline::{BatchLimits, PipelineConfig},
};
use tonic::transport::Channel;

use crate::{
    served::{Scrape, Served, hold, small},
    tally::{Figures as _, Question, Tally},
};

/// A pipeline in which requests wait at every place, and of which a few fill the queue.
pub(crate) fn narrow() -> PipelineConfig {
    PipelineConfig {
        tokenizer_workers: 1,
        tokenizer_queue: 4,
        batch_queue: 4,
        model_queue: 1,
        batch: BatchLimits {
            pairs: 8,
            ..PipelineConfig::default().batch
        },
        ..small()
    }
}

/// A crowd and its count.
pub(crate) struct Crowd<'a> {
    served: &'a Served,
    client: RerankerClient<Channel>,
    tally: Mutex<Tally>,
}

impl<'a> Crowd<'a> {
    pub(crate) async fn of(served: &'a Served) -> Self {
        Self {
            served,
            client: served.client().await,
            tally: Mutex::default(),
        }
    }

    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks with a call.
    pub(crate) async fn call(&self, question: &Question) {
        let answer = self.client.clone().infer(question.request()).await;
        self.count(|tally| tally.called(question, &answer));
    }

    /// Asks over HTTP.
    pub(crate) async fn post(&self, question: &Question) {
        let reply = self.served.post("/rerank", "", &question.body()).await;
        self.count(|tally| tally.posted(question, &reply));
    }

    /// Asks all of these over one stream.
    pub(crate) async fn stream(&self, questions: &[Question]) {
        let requests = questions
            .iter()
            .zip(0..)
            .map(|(question, at)| InferRequest {
                id: format!("{at}"),
                ..question.request()
            });
        let requests: Vec<_> = requests.collect();
        let mut client = self.client.clone();
        let answers = client.infer_stream(stream::iter(requests)).await;
        let mut answers = answers.unwrap().into_inner();
        let mut answered = 0;
        while let Some(answer) = answers.next().await {
            let answer = answer.unwrap();
            let id = match answer.result.as_ref().unwrap() {
                Of::Scores(scores) => &scores.id,
                Of::Error(error) => &error.id,
            };
            let question = &questions[id.parse::<usize>().unwrap()];
            self.count(|tally| tally.streamed(question, &answer));
            answered += 1;
        }
        assert_eq!(answered, questions.len());
        self.count(Tally::stream_ended);
    }

    /// So many clients at once, each of which asks each question in each way.
    pub(crate) async fn ask(&self, clients: usize, questions: &[Question]) {
        join_all((0..clients).map(|first| async move {
            // They begin at different ones.
            let (head, tail) = questions.split_at(first % questions.len());
            for question in tail.iter().chain(head) {
                self.call(question).await;
                self.post(question).await;
            }
            self.stream(questions).await;
        }))
        .await;
    }

    /// Fills the service whose model is a script, with requests that are left, late, and turned away; those that are left over are
    /// answered, and its gate is open from then on.
    pub(crate) async fn fill(&self) {
        let waits = Question::new("q", &["model-waits q"]);
        let waiting = |requests: f64| {
            self.served.until("they wait to be batched", move |scrape| {
                scrape.value("batch_queue_size") == requests
            })
        };
        let released = |scrape: &Scrape| scrape.sum("rerank_batches_released_total");
        let before = released(&self.served.rest().await);
        let mut held = vec![hold(&self.client)];
        self.served
            .until("the model has one", |scrape| released(scrape) > before)
            .await;
        let call = hold(&self.client);
        waiting(1.0).await;
        call.abort();
        waiting(0.0).await;
        self.count(Tally::left_call);
        let asked = stream::iter([waits.request()]);
        let answers = self.client.clone().infer_stream(asked).await.unwrap();
        waiting(1.0).await;
        drop(answers);
        waiting(0.0).await;
        self.count(Tally::left_call);
        let post = self.served.begin("/rerank", "", &waits.body()).await;
        waiting(1.0).await;
        drop(post);
        waiting(0.0).await;
        self.count(Tally::left_post);
        // Over HTTP, where the service's clock is the only one: a gRPC client ends a late call by itself.
        let timeout = "x-request-timeout: 0.3\r\n";
        let reply = self.served.post("/rerank", timeout, &waits.body()).await;
        self.count(|tally| tally.posted(&waits, &reply));
        // One is at the model, four wait to be batched, one is with the tokenizer, four queue.
        while held.len() < 1 + 4 + 1 + 4 {
            held.push(hold(&self.client));
            let taken = held.len();
            self.served
                .until("it has its place", |scrape| {
                    let places = [
                        ("rerank_requests_in_flight", taken),
                        ("batch_queue_size", (taken - 1).min(4)),
                        ("tokenizer_queue_size", taken.saturating_sub(6)),
                    ];
                    places
                        .iter()
                        .all(|(place, count)| scrape.value(place) == *count as f64)
                })
                .await;
        }
        self.call(&waits).await;
        self.post(&waits).await;
        self.stream(&[waits.clone(), waits.clone()]).await;
        self.served.gate.open();
        for call in held {
            let answer = call.await.unwrap();
            self.count(|tally| tally.called(&waits, &answer));
        }
    }

    /// Asks what can't be answered, one after the other: a batch that fails takes with it what else is in it.
    pub(crate) async fn fail(&self) {
        for order in [
            "tokenizer-fails",
            "tokenizer-panics",
            "model-fails",
            "model-panics",
            "model-says-nan",
        ] {
            let question = Question::new("red", &["red", order]);
            self.call(&question).await;
            self.post(&question).await;
            self.stream(std::slice::from_ref(&question)).await;
            // It goes on.
            self.call(&Question::new("red", &["red"])).await;
        }
    }

    /// Everything that can happen to a request of a [`narrow`] service whose model is a script: with so many clients, for so long.
    pub(crate) async fn everything(&self, clients: usize, time: Duration) {
        let started = std::time::Instant::now();
        loop {
            self.ask(clients, &mixture()).await;
            if started.elapsed() >= time {
                break;
            }
        }
        self.fill().await;
        self.fail().await;
    }
}

/// Short and long, one and many, and some that are refused.
pub(crate) fn mixture() -> Vec<Question> {
    let long = "a passage that is much longer than the model's window has room for ".repeat(60);
    vec![
        Question::new("red fish", &["red fish", "blue"]),
        Question::new("one", &["one fish"]),
        Question::new(
            "a word",
            &["a b c d e f", "word", "a", "and another", "five"],
        ),
        Question::new("", &["no query"]),
        Question::new("long", &[&long, "short"]),
        Question::new("nothing", &[]),
        Question::new("empty", &["full", " "]),
    ]
}
