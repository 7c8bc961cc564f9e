//! Compression of answers, and which one a client gets.

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// The quickest levels: a page of metrics repeats itself, and gains little from a harder search.
const GZIP: u32 = 1;
const ZSTD: i32 = 1;

impl Coding {
    /// What `Accept-Encoding` asks for most. On a tie zstd, then gzip; without the header, or where it refuses all, identity.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let weight = |name: &str| {
            let mut any = None;
            for range in accept.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let coding = parts.next().unwrap_or_default();
                let weight = parts
                    .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                    .map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0_f32));
                if coding.eq_ignore_ascii_case(name) {
                    return weight;
                }
                if coding == "*" {
                    any = Some(weight);
                }
            }
            any.unwrap_or(0.0)
        };
        let (gzip, zstd) = (weight("gzip"), weight("zstd"));
        if zstd > 0.0 && zstd >= gzip {
            Self::Zstd
        } else if gzip > 0.0 {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// The value of `Content-Encoding`.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Compresses; `None` for identity.
    pub(crate) fn compress(self, page: &[u8]) -> Option<io::Result<Vec<u8>>> {
        Some(match self {
            Self::Identity => return None,
            Self::Gzip => {
                let room = Vec::with_capacity(page.len() / 8);
                let mut encoder = GzEncoder::new(room, Compression::new(GZIP));
                encoder.write_all(page).and_then(|()| encoder.finish())
            }
            Self::Zstd => zstd::bulk::compress(page, ZSTD).map(|mut compressed| {
                compressed.shrink_to_fit();
                compressed
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn header_decides_by_weight() {
        for (accept, coding) in [
            ("", Coding::Identity),
            ("gzip", Coding::Gzip),
            ("GZIP;q=0.5, zstd;q=0.4", Coding::Gzip),
            ("gzip, zstd", Coding::Zstd),
            ("*", Coding::Zstd),
            ("*;q=0.1, gzip", Coding::Gzip),
            ("gzip;q=0", Coding::Identity),
            ("identity", Coding::Identity),
            ("br, deflate", Coding::Identity),
            (";;q=,,", Coding::Identity),
        ] {
            assert_eq!(Coding::negotiate(accept), coding, "{accept}");
        }
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let page = "orders_total{shop=\"a\"} 1\n".repeat(1000).into_bytes();
        let gzip = Coding::Gzip.compress(&page).unwrap().unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*gzip)
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, page);
        let zstd = Coding::Zstd.compress(&page).unwrap().unwrap();
        assert_eq!(zstd::bulk::decompress(&zstd, page.len()).unwrap(), page);
        assert!(gzip.len() < page.len() / 10 && zstd.len() < page.len() / 10);
        assert!(Coding::Identity.compress(&page).is_none());
    }
}
