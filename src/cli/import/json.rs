//! JSON as it is written: numbers keep their form and every digit, objects their order, and a name that is said twice
//! is a fault and not the loss of a value.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fault::Fault;

/// How deep values may be nested; deeper than what the configuration takes.
const DEEPEST: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

const NO_JSON: Fault = Fault::new(
    "the body is not valid JSON",
    "copy the command again; what stands behind --data must be whole",
);
const TWICE: Fault = Fault::new(
    "an object of the body says one name twice, and only one of the values can count",
    "keep one of them",
);
const DEEP: Fault = Fault::new(
    "the body is nested more than 64 levels deep",
    "pass what is deeper as text",
);

impl Json {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| NO_JSON)?;
        Self::of(raw, 0)
    }

    fn of(raw: &RawValue, depth: usize) -> Result<Self, Fault> {
        if depth > DEEPEST {
            return Err(DEEP);
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let Pairs(pairs) = serde_json::from_str(text).map_err(|_| NO_JSON)?;
                let mut object: Vec<(String, Self)> = Vec::with_capacity(pairs.len());
                for (name, raw) in pairs {
                    object.push((name, Self::of(raw, depth + 1)?));
                }
                let mut names: Vec<&str> = object.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(TWICE);
                }
                Self::Object(object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NO_JSON)?;
                let items = items.into_iter().map(|raw| Self::of(raw, depth + 1));
                Self::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text).map_err(|_| NO_JSON)?),
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            _ => Self::Number(text.to_owned()),
        })
    }

    /// The same as the rest of the program knows it.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Object(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(name, json)| (name.clone(), json.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// A member of an object.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(pairs) = self else {
            return None;
        };
        let found = pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, json)| json)
    }
}

/// An object in its order, names twice included.
struct Pairs<'r>(Vec<(String, &'r RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_form_in_which_they_are_written_and_objects_their_order() {
        let text = r#"{"b":2,"a":2.0,"c":[2.50,-0,1E5,123456789012345678901234567890],"n":null}"#;
        let json = Json::parse(text).unwrap();
        let Json::Object(pairs) = &json else {
            unreachable!()
        };
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c", "n"]);
        let number = |text: &str| Json::Number(text.to_owned());
        assert_eq!(pairs[0].1, number("2"));
        assert_eq!(pairs[1].1, number("2.0"));
        let digits = "123456789012345678901234567890";
        let list = ["2.50", "-0", "1E5", digits].map(number).to_vec();
        assert_eq!(pairs[2].1, Json::List(list));
        assert_eq!(pairs[3].1, Json::Null);
        assert_eq!(json.value(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_would_lose_a_value_is_a_fault() {
        assert_eq!(Json::parse(r#"{"a":1,"a":2}"#), Err(TWICE));
        assert_eq!(Json::parse(r#"{"x":[{"a":1,"a":1}]}"#), Err(TWICE));
        for text in ["", "{", "{\"a\":}", "{'a':1}", "{} {}", "[1,]", "\"\\x\""] {
            assert_eq!(Json::parse(text), Err(NO_JSON), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Json::parse(&deep), Err(NO_JSON));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(Json::parse(&deep), Err(DEEP));
    }
}
