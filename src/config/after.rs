//! `after`: the schedules whose runs those of a schedule wait for, and whether that can work.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::raw;
use super::read::{Found, Item, Table, short};
use super::schedule::Read;
use super::suggest;
use crate::sched::calendar::Calendar;
use crate::sched::id::ScheduleName;
use crate::sched::policy::{After, On};
use crate::sched::time::{Timestamp, later};

/// The most schedules that one waits for.
const MOST: usize = 100;

/// The most members of a circle that are named.
const NAMED: usize = 8;

/// A schedule that never finds a predecessor in so long is told.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// The names of all schedules, also of those with problems.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    all: HashSet<&'a str>,
    /// A file could not be read, so that a name that is not known here may be there.
    incomplete: bool,
}

impl<'a> Names<'a> {
    pub(super) fn of(schedules: &[Item<'a>], incomplete: bool) -> Self {
        let tables = schedules.iter().filter(|item| item.value.is_table());
        Self {
            all: tables.map(|item| item.key).collect(),
            incomplete,
        }
    }

    /// A name that no schedule has.
    fn check(&self, item: &Item<'_>, found: &mut Found) {
        let name = text_of(item);
        if self.incomplete || self.all.contains(name) {
            return;
        }
        let problem = item.problem(format!("there is no [schedule.{}]", short(name)));
        let guess = match found.is_few() {
            true => suggest::did_you_mean(name, self.all.iter().copied()),
            false => None,
        };
        let hint = guess.unwrap_or_else(|| "name a schedule of this configuration".to_owned());
        found.wrong(problem.with_hint(hint));
    }
}

/// What a schedule says, with the places of the names.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// It.
    pub(super) after: Arc<After>,
    names: Vec<Item<'a>>,
}

/// Reads `after`: a name, a list of names, or the table.
pub(super) fn read<'a>(
    table: &Table<'a>,
    known: &Names<'_>,
    found: &mut Found,
) -> Option<Said<'a>> {
    let item = table.get("after")?;
    let (schedules, on) = match item.value {
        DeValue::Table(_) => {
            let table = item.table(&raw::AFTER, found)?;
            let on = table.get("on").and_then(|on| on.word(&On::ALL, found));
            (table.need("schedules", "[\"NAME\"]", found).cloned(), on)
        }
        _ => (Some(item.clone()), None),
    };
    let item = schedules?;
    let names = names(&item, found);
    let schedules = names.iter().filter_map(|name| name_of(name, known, found));
    let after = After {
        schedules: schedules.collect(),
        on: on.unwrap_or_default(),
    };
    Some(Said {
        after: Arc::new(after),
        names,
    })
}

fn names<'a>(item: &Item<'a>, found: &mut Found) -> Vec<Item<'a>> {
    let before = found.problems.len();
    let mut names: Vec<Item<'a>> = item.one_or_more(found);
    names.retain(|name| name.text(found).is_some());
    if names.is_empty() && found.problems.len() == before {
        let problem = item.problem("names no schedule");
        found.wrong(problem.with_hint("write for example after = [\"ingest\"], or leave it out"));
    }
    if names.len() > MOST {
        found.wrong(item.problem(format!("names more than {MOST} schedules")));
        names.truncate(MOST);
    }
    let mut known: Vec<&str> = Vec::new();
    for name in &names {
        let text = text_of(name);
        match known.contains(&text) {
            true => found.wrong(name.problem(format!("names `{}` twice", short(text)))),
            false => known.push(text),
        }
    }
    names
}

fn text_of<'a>(item: &Item<'a>) -> &'a str {
    // what is no text was told
    item.text(&mut Found::default()).unwrap_or_default()
}

fn name_of(item: &Item<'_>, known: &Names<'_>, found: &mut Found) -> Option<ScheduleName> {
    let text = text_of(item);
    let name = ScheduleName::new(text).ok();
    if name.is_some() {
        known.check(item, found);
    } else {
        let schedule = text.split_once('/').map(|(schedule, _)| schedule);
        let problem = item.problem(format!("`{}` is no name of a schedule", short(text)));
        found.wrong(match schedule {
            Some(schedule) => problem.with_hint(format!(
                "write \"{}\": a set waits for the set of the same name, else for all",
                short(schedule)
            )),
            None => problem,
        });
    }
    name
}

