//! Fields that come in several forms.

use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::super::error::ApiError;

/// A string, copied once: from the body to where it stays.
#[derive(Debug)]
pub(super) struct Text(pub(super) Arc<str>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// A message's content.
#[derive(Debug)]
pub(super) enum Content {
    Text(Text),
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(rename = "type")]
    kind: Text,
    #[serde(default)]
    text: Option<Text>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Content;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or an array of text parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(Text(text.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The text of the parts of message `place`.
pub(super) fn join(parts: Vec<Part>, place: usize) -> Result<Arc<str>, ApiError> {
    let mut whole = String::new();
    for (number, part) in parts.into_iter().enumerate() {
        let path = format!("messages[{place}].content[{number}]");
        if *part.kind.0 != *"text" {
            let message = format!(
                "`{path}.type` can only be text: images, sound and files are not supported here"
            );
            return Err(ApiError::unsupported(path + ".type", message));
        }
        let Some(text) = part.text else {
            let message = format!("`{path}.text` is missing");
            return Err(ApiError::invalid(path + ".text", message));
        };
        whole.push_str(&text.0);
    }
    Ok(whole.into())
}

/// Stop sequences: one, or several.
#[derive(Debug)]
pub(super) struct Stop(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Stop;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or an array of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Stop, E> {
                Ok(Stop(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<Stop, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(texts)).map(Stop)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Whether a field asks for anything: null, false, 0, `"none"`, `"auto"` and what is empty do not.
#[derive(Debug, Default)]
pub(super) struct Asked(pub(super) bool);

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Asked;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Asked, E> {
                Ok(Asked(false))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Asked, E> {
                Ok(Asked(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Asked, E> {
                Ok(Asked(value != 0))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Asked, E> {
                Ok(Asked(value != 0))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Asked, E> {
                Ok(Asked(value != 0.0))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Asked, E> {
                Ok(Asked(!matches!(value, "" | "none" | "auto")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Asked, A::Error> {
                let mut asked = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    asked = true;
                }
                Ok(Asked(asked))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Asked, A::Error> {
                let mut asked = false;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    asked = true;
                }
                Ok(Asked(asked))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
