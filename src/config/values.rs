//! TOML values as the JSON that the vendor takes, by stated rules: numbers keep the form in which they were written,
//! dates are text, what JSON cannot say is refused; and where in it templates stand.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Number, Value};
use toml::de::{DeInteger, DeValue};

use super::read::{Found, Item};
use super::source::read_text;
use super::suggest;
use super::times::inside;
use crate::sched::template::{Template, TemplateError, is_template};
use crate::sched::written::pointer;

/// The largest file of a `{ file = "…" }`, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The largest whole number that every reader of JSON keeps digit for digit (2^53 - 1).
const SAFE: u64 = 9_007_199_254_740_991;

/// The texts of value files, read once each.
#[derive(Debug, Default)]
pub(super) struct Files {
    read: Mutex<HashMap<PathBuf, Result<Arc<str>, String>>>,
}

impl Files {
    fn text(&self, path: PathBuf) -> Result<Arc<str>, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let text = read.entry(path).or_insert_with_key(|path| {
            read_text(path, LARGEST_FILE)
                .map(Arc::from)
                .map_err(|why| why.to_string())
        });
        text.clone()
    }

    /// The texts that were read, by path: they are part of what the configuration means.
    pub(super) fn texts(&self) -> Vec<Arc<str>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut texts: Vec<(&PathBuf, &Arc<str>)> = read
            .iter()
            .filter_map(|(path, text)| Some((path, text.as_ref().ok()?)))
            .collect();
        texts.sort();
        texts.into_iter().map(|(_, text)| text.clone()).collect()
    }
}

/// A value as JSON, and where in it templates stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Worth {
    /// As it is written: a template is its text.
    pub(super) json: Value,
    /// JSON pointers into it.
    pub(super) templates: Vec<String>,
}

impl Worth {
    fn template(json: Value) -> Self {
        Self {
            json,
            templates: vec![String::new()],
        }
    }
}

impl From<Value> for Worth {
    fn from(json: Value) -> Self {
        Self {
            json,
            templates: Vec::new(),
        }
    }
}

/// The JSON of a value; `None` when something is wrong with it.
pub(super) fn json(item: &Item<'_>, files: &Files, found: &mut Found) -> Option<Worth> {
    match item.value {
        DeValue::String(text) if is_template(text) => {
            template(item, text, found)?;
            Some(Worth::template(Value::String(text.to_string())))
        }
        DeValue::String(text) => Some(Value::String(text.to_string()).into()),
        DeValue::Boolean(flag) => Some(Value::Bool(*flag).into()),
        DeValue::Integer(number) => integer(item, number, found).map(Worth::from),
        DeValue::Float(number) => float(item, number.as_str(), found).map(Worth::from),
        DeValue::Datetime(_) => Some(Value::String(date(item)).into()),
        DeValue::Array(items) => list(&item.elements(items), files, found),
        DeValue::Table(_) => table(item, files, found),
    }
}

/// A list; every element is read, so that all problems are told.
pub(super) fn list(elements: &[Item<'_>], files: &Files, found: &mut Found) -> Option<Worth> {
    let values: Vec<Option<Worth>> = elements.iter().map(|e| json(e, files, found)).collect();
    let values = values.into_iter().collect::<Option<Vec<_>>>()?;
    let mut templates = Vec::new();
    let one = |(index, worth): (usize, Worth)| {
        let inner = worth.templates.iter();
        templates.extend(inner.map(|at| pointer(&index.to_string(), at)));
        worth.json
    };
    let json = Value::Array(values.into_iter().enumerate().map(one).collect());
    Some(Worth { json, templates })
}

/// A template, or the problem of one, shown at the place inside the text.
fn template(item: &Item<'_>, text: &str, found: &mut Found) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            let at = inside(item, error.span.clone()).unwrap_or(item.at);
            let problem = at.problem(&item.path, error.message.clone());
            let guess = match found.is_few() {
                true => guess(text, &error),
                false => None,
            };
            found.wrong(problem.with_hint(guess.unwrap_or(error.hint)));
            None
        }
    }
}

/// The word that was probably meant.
fn guess(text: &str, error: &TemplateError) -> Option<String> {
    let wrong = text.get(error.span.clone())?;
    suggest::did_you_mean(wrong, error.known.iter().copied())
}

