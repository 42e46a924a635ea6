//! The tables of a configuration as text. Strings and keys are quoted by `toml_writer`; numbers go through as they are
//! written, since every number of JSON is one of TOML.

use std::fmt::Write;

use toml_writer::{ToTomlKey, ToTomlValue, TomlKeyBuilder, TomlStringBuilder};

use super::json::Json;

/// How wide the keys of a table are.
const WIDTH: usize = 10;

/// A table with a header.
pub(super) struct Table {
    text: String,
}

impl Table {
    pub(super) fn new(kind: &str, name: &str) -> Self {
        Self {
            text: format!("[{kind}.{name}]\n"),
        }
    }

    /// A line with a value that is TOML already.
    pub(super) fn line(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key:<WIDTH$} = {value}");
    }

    /// A line with a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.line(key, &text(value));
    }

    pub(super) fn whole(self) -> String {
        self.text
    }
}

/// A text in quotes, on one line.
pub(super) fn text(text: &str) -> String {
    let builder = TomlStringBuilder::new(text);
    let pretty = builder.as_basic_pretty().or_else(|| builder.as_literal());
    pretty.unwrap_or_else(|| builder.as_basic()).to_toml_value()
}

fn key(name: &str) -> String {
    TomlKeyBuilder::new(name).as_default().to_toml_key()
}

/// Why a value cannot be written: after the parameter that holds it.
pub(super) type Unsayable = &'static str;

/// A value in the configuration's form.
pub(super) fn value(json: &Json) -> Result<String, Unsayable> {
    Ok(match json {
        Json::Null => "{ null = true }".to_owned(),
        Json::Bool(flag) => flag.to_string(),
        Json::Number(number) => number.clone(),
        // Two braces would begin a template.
        Json::Text(text) => self::text(&text.replace("{{", "{{ '{{' }}")),
        Json::List(items) => {
            let items: Result<Vec<String>, _> = items.iter().map(value).collect();
            format!("[{}]", items?.join(", "))
        }
        Json::Object(pairs) => object(pairs)?,
    })
}

fn object(pairs: &[(String, Json)]) -> Result<String, Unsayable> {
    match pairs {
        [] => return Ok("{}".to_owned()),
        [(name, value)] if is_form_of_ours(name, value) => {
            return Err(
                "is an object with the one key null, file or number, which means something else in \
                 the configuration",
            );
        }
        _ => {}
    }
    let mut members = Vec::with_capacity(pairs.len());
    for (name, json) in pairs {
        members.push(format!("{} = {}", key(name), value(json)?));
    }
    Ok(format!("{{ {} }}", members.join(", ")))
}

/// `{ null = … }`, `{ file = "…" }` and `{ number = "…" }` are no objects in the configuration.
fn is_form_of_ours(name: &str, value: &Json) -> bool {
    match name {
        "null" => true,
        "file" | "number" => matches!(value, Json::Text(_)),
        _ => false,
    }
}

/// The values of a schedule: a table in the order of these names and then of their own, or a list.
pub(super) fn parameters(json: &Json, order: &[String]) -> Result<String, (String, Unsayable)> {
    let place = |name: &str| order.iter().position(|known| known == name);
    match json {
        Json::Object(pairs) => {
            let mut pairs: Vec<&(String, Json)> = pairs.iter().collect();
            pairs.sort_by_key(|(name, _)| place(name).unwrap_or(order.len()));
            let mut members = Vec::with_capacity(pairs.len());
            for (name, json) in pairs {
                let written = value(json).map_err(|why| (name.clone(), why))?;
                members.push(format!("{} = {written}", key(name)));
            }
            Ok(format!("{{ {} }}", members.join(", ")))
        }
        Json::List(items) => {
            let mut written = Vec::with_capacity(items.len());
            for (at, json) in items.iter().enumerate() {
                written.push(value(json).map_err(|why| ((at + 1).to_string(), why))?);
            }
            Ok(format!("[{}]", written.join(", ")))
        }
        other => value(other).map_err(|why| (String::new(), why)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(json: &str) -> Result<String, Unsayable> {
        value(&Json::parse(json).unwrap())
    }

    #[test]
    fn every_value_has_its_form() {
        let table = [
            ("2", "2"),
            ("2.0", "2.0"),
            ("1E5", "1E5"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("null", "{ null = true }"),
            ("[1,null,[true]]", "[1, { null = true }, [true]]"),
            ("{}", "{}"),
            (
                "{\"a b\":1,\"c\":{\"d\":null}}",
                "{ \"a b\" = 1, c = { d = { null = true } } }",
            ),
            ("{\"null\":1,\"x\":2}", "{ null = 1, x = 2 }"),
            ("{\"file\":1}", "{ file = 1 }"),
            (r#""it's \"so\"""#, r#""it's \"so\"""#),
            (r#""two\nlines""#, r#""two\nlines""#),
            (r#""C:\\x""#, r"'C:\x'"),
            (r#""{{ date }}""#, r#""{{ '{{' }} date }}""#),
        ];
        for (json, toml) in table {
            assert_eq!(written(json).as_deref(), Ok(toml), "{json}");
        }
    }

    #[test]
    fn what_the_configuration_reads_otherwise_is_not_written() {
        for json in [
            "{\"null\":true}",
            "[{\"file\":\"x\"}]",
            "{\"a\":{\"number\":\"1\"}}",
        ] {
            assert!(written(json).is_err(), "{json}");
        }
    }

    #[test]
    fn names_stand_in_the_order_of_the_call() {
        let json = Json::parse(r#"{"c":3,"x":9,"a":1,"b":2}"#).unwrap();
        let order = ["a", "b", "c"].map(str::to_owned);
        let wanted = "{ a = 1, b = 2, c = 3, x = 9 }";
        assert_eq!(parameters(&json, &order).as_deref(), Ok(wanted));
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_it_was_written_and_stays_on_one_line(given in ".*|[\\x00-\\x7f]*") {
            let line = format!("{} = {}", key(&given), text(&given));
            prop_assert!(!line.contains(['\n', '\r']), "{line:?}");
            let table: toml::Table = line.parse().unwrap();
            prop_assert_eq!(table[&given].as_str(), Some(given.as_str()));
        }
    }
}
