//! `[schedule.*]`: one schedule made of its own words and the defaults.

use std::sync::Arc;

use super::after;
use super::channel;
use super::connection;
use super::key_path::KeyPath;
use super::parameters::{Series, Values};
use super::raw;
use super::read::{Found, Item, Table, short};
use super::settings::{Said, ZoneBook};
use super::source::Place;
use super::statement::Statement;
use super::suggest;
use super::times::{Times, times};
use super::values::Files;
use super::{Connection, Schedule};
use crate::sched::id::{ScheduleName, SeriesId};
use crate::sched::policy::After;
use crate::sched::schedule::Definition;

/// A schedule with the places that later checks point at; its table is let go, since there may be very many.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// The schedule.
    pub(super) schedule: Schedule,
    /// Where its own time limit is said, or else its times.
    pub(super) timeout_at: Option<Item<'a>>,
    /// Where it says what to do with missed times, or else its values.
    pub(super) misfire_at: Option<Item<'a>>,
    /// What it waits for, when it does.
    pub(super) after: Option<after::Said<'a>>,
    /// Where each series is said.
    pub(super) series_at: Vec<(Place<'a>, KeyPath<'a>)>,
}

/// What a schedule may refer to.
pub(super) struct Known<'k, 'a> {
    /// Connections without a problem.
    pub(super) connections: &'k [connection::Read<'a>],
    /// The names of all connections, also of those with problems.
    pub(super) names: &'k [&'a str],
    /// Whether a file could not be read, so that a name that is not known here may be there.
    pub(super) incomplete: bool,
    /// The names of all channels.
    pub(super) channels: &'k channel::Names<'a>,
    /// The names of all schedules.
    pub(super) schedules: &'k after::Names<'a>,
    /// `[defaults]`.
    pub(super) defaults: &'k Said<'a>,
    /// Zones.
    pub(super) zones: &'k ZoneBook<'k>,
    /// Value files.
    pub(super) files: &'k Files,
}

/// Reads a schedule; `None` when something is wrong with it.
pub(super) fn schedule<'a>(
    item: &Item<'a>,
    known: &Known<'_, 'a>,
    found: &mut Found,
) -> Option<Read<'a>> {
    if !item.is_named_table("schedule", found) {
        return None;
    }
    let before = found.problems.len();
    let name = name(item, found);
    let table = item.table(&raw::SCHEDULE, found)?;
    let own = Said::read(&table, known.zones, found);
    let said = own.clone().over(known.defaults);
    said.check(&own, &table, found);
    let text = |key: &str, found: &mut Found| {
        let item = table.get(key)?;
        item.text(found).map(str::to_owned)
    };
    let description = text("description", found);
    let note = text("note", found);
    // the seed of `H` is the name; a bad one is told, and the expressions are still worth checking
    let seed = name.clone().or_else(|| ScheduleName::new("x").ok())?;
    let times = times(&table, &said, &seed, found);
    let connection = connection(&table, &said, known, found);
    let statement = Statement::read(&table, found);
    if let (Some(statement), Some(connection)) = (&statement, connection) {
        statement.check_provider(connection.provider, found);
    }
    // that of the defaults is told once, where it stands
    if let Some(item) = &own.notify {
        known.channels.read(item, found);
    }
    let notify = said.notify.as_ref();
    let notify = notify.map(|item| known.channels.read(item, &mut Found::default()));
    let after = after::read(&table, known.schedules, found);
    let values = Values::read(&table, known.files, found);
    let series = statement
        .as_ref()
        .map(|statement| values.series(&table, statement, found))
        .unwrap_or_default();
    if found.problems.len() > before {
        return None;
    }
    let (name, times, connection) = (name?, times?, connection?);
    warn_of_trigger(&times, found);
    let timeout_at = table.get("timeout").or(times.at.first()).cloned();
    let misfire_at = table.get("misfire").or(table.get("parameters")).cloned();
    let series_at = series.iter().map(|s| (s.at, s.path.clone())).collect();
    let waits_for = after.as_ref().map(|said| &said.after);
    let definitions = definitions(&name, &times, connection, &said, waits_for, series);
    let schedule = Schedule {
        name,
        description,
        owner: said.owner,
        tags: said.tags.unwrap_or_default(),
        notify,
        enabled: said.enabled.unwrap_or(true),
        note,
        trigger: times.trigger,
        definitions,
    };
    Some(Read {
        schedule,
        timeout_at,
        misfire_at,
        after,
        series_at,
    })
}