/// A template that gives a number.
fn number(item: &Item<'_>, text: &str, found: &mut Found) -> Option<Worth> {
    if !is_template(text) {
        let hint = match text.trim().parse::<f64>() {
            Ok(_) => format!("write {}", super::read::short(text.trim())),
            Err(_) => {
                "write the number itself, or number = \"{{ date | format('%Y%m%d') }}\"".to_owned()
            }
        };
        found.wrong(item.problem("is no template").with_hint(hint));
        return None;
    }
    if let Err((message, hint)) = template(item, text, found)?.always_number() {
        found.wrong(item.problem(message).with_hint(hint));
        return None;
    }
    let form = Map::from_iter([("number".to_owned(), Value::String(text.to_owned()))]);
    Some(Worth::template(Value::Object(form)))
}

/// A form of our own, or an object.
fn table(item: &Item<'_>, files: &Files, found: &mut Found) -> Option<Worth> {
    let table = item.open_table(found)?;
    if let [only] = table.items.as_slice() {
        match (only.key, only.value) {
            ("null", DeValue::Boolean(true)) => return Some(Value::Null.into()),
            ("null", _) => {
                found.wrong(
                    only.problem("NULL is written { null = true }").with_hint(
                        "leave the parameter's value as it is, or write { null = true }",
                    ),
                );
                return None;
            }
            ("file", DeValue::String(_)) => return file(only, files, found).map(Worth::from),
            ("number", DeValue::String(text)) => return number(only, text, found),
            _ => {}
        }
    }
    let mut map = Map::new();
    let mut templates = Vec::new();
    let mut whole = true;
    for item in &table.items {
        if is_template(item.key) {
            let message = "a key is no template: it is sent as it stands";
            found.doubtful(
                item.key_problem(message)
                    .with_hint("templates stand in values"),
            );
        }
        match json(item, files, found) {
            Some(worth) => {
                let inner = worth.templates.iter();
                templates.extend(inner.map(|at| pointer(item.key, at)));
                map.insert(item.key.to_owned(), worth.json);
            }
            None => whole = false,
        }
    }
    let json = Value::Object(map);
    whole.then_some(Worth { json, templates })
}

/// The text of a file, as it is.
fn file(item: &Item<'_>, files: &Files, found: &mut Found) -> Option<Value> {
    let path = super::daemon::path(item, found)?;
    match files.text(path) {
        Ok(text) => Some(Value::String(text.to_string())),
        Err(why) => {
            found.wrong(
                item.problem(why)
                    .with_hint("the path is relative to the folder of this file"),
            );
            None
        }
    }
}

/// Every digit is kept; hexadecimal, octal and binary become decimal.
fn integer(item: &Item<'_>, number: &DeInteger<'_>, found: &mut Found) -> Option<Value> {
    let digits = match number.radix() {
        10 => plain(number.as_str()),
        radix => match u128::from_str_radix(&plain(number.as_str()), radix) {
            Ok(value) => value.to_string(),
            Err(_) => {
                found.wrong(
                    item.problem("the number is too large for this notation")
                        .with_hint("write it in decimal"),
                );
                return None;
            }
        },
    };
    let size = digits.trim_start_matches('-').parse::<u64>();
    if size.is_ok_and(|n| n <= SAFE) {
        return parsed(item, &digits, found);
    }
    let value = parsed(item, &digits, found)?;
    found.doubtful(
        item.problem("many readers of JSON round whole numbers beyond 9007199254740991")
            .with_hint(format!(
                "write it as text if the procedure takes text: \"{digits}\""
            )),
    );
    Some(value)
}

fn float(item: &Item<'_>, text: &str, found: &mut Found) -> Option<Value> {
    let text = plain(text);
    let value: f64 = text.parse().unwrap_or(f64::NAN);
    if !value.is_finite() {
        let message = if text.contains("inf") || text.contains("nan") {
            "JSON has neither nan nor inf"
        } else {
            "the number is too large"
        };
        found.wrong(
            item.problem(message)
                .with_hint("write a number, or { null = true }"),
        );
        return None;
    }
    parsed(item, &text, found)
}

/// The number as JSON writes it: without a leading `+` and without `_`. An exponent gets its sign when it is parsed, as
/// it would when it is read back from the store.
fn plain(text: &str) -> String {
    text.trim_start_matches('+').replace('_', "")
}

fn parsed(item: &Item<'_>, text: &str, found: &mut Found) -> Option<Value> {
    let number: Option<Number> = serde_json::from_str(text).ok();
    if number.is_none() {
        found.wrong(item.problem("is not a number that JSON can say"));
    }
    number.map(Value::Number)
}

