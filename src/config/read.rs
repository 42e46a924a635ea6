//! Typed access to a tree of TOML values: whatever does not fit becomes a problem with its place, and reading goes on.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::key_path::KeyPath;
use super::problem::Problem;
use super::raw::Keys;
use super::secrets;
use super::source::{Place, Source};
use super::suggest;

/// The most problems that are kept of one configuration; nobody reads more.
const MOST: usize = 1_000;

/// So many problems come with a guess at what was meant.
const GUESSED: usize = 100;

/// What was found while reading.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// What is worth a second look.
    pub(super) warnings: Vec<Problem>,
}

impl Found {
    /// Whether it is worth the time to guess what was meant: more problems than this are not shown, and a guess costs a
    /// comparison with every word that there is.
    pub(super) fn is_few(&self) -> bool {
        self.problems.len() < GUESSED
    }

    /// What was found elsewhere comes after what was found here.
    pub(super) fn take_in(&mut self, other: Self) {
        other.problems.into_iter().for_each(|p| self.wrong(p));
        other.warnings.into_iter().for_each(|w| self.doubtful(w));
    }

    /// Something is wrong.
    pub(super) fn wrong(&mut self, problem: Problem) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        }
    }

    /// Something is worth a second look.
    pub(super) fn doubtful(&mut self, warning: Problem) {
        if self.warnings.len() < MOST {
            self.warnings.push(warning);
        }
    }
}

/// A key with its value, or an element of a list.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    /// The key path: `schedule.nightly.cron`.
    pub(super) path: KeyPath<'a>,
    /// The key alone; for an element that of its list.
    pub(super) key: &'a str,
    /// Where the key stands; for an element its value.
    pub(super) key_at: Place<'a>,
    /// Where the value stands.
    pub(super) at: Place<'a>,
    /// The value.
    pub(super) value: &'a DeValue<'a>,
}

