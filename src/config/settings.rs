//! What `[defaults]` and a schedule may both say, and how the two become one: a schedule's own word counts, tables
//! merge by key, and what neither says has a value of its own.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use toml::de::DeValue;

use super::read::{Found, Item, Table, short};
use super::{duration, raw, suggest, times};
use crate::sched::policy::{
    CatchUp, DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy,
};
use crate::sched::time::{TimeZone, civil};
use crate::sched::trigger::{DstGap, DstOverlap};
use crate::zones::Zones;

/// The shortest of any limit: rehearsals against a stand-in are quick.
const SHORTEST: Duration = Duration::from_millis(1);

/// The time limit of an attempt, unless something else is said.
const TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// How late a run may start.
const START_DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// How long a cancelled job may take to stop.
const CANCEL_GRACE: Duration = Duration::from_secs(5 * 60);

const DST_GAP: [(DstGap, &str); 2] = [(DstGap::Run, "run"), (DstGap::Skip, "skip")];
const DST_OVERLAP: [(DstOverlap, &str); 3] = [
    (DstOverlap::First, "first"),
    (DstOverlap::Last, "last"),
    (DstOverlap::Both, "both"),
];

/// Zones by the names that the files use; each is looked up once.
#[derive(Debug)]
pub(super) struct ZoneBook<'z> {
    zones: &'z Zones,
    /// Read when a name has to be guessed.
    names: OnceLock<Vec<String>>,
    known: Mutex<HashMap<String, Option<TimeZone>>>,
}

impl<'z> ZoneBook<'z> {
    pub(super) fn new(zones: &'z Zones) -> Self {
        Self {
            zones,
            names: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    fn get(&self, name: &str) -> Option<TimeZone> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return zone.clone();
        }
        let zone = self.zones.get(name);
        known.insert(name.to_owned(), zone.clone());
        zone
    }

    /// A zone by its IANA name, with that name as the data spells it.
    fn read(&self, item: &Item<'_>, found: &mut Found) -> Option<(String, TimeZone)> {
        let text = item.text(found)?;
        if let Some(zone) = self.get(text) {
            let name = zone.iana_name().unwrap_or(text).to_owned();
            return Some((name, zone));
        }
        let mut problem = item.problem(format!("`{}` is no IANA time zone", short(text)));
        problem.hint = Some(text)
            .filter(|_| found.is_few())
            .and_then(|text| self.guess(text))
            .map(|name| format!("did you mean `{name}`?"))
            .or(Some(
                "write for example \"Europe/Madrid\" or \"UTC\"".into(),
            ));
        found.wrong(problem);
        None
    }

    /// The zone that was probably meant: by its whole name or by its city.
    fn guess(&self, wrong: &str) -> Option<String> {
        let names = self.names.get_or_init(|| self.zones.names());
        let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let spaced = wrong.trim().replace(' ', "_").to_lowercase();
        if let Some(name) = names.iter().find(|name| city(name) == spaced) {
            return Some(name.clone());
        }
        let near = suggest::nearest(wrong, names.iter().map(String::as_str));
        near.map(str::to_owned)
    }
}

/// The longest owner or tag, in bytes, and the most tags: what stands in `[defaults]` is part of every schedule.
const LONGEST_LABEL: usize = 1_000;
const MOST_TAGS: usize = 100;

fn label(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?;
    if text.len() > LONGEST_LABEL {
        found.wrong(item.problem(format!("is longer than {LONGEST_LABEL} bytes")));
        return None;
    }
    Some(text.to_owned())
}

fn tags(item: &Item<'_>, found: &mut Found) -> Vec<String> {
    let items = item.list("a list of texts", found);
    if items.len() > MOST_TAGS {
        found.wrong(item.problem(format!("there are more than {MOST_TAGS} tags")));
        return Vec::new();
    }
    items.iter().filter_map(|item| label(item, found)).collect()
}

