//! Types of the heart to columns and back. Structures that no query looks into are kept as JSON in one column; their
//! mirrors are here, so the heart's own types need not know how they are stored.
//!
//! Invariant: what was written reads back equal, to the nanosecond, the last digit and the order of keys.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::{Failure, unreadable};
use crate::sched::call::{Parameters, Target};
use crate::sched::fault::{Fault, FaultClass};
use crate::sched::id::{ConnectionName, JobId, RunId, SeriesId};
use crate::sched::outcome::Outcome;
use crate::sched::policy::{
    After, CatchUp, DoubtPolicy, MisfirePolicy, On, OverlapPolicy, Policies, RetryPolicy,
};
use crate::sched::run::{CancelWhy, RunState};
use crate::sched::schedule::Definition;
use crate::sched::step::Decided;
use crate::sched::time::{Mono, Timestamp, civil};
use crate::sched::trigger::{DstGap, DstOverlap, Fold, Rhythm, TriggerSpec};
use crate::sched::written::{NoTemplate, Written};

pub(super) const FOLDS: [(Fold, &str); 2] = [(Fold::First, "first"), (Fold::Second, "second")];
const GAPS: [(DstGap, &str); 2] = [(DstGap::Run, "run"), (DstGap::Skip, "skip")];
const OVERLAPS: [(DstOverlap, &str); 3] = [
    (DstOverlap::First, "first"),
    (DstOverlap::Last, "last"),
    (DstOverlap::Both, "both"),
];

/// The word of a value in a table of words.
pub(super) fn word<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(v, _)| v == value)
        .map(|(_, word)| *word)
        .expect("each table of words names every value of its type")
}

/// The value of a word.
pub(super) fn by_word<T: Copy>(
    table: &[(T, &'static str)],
    word: &str,
    what: &str,
) -> Result<T, Failure> {
    table
        .iter()
        .find(|(_, w)| *w == word)
        .map(|(value, _)| *value)
        .ok_or_else(|| unreadable(what, word))
}

/// Nanoseconds since 1970. Times beyond the years 1678 to 2261 become the ends of time.
pub(super) fn time(t: Timestamp) -> i64 {
    let nanos = t.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Reads [`time`] back.
pub(super) fn read_time(nanos: i64) -> Timestamp {
    match nanos {
        i64::MIN => Timestamp::MIN,
        i64::MAX => Timestamp::MAX,
        _ => Timestamp::from_nanosecond(i128::from(nanos))
            .expect("64 bits of nanoseconds are less than a timestamp can hold"),
    }
}

/// A text that its type can read.
pub(super) fn parse<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| unreadable(what, text))
}

/// By which a run is found: its schedule, its set, its instant and its id.
pub(super) fn identity(id: &RunId) -> (&str, &str, i64, String) {
    let SeriesId { schedule, set } = &id.series;
    (
        schedule.as_str(),
        set.as_str(),
        time(id.instant),
        id.to_string(),
    )
}

/// The vendor's id of a job.
pub(super) fn read_job(text: &str) -> Result<JobId, Failure> {
    JobId::new(text).ok_or_else(|| unreadable("the id of a job", text))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("mirrors hold nothing that JSON cannot say")
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| unreadable(&format!("{what} ({error})"), text))
}

/// The values of a CALL, as the vendor gets them.
pub(super) fn parameters(values: &Parameters) -> String {
    match values {
        Parameters::Named(map) => to_json(map),
        Parameters::Positional(list) => to_json(list),
    }
}

/// Reads [`parameters`] back.
pub(super) fn read_parameters(text: &str) -> Result<Parameters, Failure> {
    Parameters::from_json(from_json(text, "the parameters of a call")?)
        .ok_or_else(|| unreadable("the parameters of a call", text))
}

