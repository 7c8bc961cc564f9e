//! What a family is called in each text format, and the lines that say so.

use crate::{
    descriptor::{Descriptor, Kind},
    encode::page::Page,
};

/// A family's metadata.
pub(super) struct Naming<'d> {
    pub(super) name: &'d str,
    pub(super) kind: &'static str,
    unit: Option<&'d str>,
    open_metrics: bool,
}

impl<'d> Naming<'d> {
    pub(super) fn prometheus(descriptor: &'d Descriptor) -> Self {
        Self {
            name: &descriptor.name,
            // The older format knows neither of these two.
            kind: match descriptor.kind {
                Kind::Info | Kind::StateSet => "gauge",
                kind => kind.as_str(),
            },
            unit: None,
            open_metrics: false,
        }
    }

    pub(super) fn open_metrics(descriptor: &'d Descriptor) -> Self {
        let suffix = match descriptor.kind {
            Kind::Counter => Some("_total"),
            Kind::Info => Some("_info"),
            Kind::Gauge | Kind::Histogram | Kind::StateSet => None,
        };
        let (name, kind) = match suffix {
            None => (&*descriptor.name, descriptor.kind.as_str()),
            Some(suffix) => match descriptor.name.strip_suffix(suffix) {
                Some(stem) if !stem.is_empty() => (stem, descriptor.kind.as_str()),
                // Here a counter's samples must end in `_total`. What is declared does; what another library named may not.
                _ => (&*descriptor.name, "unknown"),
            },
        };
        Self {
            name,
            kind,
            unit: descriptor.unit_in_name(),
            open_metrics: true,
        }
    }

    /// Writes the lines, in the order in which OpenMetrics wants them; the older format doesn't care.
    pub(super) fn write(&self, page: &mut Page<'_>, help: &str) {
        if !self.open_metrics {
            self.help(page, help);
        }
        self.line(page, "TYPE", self.kind);
        if let Some(unit) = self.unit {
            self.line(page, "UNIT", unit);
        }
        if self.open_metrics {
            self.help(page, help);
        }
    }

    fn start(&self, page: &mut Page<'_>, keyword: &str) {
        for part in ["# ", keyword, " ", self.name, " "] {
            page.put(part.as_bytes());
        }
    }

    fn line(&self, page: &mut Page<'_>, keyword: &str, text: &str) {
        self.start(page, keyword);
        page.put(text.as_bytes());
        page.put(b"\n");
    }

    fn help(&self, page: &mut Page<'_>, help: &str) {
        self.start(page, "HELP");
        for byte in help.bytes() {
            match byte {
                b'\\' => page.put(b"\\\\"),
                b'\n' => page.put(b"\\n"),
                b'"' if self.open_metrics => page.put(b"\\\""),
                other => page.put(&[other]),
            }
        }
        page.put(b"\n");
    }
}
