//! What a newcomer reads first.

use std::fmt::Write as _;

use crate::{
    addresses::{Addresses, ServiceAddresses},
    terminal::Palette,
};

/// What runs where and what to try, on one screen.
///
/// `notes` are lines to show under the addresses: which model answers, what load there is.
pub fn render(addresses: &Addresses, notes: &[String], palette: Palette) -> String {
    let mut text = format!("\n  {}\n", palette.strong("inferometer is running"));
    let mut line =
        |line: &str| writeln!(text, "{}", line.trim_end()).expect("a String takes any text");
    line("");
    for row in table(addresses, palette) {
        line(&row);
    }
    line("");
    for note in notes {
        line(&format!("  {}", palette.dim(note)));
    }
    line("");
    line("  Try, in another terminal:");
    for example in addresses.iter().flat_map(|(name, at)| examples(name, at)) {
        line(&format!("    {example}"));
    }
    line("");
    line(&format!("  {}", palette.dim("Ctrl-C ends it.")));
    text
}

/// A line for each service, with what it has in columns.
fn table(addresses: &Addresses, palette: Palette) -> Vec<String> {
    let heads = ["API", "metrics", "health"];
    let rows: Vec<_> = addresses
        .iter()
        .map(|(name, at)| {
            let cells = [&at.api, &at.metrics, &at.health];
            let cells = cells.map(|cell| cell.as_deref().unwrap_or_default());
            (name, cells, at.grpc.as_deref())
        })
        .collect();
    let widths: [usize; 3] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|(_, cells, _)| cells[column].len());
        cells.max().unwrap_or(0)
    });
    let mut lines = Vec::new();
    let mut head = format!("  {:<14}", "");
    for (name, width) in heads.iter().zip(widths).filter(|(_, width)| *width > 0) {
        // Writing to a String can't fail.
        let _ = write!(head, "{name:<width$}  ");
    }
    lines.push(palette.dim(head.trim_end()));
    for (name, cells, grpc) in rows {
        let mut line = format!("  {}", palette.strong(&format!("{name:<14}")));
        for (cell, width) in cells.iter().zip(widths).filter(|(_, width)| *width > 0) {
            let padding = width - cell.len() + 2;
            let _ = write!(line, "{}{:padding$}", palette.link(cell), "");
        }
        lines.push(line);
        lines.extend(grpc.map(|grpc| format!("  {:<14}{} (gRPC)", "", palette.link(grpc))));
    }
    lines
}

const QUESTION: &str = r#"{"role":"user","content":"Why bound a queue?"}"#;

/// What to ask a service for.
fn examples(name: &str, at: &ServiceAddresses) -> Vec<String> {
    let (Some(api), Some(metrics)) = (&at.api, &at.metrics) else {
        return Vec::new();
    };
    let json = "-H 'Content-Type: application/json'";
    match name {
        "orchestrator" => vec![
            format!("curl -N {api}/v1/chat/completions {json} \\"),
            format!("  -d '{{\"model\":\"default\",\"stream\":true,\"messages\":[{QUESTION}]}}'"),
            format!("inferometer load --target {api} --rate 5 --duration 20s"),
            format!("curl -s {metrics} | grep -v '^#'"),
        ],
        "rerank" => vec![
            format!("curl {api}/rerank {json} -d '{{\"query\":\"read a file\","),
            "  \"documents\":[\"Counts the threads that wait.\",\"Reads the whole file into a string.\"]}'"
                .into(),
            format!("curl -s {metrics} | grep -v '^#' | grep tokens"),
        ],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use inferometer_http::ServerOptions;

    use super::*;

    #[test]
    fn the_banner_fits_one_screen_and_is_plain_off_a_terminal() {
        let mut addresses = Addresses::default();
        let (api, metrics) = (
            "127.0.0.1:9901".parse().unwrap(),
            "127.0.0.1:9902".parse().unwrap(),
        );
        let service = ServiceAddresses::default()
            .with_api(api)
            .with_endpoint(metrics, &ServerOptions::default());
        let grpc = "127.0.0.1:59911".parse().unwrap();
        addresses.insert("rerank", service.clone().with_grpc(grpc));
        addresses.insert("orchestrator", service);
        let text = render(&addresses, &["model: small".into()], Palette::plain());
        assert!(text.lines().count() <= 24, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 110),
            "{text}"
        );
        for part in [
            "http://127.0.0.1:9902/metrics",
            "127.0.0.1:59911",
            "model: small",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
