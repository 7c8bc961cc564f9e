//! `inferometer load`.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal;

use crate::{
    cli::LoadArgs,
    files,
    load::{self, Live, LoadError, Outcome, Pace, Plan, Prompts, Report, Running},
    summary,
    terminal::Palette,
};

/// How often the progress bar moves and the end of the load is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Runs a load, shows its progress and reports.
///
/// # Errors
///
/// When the load can't be run, nothing answers at all, or the report can't be written.
pub fn run(args: &LoadArgs) -> anyhow::Result<()> {
    let plan = plan(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the program's runtime; the machine may be out of file descriptors")?;
    let running = runtime.block_on(watch(plan, args.duration))?;
    let report = running.join()?;
    publish(&report, args.json.as_deref())?;
    if report.counts.sent > 0 && report.counts.connection == report.counts.sent {
        bail!(
            "no request reached {}; check that the server runs and that --target is right",
            report.target
        );
    }
    Ok(())
}

fn plan(args: &LoadArgs) -> anyhow::Result<Plan> {
    let prompts = match &args.prompts {
        Some(path) => Prompts::from_file(path).with_context(|| {
            format!(
                "can't take prompts from {}; --prompts wants a text file",
                path.display()
            )
        })?,
        None => Prompts::default(),
    };
    let pace = match args.closed {
        Some(connections) => Pace::Closed { connections },
        None => Pace::Open {
            rate: args.rate,
            arrivals: args.arrivals,
        },
    };
    Ok(Plan {
        target: args.target.clone(),
        allow_remote: args.allow_remote,
        model: args.model.clone(),
        pace,
        duration: Some(args.duration),
        mix: args.mix,
        sessions: args.sessions,
        prompts,
        seed: args.seed,
        max_in_flight: args.max_in_flight,
        timeout: args.timeout,
    })
}

/// Starts a load, shows its progress and heeds Ctrl-C until it ends.
async fn watch(plan: Plan, duration: Duration) -> Result<Running, LoadError> {
    let mut interrupt = pin!(signal::ctrl_c());
    // Once polled, it catches a Ctrl-C from the very first request on.
    tokio::select! {
        biased;
        _ = &mut interrupt => return Err(LoadError::Plan("interrupted before its start".into())),
        () = std::future::ready(()) => {}
    }
    let running = load::start(plan)?;
    let bar = bar(duration);
    let started = Instant::now();
    let mut stopping = false;
    while !running.is_finished() {
        tokio::select! {
            pressed = &mut interrupt => {
                if stopping || pressed.is_err() {
                    running.abort();
                } else {
                    stopping = true;
                    running.stop();
                    bar.set_prefix("waiting for answers; Ctrl-C again to leave");
                }
                interrupt.set(signal::ctrl_c());
            }
            () = tokio::time::sleep(TICK) => {
                bar.set_position(millis(started.elapsed().min(duration)));
                bar.set_message(progress(running.live()));
            }
        }
    }
    bar.finish_and_clear();
    Ok(running)
}

fn bar(duration: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {elapsed} {bar:24} {msg} {prefix}")
        .expect("the template is a constant and well-formed");
    ProgressBar::new(millis(duration)).with_style(style)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn progress(live: &Live) -> String {
    let ok = live.ended(Outcome::Ok);
    let failed =
        live.ended(Outcome::Error) + live.ended(Outcome::Timeout) + live.ended(Outcome::Connection);
    format!(
        "{} sent, {ok} ok, {} shed, {failed} failed, {} in flight",
        live.sent(),
        live.ended(Outcome::Shed),
        live.in_flight(),
    )
}

/// Prints the summary, on standard error where standard output carries the JSON.
fn publish(report: &Report, json: Option<&Path>) -> anyhow::Result<()> {
    let on_stdout = json.is_some_and(|path| path == Path::new("-"));
    if on_stdout {
        let mut stream = std::io::stderr().lock();
        stream.write_all(summary::render(report, Palette::of(&stream)).as_bytes())?;
    } else {
        let mut stream = std::io::stdout().lock();
        let text = summary::render(report, Palette::of(&stream));
        stream
            .write_all(text.as_bytes())
            .context("can't print the report")?;
    }
    let Some(path) = json else {
        return Ok(());
    };
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    if on_stdout {
        std::io::stdout()
            .lock()
            .write_all(&text)
            .context("can't print the report's JSON")
    } else {
        files::write_whole(path, &text).context("can't write the report's JSON")
    }
}
