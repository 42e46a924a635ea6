//! What was asked, from text to values that cannot be wrong, or a sentence that says what is wrong.

use serde::de::DeserializeOwned;

use super::wire::{
    AgainBody, CancelBody, FireBody, PauseBody, ResolveBody, ResumeBody, RunsAsked, SkipBody,
};
use super::wrong::{Wrong, bad};
use crate::sched::act::{Act, Again, Ended, How, Scope, SkipWhat};
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

/// What a body says; an empty one says nothing.
pub(super) fn body<B: DeserializeOwned>(body: &[u8]) -> Result<B, Wrong> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        bad(
            format!("the body is not what is asked for: {error}"),
            "docs/api.md lists what each path takes",
        )
    })
}

/// A body that asks for an act.
pub(super) trait Asked: DeserializeOwned + Send {
    /// What, and why.
    fn act(self) -> Result<(Act, Option<String>), Wrong>;
}

impl Asked for PauseBody {
    fn act(self) -> Result<(Act, Option<String>), Wrong> {
        let act = Act::Pause {
            scope: scope(self.schedule)?,
            until: self.until.map(|text| time(&text)).transpose()?,
        };
        Ok((act, self.note))
    }
}

impl Asked for ResumeBody {
    fn act(self) -> Result<(Act, Option<String>), Wrong> {
        let act = Act::Resume {
            scope: scope(self.schedule)?,
            catch_up: self.catch_up,
        };
        Ok((act, self.note))
    }
}

impl Asked for SkipBody {
    fn act(self) -> Result<(Act, Option<String>), Wrong> {
        let what = which(&self)?.ok_or_else(|| {
            bad(
                "it says not which times",
                "send one of next (a number), on (a date), at (a time)",
            )
        })?;
        let act = Act::Skip {
            schedule: named(&self.schedule, ScheduleName::new)?,
            set: self.set.map(|set| named(&set, SetName::new)).transpose()?,
            what,
        };
        Ok((act, self.note))
    }
}

impl Asked for CancelBody {
    fn act(self) -> Result<(Act, Option<String>), Wrong> {
        let run = run_id(&self.run)?;
        Ok((Act::Cancel { run }, self.note))
    }
}

impl Asked for ResolveBody {
    fn act(self) -> Result<(Act, Option<String>), Wrong> {
        let ended = Ended::from_word(&self.ended).ok_or_else(|| {
            bad(
                format!("{} is no end", quoted(&self.ended)),
                "there are: succeeded failed",
            )
        })?;
        let run = run_id(&self.run)?;
        Ok((Act::Resolve { run, ended }, self.note))
    }
}

/// What `/v1/unskip` is asked for: a wish is named as it was said, or all are taken back.
pub(super) fn unskip(text: &[u8]) -> Result<(Act, Option<String>), Wrong> {
    let asked: SkipBody = body(text)?;
    let act = Act::Unskip {
        what: which(&asked)?,
        schedule: named(&asked.schedule, ScheduleName::new)?,
        set: asked.set.map(|set| named(&set, SetName::new)).transpose()?,
    };
    Ok((act, asked.note))
}

/// What `/v1/retry`, `/v1/rerun` and `/v1/backfill` are asked for.
pub(super) fn again(asked: AgainBody, how: How) -> Result<(Act, Option<String>), Wrong> {
    if asked.queue && how != How::Retry {
        return Err(bad(
            "queue is for retry only",
            "reruns and backfills always wait for their turn",
        ));
    }
    not_both(asked.queue, asked.anyway)?;
    let act = Act::Again(Again {
        run: run_id(&asked.run)?,
        how,
        queue: asked.queue,
        anyway: asked.anyway,
        even_paused: asked.even_paused,
    });
    Ok((act, asked.note))
}

fn not_both(queue: bool, anyway: bool) -> Result<(), Wrong> {
    match queue && anyway {
        false => Ok(()),
        true => Err(bad(
            "queue and anyway exclude each other",
            "queue waits for its turn, anyway runs beside the live run",
        )),
    }
}

fn scope(schedule: Option<String>) -> Result<Scope, Wrong> {
    let schedule = schedule.map(|name| named(&name, ScheduleName::new));
    Ok(schedule.transpose()?.map_or(Scope::All, Scope::Schedule))
}

/// The occurrences that are meant, when they are named.
fn which(asked: &SkipBody) -> Result<Option<SkipWhat>, Wrong> {
    let next = asked.next.map(SkipWhat::Next);
    let on = asked.on.as_deref().map(|text| date("on", text));
    let on = on.transpose()?.map(SkipWhat::On);
    let at = asked.at.as_deref().map(time).transpose()?.map(SkipWhat::At);
    let mut all = [next, on, at].into_iter().flatten();
    match (all.next(), all.next()) {
        (what, None) => Ok(what),
        (_, Some(_)) => Err(bad(
            "next, on and at exclude each other",
            "ask twice for two wishes",
        )),
    }
}

/// What `/v1/fire` is asked for.
pub(super) fn fire_request(text: &[u8]) -> Result<FireRequest, Wrong> {
    let asked: FireBody = body(text)?;
    not_both(asked.queue, asked.anyway)?;
    Ok(FireRequest {
        schedule: named(&asked.schedule, ScheduleName::new)?,
        set: asked.set.map(|set| named(&set, SetName::new)).transpose()?,
        key: named(&asked.key, ClientKey::new)?,
        overrides: asked.parameters,
        as_of: asked.as_of.map(|text| date("as_of", &text)).transpose()?,
        queue: asked.queue,
        anyway: asked.anyway,
        even_paused: asked.even_paused,
    })
}

fn date(key: &str, text: &str) -> Result<civil::Date, Wrong> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = text.parse().ok().filter(|_| plain);
    date.ok_or_else(|| {
        bad(
            format!("{key}: {} is not a date", quoted(text)),
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
        let wrong = |body: &str| fire_request(body.as_bytes()).unwrap_err().view.message;
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
