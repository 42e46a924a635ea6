//! Parameters and parameter sets, made into one series each. Whether they fit what is called: `agreement.rs`.

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::agreement::{Names, counts_agree, mixed_types, swallowed};
use super::key_path::KeyPath;
use super::read::{Found, Item, Table};
use super::source::Place;
use super::statement::{MOST_ARGUMENTS, Statement, bigquery_call};
use super::values::{Files, Worth, json, list};
use crate::sched::call::Parameters;
use crate::sched::id::SetName;
use crate::sched::written::{Written, pointer};

/// One series of a schedule.
#[derive(Debug)]
pub(super) struct Series<'a> {
    /// The set.
    pub(super) set: SetName,
    /// Where it is said: the set's name, or what is called.
    pub(super) at: Place<'a>,
    /// Its key path.
    pub(super) path: KeyPath<'a>,
    /// The statement.
    pub(super) query: String,
    /// Its values.
    pub(super) parameters: Written,
}

/// A parameter by name.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) item: Item<'a>,
    /// `None`: something is wrong with it, and was told.
    pub(super) value: Option<Value>,
    /// Where in the value templates stand, as JSON pointers.
    templates: Vec<String>,
}

/// The values of a table or a list.
#[derive(Clone, Debug)]
pub(super) enum Given<'a> {
    Nothing,
    /// Neither table nor list, as was told.
    Wrong,
    Named(Item<'a>, Vec<Named<'a>>),
    List(Item<'a>, Option<Listed>),
}

/// Values by position, and where in them templates stand.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) values: Vec<Value>,
    templates: Vec<String>,
}

/// A set as it is written.
pub(super) struct Set<'a> {
    pub(super) name: SetName,
    pub(super) item: Item<'a>,
    pub(super) given: Given<'a>,
}

/// The values of a schedule: what the sets share, and the sets.
pub(super) struct Values<'a> {
    shared: Given<'a>,
    sets: Vec<Set<'a>>,
}

impl<'a> Values<'a> {
    /// Reads `parameters` and `set`; the types of all values are checked.
    pub(super) fn read(table: &Table<'a>, files: &Files, found: &mut Found) -> Self {
        let shared = match table.get("parameters") {
            Some(item) => given(item, files, found),
            None => Given::Nothing,
        };
        let sets = sets(table, files, found);
        mixed_types(&shared, &sets, found);
        Self { shared, sets }
    }

    /// Every series of the schedule; what is wrong with it is told, and then the list is of no use.
    pub(super) fn series(
        self,
        table: &Table<'a>,
        statement: &Statement<'a>,
        found: &mut Found,
    ) -> Vec<Series<'a>> {
        let Self { shared, sets } = self;
        let all = || std::iter::once(&shared).chain(sets.iter().map(|set| &set.given));
        if all().any(|given| matches!(given, Given::Wrong)) {
            return Vec::new();
        }
        if too_large(table, statement, &shared, &sets, found) {
            return Vec::new();
        }
        for given in all() {
            swallowed(given, statement, found);
        }
        if all().any(|given| matches!(given, Given::List(..))) {
            return lists(table, statement, &shared, &sets, found);
        }
        by_name(table, statement, &shared, sets, found)
    }
}

/// The most that all series of a schedule may take together, in bytes: each has its own copy of the statement and of the
/// values that they share.
const LARGEST: usize = 64 << 20;