/// A text of the file as it may stand in a message: bounded, in one line, and never a secret.
pub(super) fn short(text: &str) -> String {
    if secrets::looks_secret(text) {
        return "…".to_owned();
    }
    let mut shown: String = text
        .chars()
        .take(80)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

impl<'a> Item<'a> {
    /// The problem that is shown at the value.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        self.at.problem(&self.path, message)
    }

    /// The problem that is shown at the key.
    pub(super) fn key_problem(&self, message: impl Into<String>) -> Problem {
        self.key_at.problem(&self.path, message)
    }

    /// What kind of value this is, for people.
    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// The problem of a value of another type.
    pub(super) fn wrong_type(&self, expected: &str) -> Problem {
        self.problem(format!("must be {expected}, and is {}", self.kind()))
    }

    /// Text that is not empty.
    pub(super) fn text(&self, found: &mut Found) -> Option<&'a str> {
        let DeValue::String(text) = self.value else {
            let problem = self.wrong_type("text");
            found.wrong(match self.value {
                DeValue::Integer(_) | DeValue::Float(_) => problem.with_hint("put it into quotes"),
                _ => problem,
            });
            return None;
        };
        if text.trim().is_empty() {
            found.wrong(self.problem("must not be empty"));
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, found: &mut Found) -> Option<bool> {
        if let DeValue::Boolean(flag) = self.value {
            return Some(*flag);
        }
        let problem = self.wrong_type("true or false");
        found.wrong(match self.value {
            DeValue::String(text) if ["true", "false"].contains(&text.as_ref()) => {
                problem.with_hint(format!("write {} = {text}, without quotes", self.key))
            }
            _ => problem,
        });
        None
    }

    /// A whole number within a range.
    pub(super) fn integer(&self, range: RangeInclusive<i64>, found: &mut Found) -> Option<i64> {
        let DeValue::Integer(number) = self.value else {
            let problem = self.wrong_type("a whole number");
            found.wrong(match self.value {
                DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
                    problem.with_hint(format!("write {} = {}", self.key, text.trim()))
                }
                _ => problem,
            });
            return None;
        };
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = value.filter(|n| range.contains(n));
        if fits.is_none() {
            let (least, most) = range.into_inner();
            let message = format!("must be from {least} to {most}");
            found.wrong(self.problem(message));
        }
        fits
    }

    /// A number within a range, with or without a fraction.
    pub(super) fn number(&self, range: RangeInclusive<f64>, found: &mut Found) -> Option<f64> {
        let value: Option<f64> = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => {
                found.wrong(self.wrong_type("a number"));
                return None;
            }
        };
        let fits = value.filter(|n| range.contains(n));
        if fits.is_none() {
            let (least, most) = range.into_inner();
            found.wrong(self.problem(format!("must be from {least} to {most}")));
        }
        fits
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&self, least: Duration, found: &mut Found) -> Option<Duration> {
        let text = match self.value {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                let n = short(number.as_str());
                found.wrong(self.problem(format!("{n} has no unit")).with_hint(format!(
                    "write {key} = \"{n}s\" for seconds or {key} = \"{n}m\" for minutes",
                    key = self.key
                )));
                return None;
            }
            _ => {
                let hint = "write for example \"90s\", \"2h\" or \"1h 30m\"";
                found.wrong(self.wrong_type("a duration in quotes").with_hint(hint));
                return None;
            }
        };
        match duration::parse(text) {
            Ok(value) if value >= least => Some(value),
            Ok(_) => {
                let least = duration::show(least);
                found.wrong(self.problem(format!("must be at least {least}")));
                None
            }
            Err(error) => {
                let mut problem = self.problem(error.message);
                problem.hint = error.hint;
                found.wrong(problem);
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&self, words: &[(T, &str)], found: &mut Found) -> Option<T> {
        let text = self.text(found)?;
        let known = words.iter().find(|(_, word)| *word == text);
        if known.is_none() {
            let all: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
            let message = format!("`{}` is none of: {}", short(text), all.join(" "));
            let mut problem = self.problem(message);
            problem.hint = suggest::did_you_mean(text, all);
            found.wrong(problem);
        }
        known.map(|(value, _)| *value)
    }

    /// The elements of a list; a text alone counts as a list of one.
    pub(super) fn one_or_more(&self, found: &mut Found) -> Vec<Item<'a>> {
        match self.value {
            DeValue::String(_) => vec![self.clone()],
            _ => self.list("text or a list of texts", found),
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self, expected: &str, found: &mut Found) -> Vec<Item<'a>> {
        let DeValue::Array(items) = self.value else {
            let problem = self.wrong_type(expected);
            found.wrong(match self.value {
                DeValue::String(text) => {
                    problem.with_hint(format!("write {} = [\"{}\"]", self.key, short(text)))
                }
                _ => problem,
            });
            return Vec::new();
        };
        self.elements(items)
    }

    /// The elements of a list that was already recognised as one.
    pub(super) fn elements(&self, items: &'a [Spanned<DeValue<'a>>]) -> Vec<Item<'a>> {
        let element = |(i, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let at = Place::new(self.at.source, item.span());
            Item {
                path: self.path.element(i),
                key: self.key,
                key_at: at,
                at,
                value: item.get_ref(),
            }
        };
        items.iter().enumerate().map(element).collect()
    }

    /// A list of texts.
    pub(super) fn texts(&self, found: &mut Found) -> Vec<String> {
        self.list("a list of texts", found)
            .iter()
            .filter_map(|item| item.text(found).map(str::to_owned))
            .collect()
    }

    /// A table whose keys are all names that people choose.
    pub(super) fn open_table(&self, found: &mut Found) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self, table)),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                let hint = format!("write [{}.NAME], with single brackets", self.path);
                found.wrong(self.key_problem("must be a table, not a list of tables"));
                if let Some(problem) = found.problems.last_mut() {
                    problem.hint = Some(hint);
                }
                None
            }
            _ => {
                found.wrong(self.wrong_type("a table"));
                None
            }
        }
    }

    /// Whether this is the table of a named thing; a key that stands where names should is a problem.
    pub(super) fn is_named_table(&self, what: &str, found: &mut Found) -> bool {
        let table = self.value.is_table();
        if !table {
            found.wrong(
                self.key_problem(format!("stands where the name of a {what} should"))
                    .with_hint(format!("write [{what}.NAME] above it")),
            );
        }
        table
    }

    /// A table of known keys; the others are problems.
    pub(super) fn table(&self, keys: &'static Keys, found: &mut Found) -> Option<Table<'a>> {
        let before = found.problems.len();
        let Some(table) = self.open_table(found) else {
            if let Some(problem) = found.problems.get_mut(before) {
                let all: Vec<String> = keys.keys.iter().map(|k| format!("{k} = …")).collect();
                let hint = format!("write {} = {{ {} }}", self.key, all.join(", "));
                problem.hint.get_or_insert(hint);
            }
            return None;
        };
        table.check_keys(keys, found);
        Some(table)
    }
}

/// The keys of a table in the order in which they were written.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    /// The key path: `schedule.nightly`.
    pub(super) path: KeyPath<'a>,
    /// Where it begins: the name in its header, or the key of an inline table.
    pub(super) at: Place<'a>,
    /// Its keys.
    pub(super) items: Vec<Item<'a>>,
}

