//! Parameters: tables and statements of one schedule, to the statement and the values that the vendor is sent.
//!
//! An input is the inside of a `[schedule.x]` table. What comes of it is compared with a second reading of the same
//! text by other means.

use std::sync::Arc;

use nightcall::config::Config;
use nightcall::sched::call::Parameters;
use nightcall::sched::id::RunId;
use nightcall::sched::schedule::Definition;
use nightcall::sched::template::Occasion;
use nightcall::sched::time::civil::DateTime;
use nightcall::sched::time::{TimeZone, Timestamp};
use nightcall::sched::trigger::Fold;
use serde_json::Value;

use super::reading::{load, rendered, well_formed};

/// What every input begins with.
const HEAD: &str = "[connection.c]\nbase_url = \"https://api.example.com\"\n\
    provider = \"bigquery\"\ntoken = { env = \"T\" }\n[defaults]\nconnection = \"c\"\n\
    [schedule.x]\ncron = \"15 2 * * *\"\n";

/// Loads a schedule with this inside.
pub fn parameters(data: &[u8]) {
    let Ok(inside) = std::str::from_utf8(data) else {
        return;
    };
    let text = format!("{HEAD}{inside}");
    match load(&text) {
        Ok(config) => {
            config.warnings.iter().for_each(well_formed);
            for schedule in &config.schedules {
                schedule.definitions.iter().for_each(|d| are_bound(d));
            }
            agree(&text, &config);
        }
        Err(problems) => {
            rendered(&problems);
        }
    }
}

/// The values are JSON that reads back to the same, and a CALL that was made names each of them once, in order.
pub(crate) fn are_bound(definition: &Definition) {
    let json = definition.parameters.to_json();
    let body = serde_json::to_string(&json).expect("values are written");
    let read: Value = serde_json::from_str(&body).expect("values are JSON");
    assert_eq!(read, json, "{body}");
    assert_eq!(
        Parameters::from_json(read).as_ref(),
        Some(&**definition.parameters.values())
    );
    assert_eq!(definition.query.trim(), &*definition.query);
    renders(definition);
}

/// For every date there are values, of the same form as those that are written.
fn renders(definition: &Definition) {
    let written = &definition.parameters;
    let run = RunId::planned(definition.series.clone(), Timestamp::UNIX_EPOCH);
    for civil in [DateTime::MIN, DateTime::MAX, DateTime::default()] {
        let rendered = written.rendered(&Occasion {
            run: &run,
            civil,
            fold: Fold::First,
            zone: &TimeZone::UTC,
        });
        assert_eq!(
            Arc::ptr_eq(&rendered, written.values()),
            !written.has_templates()
        );
        let (before, after) = (written.to_json(), rendered.to_json());
        for at in written.places() {
            let kind = before.pointer(at).map(Value::is_string);
            let value = after.pointer(at).expect("a template leaves a value");
            assert_eq!(kind, Some(value.is_string()), "{at} of {after}");
            assert!(value.is_string() || value.is_i64(), "{at} of {after}");
        }
    }
}

/// Compares with the text, read by other means; nothing is compared when those cannot read it.
pub(crate) fn agree(text: &str, config: &Config) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Ok(file) = text.parse::<toml::Table>() else {
        return;
    };
    for schedule in &config.schedules {
        let said = &file["schedule"][schedule.name.as_str()];
        let sets = said.get("set").and_then(toml::Value::as_table);
        assert_eq!(
            schedule.definitions.len(),
            sets.map_or(1, toml::Table::len),
            "one series a set"
        );
        for definition in &schedule.definitions {
            let own = sets.map(|sets| &sets[definition.series.set.as_str()]);
            statement(said, definition);
            values(said.get("parameters"), own, definition);
        }
    }
}