/// Whether the sets repeat so much that they would fill the memory, as is told.
fn too_large(
    table: &Table<'_>,
    statement: &Statement<'_>,
    shared: &Given<'_>,
    sets: &[Set<'_>],
    found: &mut Found,
) -> bool {
    let values = match shared {
        Given::Named(_, named) => named
            .iter()
            .map(|named| named.item.key.len() + named.value.as_ref().map_or(0, size))
            .sum(),
        Given::List(_, Some(listed)) => listed.values.iter().map(size).sum(),
        _ => 0,
    };
    let repeated = statement.size() + values;
    let Some(item) = table
        .get("set")
        .filter(|_| repeated.saturating_mul(sets.len()) > LARGEST)
    else {
        return false;
    };
    let message = format!(
        "{} sets repeat {} KiB each, the statement and the values that they share: more than {} \
         MiB in all",
        sets.len(),
        repeated / 1024,
        LARGEST >> 20
    );
    let hint = "keep large values in the warehouse and pass their name";
    found.wrong(item.key_problem(message).with_hint(hint));
    true
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    const OWN: usize = size_of::<Value>();
    OWN + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Series whose values go by name.
fn by_name<'a>(
    table: &Table<'a>,
    statement: &Statement<'a>,
    shared: &Given<'a>,
    sets: Vec<Set<'a>>,
    found: &mut Found,
) -> Vec<Series<'a>> {
    let names = Names::of(statement, shared, &sets);
    names.check(table, statement, shared, &sets, found);
    let mut series = |name: SetName, item: Option<&Item<'a>>, own: &Given<'a>| {
        let item = item.unwrap_or(statement.item());
        Some(Series {
            set: name,
            at: item.key_at,
            path: item.path.clone(),
            query: match statement {
                Statement::Procedure { name, .. } => bigquery_call(name, &names.all),
                Statement::Call { query, .. } => query.clone(),
            },
            parameters: merged(item, &names.all, shared, own, found)?,
        })
    };
    if table.get("set").is_none() {
        let only = series(SetName::default_set(), None, &Given::Nothing);
        return only.into_iter().collect();
    }
    sets.into_iter()
        .filter_map(|set| series(set.name, Some(&set.item), &set.given))
        .collect()
}

/// The values of `parameters` or of a set.
fn given<'a>(item: &Item<'a>, files: &Files, found: &mut Found) -> Given<'a> {
    let too_many = || {
        let message = format!("there are more than {MOST_ARGUMENTS} values");
        item.key_problem(message).with_hint("give fewer")
    };
    if let DeValue::Array(items) = item.value {
        if items.len() > MOST_ARGUMENTS {
            found.wrong(too_many());
            return Given::Wrong;
        }
        let listed = match list(&item.elements(items), files, found) {
            Some(Worth {
                json: Value::Array(values),
                templates,
            }) => Some(Listed { values, templates }),
            _ => None,
        };
        return Given::List(item.clone(), listed);
    }
    if !item.value.is_table() {
        let problem = item.wrong_type("a table, or a list for values by position");
        found.wrong(problem.with_hint(format!("write {} = {{ name = value }}", item.key)));
        return Given::Wrong;
    }
    let Some(table) = item.open_table(found) else {
        return Given::Nothing;
    };
    if table.items.len() > MOST_ARGUMENTS {
        found.wrong(too_many());
        return Given::Wrong;
    }
    let named = table
        .items
        .into_iter()
        .map(|item| {
            let worth = json(&item, files, found);
            let (value, templates) = match worth {
                Some(worth) => (Some(worth.json), worth.templates),
                None => (None, Vec::new()),
            };
            Named {
                item,
                value,
                templates,
            }
        })
        .collect();
    Given::Named(item.clone(), named)
}

fn sets<'a>(table: &Table<'a>, files: &Files, found: &mut Found) -> Vec<Set<'a>> {
    let Some(item) = table.get("set") else {
        return Vec::new();
    };
    let Some(table) = item.open_table(found) else {
        return Vec::new();
    };
    if table.items.is_empty() {
        found.wrong(
            item.problem("holds no set, so nothing would run")
                .with_hint("add set.NAME = { … }, or leave `set` out"),
        );
    }
    let mut sets = Vec::new();
    for item in &table.items {
        let given = given(item, files, found);
        match SetName::new(item.key) {
            Ok(name) => sets.push(Set {
                name,
                item: item.clone(),
                given,
            }),
            Err(_) => found.wrong(item.key_problem("a name is 1 to 100 of A-Z a-z 0-9 _ -")),
        }
    }
    sets
}

