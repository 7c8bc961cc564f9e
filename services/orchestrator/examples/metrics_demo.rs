//! The orchestrator at work, with its metrics at <http://127.0.0.1:9090/metrics> and its health at <http://127.0.0.1:9090/health>.
//!
//! ```text
//! cargo run --example metrics_demo --features metrics-server
//! ```
//!
//! Prompts flow until Ctrl-C. `METRICS_ADDRESS` sets another address, `PROMPTS` ends it after so many.

#![expect(clippy::print_stdout, reason = "an example for the terminal")]

use std::{sync::Arc, time::Duration};

use orchestrator::{
    metrics, metrics_server,
    pipeline::{Event, Pipeline, PipelineConfig, PromptRequest},
    worker::{
        Message, Sampling,
        local::{LocalWorker, Settings},
    },
};

const PROMPTS: [&str; 4] = [
    "What is time to first token?",
    "How does load shedding keep a queue short?",
    "Why are averages of percentiles wrong?",
    "Explain the KV cache.",
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("METRICS_ADDRESS").unwrap_or_else(|_| "127.0.0.1:9090".into());
    let server = metrics_server::spawn_server(&address)?;
    println!(
        "metrics: http://{0}/metrics\nhealth:  http://{0}/health\nCtrl-C ends it.",
        server.address()
    );

    let worker = Arc::new(LocalWorker::embedded(Settings::default())?);
    let pipeline =
        Pipeline::start_with(PipelineConfig::default(), vec![worker], metrics::recorder())?;
    let most = std::env::var("PROMPTS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(usize::MAX);
    let work = async {
        for at in 0..most {
            let prompt = PROMPTS[at % PROMPTS.len()];
            println!("\n> {prompt}");
            ask(&pipeline, prompt).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    println!("\n{:#?}", metrics::get_metrics_summary());
    server.stop();
    Ok(())
}

async fn ask(pipeline: &Pipeline, prompt: &str) {
    let request = PromptRequest {
        session: Some("demo".into()),
        model: None,
        messages: vec![Message {
            role: "user".into(),
            content: prompt.into(),
        }],
        sampling: Sampling {
            temperature: 0.7,
            top_p: 0.9,
            seed: 1,
            max_tokens: 48,
            stop: Arc::new([]),
        },
        timeout: None,
    };
    match pipeline.submit(request) {
        Ok(mut answer) => {
            while let Some(event) = answer.next().await {
                match event {
                    Event::Text(text) => print!("{text}"),
                    Event::Done(finished) => println!("\n[{} tokens]", finished.generated_tokens),
                    Event::Failed(failure) => println!("\n[failed: {failure}]"),
                }
            }
        }
        Err(failure) => println!("[refused: {failure}]"),
    }
}