/// Looks at all schedules together: circles, and predecessors that never run.
pub(super) fn look(schedules: &[Read<'_>], now: Timestamp, found: &mut Found) {
    if schedules.iter().all(|read| read.after.is_none()) {
        return;
    }
    let before = found.problems.len();
    circles(schedules, found);
    if found.problems.len() == before {
        in_vain(schedules, now, found);
    }
}

fn items<'r, 'a>(read: &'r Read<'a>) -> &'r [Item<'a>] {
    read.after.as_ref().map_or(&[], |said| &said.names)
}

// ---- circles -------------------------------------------------------------------------------------------------------

/// Schedules that wait for each other never start. Each way back into a circle is told once.
fn circles(schedules: &[Read<'_>], found: &mut Found) {
    let name = |read: &Read<'_>| read.schedule.name.clone();
    let places: HashMap<ScheduleName, usize> = schedules.iter().map(name).zip(0..).collect();
    let mut done = vec![false; schedules.len()];
    for start in 0..schedules.len() {
        // Where the way from the start leads, with how many names of each were followed: chains may be long.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_way: HashMap<usize, usize> = HashMap::from([(start, 0)]);
        while let Some((place, followed)) = way.last_mut() {
            let place = *place;
            let next = items(&schedules[place]).get(*followed);
            let Some(item) = next.filter(|_| !done[place]) else {
                done[place] = true;
                on_way.remove(&place);
                way.pop();
                continue;
            };
            *followed += 1;
            let next = ScheduleName::new(text_of(item)).ok();
            let Some(next) = next.and_then(|name| places.get(&name).copied()) else {
                continue;
            };
            match on_way.get(&next) {
                Some(begin) => {
                    let members = way[*begin..].iter().map(|(place, _)| *place);
                    let members: Vec<&str> = members
                        .map(|place| schedules[place].schedule.name.as_str())
                        .collect();
                    found.wrong(circle(item, &members));
                }
                None if done[next] => {}
                None => {
                    on_way.insert(next, way.len());
                    way.push((next, 0));
                }
            }
        }
    }
}

fn circle(item: &Item<'_>, members: &[&str]) -> super::Problem {
    let [first, .., last] = members else {
        let problem = item.problem("a schedule cannot come after itself");
        return problem.with_hint("take it out");
    };
    let mut told: Vec<String> = members
        .windows(2)
        .take(NAMED)
        .map(|pair| format!("{} after {}", pair[0], pair[1]))
        .collect();
    if members.len() > NAMED + 1 {
        told.push(format!("and {} more", members.len() - NAMED - 1));
    }
    told.push(format!("{last} after {first}"));
    let message = format!("none of these could ever start: {}", told.join(", "));
    item.problem(message)
        .with_hint("take one of them out of its `after`")
}

// ---- predecessors that never run -----------------------------------------------------------------------------------

/// Names of schedules that are switched off, and times that never find a run of their date.
fn in_vain(schedules: &[Read<'_>], now: Timestamp, found: &mut Found) {
    let enabled = || schedules.iter().filter(|read| read.schedule.enabled);
    let planned = enabled().map(|read| {
        let schedule = &read.schedule;
        (
            &schedule.name,
            &schedule.definitions[..],
            &*schedule.trigger,
        )
    });
    let mut calendar = Calendar::of(planned);
    let off: Vec<&str> = schedules
        .iter()
        .filter(|read| !read.schedule.enabled)
        .map(|read| read.schedule.name.as_str())
        .collect();
    for read in enabled() {
        let Some(said) = &read.after else { continue };
        let disabled = said.names.iter().find(|item| off.contains(&text_of(item)));
        if let Some(item) = disabled {
            let name = short(text_of(item));
            let message = format!("`{name}` is disabled, so every time of this is skipped");
            found.doubtful(item.problem(message).with_hint("enable it, or take it out"));
            continue;
        }
        let schedule = &read.schedule;
        let finds = schedule.definitions.first().is_none_or(|definition| {
            calendar.ever_finds(definition, &schedule.trigger, now, later(now, AHEAD))
        });
        if let Some(item) = said.names.first().filter(|_| !finds) {
            let message = "no time of the next 30 days finds a run of them on its date that is due by \
                           then: each will be skipped";
            found.doubtful(
                item.problem(message)
                    .with_hint("let this run later on the same date, in their time zone"),
            );
        }
    }
}
