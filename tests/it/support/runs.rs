//! Runs and changes, made with few words.

use std::sync::Arc;
use std::time::Duration;

use nightcall::daemon::ChoreSettings;
use nightcall::sched::call::{Parameters, Target};
use nightcall::sched::id::{
    ClientKey, ConnectionName, JobId, RunId, ScheduleName, SeriesId, SetName,
};
use nightcall::sched::notice::{Notice, NoticeKind};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use nightcall::sched::run::{Origin, Record, Run, RunState};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{Change, FireRequest};
use nightcall::sched::time::{Mono, Now, TimeZone, Timestamp, civil};
use nightcall::sched::trigger::{Fold, Rhythm, TriggerSpec};
use nightcall::store::Holder;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const TRUST: Duration = Duration::from_secs(30);

/// A time by its text.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// So many hours after the start of 2026.
pub(crate) fn hour(n: i64) -> Timestamp {
    at("2026-01-01T00:00:00Z") + jiff::SignedDuration::from_hours(n)
}

pub(crate) fn series(text: &str) -> SeriesId {
    text.parse().unwrap()
}

pub(crate) fn schedule(text: &str) -> ScheduleName {
    ScheduleName::new(text).unwrap()
}

pub(crate) fn set(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

pub(crate) fn job(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

/// A process of this machine.
pub(crate) fn holder(pid: u32) -> Holder {
    Holder {
        pid,
        host: "here".to_owned(),
        started: hour(0),
    }
}

/// Both clocks at a time; the elapsed one counts from 2026.
pub(crate) fn now(wall: Timestamp) -> Now {
    let elapsed = wall.duration_since(hour(0)).as_nanos();
    Now {
        wall,
        mono: Mono(i64::try_from(elapsed).unwrap()),
    }
}

pub(crate) fn definition(of: &SeriesId) -> Arc<Definition> {
    let parameters = serde_json::json!({ "number_of_clusters": 2, "store_type": "Hypermarket" });
    Arc::new(Definition {
        series: of.clone(),
        trigger: TriggerSpec::new(Rhythm::Cron(vec!["15 2 * * *".to_owned()]), "Europe/Madrid")
            .into(),
        connection: ConnectionName::new("carto_dw").unwrap(),
        target: Target {
            base_url: "https://gcp-us-east1.api.carto.com".into(),
            connection: "carto_dw".into(),
        },
        query: "CALL `a.b.c`(@number_of_clusters,@store_type)"
            .to_owned()
            .into(),
        parameters: Parameters::from_json(parameters).unwrap().into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::Skip,
            retry: RetryPolicy::default(),
            doubt: DoubtPolicy::Verify,
        },
        timeout: 6 * HOUR,
        start_deadline: 6 * HOUR,
        cancel_grace: Duration::from_secs(300),
        priority: 0,
        after: None,
    })
}

/// A run that waits, by its id.
pub(crate) fn pending(id: &str) -> Run {
    let id: RunId = id.parse().unwrap();
    let definition = definition(&id.series);
    let civil = "2026-02-03T02:15:00".parse().unwrap();
    Run::pending(
        id.clone(),
        (civil, Fold::First, &TimeZone::UTC),
        id.instant,
        Origin::Planned,
        definition,
        id.instant,
        Arc::from("0123456789abcdef"),
    )
}

/// A run of a series at [`hour`] `n`.
pub(crate) fn pending_at(of: &str, n: i64) -> Run {
    pending(&format!("{of}@{}", hour(n)))
}

/// The run on its way to the vendor.
pub(crate) fn submitting(mut run: Run, at: Timestamp) -> Run {
    run.attempt += 1;
    run.submitted = Some(at);
    run.state = RunState::Submitting {
        since: now(at).mono,
        intent: at,
    };
    run
}

/// The run at its end.
pub(crate) fn finished(mut run: Run, outcome: Outcome, at: Timestamp) -> Run {
    run.state = RunState::Finished(outcome);
    run.finished = Some(at);
    run
}

/// The change that stores a run, told by its state and the time of its instant.
pub(crate) fn change(run: &Run) -> Change {
    let when = run.finished.or(run.submitted).unwrap_or(run.planned);
    told(run, run.state.word(), when)
}

/// The change that stores a run, with a word.
pub(crate) fn told(run: &Run, what: &'static str, when: Timestamp) -> Change {
    Change::Run {
        run: Box::new(run.clone()),
        record: Record {
            at: when,
            what: what.into(),
            state: run.state.word().into(),
            attempt: run.attempt,
            why: None,
            fault: None,
            job: None,
        },
        at: now(when),
    }
}

/// A notice about a run.
pub(crate) fn notice(id: &str, run: Option<&Run>, when: Timestamp) -> Notice {
    Notice {
        id: id.to_owned(),
        kind: NoticeKind::Failed,
        at: when,
        schedule: run.map(|run| run.id.series.schedule.clone()),
        run: run.map(|run| run.id.clone()),
        subject: "it failed".to_owned(),
        body: "and this is why".to_owned(),
    }
}

/// The ids as text, for comparisons that can be read.
pub(crate) fn ids(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| run.id.to_string()).collect()
}

/// A run that somebody asks for, with nothing but its schedule and a key.
pub(crate) fn by_hand(schedule: &str, key: &str) -> FireRequest {
    FireRequest {
        schedule: ScheduleName::new(schedule).unwrap(),
        set: None,
        key: ClientKey::new(key).unwrap(),
        overrides: serde_json::Map::new(),
        as_of: None,
        queue: false,
        anyway: false,
        even_paused: false,
    }
}

/// A maintenance calendar as without any configuration.
pub(crate) fn chores() -> ChoreSettings {
    ChoreSettings {
        keep_days: 400,
        keep_runs: 10_000,
        doctor_at: civil::time(17, 0, 0, 0),
        doctor_zone: TimeZone::UTC,
        zone_data: Arc::new(String::new),
    }
}