/// RFC 3339 with a `T` and with seconds; a date or time alone likewise.
fn date(item: &Item<'_>) -> String {
    let DeValue::Datetime(value) = item.value else {
        return String::new();
    };
    let mut value = *value;
    if let Some(time) = &mut value.time {
        time.second.get_or_insert(0);
    }
    value.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::read::Table;
    use super::super::source::Source;
    use super::*;
    use toml::de::DeTable;

    /// The JSON of `a = <text>`, or the problem; and the first warning.
    fn read(text: &str) -> (Result<String, String>, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("area.geojson"), "{\"a\": 1}\n").unwrap();
        std::fs::write(folder.path().join("latin.txt"), [0xe9]).unwrap();
        std::fs::write(folder.path().join("large.txt"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
        let path = folder.path().join("a.toml");
        let source = Source::new(path, "a.toml".into(), format!("a = {text}"));
        let parsed = DeTable::parse(&source.text).unwrap();
        let table = Table::of_file(&source, parsed.get_ref());
        let mut found = Found::default();
        let value = json(&table.items[0], &Files::default(), &mut found);
        let warning = found.warnings.pop().map(|p| p.message);
        match value {
            Some(worth) => {
                assert!(found.problems.is_empty());
                (Ok(worth.json.to_string()), warning)
            }
            None => (Err(found.problems.remove(0).message), warning),
        }
    }

    #[test]
    fn every_kind_of_value_has_its_json_form() {
        let table = [
            ("2", "2"),
            ("2.0", "2.0"),
            ("2.50", "2.50"),
            ("-0.0", "-0.0"),
            ("+7", "7"),
            ("1_000", "1000"),
            ("0xFF", "255"),
            ("0o17", "15"),
            ("0b11", "3"),
            ("1e3", "1e+3"),
            ("6.02E+23", "6.02e+23"),
            ("true", "true"),
            ("'text'", "\"text\""),
            ("'a lone }} is text'", "\"a lone }} is text\""),
            ("2027-03-01", "\"2027-03-01\""),
            ("2027-03-01T02:15:00", "\"2027-03-01T02:15:00\""),
            ("2027-03-01 02:15:00+01:00", "\"2027-03-01T02:15:00+01:00\""),
            ("2027-03-01T02:15:00.5Z", "\"2027-03-01T02:15:00.5Z\""),
            ("02:15:00", "\"02:15:00\""),
            ("[1, 'b', [2.0]]", "[1,\"b\",[2.0]]"),
            (
                "{ z = 1, a = { c = 2, b = 3 } }",
                "{\"z\":1,\"a\":{\"c\":2,\"b\":3}}",
            ),
            ("{ null = true }", "null"),
            ("[{ null = true }]", "[null]"),
            ("{ null = true, other = 1 }", "{\"null\":true,\"other\":1}"),
            ("{ number = 5 }", "{\"number\":5}"),
            ("{ file = 'area.geojson' }", "\"{\\\"a\\\": 1}\\n\""),
        ];
        for (text, json) in table {
            assert_eq!(read(text), (Ok(json.to_owned()), None), "{text}");
        }
    }

    #[test]
    fn large_whole_numbers_keep_every_digit_with_a_warning() {
        for digits in [
            "9007199254740992",
            "-9007199254740992",
            "123456789012345678901234567890",
        ] {
            let (value, warning) = read(digits);
            assert_eq!(value.as_deref(), Ok(digits));
            assert!(warning.unwrap().contains("round"), "{digits}");
        }
        assert_eq!(read("9007199254740991").1, None);
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let table = [
            ("nan", "JSON has neither nan nor inf"),
            ("-inf", "JSON has neither nan nor inf"),
            ("1e999", "the number is too large"),
            ("{ null = false }", "NULL is written { null = true }"),
            ("{ file = 'none.txt' }", "there is no such file"),
            (
                "{ file = 'latin.txt' }",
                "not UTF-8: byte 1 is no part of a character",
            ),
            (
                "{ file = 'large.txt' }",
                "larger than 1024 KiB, the most that is read",
            ),
            ("'{{ dat }}'", "there is no such name"),
            (
                "{ number = '{{ date }}' }",
                "does not always give a whole number: it takes digits alone",
            ),
            (
                "{ number = '{{ nominal | format(\"%s%H%M\") }}' }",
                "gives up to 16 digits, and many readers of JSON round beyond 15",
            ),
            ("{ number = '5' }", "is no template"),
            ("[[1, nan]]", "JSON has neither nan nor inf"),
        ];
        for (text, message) in table {
            assert_eq!(read(text).0, Err(message.to_owned()), "{text}");
        }
    }
}
