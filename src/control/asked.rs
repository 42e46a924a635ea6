//! What was asked, from text to values that cannot be wrong, or a sentence that says what is wrong.

use super::wire::{FireBody, RunsAsked};
use super::wrong::{Wrong, bad};
use crate::sched::id::{BadId, BadName, ClientKey, RunId, ScheduleName, SetName};
use crate::sched::outcome::Outcome;
use crate::sched::run::RunState;
use crate::sched::step::FireRequest;
use crate::sched::time::{Timestamp, civil};
use crate::store::RunQuery;

/// Runs that are listed unless the client says how many, and at most.
const RUNS: (usize, usize) = (50, 1000);

/// Reads the id of a run. An unescaped `+` of an address is a space; no id has one.
pub(super) fn run_id(text: &str) -> Result<RunId, Wrong> {
    text.replace(' ', "+")
        .parse()
        .map_err(|error: BadId| bad(error.to_string(), "`nightcall runs` shows the ids of runs"))
}

/// What `/v1/runs` is asked for.
pub(super) fn run_query(asked: RunsAsked) -> Result<RunQuery, Wrong> {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(RunQuery {
        schedule: said(asked.schedule)
            .map(|text| named(&text, ScheduleName::new))
            .transpose()?,
        set: said(asked.set)
            .map(|text| named(&text, SetName::new))
            .transpose()?,
        since: said(asked.since).map(|text| time(&text)).transpose()?,
        until: said(asked.until).map(|text| time(&text)).transpose()?,
        state: said(asked.state).map(state).transpose()?,
        limit: Some(said(asked.limit).map_or(Ok(RUNS.0), |text| limit(&text))?),
    })
}

fn named<T>(text: &str, read: impl Fn(&str) -> Result<T, BadName>) -> Result<T, Wrong> {
    read(text).map_err(|error| {
        bad(
            error.to_string(),
            "`nightcall next` shows the names of schedules",
        )
    })
}

fn time(text: &str) -> Result<Timestamp, Wrong> {
    // As in an id: an unescaped `+` of an offset.
    text.replace(' ', "+").parse().map_err(|_| {
        bad(
            format!("{} is not a time", quoted(text)),
            "write it as 2026-02-03T01:15:00Z",
        )
    })
}

fn state(text: String) -> Result<String, Wrong> {
    let outcomes = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Cancelled,
        Outcome::Lost,
    ]
    .map(Outcome::word);
    let known = || {
        let states = RunState::WORDS.into_iter();
        states.chain(outcomes).chain(["skipped"])
    };
    if known().any(|word| word == text) {
        return Ok(text);
    }
    Err(bad(
        format!("{} is neither a state nor an outcome", quoted(&text)),
        format!("there are: {}", known().collect::<Vec<_>>().join(" ")),
    ))
}

fn limit(text: &str) -> Result<usize, Wrong> {
    let number = text.parse().ok().filter(|n| (1..=RUNS.1).contains(n));
    number.ok_or_else(|| {
        bad(
            format!("limit={} is out of range", quoted(text)),
            format!("it goes from 1 to {}", RUNS.1),
        )
    })
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    format!("{short:?}")
}

/// What `/v1/fire` is asked for.
pub(super) fn fire_request(body: &[u8]) -> Result<FireRequest, Wrong> {
    let asked: FireBody = serde_json::from_slice(body).map_err(|error| {
        bad(
            format!("the body is not what is asked for: {error}"),
            "send {\"schedule\": …, \"key\": …} and, when wanted, set, parameters, as_of, queue, anyway",
        )
    })?;
    if asked.queue && asked.anyway {
        return Err(bad(
            "queue and anyway exclude each other",
            "queue waits for its turn, anyway runs beside the live run",
        ));
    }
    Ok(FireRequest {
        schedule: named(&asked.schedule, ScheduleName::new)?,
        set: asked.set.map(|set| named(&set, SetName::new)).transpose()?,
        key: named(&asked.key, ClientKey::new)?,
        overrides: asked.parameters,
        as_of: asked.as_of.map(|text| date(&text)).transpose()?,
        queue: asked.queue,
        anyway: asked.anyway,
        even_paused: false,
    })
}

fn date(text: &str) -> Result<civil::Date, Wrong> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = text.parse().ok().filter(|_| plain);
    date.ok_or_else(|| {
        bad(
            format!("as_of: {} is not a date", quoted(text)),
            "write it as 2026-02-03",
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_with_its_plus_escaped_or_not() {
        let id = "a/b@2026-02-03T01:15:00Z+manual-k";
        assert_eq!(run_id(id).unwrap().to_string(), id);
        assert_eq!(run_id(&id.replace('+', " ")).unwrap().to_string(), id);
        assert!(run_id("a/b").is_err());
    }

    #[test]
    fn a_list_of_runs_is_bounded_and_its_words_are_checked() {
        let asked = |state: &str, limit: &str| RunsAsked {
            state: Some(state.to_owned()),
            limit: Some(limit.to_owned()),
            since: Some(String::new()),
            ..RunsAsked::default()
        };
        let query = run_query(asked("failed", "")).unwrap();
        assert_eq!((query.limit, query.since), (Some(50), None));
        assert_eq!(run_query(asked("", "1000")).unwrap().limit, Some(1000));
        for (state, limit) in [
            ("broken", ""),
            ("", "0"),
            ("", "1001"),
            ("", "-1"),
            ("", "x"),
        ] {
            assert!(run_query(asked(state, limit)).is_err(), "{state} {limit}");
        }
    }

    #[test]
    fn a_body_says_what_is_wrong_with_it() {
        let wrong = |body: &str| fire_request(body.as_bytes()).unwrap_err().view.error;
        assert!(wrong("{").contains("not what is asked for"));
        assert!(wrong(r#"{"schedule":"a"}"#).contains("key"));
        assert!(wrong(r#"{"schedule":"a b","key":"k"}"#).contains("not a name"));
        assert!(wrong(r#"{"schedule":"a","key":"k","x":1}"#).contains('x'));
        assert!(wrong(r#"{"schedule":"a","key":"k","as_of":"3 Feb"}"#).contains("not a date"));
        let both = r#"{"schedule":"a","key":"k","queue":true,"anyway":true}"#;
        assert!(wrong(both).contains("exclude"));
        let exact =
            r#"{"schedule":"a","key":"k","parameters":{"n":2.0,"big":123456789012345678901}}"#;
        let asked = fire_request(exact.as_bytes()).unwrap();
        assert_eq!(asked.overrides["n"].to_string(), "2.0");
        assert_eq!(asked.overrides["big"].to_string(), "123456789012345678901");
    }
}