/// A statement is what the file says, or made of names alone: no value can have come into it.
fn statement(said: &toml::Value, definition: &Definition) {
    let text = |key: &str| said.get(key).and_then(toml::Value::as_str);
    if let Some(call) = text("call") {
        assert_eq!(&*definition.query, call.trim());
        return;
    }
    let procedure = text("procedure").expect("a schedule has call or procedure");
    let Parameters::Named(values) = &**definition.parameters.values() else {
        panic!("a procedure takes values by name: {definition:?}");
    };
    let names: Vec<&str> = values.keys().map(String::as_str).collect();
    let (name, arguments) = split(procedure);
    if let Some(arguments) = arguments {
        assert_eq!(names, arguments, "the values are those of the signature");
    }
    let placeholders: Vec<String> = names.iter().map(|name| format!("@{name}")).collect();
    let made = format!("CALL `{name}`({})", placeholders.join(","));
    assert_eq!(&*definition.query, made);
}

/// The name and the arguments of `a.b.c(x, y)`.
fn split(procedure: &str) -> (String, Option<Vec<&str>>) {
    let plain = procedure.trim_matches(|c: char| c.is_whitespace() || c == ';');
    let (name, arguments) = match plain.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end().trim_end_matches(')'))),
        None => (plain, None),
    };
    let arguments = arguments.map(|list| {
        let names = list.split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).collect()
    });
    (name.trim().replace('`', ""), arguments)
}

/// Every value is the set's own, else the shared one.
fn values(shared: Option<&toml::Value>, own: Option<&toml::Value>, definition: &Definition) {
    let mut templates = 0;
    match &**definition.parameters.values() {
        Parameters::Named(values) => {
            for (name, value) in values {
                let said = own
                    .and_then(|own| own.get(name))
                    .or_else(|| shared?.get(name))
                    .unwrap_or_else(|| panic!("nobody says {name}"));
                assert!(same(said, value), "{name}: {said} became {value}");
                templates += templates_in(said);
            }
        }
        Parameters::Positional(list) => {
            let said = own.and_then(toml::Value::as_array);
            let said = said.or_else(|| shared?.as_array()).expect("a list is said");
            assert_eq!(said.len(), list.len());
            let mut pairs = said.iter().zip(list);
            assert!(
                pairs.all(|(said, value)| same(said, value)),
                "{said:?}: {list:?}"
            );
            templates = said.iter().map(templates_in).sum();
        }
    }
    assert_eq!(templates, definition.parameters.places().count());
}

/// How many templates a value holds: texts with `{{` that are not the name of a file.
fn templates_in(said: &toml::Value) -> usize {
    use toml::Value as Toml;
    match said {
        Toml::String(text) => usize::from(text.contains("{{")),
        Toml::Array(items) => items.iter().map(templates_in).sum(),
        Toml::Table(table) if table.len() == 1 && table.contains_key("file") => {
            let inner = &table["file"];
            match inner {
                Toml::String(_) => 0,
                inner => templates_in(inner),
            }
        }
        Toml::Table(table) => table.values().map(templates_in).sum(),
        _ => 0,
    }
}

/// Whether JSON says the same as TOML.
fn same(said: &toml::Value, value: &Value) -> bool {
    use toml::Value as Toml;
    match (said, value) {
        (Toml::String(text), Value::String(json)) => text == json,
        (Toml::Integer(number), Value::Number(json)) => json.to_string() == number.to_string(),
        (Toml::Float(number), Value::Number(json)) => json.as_f64() == Some(*number),
        (Toml::Boolean(flag), Value::Bool(json)) => flag == json,
        (Toml::Datetime(_), Value::String(json)) => json.bytes().all(|b| b.is_ascii_graphic()),
        (Toml::Array(items), Value::Array(json)) => {
            items.len() == json.len() && items.iter().zip(json).all(|(a, b)| same(a, b))
        }
        (Toml::Table(table), json) if table.len() == 1 && table.contains_key("null") => {
            json.is_null()
        }
        // The text of a file, which is not read here.
        (Toml::Table(table), Value::String(_)) => table.len() == 1 && table.contains_key("file"),
        (Toml::Table(table), Value::Object(json)) => {
            table.len() == json.len()
                && table
                    .iter()
                    .all(|(key, a)| json.get(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}