#[derive(Serialize, Deserialize)]
struct FaultRow {
    class: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// A fault as one column.
pub(super) fn fault(fault: &Fault) -> String {
    to_json(&FaultRow {
        class: fault.class.word().to_owned(),
        reason: fault.reason.clone(),
        location: fault.location.clone(),
        message: fault.message.clone(),
        retry_after: fault.retry_after,
        remedy: fault.remedy.clone(),
    })
}

/// Reads [`fault`] back.
pub(super) fn read_fault(text: &str) -> Result<Fault, Failure> {
    let row: FaultRow = from_json(text, "a fault")?;
    Ok(Fault {
        class: FaultClass::from_word(&row.class)
            .ok_or_else(|| unreadable("a class of faults", &row.class))?,
        reason: row.reason,
        location: row.location,
        message: row.message,
        retry_after: row.retry_after,
        remedy: row.remedy,
    })
}

/// What is remembered of accepted jobs, as one column.
pub(super) fn accepted(jobs: &[(JobId, Timestamp)]) -> String {
    let pairs: Vec<(&str, i64)> = jobs.iter().map(|(j, t)| (j.as_str(), time(*t))).collect();
    to_json(&pairs)
}

/// Reads [`accepted`] back.
pub(super) fn read_accepted(text: &str) -> Result<Vec<(JobId, Timestamp)>, Failure> {
    let pairs: Vec<(String, i64)> = from_json(text, "the accepted jobs of a connection")?;
    pairs
        .iter()
        .map(|(job, at)| Ok((read_job(job)?, read_time(*at))))
        .collect()
}

/// The columns of a state.
pub(super) struct StateRow {
    pub(super) state: String,
    pub(super) outcome: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) detail: Option<String>,
}

/// What the states hold, under the names that they have there.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    give_up: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    polls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_poll: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<(u32, i64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl Detail {
    fn of(state: &RunState) -> Option<Self> {
        let blank = Self::default();
        Some(match state {
            RunState::Pending | RunState::Finished(_) => return None,
            RunState::Submitting { since, intent } => Self {
                since: Some(since.0),
                intent: Some(time(*intent)),
                ..blank
            },
            RunState::InDoubt {
                intent,
                settled,
                give_up,
            } => Self {
                intent: Some(time(*intent)),
                settled: Some(settled.0),
                give_up: Some(give_up.0),
                ..blank
            },
            RunState::Running {
                job,
                accepted,
                polls,
                next_poll,
                gone,
            } => Self {
                job: Some(job.to_string()),
                accepted: Some(accepted.0),
                polls: Some(*polls),
                next_poll: Some(next_poll.0),
                gone: gone.map(|(times, since)| (times, since.0)),
                ..blank
            },
            RunState::Cancelling {
                job,
                why,
                since,
                polls,
                next_poll,
            } => Self {
                job: Some(job.to_string()),
                why: Some(why.word().to_owned()),
                since: Some(since.0),
                polls: Some(*polls),
                next_poll: Some(next_poll.0),
                ..blank
            },
            RunState::Backoff { until } => Self {
                until: Some(until.0),
                ..blank
            },
        })
    }
}

/// Where a run stands, as columns.
pub(super) fn state(state: &RunState) -> StateRow {
    let outcome = match state {
        RunState::Finished(outcome) => Some(*outcome),
        _ => None,
    };
    let reason = match outcome {
        Some(Outcome::Skipped(reason)) => Some(reason.word().to_owned()),
        _ => None,
    };
    StateRow {
        state: state.word().to_owned(),
        outcome: outcome.map(|o| o.word().to_owned()),
        reason,
        detail: Detail::of(state).map(|detail| to_json(&detail)),
    }
}

/// Reads [`state`] back.
pub(super) fn read_state(row: &StateRow) -> Result<RunState, Failure> {
    let text = row.detail.as_deref();
    let detail: Detail = match text {
        Some(text) => from_json(text, "the detail of a state")?,
        None => Detail::default(),
    };
    let known = match row.state.as_str() {
        "finished" => row
            .outcome
            .as_deref()
            .and_then(|word| Outcome::from_words(word, row.reason.as_deref()))
            .map(RunState::Finished),
        word => live_state(word, detail)?,
    };
    known.ok_or_else(|| {
        let told = [
            Some(row.state.as_str()),
            row.outcome.as_deref(),
            row.reason.as_deref(),
            text,
        ];
        let told: Vec<&str> = told.into_iter().flatten().collect();
        unreadable("the state of a run", &told.join(" "))
    })
}