/// What one table says of the things that `[defaults]` and schedules share. `None`: nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) owner: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    /// The channels that hear of it, as they are written: those who know them read it.
    pub(super) notify: Option<Item<'a>>,
    pub(super) enabled: Option<bool>,
    pub(super) connection: Option<Item<'a>>,
    /// The inner `None`: a zone is named that does not exist.
    pub(super) zone: Option<Option<(String, TimeZone)>>,
    pub(super) from: Option<civil::DateTime>,
    pub(super) until: Option<civil::DateTime>,
    pub(super) exclude: Option<Vec<civil::Date>>,
    pub(super) jitter: Option<Duration>,
    pub(super) dst_gap: Option<DstGap>,
    pub(super) dst_overlap: Option<DstOverlap>,
    timeout: Option<Duration>,
    start_deadline: Option<Duration>,
    cancel_grace: Option<Duration>,
    retry: RetrySaid,
    misfire: MisfireSaid,
    overlap: Option<OverlapPolicy>,
    doubt: Option<DoubtPolicy>,
    priority: Option<i32>,
}

#[derive(Clone, Debug, Default)]
struct RetrySaid {
    attempts: Option<u32>,
    backoff: Option<Duration>,
    factor: Option<f64>,
    max_backoff: Option<Duration>,
    jitter: Option<f64>,
    on_timeout: Option<bool>,
}

#[derive(Clone, Debug, Default)]
struct MisfireSaid {
    catch_up: Option<CatchUp>,
    window: Option<Duration>,
    tolerance: Option<Duration>,
    max: Option<u32>,
}

impl<'a> Said<'a> {
    /// The zone that is said here, else UTC.
    pub(super) fn zone(&self) -> TimeZone {
        let said = self.zone.clone().flatten();
        said.map_or(TimeZone::UTC, |(_, zone)| zone)
    }

    /// Reads the shared keys of a table.
    pub(super) fn read(table: &Table<'a>, zones: &ZoneBook<'_>, found: &mut Found) -> Self {
        let get = |key: &str| table.get(key);
        Self {
            owner: get("owner").and_then(|i| label(i, found)),
            tags: get("tags").map(|i| tags(i, found)),
            notify: get("notify").cloned(),
            enabled: get("enabled").and_then(|i| i.flag(found)),
            connection: get("connection")
                .filter(|i| i.text(found).is_some())
                .cloned(),
            zone: get("timezone").map(|i| zones.read(i, found)),
            from: get("from").and_then(|i| times::civil_time(i, found)),
            until: get("until").and_then(|i| times::civil_time(i, found)),
            exclude: get("exclude").map(|i| times::dates(i, found)),
            jitter: get("jitter").and_then(|i| i.duration(Duration::ZERO, found)),
            dst_gap: get("dst_gap").and_then(|i| i.word(&DST_GAP, found)),
            dst_overlap: get("dst_overlap").and_then(|i| i.word(&DST_OVERLAP, found)),
            timeout: get("timeout").and_then(|i| i.duration(SHORTEST, found)),
            start_deadline: get("start_deadline").and_then(|i| i.duration(SHORTEST, found)),
            cancel_grace: get("cancel_grace").and_then(|i| i.duration(SHORTEST, found)),
            retry: get("retry").map(|i| retry(i, found)).unwrap_or_default(),
            misfire: get("misfire")
                .map(|i| misfire(i, found))
                .unwrap_or_default(),
            overlap: get("overlap").and_then(|i| i.word(&OverlapPolicy::ALL, found)),
            doubt: get("doubt").and_then(|i| i.word(&DoubtPolicy::ALL, found)),
            priority: get("priority")
                .and_then(|i| i.integer(-1000..=1000, found))
                .and_then(|n| i32::try_from(n).ok()),
        }
    }

