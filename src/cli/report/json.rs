//! The report as one JSON object; `docs/operations.md` explains its fields, which stay. Times are UTC.

use serde_json::{Map, Value, json};

use super::counts::{Counts, Wrong};
use super::sheet::{Live, Next, Report, Slow, zone_name};
use crate::sched::act::{Deed, Pause, Scope, Skip, SkipWhat};
use crate::sched::id::SeriesId;
use crate::sched::time::Timestamp;

/// The object.
pub(super) fn object(report: &Report) -> Value {
    let scope = &report.scope;
    json!({
        "fine": report.fine,
        "since": text(scope.since),
        "until": text(scope.until),
        "at": text(scope.now),
        "zone": zone_name(&scope.zone),
        "recorded": report.recorded,
        "decided_up_to": scope.mark.map(text),
        "behind": report.behind,
        "undecided": report.undecided,
        "counts": counts(&report.counts),
        "by_hand": counts(&report.by_hand),
        "not_counted": {
            "changed_series": report.left_out.changed,
            "series_not_worked_out": report.left_out.not_worked_out,
            "deleted": report.left_out.deleted,
            "decided_before": report.left_out.decided_before,
        },
        "days": list(&report.days, |(day, sums)| json!({"date": day.to_string(), "counts": counts(sums)})),
        "wrong": list(&report.wrong, wrong),
        "wrong_in_all": report.all_wrong,
        "live": list(&report.live, live),
        "live_in_all": report.all_live,
        "incidents": list(&report.incidents, |(connection, incident)| json!({
            "connection": connection.to_string(),
            "since": text(incident.since),
            "fault": incident.fault,
        })),
        "notices": Value::Object(
            report.notices.iter().map(|(kind, n)| (kind.word().to_owned(), json!(n))).collect()
        ),
        "slow": list(&report.slow, slow),
        "pauses": list(&report.pauses, pause),
        "skips": list(&report.skips, skip),
        "coming": {
            "until": text(report.coming.until),
            "count": report.coming.count,
            "more": report.coming.more,
            "held_back": report.coming.held,
            "first": list(&report.coming.first, next),
        },
        "tokens": list(&report.tokens, |(connection, end)| json!({
            "connection": connection.to_string(),
            "expires": text(*end),
        })),
        "not_planned": list(&report.unplanned, |series| json!(series.to_string())),
        "deeds": report.deeds.as_ref().map(|deeds| list(deeds, deed)),
        "next": report.next,
    })
}

fn text(at: Timestamp) -> String {
    at.to_string()
}

fn list<T>(all: &[T], each: impl Fn(&T) -> Value) -> Value {
    all.iter().map(each).collect()
}

fn counts(counts: &Counts) -> Value {
    let skipped: Map<String, Value> = counts
        .skipped
        .iter()
        .map(|(reason, n)| ((*reason).to_owned(), json!(n)))
        .collect();
    json!({
        "expected": counts.expected,
        "succeeded": counts.succeeded,
        "retried": counts.retried,
        "resolved": counts.resolved,
        "late": counts.late,
        "failed": counts.failed,
        "timed_out": counts.timed_out,
        "cancelled": counts.cancelled,
        "lost": counts.lost,
        "missed": counts.missed,
        "skipped": skipped,
        "live": counts.live,
        "unexplained": counts.unexplained,
    })
}

/// An object that begins with the series.
fn of(series: &SeriesId, rest: Value) -> Value {
    let mut object = Map::new();
    object.insert("schedule".to_owned(), json!(series.schedule.as_str()));
    object.insert("set".to_owned(), json!(series.set.as_str()));
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    Value::Object(object)
}

fn wrong(wrong: &Wrong) -> Value {
    of(
        &wrong.series,
        json!({
            "end": wrong.end.word(),
            "reason": wrong.end.reason(),
            "count": wrong.count,
            "newest": text(wrong.at),
            "run": wrong.run.as_ref().map(ToString::to_string),
            "fault": wrong.fault,
        }),
    )
}

fn live(live: &Live) -> Value {
    json!({
        "run": live.run.to_string(),
        "state": live.state,
        "submitted": live.since.map(text),
    })
}

fn slow(slow: &Slow) -> Value {
    json!({
        "run": slow.run.to_string(),
        "took_seconds": slow.took.as_secs(),
        "usually_seconds": slow.usually.map(|usually| usually.as_secs()),
    })
}

fn pause(pause: &Pause) -> Value {
    let schedule = match &pause.scope {
        Scope::All => None,
        Scope::Schedule(name) => Some(name.as_str()),
    };
    json!({
        "schedule": schedule,
        "since": text(pause.since),
        "until": pause.until.map(text),
        "who": pause.by.who(),
        "note": pause.by.note(),
    })
}

fn skip(skip: &Skip) -> Value {
    let (next, on, at) = match skip.what {
        SkipWhat::Next(n) => (Some(n), None, None),
        SkipWhat::On(date) => (None, Some(date.to_string()), None),
        SkipWhat::At(at) => (None, None, Some(text(at))),
    };
    of(
        &skip.series,
        json!({
            "next": next,
            "on": on,
            "at": at,
            "who": skip.by.who(),
            "note": skip.by.note(),
        }),
    )
}

fn next(next: &Next) -> Value {
    of(
        &next.series,
        json!({"at": text(next.at), "held_back": next.held}),
    )
}

fn deed(deed: &Deed) -> Value {
    json!({
        "at": text(deed.at),
        "act": deed.act,
        "schedule": deed.schedule.as_ref().map(ToString::to_string),
        "run": deed.run.as_ref().map(ToString::to_string),
        "who": deed.by.who(),
        "note": deed.by.note(),
        "said": deed.said,
    })
}