/// `None` when the word is not known or a part is missing.
fn live_state(word: &str, detail: Detail) -> Result<Option<RunState>, Failure> {
    let job = detail.job.as_deref().map(read_job).transpose()?;
    let why = detail.why.as_deref().map(read_cancel).transpose()?;
    let read = || {
        Some(match word {
            "pending" => RunState::Pending,
            "submitting" => RunState::Submitting {
                since: Mono(detail.since?),
                intent: read_time(detail.intent?),
            },
            "in_doubt" => RunState::InDoubt {
                intent: read_time(detail.intent?),
                settled: Mono(detail.settled?),
                give_up: Mono(detail.give_up?),
            },
            "running" => RunState::Running {
                job: job?,
                accepted: Mono(detail.accepted?),
                polls: detail.polls?,
                next_poll: Mono(detail.next_poll?),
                gone: detail.gone.map(|(times, since)| (times, Mono(since))),
            },
            "cancelling" => RunState::Cancelling {
                job: job?,
                why: why?,
                since: Mono(detail.since?),
                polls: detail.polls?,
                next_poll: Mono(detail.next_poll?),
            },
            "backoff" => RunState::Backoff {
                until: Mono(detail.until?),
            },
            _ => return None,
        })
    };
    Ok(read())
}

/// Why the vendor was asked to stop a job.
pub(super) fn read_cancel(word: &str) -> Result<CancelWhy, Failure> {
    by_word(&CancelWhy::ALL, word, "a reason to cancel")
}

#[derive(Serialize, Deserialize)]
struct DefinitionRow<'a> {
    series: String,
    #[serde(borrow)]
    trigger: TriggerRow<'a>,
    #[serde(borrow)]
    connection: Cow<'a, str>,
    #[serde(borrow)]
    target: TargetRow<'a>,
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow)]
    misfire: MisfireRow<'a>,
    #[serde(borrow)]
    overlap: Cow<'a, str>,
    retry: RetryRow,
    #[serde(borrow)]
    doubt: Cow<'a, str>,
    timeout: Duration,
    start_deadline: Duration,
    cancel_grace: Duration,
    priority: i32,
    /// Where templates stand in the parameters. Left out when there are none: then texts are text, as they were before
    /// there were templates, and the definition is the same as before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    templates: Vec<String>,
    /// Not written when there is none, so that a definition reads as one of before there was any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<AfterRow>,
}

#[derive(Serialize, Deserialize)]
struct AfterRow {
    schedules: Vec<String>,
    on: String,
}

#[derive(Serialize, Deserialize)]
struct TargetRow<'a> {
    #[serde(borrow)]
    base_url: Cow<'a, str>,
    #[serde(borrow)]
    connection: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct TriggerRow<'a> {
    rhythm: RhythmRow,
    #[serde(borrow)]
    zone: Cow<'a, str>,
    from: Option<String>,
    until: Option<String>,
    exclude: Vec<String>,
    jitter: Duration,
    #[serde(borrow)]
    dst_gap: Cow<'a, str>,
    #[serde(borrow)]
    dst_overlap: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RhythmRow {
    Cron(Vec<String>),
    Every(Duration),
}

#[derive(Serialize, Deserialize)]
struct MisfireRow<'a> {
    #[serde(borrow)]
    catch_up: Cow<'a, str>,
    window: Duration,
    tolerance: Duration,
    max: u32,
}

#[derive(Serialize, Deserialize)]
struct RetryRow {
    attempts: u32,
    backoff: Duration,
    #[serde(with = "exact")]
    factor: f64,
    max_backoff: Duration,
    #[serde(with = "exact")]
    jitter: f64,
    on_timeout: bool,
}

/// Fractions as text: the JSON reader may be one digit off.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// A definition without its parameters, as one column.
pub(super) fn definition(definition: &Definition) -> String {
    let policies = &definition.policies;
    to_json(&DefinitionRow {
        series: definition.series.to_string(),
        trigger: trigger(&definition.trigger),
        connection: definition.connection.as_str().into(),
        target: TargetRow {
            base_url: Cow::Borrowed(&definition.target.base_url),
            connection: Cow::Borrowed(&definition.target.connection),
        },
        query: Cow::Borrowed(&definition.query),
        misfire: MisfireRow {
            catch_up: policies.misfire.catch_up.word().into(),
            window: policies.misfire.window,
            tolerance: policies.misfire.tolerance,
            max: policies.misfire.max,
        },
        overlap: policies.overlap.word().into(),
        retry: RetryRow {
            attempts: policies.retry.attempts,
            backoff: policies.retry.backoff,
            factor: policies.retry.factor,
            max_backoff: policies.retry.max_backoff,
            jitter: policies.retry.jitter,
            on_timeout: policies.retry.on_timeout,
        },
        doubt: policies.doubt.word().into(),
        timeout: definition.timeout,
        start_deadline: definition.start_deadline,
        cancel_grace: definition.cancel_grace,
        priority: definition.priority,
        templates: definition.parameters.places().map(str::to_owned).collect(),
        after: definition.after.as_deref().map(|after| AfterRow {
            schedules: after.schedules.iter().map(ToString::to_string).collect(),
            on: after.on.word().to_owned(),
        }),
    })
}

