//! The JSON objects that leave nightcall: what `--json` prints and what the local API answers. Field names are stable
//! from the first version; a field may be added, never renamed.

mod acts;
mod status;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sched::fault::Fault;
use crate::sched::notice::Notice;
use crate::sched::outcome::Outcome;
use crate::sched::run::{Record, Run};
use crate::sched::time::{TimeZone, Timestamp};
use crate::store::Story;

pub use acts::{
    ActedView, AgainBody, CancelBody, FireBody, FiredView, PauseBody, ReloadBody, ResolveBody,
    ResumeBody, SkipBody,
};
pub use status::{
    ChannelView, ComingView, ConnectionView, DoctorView, HealthView, OccupiedView, OutageView,
    PauseView, ReadyView, SkipView, StatusView,
};

/// One run, as `runs` and `show` print it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its schedule.
    pub schedule: String,
    /// Its parameter set.
    pub set: String,
    /// The nominal time in the schedule's zone, RFC 3339 with offset.
    pub nominal: String,
    /// When it might start, UTC.
    pub due: String,
    /// Where it stands: `pending submitting in_doubt running cancelling backoff finished`.
    pub state: String,
    /// How it ended: `succeeded failed timed_out cancelled skipped lost`; null while it is live.
    pub outcome: Option<String>,
    /// Why it was skipped; else the fault's reason; null when there is nothing to say.
    pub reason: Option<String>,
    /// How it came to be: `planned caught_up manual adopted retried rerun backfilled`.
    pub origin: String,
    /// Submissions so far.
    pub attempts: u32,
    /// The vendor's id of the last job.
    pub job: Option<String>,
    /// When the last attempt was submitted, UTC.
    pub submitted: Option<String>,
    /// When it finished, UTC.
    pub finished: Option<String>,
    /// What a person says of a lost run: `succeeded failed`; null when nothing was said.
    #[serde(default)]
    pub resolved: Option<String>,
    /// The last fault.
    pub fault: Option<FaultView>,
    /// The statement.
    pub query: String,
    /// Its values.
    pub parameters: Value,
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultView {
    /// `permanent transient slow once unreachable unauthorized too_many_requests unavailable`.
    pub class: String,
    /// The vendor's reason or code, or ours.
    pub reason: String,
    /// Where, when the vendor says it.
    pub location: Option<String>,
    /// The vendor's words.
    pub message: String,
    /// What a person should do.
    pub remedy: Option<String>,
}

/// One line of a run's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// When, UTC.
    pub at: String,
    /// What happened.
    pub what: String,
    /// The state it led to.
    pub state: String,
    /// The submission it concerns; 0 when none.
    pub attempt: u32,
    /// Why.
    pub why: Option<String>,
    /// The fault.
    pub fault: Option<FaultView>,
    /// The job.
    pub job: Option<String>,
}

/// What a person was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// Its stable id.
    pub id: String,
    /// What it is about.
    pub kind: String,
    /// When, UTC.
    pub at: String,
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// A run with its story, as `show` prints it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoryView {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// What happened, oldest first.
    pub events: Vec<EventView>,
    /// What people were told.
    pub notices: Vec<NoticeView>,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// One word that programs may rely on.
    pub code: String,
    /// One sentence, or all the problems of a configuration.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One line of `/v1/follow`: what happened, then how the run ended. An `error` ends the lines too early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowLine {
    /// What happened; the oldest first, each once.
    Event(EventView),
    /// The last line: the finished run.
    Run(Box<RunView>),
    /// The daemon cannot go on telling.
    Error(ErrorView),
}

/// What `/v1/runs` may be asked for; every value is text and may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunsAsked {
    /// Of this schedule.
    pub schedule: Option<String>,
    /// Of this set.
    pub set: Option<String>,
    /// Not before this time, RFC 3339.
    pub since: Option<String>,
    /// Not after this time, RFC 3339.
    pub until: Option<String>,
    /// In this state or with this outcome.
    pub state: Option<String>,
    /// At most so many, the newest kept.
    pub limit: Option<String>,
}

/// What `/v1/run` may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsked {
    /// The id of the run.
    pub id: String,
}

/// What `/v1/follow` may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowAsked {
    /// The id of the run.
    pub run: String,
}

