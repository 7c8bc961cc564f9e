//! The log lines.

use std::fmt::{self, Write as _};

use tracing::{
    Event as LogEvent, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::*;

/// Writes down every span and event of this crate.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<String>>);

impl Notes {
    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes all");
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_PKG_NAME"))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = self.text();
        text.push_str(span.metadata().name());
        span.record(&mut Line(&mut text));
        text.push('\n');
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.text()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &LogEvent<'_>) {
        let mut text = self.text();
        write!(text, "{}", event.metadata().level()).expect("a string takes all");
        event.record(&mut Line(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

async fn noted(plan: Plan, body: Value) -> String {
    let notes = Notes::default();
    let _guard = tracing::subscriber::set_default(notes.clone());
    let served = serve(plan).await;
    let request = served
        .client
        .post(served.url("/v1/chat/completions"))
        .json(&body);
    let request = request.header(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    request
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    while !notes.text().contains("request finished") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    notes.text().clone()
}

#[tokio::test]
async fn each_request_leaves_one_line_without_its_prompt() {
    let shed = FailureReason::Shed {
        stage: Stage::Rag,
        retry_after: Duration::from_secs(1),
    };
    let midway = vec![
        text("the answer"),
        Event::Failed(failure(FailureReason::Timeout)),
    ];
    let table = [
        (
            Plan::Say(vec![text("the answer"), done()]),
            plain(),
            "status=200 outcome=\"ok\"",
        ),
        (
            Plan::Say(vec![text("the answer"), done()]),
            streamed(),
            "status=200 outcome=\"ok\"",
        ),
        (
            Plan::Say(midway),
            streamed(),
            "status=200 outcome=\"timeout\"",
        ),
        (
            Plan::Turn(failure(shed)),
            plain(),
            "status=429 outcome=\"shed\"",
        ),
        (
            Plan::Turn(failure(shed)),
            json!({"messages": "a private prompt"}),
            "status=400 outcome=\"rejected\"",
        ),
    ];
    for (plan, body, expected) in table {
        let notes = noted(plan, body).await;
        assert_eq!(notes.matches("request finished").count(), 1, "{notes}");
        assert!(
            notes.contains("INFO") && notes.contains(expected),
            "{notes}"
        );
        assert!(
            notes.contains("trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\""),
            "{notes}"
        );
        assert!(
            notes.contains("request_id=made-1") || notes.contains("request_id=refused-"),
            "{notes}"
        );
        assert!(
            !notes.contains("private prompt") && !notes.contains("the answer"),
            "{notes}"
        );
    }
}