impl<'a> Given<'a> {
    /// The values by name; none for a list.
    pub(super) fn named(&self) -> &[Named<'a>] {
        match self {
            Self::Named(_, named) => named,
            _ => &[],
        }
    }

    /// Whether this name is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.named().iter().any(|named| named.item.key == name)
    }

    /// The value of a name.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.find(name)?.value.as_ref()
    }

    fn find(&self, name: &str) -> Option<&Named<'a>> {
        self.named().iter().find(|named| named.item.key == name)
    }
}

/// The values in the order of the call, a set's own before the shared.
fn merged(
    item: &Item<'_>,
    names: &[String],
    shared: &Given<'_>,
    own: &Given<'_>,
    found: &mut Found,
) -> Option<Written> {
    // Exactly: maps grow in large steps, and thousands of schedules keep one each.
    let mut map = Map::with_capacity(names.len());
    let mut templates = Vec::new();
    for name in names {
        let given = |given: &Given<'_>| {
            let named = given.find(name)?;
            Some((named.value.clone()?, named.templates.clone()))
        };
        if let Some((value, inner)) = given(own).or_else(|| given(shared)) {
            templates.extend(inner.iter().map(|at| pointer(name, at)));
            map.insert(name.clone(), value);
        }
    }
    written(item, Parameters::Named(map), templates, found)
}

/// The values with their templates, each of which was read before.
fn written(
    item: &Item<'_>,
    values: Parameters,
    templates: Vec<String>,
    found: &mut Found,
) -> Option<Written> {
    let written = Written::with_templates(values, templates);
    if let Err(error) = &written {
        found.wrong(item.problem(error.to_string()));
    }
    written.ok()
}

/// Series whose values go by position: a set replaces the whole list.
fn lists<'a>(
    table: &Table<'a>,
    statement: &Statement<'a>,
    shared: &Given<'a>,
    sets: &[Set<'a>],
    found: &mut Found,
) -> Vec<Series<'a>> {
    let Statement::Call {
        item: call,
        query,
        asked,
    } = statement
    else {
        let all = std::iter::once(shared).chain(sets.iter().map(|set| &set.given));
        for given in all {
            if let Given::List(item, _) = given {
                found.wrong(
                    item.problem("a procedure takes its parameters by name")
                        .with_hint(format!("write {} = {{ name = value }}", item.key)),
                );
            }
        }
        return Vec::new();
    };
    let mut all = Vec::new();
    let mut add = |set: SetName, item: &Item<'a>, listed: &Option<Listed>, found: &mut Found| {
        let Some(Listed { values, templates }) = listed.clone() else {
            return;
        };
        let values = Parameters::Positional(values);
        let Some(parameters) = written(item, values, templates, found) else {
            return;
        };
        all.push(Series {
            set,
            at: item.key_at,
            path: item.path.clone(),
            query: query.clone(),
            parameters,
        });
    };
    if table.get("set").is_none() {
        if let Given::List(item, values) = shared {
            counts_agree(item, asked, values, found);
            add(SetName::default_set(), call, values, found);
        }
        return all;
    }
    if let Given::Named(item, _) = shared {
        found.wrong(
            item.problem("the sets give values by position, and these are by name")
                .with_hint("write all as lists, or all as tables"),
        );
    }
    for set in sets {
        match (&set.given, shared) {
            (Given::List(item, values), _) => {
                counts_agree(item, asked, values, found);
                add(set.name.clone(), item, values, found);
            }
            // an empty set runs with what the schedule says
            (Given::Named(item, named), Given::List(_, values)) if named.is_empty() => {
                add(set.name.clone(), item, values, found);
            }
            (Given::Named(item, _), _) => found.wrong(
                item.problem("the other values go by position, and these are by name")
                    .with_hint(format!("write {} = [ … ], the whole list", item.key)),
            ),
            (Given::Nothing | Given::Wrong, _) => {}
        }
    }
    all
}