fn trigger(spec: &TriggerSpec) -> TriggerRow<'_> {
    TriggerRow {
        rhythm: match &spec.rhythm {
            Rhythm::Cron(expressions) => RhythmRow::Cron(expressions.clone()),
            Rhythm::Every(period) => RhythmRow::Every(*period),
        },
        zone: Cow::Borrowed(&spec.zone),
        from: spec.from.map(|t| t.to_string()),
        until: spec.until.map(|t| t.to_string()),
        exclude: spec.exclude.iter().map(civil::Date::to_string).collect(),
        jitter: spec.jitter,
        dst_gap: word(&GAPS, &spec.dst_gap).into(),
        dst_overlap: word(&OVERLAPS, &spec.dst_overlap).into(),
    }
}

/// Reads [`definition`] and its [`parameters`] back.
pub(super) fn read_definition(body: &str, parameters: &str) -> Result<Arc<Definition>, Failure> {
    let row: DefinitionRow = from_json(body, "a definition")?;
    Ok(Arc::new(Definition {
        series: parse(&row.series, "a series")?,
        trigger: read_trigger(row.trigger)?.into(),
        connection: parse::<ConnectionName>(&row.connection, "the name of a connection")?,
        target: Target {
            base_url: row.target.base_url.into(),
            connection: row.target.connection.into(),
        },
        query: row.query.into(),
        parameters: Written::with_templates(read_parameters(parameters)?, row.templates)
            .map_err(|NoTemplate(at)| unreadable("the place of a template", &at))?,
        policies: Policies {
            misfire: MisfirePolicy {
                catch_up: by_word(&CatchUp::ALL, &row.misfire.catch_up, "a way to catch up")?,
                window: row.misfire.window,
                tolerance: row.misfire.tolerance,
                max: row.misfire.max,
            },
            overlap: by_word(&OverlapPolicy::ALL, &row.overlap, "an overlap policy")?,
            retry: RetryPolicy {
                attempts: row.retry.attempts,
                backoff: row.retry.backoff,
                factor: row.retry.factor,
                max_backoff: row.retry.max_backoff,
                jitter: row.retry.jitter,
                on_timeout: row.retry.on_timeout,
            },
            doubt: by_word(&DoubtPolicy::ALL, &row.doubt, "a doubt policy")?,
        },
        timeout: row.timeout,
        start_deadline: row.start_deadline,
        cancel_grace: row.cancel_grace,
        priority: row.priority,
        after: row.after.map(read_after).transpose()?,
    }))
}

fn read_after(row: AfterRow) -> Result<Arc<After>, Failure> {
    let schedules = row.schedules.iter();
    let schedules = schedules.map(|name| parse(name, "the name of a schedule"));
    Ok(Arc::new(After {
        schedules: schedules.collect::<Result<_, _>>()?,
        on: by_word(&On::ALL, &row.on, "an end of a predecessor")?,
    }))
}

fn read_trigger(row: TriggerRow<'_>) -> Result<TriggerSpec, Failure> {
    let civil_time = |text: String| parse(&text, "a civil time");
    Ok(TriggerSpec {
        rhythm: match row.rhythm {
            RhythmRow::Cron(expressions) => Rhythm::Cron(expressions),
            RhythmRow::Every(period) => Rhythm::Every(period),
        },
        zone: row.zone.into_owned(),
        from: row.from.map(civil_time).transpose()?,
        until: row.until.map(civil_time).transpose()?,
        exclude: row
            .exclude
            .iter()
            .map(|date| parse(date, "a civil date"))
            .collect::<Result<_, _>>()?,
        jitter: row.jitter,
        dst_gap: by_word(&GAPS, &row.dst_gap, "a choice for gaps")?,
        dst_overlap: by_word(&OVERLAPS, &row.dst_overlap, "a choice for overlaps")?,
    })
}
/// Reads an identity on record from `id, civil, fold`.
pub(super) fn read_decided(row: &rusqlite::Row<'_>) -> Result<Decided, Failure> {
    let (id, civil, fold): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(Decided {
        run: parse(&id, "the id of a run")?,
        civil: parse(&civil, "a civil time")?,
        fold: by_word(&FOLDS, &fold, "a fold")?,
    })
}