    /// This, and what `defaults` says where this is silent.
    pub(super) fn over(self, defaults: &Self) -> Self {
        let other = defaults.clone();
        Self {
            owner: self.owner.or(other.owner),
            tags: self.tags.or(other.tags),
            notify: self.notify.or(other.notify),
            enabled: self.enabled.or(other.enabled),
            connection: self.connection.or(other.connection),
            zone: self.zone.or(other.zone),
            from: self.from.or(other.from),
            until: self.until.or(other.until),
            exclude: self.exclude.or(other.exclude),
            jitter: self.jitter.or(other.jitter),
            dst_gap: self.dst_gap.or(other.dst_gap),
            dst_overlap: self.dst_overlap.or(other.dst_overlap),
            timeout: self.timeout.or(other.timeout),
            start_deadline: self.start_deadline.or(other.start_deadline),
            cancel_grace: self.cancel_grace.or(other.cancel_grace),
            retry: RetrySaid {
                attempts: self.retry.attempts.or(other.retry.attempts),
                backoff: self.retry.backoff.or(other.retry.backoff),
                factor: self.retry.factor.or(other.retry.factor),
                max_backoff: self.retry.max_backoff.or(other.retry.max_backoff),
                jitter: self.retry.jitter.or(other.retry.jitter),
                on_timeout: self.retry.on_timeout.or(other.retry.on_timeout),
            },
            misfire: MisfireSaid {
                catch_up: self.misfire.catch_up.or(other.misfire.catch_up),
                window: self.misfire.window.or(other.misfire.window),
                tolerance: self.misfire.tolerance.or(other.misfire.tolerance),
                max: self.misfire.max.or(other.misfire.max),
            },
            overlap: self.overlap.or(other.overlap),
            doubt: self.doubt.or(other.doubt),
            priority: self.priority.or(other.priority),
        }
    }

    /// Values that contradict each other, shown where `table`, which says `own`, says one of them.
    pub(super) fn check(&self, own: &Self, table: &Table<'_>, found: &mut Found) {
        let retry = self.retry();
        let key = match (own.retry.max_backoff, own.retry.backoff) {
            (Some(_), _) => "max_backoff",
            (None, Some(_)) => "backoff",
            (None, None) => "",
        };
        let inner = table
            .get("retry")
            .and_then(|item| item.open_table(&mut Found::default()));
        let said = inner.as_ref().and_then(|inner| inner.get(key));
        if let Some(item) = said.filter(|_| retry.max_backoff < retry.backoff) {
            let backoff = duration::show(retry.backoff);
            let message = format!(
                "the longest pause (max_backoff, {}) is shorter than the first (backoff, {backoff})",
                duration::show(retry.max_backoff)
            );
            let hint = format!("write max_backoff = \"{backoff}\" or longer");
            found.wrong(item.problem(message).with_hint(hint));
        }
        let (Some(from), Some(until)) = (self.from, self.until) else {
            return;
        };
        let key = match (own.until, own.from) {
            (Some(_), _) => "until",
            (None, _) => "from",
        };
        let said = table.get(key);
        if let Some(item) = said.filter(|_| until <= from) {
            let message = format!("nothing lies between from ({from}) and until ({until})");
            found.wrong(item.problem(message).with_hint("until must be after from"));
        }
    }

    fn retry(&self) -> RetryPolicy {
        let usual = RetryPolicy::default();
        let said = &self.retry;
        RetryPolicy {
            attempts: said.attempts.unwrap_or(usual.attempts),
            backoff: said.backoff.unwrap_or(usual.backoff),
            factor: said.factor.unwrap_or(usual.factor),
            max_backoff: said.max_backoff.unwrap_or(usual.max_backoff),
            jitter: said.jitter.unwrap_or(usual.jitter),
            on_timeout: said.on_timeout.unwrap_or(usual.on_timeout),
        }
    }

