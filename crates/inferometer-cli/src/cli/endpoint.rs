//! The options of every endpoint that is scraped.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use inferometer::LabelValue as _;
use inferometer_http::{Access, Page, Scope, ServerOptions, TlsOptions};

/// Who may ask for what, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Endpoint")]
pub struct EndpointArgs {
    /// Where the scrape is.
    #[arg(long, default_value = "/metrics", value_name = "PATH")]
    pub metrics_path: String,
    /// The file of API keys; `inferometer keys new` adds to it, and a change is taken at once.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Who may ask for a page, as in metrics=key, gpu-stats=public or index=off; may be given several times.
    #[arg(long = "access", value_name = "PAGE=WHO")]
    pub access: Vec<AccessRule>,
    /// Speak TLS, with this certificate in PEM; a change is taken at once.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Let only clients in whose certificate is by one of these authorities, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_client_authorities: Option<PathBuf>,
}

impl EndpointArgs {
    /// The server's options.
    pub fn options(&self) -> ServerOptions {
        let tls = self.tls_certificate.clone().zip(self.tls_key.clone());
        ServerOptions {
            metrics_path: self.metrics_path.clone(),
            access: self
                .access
                .iter()
                .map(|rule| (rule.page, rule.access))
                .collect(),
            keys: self.keys.clone(),
            tls: tls.map(|(certificate, key)| TlsOptions {
                certificate,
                key,
                client_authorities: self.tls_client_authorities.clone(),
            }),
            ..ServerOptions::default()
        }
    }
}

/// Who may ask for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRule {
    page: Page,
    access: Access,
}

/// The name of a page on the command line.
fn name(page: Page) -> String {
    let mut name = String::new();
    page.with_text(&mut |text| name = text.replace('_', "-"));
    name
}

impl FromStr for AccessRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (page, who) = text
            .split_once('=')
            .ok_or("give a page and who may ask for it, as in metrics=key")?;
        let page = Page::all()
            .find(|known| name(*known) == page)
            .ok_or_else(|| {
                let names: Vec<_> = Page::all().map(name).collect();
                format!(
                    "there is no page {page:?}; the pages are {}",
                    names.join(", ")
                )
            })?;
        let access = match who {
            "public" => Access::Public,
            "off" => Access::Off,
            "key" if page == Page::Metrics => Access::Key(Scope::Metrics),
            "key" => Access::Key(Scope::Stats),
            _ => return Err(format!("{who:?} is nobody: write public, key or off")),
        };
        Ok(Self { page, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_a_page_and_who_may_ask_for_it() {
        let rule = |text: &str| text.parse::<AccessRule>();
        assert_eq!(
            rule("metrics=key"),
            Ok(AccessRule {
                page: Page::Metrics,
                access: Access::Key(Scope::Metrics),
            })
        );
        assert_eq!(
            rule("gpu-stats=public").map(|rule| rule.access),
            Ok(Access::Public)
        );
        for (wrong, said) in [
            ("metrics", "as in metrics=key"),
            ("metric=key", "the pages are metrics, health, health-live"),
            ("metrics=everybody", "write public, key or off"),
        ] {
            let error = rule(wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
