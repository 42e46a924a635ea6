//! Whether parameters fit what is called: names against the signature both ways, and what is right but seldom meant.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::parameters::{Given, Listed, Set};
use super::problem::Problem;
use super::read::{Found, Item, Table, short};
use super::statement::{Placeholders, Statement, argument_hint};
use super::{raw, suggest};
use crate::sched::template::is_template;

/// The longest list of arguments that is shown whole, in bytes.
const LONGEST_SIGNATURE: usize = 4_000;

/// The names that a series has a value for, in the order of the call.
pub(super) struct Names {
    /// In order.
    pub(super) all: Vec<String>,
    /// Whether a signature or a statement says them, so that they are complete.
    signed: bool,
}

impl Names {
    /// The names for a statement with these values.
    pub(super) fn of(statement: &Statement<'_>, shared: &Given<'_>, sets: &[Set<'_>]) -> Self {
        let shared: Vec<String> = shared
            .named()
            .iter()
            .map(|p| p.item.key.to_owned())
            .collect();
        match statement {
            Statement::Procedure {
                signature: Some(all),
                ..
            } => Self {
                all: all.clone(),
                signed: true,
            },
            Statement::Procedure { .. } => Self {
                all: shared,
                signed: false,
            },
            Statement::Call { .. } => {
                // a set may give a value to any name that the statement mentions
                let mentioned = statement.mentioned();
                let mut all = shared;
                for set in sets {
                    for named in set.given.named() {
                        let name = named.item.key;
                        let news = !all.iter().any(|known| known == name);
                        if news && mentioned.iter().any(|m| m == name) {
                            all.push(name.to_owned());
                        }
                    }
                }
                Self { all, signed: false }
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.all.iter().any(|known| known == name)
    }

    /// Unknown names and missing values.
    pub(super) fn check(
        &self,
        table: &Table<'_>,
        statement: &Statement<'_>,
        shared: &Given<'_>,
        sets: &[Set<'_>],
        found: &mut Found,
    ) {
        for named in shared.named() {
            if !self.has(named.item.key) {
                found.wrong(self.stranger(&named.item));
            }
        }
        for set in sets {
            for named in set.given.named() {
                if !self.has(named.item.key) {
                    found.wrong(self.addition(&named.item, statement, shared, sets, found));
                }
            }
        }
        if self.signed {
            self.missing(table, shared, sets, found);
        }
        match statement {
            Statement::Call { item, asked, .. } => calls_agree(item, asked, shared, sets, found),
            Statement::Procedure {
                item,
                name,
                signature: None,
            } => {
                unsigned(item, name, &self.all, found);
            }
            Statement::Procedure { .. } => {}
        }
    }

    /// A parameter that the signature does not name.
    fn stranger(&self, item: &Item<'_>) -> Problem {
        let key = item.key;
        let problem = item.key_problem(format!("the signature has no argument `{}`", short(key)));
        problem.with_hint(policy_hint(item).unwrap_or_else(|| argument_hint(key, &self.all)))
    }

    /// A parameter of a set that nothing announces.
    fn addition(
        &self,
        item: &Item<'_>,
        statement: &Statement<'_>,
        shared: &Given<'_>,
        sets: &[Set<'_>],
        found: &Found,
    ) -> Problem {
        if self.signed {
            return self.stranger(item);
        }
        let key = short(item.key);
        let near = suggest::did_you_mean(item.key, self.all.iter().map(String::as_str));
        if let Some(hint) = policy_hint(item).or(near) {
            let message = format!("a set may override, not add, and nothing else names `{key}`");
            return item.key_problem(message).with_hint(hint);
        }
        match statement {
            Statement::Procedure { name, .. } => {
                let message = format!(
                    "a set may override, not add: without a signature only the schedule's own \
                     parameters count, and `{key}` is not among them"
                );
                let all = match found.is_few() {
                    true => every_name(shared, sets).join(", "),
                    false => String::new(),
                };
                let hint = match all.len() {
                    1..=LONGEST_SIGNATURE => format!("write procedure = \"{name}({all})\""),
                    _ => format!("write every name behind that of the procedure: {name}(a, b, …)"),
                };
                item.key_problem(message).with_hint(hint)
            }
            Statement::Call { .. } => {
                let message =
                    format!("a set may override, not add, and the call does not mention @{key}");
                let hint = format!("add `{key}` to parameters, or @{key} to the call");
                item.key_problem(message).with_hint(hint)
            }
        }
    }

    /// Arguments without a value: told once when no set has one.
    fn missing(&self, table: &Table<'_>, shared: &Given<'_>, sets: &[Set<'_>], found: &mut Found) {
        for name in self.all.iter().filter(|name| !shared.has(name)) {
            let without: Vec<&Set<'_>> = sets.iter().filter(|set| !set.given.has(name)).collect();
            let hint = format!("add {name} = …, or {name} = {{ null = true }} for the default");
            if without.len() == sets.len() {
                let at = table.get("parameters").map_or(table.at, |item| item.key_at);
                let path = format!("{}.parameters", table.path);
                let message = format!("`{name}` has no value, and the signature asks for it");
                found.wrong(at.problem(&path, message).with_hint(hint));
                continue;
            }
            for set in without {
                let message =
                    format!("`{name}` has no value in this set, and the signature asks for it");
                found.wrong(set.item.key_problem(message).with_hint(hint.clone()));
            }
        }
    }
}

/// Every name that the schedule or a set gives, in the order in which they are written.
fn every_name(shared: &Given<'_>, sets: &[Set<'_>]) -> Vec<String> {
    let mut known = HashSet::new();
    let of_sets = sets.iter().flat_map(|set| set.given.named());
    let every = shared.named().iter().chain(of_sets);
    every
        .map(|named| named.item.key)
        .filter(|name| known.insert(*name))
        .map(str::to_owned)
        .collect()
}

/// Whether a list is as long as the statement asks.
pub(super) fn counts_agree(
    item: &Item<'_>,
    asked: &Placeholders,
    listed: &Option<Listed>,
    found: &mut Found,
) {
    let Some(given) = listed.as_ref().map(|listed| listed.values.len()) else {
        return;
    };
    let asked = asked.highest;
    if asked > 0 && asked != given {
        let message = format!("the call asks for {asked} values, and the list has {given}");
        found.doubtful(
            item.problem(message)
                .with_hint("give one for each placeholder, in order"),
        );
    }
}

/// Whether a call mentions what is given, and is given what it mentions.
fn calls_agree(
    call: &Item<'_>,
    asked: &Placeholders,
    shared: &Given<'_>,
    sets: &[Set<'_>],
    found: &mut Found,
) {
    for name in &asked.names {
        let everywhere = !sets.is_empty() && sets.iter().all(|set| set.given.has(name));
        if !shared.has(name) && !everywhere {
            let message = format!("the call mentions @{name}, which has no value");
            let hint = format!("add parameters = {{ {name} = … }}");
            found.doubtful(call.problem(message).with_hint(hint));
        }
    }
    if asked.highest > 0 && shared.named().is_empty() && sets.is_empty() {
        let message = format!(
            "the call asks for {} values, and none is given",
            asked.highest
        );
        let hint = "add parameters = [ … ]";
        found.doubtful(call.problem(message).with_hint(hint));
    }
    for named in shared.named() {
        if !asked.names.iter().any(|name| name == named.item.key) {
            let key = short(named.item.key);
            let message = format!("the call does not mention @{key}");
            let hint = argument_hint(named.item.key, &asked.names);
            found.doubtful(named.item.key_problem(message).with_hint(hint));
        }
    }
}

/// Without a signature the order of the parameters is the order of the arguments, and a tidy editor may change it.
///
/// The line to write makes the call that is made now. A name that a schedule has too may have come there by mistake
/// (see [`swallowed`]), so that the line without it is told as well.
fn unsigned(item: &Item<'_>, name: &str, arguments: &[String], found: &mut Found) {
    if arguments.is_empty() {
        return;
    }
    let (odd, plain): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|name| raw::SCHEDULE.keys.contains(name));
    let message = "without a signature the order in which the parameters are written is the order \
                   of the arguments";
    let all = arguments.join(", ");
    if all.len() > LONGEST_SIGNATURE {
        let hint = format!("write them behind the name, in the order of the call: {name}(a, b, …)");
        found.doubtful(item.problem(message).with_hint(hint));
        return;
    }
    let mut hint = format!("write {} = \"{name}({all})\"", item.key);
    if !odd.is_empty() {
        let verb = if odd.len() == 1 { "is" } else { "are" };
        hint.push_str(&format!(
            "; when `{}` {verb} meant for the schedule, \"{name}({})\"",
            odd.join("`, `"),
            plain.join(", ")
        ));
    }
    found.doubtful(item.problem(message).with_hint(hint));
}

/// A key of the schedule that stands after the header of a table of parameters belongs to that table.
pub(super) fn swallowed(given: &Given<'_>, statement: &Statement<'_>, found: &mut Found) {
    if let Statement::Procedure {
        signature: Some(_), ..
    } = statement
    {
        return; // told as a name that the signature does not have, or meant as one that it has
    }
    let mentioned = statement.mentioned();
    for named in given.named() {
        if mentioned.iter().any(|name| name == named.item.key) {
            continue;
        }
        if let Some(hint) = policy_hint(&named.item) {
            let message = format!("`{}` is sent as a parameter here", named.item.key);
            found.doubtful(named.item.key_problem(message).with_hint(hint));
        }
    }
}

/// What to do about a parameter that has the name of a key of the schedule.
fn policy_hint(item: &Item<'_>) -> Option<String> {
    raw::SCHEDULE.keys.contains(&item.key).then(|| {
        format!(
            "if `{}` is meant for the schedule, move it above the table of parameters",
            item.key
        )
    })
}

/// A value that is text in one set and a number elsewhere was probably quoted by mistake.
pub(super) fn mixed_types(shared: &Given<'_>, sets: &[Set<'_>], found: &mut Found) {
    let mut numbers: HashMap<&str, &Set<'_>> = HashMap::new();
    for set in sets {
        for named in set.given.named() {
            if let Some(Value::Number(_)) = named.value {
                numbers.entry(named.item.key).or_insert(set);
            }
        }
    }
    for set in sets {
        for named in set.given.named() {
            let Some(Value::String(text)) = &named.value else {
                continue;
            };
            let key = named.item.key;
            let message = match numbers.get(key) {
                Some(other) => format!("is text here, and a number in set.{}", other.name),
                None if is_number(shared, key) => {
                    "is text here, and a number in parameters".to_owned()
                }
                None => continue,
            };
            let hint = match text.trim().parse::<f64>() {
                Ok(_) => format!("write {key} = {}", short(text.trim())),
                Err(_) if is_template(text) => {
                    format!("write {key} = {{ number = \"…\" }} when it gives a number")
                }
                Err(_) => "give the same kind of value everywhere".to_owned(),
            };
            found.doubtful(named.item.problem(message).with_hint(hint));
        }
    }
}

fn is_number(given: &Given<'_>, name: &str) -> bool {
    matches!(given.value(name), Some(Value::Number(_)))
}
