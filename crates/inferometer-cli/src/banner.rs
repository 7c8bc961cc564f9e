//! What a newcomer reads first.

use std::fmt::Write as _;

use crate::{addresses::Addresses, terminal::Palette};

/// What runs where and what to try, on one screen.
///
/// `notes` are lines to show under the addresses: which model answers, for how long it runs.
pub fn render(addresses: &Addresses, notes: &[String], palette: Palette) -> String {
    let mut text = format!("\n  {}\n", palette.strong("inferometer is running"));
    let mut line = |line: &str| writeln!(text, "{line}").expect("a String takes any text");
    line("");
    for (name, service) in addresses.iter() {
        line(&format!("  {}", palette.strong(name)));
        for (what, url) in [
            ("API", service.api.as_ref()),
            ("metrics", service.metrics.as_ref()),
            ("health", service.health.as_ref()),
        ] {
            let Some(url) = url else { continue };
            line(&format!("    {what:<8} {}", palette.link(url)));
        }
    }
    for note in notes {
        line(&format!("  {}", palette.dim(note)));
    }
    let orchestrator = addresses.iter().find(|&(name, _)| name == "orchestrator");
    if let Some((_, service)) = orchestrator
        && let Some(api) = &service.api
    {
        line("");
        line("  Try, in another terminal:");
        line("");
        line(&format!(
            "    {}",
            palette.dim("# a prompt, its answer streamed")
        ));
        line(&format!(
            "    curl -N {api}/v1/chat/completions -H 'Content-Type: application/json' \\"
        ));
        line(
            "      -d '{\"model\":\"default\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Why bound a queue?\"}]}'",
        );
        if let Some(metrics) = &service.metrics {
            line(&format!("    {}", palette.dim("# what Prometheus sees")));
            line(&format!("    curl -s {metrics} | grep -v '^#'"));
        }
        line(&format!("    {}", palette.dim("# more load")));
        line(&format!(
            "    inferometer load --target {api} --rate 5 --duration 20s"
        ));
    }
    line("");
    line(&format!("  {}", palette.dim("Ctrl-C ends it.")));
    text
}

#[cfg(test)]
mod tests {
    use inferometer_http::ServerOptions;

    use super::*;
    use crate::addresses::ServiceAddresses;

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
        addresses.insert("orchestrator", service);
        let text = render(&addresses, &["model: small".into()], Palette::plain());
        assert!(text.lines().count() <= 24, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 110),
            "{text}"
        );
        assert!(text.contains("http://127.0.0.1:9902/metrics") && text.contains("model: small"));
        assert!(!text.contains('\u{1b}'));
    }
}