impl RunView {
    /// The view of a run; `zone` is that of its schedule.
    pub fn of(run: &Run, zone: &TimeZone) -> Self {
        let outcome = run.outcome();
        let skipped = match outcome {
            Some(Outcome::Skipped(reason)) => Some(reason.word().to_owned()),
            _ => None,
        };
        Self {
            run: run.id.to_string(),
            schedule: run.id.series.schedule.to_string(),
            set: run.id.series.set.to_string(),
            nominal: nominal(run, zone),
            due: run.due.to_string(),
            state: run.state.word().to_owned(),
            outcome: outcome.map(|o| o.word().to_owned()),
            reason: skipped.or_else(|| run.fault.as_ref().map(|f| f.reason.clone())),
            origin: run.origin.word().to_owned(),
            attempts: run.attempt,
            job: run.job.as_ref().map(ToString::to_string),
            submitted: run.submitted.map(|t| t.to_string()),
            finished: run.finished.map(|t| t.to_string()),
            resolved: run.resolved.map(|ended| ended.word().to_owned()),
            fault: run.fault.as_ref().map(FaultView::of),
            query: run.definition.query.to_string(),
            parameters: run.parameters.to_json(),
        }
    }
}

impl FaultView {
    /// The view of a fault.
    pub fn of(fault: &Fault) -> Self {
        Self {
            class: fault.class.word().to_owned(),
            reason: fault.reason.clone(),
            location: fault.location.clone(),
            message: fault.message.clone(),
            remedy: fault.remedy.clone(),
        }
    }
}

impl EventView {
    /// The view of a record.
    pub fn of(record: &Record) -> Self {
        Self {
            at: record.at.to_string(),
            what: record.what.to_string(),
            state: record.state.to_string(),
            attempt: record.attempt,
            why: record.why.clone(),
            fault: record.fault.as_ref().map(FaultView::of),
            job: record.job.as_ref().map(ToString::to_string),
        }
    }
}

impl NoticeView {
    /// The view of a notice.
    pub fn of(notice: &Notice) -> Self {
        Self {
            id: notice.id.clone(),
            kind: notice.kind.word().to_owned(),
            at: notice.at.to_string(),
            subject: notice.subject.clone(),
            body: notice.body.clone(),
        }
    }
}

impl StoryView {
    /// The view of a story; `zone` is that of the run's schedule.
    pub fn of(story: &Story, zone: &TimeZone) -> Self {
        Self {
            run: RunView::of(&story.run, zone),
            events: story.records.iter().map(EventView::of).collect(),
            notices: story.notices.iter().map(NoticeView::of).collect(),
        }
    }
}

/// The nominal time with the offset that belongs to it: of a time that a gap swallowed, the one before the gap; of a run by
/// hand for another date, the one of that date.
pub fn nominal(run: &Run, zone: &TimeZone) -> String {
    let placed = run.id.instant.to_zoned(zone.clone());
    let offset = if placed.datetime() == run.civil {
        placed.offset()
    } else if run.id.is_manual() {
        let there = zone.to_ambiguous_zoned(run.civil).compatible();
        there.map_or(placed.offset(), |there| there.offset())
    } else {
        zone.to_offset(just_before(run.id.instant))
    };
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    format!("{}{sign}{hours:02}:{minutes:02}", run.civil)
}

fn just_before(t: Timestamp) -> Timestamp {
    crate::sched::time::earlier(t, std::time::Duration::from_secs(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A run whose parameters hold numbers that a float cannot.
    const STORY: &str = r#"{"run":"a/b@2026-02-03T01:15:00Z","schedule":"a","set":"b",
        "nominal":"2026-02-03T02:15:00+01:00","due":"2026-02-03T01:15:00Z","state":"running","outcome":null,
        "reason":null,"origin":"planned","attempts":2,"job":"j","submitted":"2026-02-03T01:15:01Z","finished":null,
        "resolved":null,"fault":null,"query":"CALL `p`(@n)","parameters":{"n":2.0,"big":123456789012345678901},
        "events":[{"at":"2026-02-03T01:15:00Z","what":"planned","state":"pending","attempt":0,"why":null,
        "fault":null,"job":null}],"notices":[]}"#;

    #[test]
    fn a_story_reads_back_as_it_was_written() {
        let story: StoryView = serde_json::from_str(STORY).unwrap();
        assert_eq!(story.run.parameters["n"].to_string(), "2.0");
        let written = serde_json::to_string(&story).unwrap();
        assert_eq!(serde_json::from_str::<StoryView>(&written).unwrap(), story);
        let plain: String = STORY.split_inclusive('\n').map(str::trim).collect();
        assert_eq!(written, plain);
    }

    #[test]
    fn lines_of_a_following_are_told_apart_by_their_one_key() {
        let error = ErrorView {
            code: "not_found".to_owned(),
            message: "gone".to_owned(),
            hint: None,
        };
        let line = serde_json::to_string(&FollowLine::Error(error)).unwrap();
        assert_eq!(
            line,
            r#"{"error":{"code":"not_found","message":"gone","hint":null}}"#
        );
    }
}