fn name(item: &Item<'_>, found: &mut Found) -> Option<ScheduleName> {
    let name = ScheduleName::new(item.key);
    if name.is_err() {
        let plain: String = item
            .key
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let problem = item.key_problem("a name is 1 to 100 of A-Z a-z 0-9 _ -");
        found.wrong(match plain.is_empty() {
            true => problem,
            false => problem.with_hint(format!("write [schedule.{}]", short(&plain))),
        });
    }
    name.ok()
}

/// The connection that the schedule or the defaults name.
fn connection<'k>(
    table: &Table<'_>,
    said: &Said<'_>,
    known: &Known<'k, '_>,
    found: &mut Found,
) -> Option<&'k Connection> {
    let Some(item) = &said.connection else {
        if !known.incomplete {
            let problem = table.at.problem(&table.path, "names no connection");
            let name = known.names.first().copied().unwrap_or("NAME");
            let hint = format!(
                "add connection = \"{}\", here or in [defaults]",
                short(name)
            );
            found.wrong(problem.with_hint(hint));
        }
        return None;
    };
    // an empty text was told where it stands
    let name = item.text(&mut Found::default())?;
    let read = known
        .connections
        .iter()
        .find(|read| read.connection.name().as_str() == name);
    if let Some(read) = read {
        return Some(&read.connection);
    }
    let own = table.get("connection").is_some();
    if own && !known.incomplete && !known.names.contains(&name) {
        found.wrong(no_such_connection(item, name, known, found));
    }
    None
}

/// The problem of a connection that is not there.
pub(super) fn no_such_connection(
    item: &Item<'_>,
    name: &str,
    known: &Known<'_, '_>,
    found: &Found,
) -> super::Problem {
    let message = format!("there is no [connection.{}]", short(name));
    let guess = match found.is_few() {
        true => suggest::did_you_mean(name, known.names.iter().copied()),
        false => None,
    };
    let hint = guess.unwrap_or_else(|| match known.names {
        [] => "add the table of the connection".to_owned(),
        // what is shown of them is short
        names => format!(
            "there are: {}",
            short(&names[..names.len().min(50)].join(", "))
        ),
    });
    item.problem(message).with_hint(hint)
}

fn warn_of_trigger(times: &Times<'_>, found: &mut Found) {
    for (index, message, hint) in times.trigger.warnings() {
        if let Some(item) = times.at.get(index).or(times.at.first()) {
            found.doubtful(item.problem(message).with_hint(hint));
        }
    }
}

fn definitions(
    name: &ScheduleName,
    times: &Times<'_>,
    connection: &Connection,
    said: &Said<'_>,
    after: Option<&Arc<After>>,
    series: Vec<Series<'_>>,
) -> Vec<Arc<Definition>> {
    let definition = |series: Series<'_>| {
        Arc::new(Definition {
            series: SeriesId {
                schedule: name.clone(),
                set: series.set,
            },
            trigger: Arc::clone(times.trigger.spec()),
            connection: connection.name().clone(),
            target: connection.limits.target.clone(),
            query: series.query.into(),
            parameters: series.parameters,
            policies: said.policies(),
            timeout: said.timeout(),
            start_deadline: said.start_deadline(),
            cancel_grace: said.cancel_grace(),
            priority: said.priority(),
            after: after.cloned(),
        })
    };
    series.into_iter().map(definition).collect()
}