    fn misfire(&self) -> MisfirePolicy {
        let usual = MisfirePolicy::default();
        let said = &self.misfire;
        MisfirePolicy {
            catch_up: said.catch_up.unwrap_or(usual.catch_up),
            window: said.window.unwrap_or(usual.window),
            tolerance: said.tolerance.unwrap_or(usual.tolerance),
            max: said.max.unwrap_or(usual.max),
        }
    }

    /// The policies.
    pub(super) fn policies(&self) -> Policies {
        Policies {
            misfire: self.misfire(),
            overlap: self.overlap.unwrap_or_default(),
            retry: self.retry(),
            doubt: self.doubt.unwrap_or_default(),
        }
    }

    /// The time limit of an attempt.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// How late a run may start.
    pub(super) fn start_deadline(&self) -> Duration {
        self.start_deadline.unwrap_or(START_DEADLINE)
    }

    /// How long a cancelled job may take to stop.
    pub(super) fn cancel_grace(&self) -> Duration {
        self.cancel_grace.unwrap_or(CANCEL_GRACE)
    }

    /// Which run goes first.
    pub(super) fn priority(&self) -> i32 {
        self.priority.unwrap_or_default()
    }
}

/// `"none"`, or the table.
fn retry(item: &Item<'_>, found: &mut Found) -> RetrySaid {
    let hint = match item.value {
        DeValue::String(text) if text == "none" => {
            return RetrySaid {
                attempts: Some(1),
                ..RetrySaid::default()
            };
        }
        DeValue::String(_) => Some("write retry = \"none\"".to_owned()),
        DeValue::Integer(number) => {
            let attempts = short(number.as_str());
            Some(format!("write retry = {{ attempts = {attempts} }}"))
        }
        _ => None,
    };
    if let Some(hint) = hint {
        let problem = item.problem("must be \"none\" or a table");
        found.wrong(problem.with_hint(hint));
        return RetrySaid::default();
    }
    let Some(table) = item.table(&raw::RETRY, found) else {
        return RetrySaid::default();
    };
    RetrySaid {
        attempts: table.get("attempts").and_then(|i| attempts(i, found)),
        backoff: table
            .get("backoff")
            .and_then(|i| i.duration(Duration::ZERO, found)),
        factor: table
            .get("factor")
            .and_then(|i| i.number(1.0..=100.0, found)),
        max_backoff: table
            .get("max_backoff")
            .and_then(|i| i.duration(SHORTEST, found)),
        jitter: table.get("jitter").and_then(|i| i.number(0.0..=1.0, found)),
        on_timeout: table.get("on_timeout").and_then(|i| i.flag(found)),
    }
}

fn attempts(item: &Item<'_>, found: &mut Found) -> Option<u32> {
    let value = item.integer(1..=100, found);
    if value.is_none()
        && let DeValue::Integer(number) = item.value
        && number.as_str() == "0"
        && let Some(problem) = found.problems.last_mut()
    {
        problem.hint = Some("attempts includes the first: 1 is without a retry".into());
    }
    u32::try_from(value?).ok()
}

/// `"none"`, `"latest"`, `"all"`, or the table.
fn misfire(item: &Item<'_>, found: &mut Found) -> MisfireSaid {
    if let DeValue::String(_) = item.value {
        return MisfireSaid {
            catch_up: item.word(&CatchUp::ALL, found),
            ..MisfireSaid::default()
        };
    }
    let Some(table) = item.table(&raw::MISFIRE, found) else {
        return MisfireSaid::default();
    };
    MisfireSaid {
        catch_up: table
            .get("catch_up")
            .and_then(|i| i.word(&CatchUp::ALL, found)),
        window: table
            .get("window")
            .and_then(|i| i.duration(Duration::ZERO, found)),
        tolerance: table
            .get("tolerance")
            .and_then(|i| i.duration(SHORTEST, found)),
        max: table
            .get("max")
            .and_then(|i| i.integer(1..=1000, found))
            .and_then(|n| u32::try_from(n).ok()),
    }
}
