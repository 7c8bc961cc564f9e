//! Structured logs on standard error.
//!
//! What belongs to a request is logged within a span named `request` with the fields `request_id` and `trace_id`; every line
//! within it carries them, however deep in other spans it was written.

use std::fmt;

use anyhow::anyhow;
use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging to standard error: `info` and above, or what `RUST_LOG` says.
///
/// # Errors
///
/// When `RUST_LOG` can't be understood, or logging was started before.
pub fn start(format: LogFormat, default: &str) -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or(default)).map_err(|error| {
        anyhow!(
            "RUST_LOG can't be understood: {error}; write it as in RUST_LOG=info,orchestrator=debug"
        )
    })?;
    subscriber(
        format,
        filter,
        std::io::stderr,
        std::io::IsTerminal::is_terminal(&std::io::stderr()),
    )
    .map(tracing::subscriber::set_global_default)?
    .map_err(|error| anyhow!("logging was started before: {error}"))
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
    colours: bool,
) -> anyhow::Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(
            builder
                .fmt_fields(JsonFields::new())
                .event_format(Flat)
                .finish(),
        ),
    })
}

/// One flat JSON object a line: `timestamp`, `level`, `target`, the fields of all spans from the outermost in, then the event's
/// own. Of fields with one name the innermost wins.
#[derive(Debug)]
struct Flat;

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        for span in ctx
            .event_scope()
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields
                .and_then(|fields| serde_json::from_str::<Map<String, Value>>(&fields.fields).ok());
            line.extend(fields.into_iter().flatten());
        }
        event.record(&mut Fields(&mut line));
        line.insert("timestamp".into(), time.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &tracing::field::Field, value: impl Into<Value>) {
        self.0.insert(field.name().into(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(format: LogFormat) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber =
            subscriber(format, EnvFilter::new("info"), move || to.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!(
                "request",
                request_id = "r-1",
                trace_id = tracing::field::Empty
            );
            request.record("trace_id", "t-1");
            let _request = request.entered();
            let _stage = tracing::info_span!("stage", stage = "rag").entered();
            tracing::warn!(passages = 3, path = %"a \"b\"", "few found");
            tracing::debug!("not shown");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_the_request_and_trace_id_from_any_depth() {
        let text = log(LogFormat::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["request_id"], "r-1");
        assert_eq!(line["trace_id"], "t-1");
        assert_eq!(line["stage"], "rag");
        assert_eq!(line["passages"], 3);
        assert_eq!(line["path"], "a \"b\"");
        assert_eq!(line["message"], "few found");
        assert_eq!(line["level"], "WARN");
        assert!(
            line["timestamp"].as_str().unwrap().starts_with("20"),
            "{line}"
        );
    }

    #[test]
    fn text_lines_carry_the_request_and_trace_id_too() {
        let text = log(LogFormat::Text);
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in [
            "WARN",
            "request_id=\"r-1\"",
            "trace_id=\"t-1\"",
            "few found",
            "passages=3",
        ] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
    }
}
