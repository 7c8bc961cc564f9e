//! The server under load.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use http::{HeaderValue, Uri};

/// An OpenAI-compatible server's address.
///
/// A path is kept as a prefix, and a trailing `/v1` may be given or left out: `http://127.0.0.1:8080` and
/// `http://127.0.0.1:8080/v1` mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    authority: String,
    prefix: String,
}

impl Target {
    /// The addresses behind the name; a load goes to the first that answers.
    ///
    /// # Errors
    ///
    /// When the name can't be resolved.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        let found = if self.authority_has_port() {
            self.authority.to_socket_addrs()
        } else {
            format!("{}:80", self.authority).to_socket_addrs()
        };
        Ok(found?.collect())
    }

    pub(crate) fn host(&self) -> HeaderValue {
        HeaderValue::from_str(&self.authority).expect("an authority is checked when it is parsed")
    }

    pub(crate) fn chat_completions(&self) -> Uri {
        format!("{}/v1/chat/completions", self.prefix)
            .parse()
            .expect("a path is checked when it is parsed")
    }

    pub(crate) fn models(&self) -> Uri {
        format!("{}/v1/models", self.prefix)
            .parse()
            .expect("a path is checked when it is parsed")
    }

    fn authority_has_port(&self) -> bool {
        let after_address = self.authority.rsplit(']').next().unwrap_or_default();
        after_address.contains(':')
    }
}

impl Default for Target {
    fn default() -> Self {
        Self {
            authority: "127.0.0.1:8080".into(),
            prefix: String::new(),
        }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            authority: address.to_string(),
            prefix: String::new(),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("{error}: give a URL as in http://127.0.0.1:8080"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "only http:// is spoken here: encryption would be measured with the service; \
                     give the address behind the proxy that ends TLS"
                        .into(),
                );
            }
            _ => return Err("a URL starts with http://, as in http://127.0.0.1:8080".into()),
        }
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("a user name in the URL is not supported".into());
        }
        if uri.query().is_some() {
            return Err("the URL is a base to append to and takes no query".into());
        }
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            authority: authority.to_string(),
            prefix: path.strip_suffix("/v1").unwrap_or(path).to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn a_base_url_may_end_in_v1_or_not() {
        for text in [
            "http://h:1",
            "http://h:1/",
            "http://h:1/v1",
            "http://h:1/v1/",
        ] {
            assert_eq!(target(text).chat_completions(), "/v1/chat/completions");
            assert_eq!(target(text).to_string(), "http://h:1");
        }
        assert_eq!(target("http://h:1/llm/v1").models(), "/llm/v1/models");
    }

    #[test]
    fn addresses_resolve_with_and_without_a_port() {
        let found = target("http://127.0.0.1:8080").resolve().unwrap();
        assert_eq!(found, ["127.0.0.1:8080".parse().unwrap()]);
        let found = target("http://[::1]").resolve().unwrap();
        assert_eq!(found, ["[::1]:80".parse().unwrap()]);
        let found = target("http://[::1]:81").resolve().unwrap();
        assert_eq!(found, ["[::1]:81".parse().unwrap()]);
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "127.0.0.1:80",
            "https://h",
            "ftp://h",
            "http://h?x=1",
            "http://a@h",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