impl<'a> Table<'a> {
    fn new(item: &Item<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            path: item.path.clone(),
            at: item.key_at,
            items: items(item.at.source, &item.path, table),
        }
    }

    /// The whole of a file.
    pub(super) fn of_file(source: &'a Source, table: &'a DeTable<'a>) -> Self {
        Self {
            path: KeyPath::default(),
            at: Place::new(source, 0..0),
            items: items(source, &KeyPath::default(), table),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Item<'a>> {
        self.items.iter().find(|item| item.key == key)
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &str, example: &str, found: &mut Found) -> Option<&Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            found.wrong(
                self.at
                    .problem(&self.path, format!("`{key}` is missing"))
                    .with_hint(format!("add {key} = {example}")),
            );
        }
        item
    }

    /// Every key that the table may not hold is a problem.
    pub(super) fn check_keys(&self, keys: &'static Keys, found: &mut Found) {
        for item in &self.items {
            if !keys.keys.contains(&item.key) {
                let mut problem = item.key_problem("unknown key");
                if found.is_few() {
                    problem.hint = suggest::for_key(item.key, keys);
                }
                found.wrong(problem);
            }
        }
    }
}

/// The keys of a table in the order in which they were written: the parser sorts them by name.
fn items<'a>(source: &'a Source, path: &KeyPath<'a>, table: &'a DeTable<'a>) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = table
        .iter()
        .map(|(key, value)| {
            let name: &'a str = key.get_ref();
            Item {
                path: path.key(name),
                key: name,
                key_at: Place::new(source, key.span()),
                at: Place::new(source, value.span()),
                value: value.get_ref(),
            }
        })
        .collect();
    items.sort_by_key(|item| item.key_at.start);
    items
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::raw;

    /// What `read` makes of each key of the text, and the problems that it finds.
    fn with<T>(text: &str, read: impl Fn(&Item<'_>, &mut Found) -> T) -> (Vec<T>, Vec<String>) {
        let source = Source::new("/a.toml".into(), "a.toml".into(), text.into());
        let parsed = DeTable::parse(&source.text).unwrap();
        let table = Table::of_file(&source, parsed.get_ref());
        let mut found = Found::default();
        let values = table.items.iter().map(|i| read(i, &mut found)).collect();
        let said = |p: &Problem| {
            let hint = p.hint.as_deref().unwrap_or("");
            format!("{}:{} {}: {} / {hint}", p.line, p.column, p.key, p.message)
        };
        (values, found.problems.iter().map(said).collect())
    }

    #[test]
    fn keys_come_in_the_order_in_which_they_were_written() {
        let (keys, _) = with("z = 1\na.y = 2\nb = 3\na.x = 4\n", |i, _| {
            i.path.to_string()
        });
        assert_eq!(keys, ["z", "a", "b"]);
    }

    #[test]
    fn every_wrong_type_is_told_with_its_place() {
        let (_, said) = with("a = 90\nb = \"90\"\nc = true\nd = \"2h\"\n", |i, f| {
            i.duration(Duration::from_secs(1), f)
        });
        assert_eq!(
            said,
            [
                "1:5 a: 90 has no unit / write a = \"90s\" for seconds or a = \"90m\" for minutes",
                "2:5 b: 90 has no unit / write \"90s\" for seconds or \"90m\" for minutes",
                "3:5 c: must be a duration in quotes, and is true or false / \
                 write for example \"90s\", \"2h\" or \"1h 30m\"",
            ]
        );
    }

    #[test]
    fn numbers_have_ranges() {
        let (values, said) = with(
            "a = 0\nb = 0x10\nc = 99999999999999999999\nd = \"5\"",
            |i, f| i.integer(1..=100, f),
        );
        assert_eq!(values, [None, Some(16), None, None]);
        assert_eq!(
            said,
            [
                "1:5 a: must be from 1 to 100 / ",
                "3:5 c: must be from 1 to 100 / ",
                "4:5 d: must be a whole number, and is text / write d = 5",
            ]
        );
        let (values, _) = with("a = 1\nb = 0.5\nc = nan\nd = inf\ne = -1", |i, f| {
            i.number(0.0..=1.0, f)
        });
        assert_eq!(values, [Some(1.0), Some(0.5), None, None, None]);
    }

    #[test]
    fn words_are_guessed() {
        let (_, said) = with("a = \"verfy\"", |i, f| {
            i.word(&crate::sched::policy::DoubtPolicy::ALL, f)
        });
        assert_eq!(
            said,
            ["1:5 a: `verfy` is none of: verify hold resubmit / did you mean `verify`?"]
        );
    }

    #[test]
    fn unknown_keys_and_lists_of_tables_are_told() {
        let (_, said) = with("[daemon]\ndatabse = 1\n[[schedule]]\nname = 1", |i, f| {
            i.table(&raw::DAEMON, f).is_some()
        });
        assert_eq!(
            said,
            [
                "2:1 daemon.databse: unknown key / did you mean `database`?",
                "3:3 schedule: must be a table, not a list of tables / \
                 write [schedule.NAME], with single brackets",
            ]
        );
    }
}
