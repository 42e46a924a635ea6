//! Whether the daemon lives (`/healthz`), and whether it does its work (`/readyz`). What it says of itself counts for as
//! long as it says anything.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::api::Door;
use super::wire::{HealthView, ReadyView};
use crate::daemon::{ChannelStatus, Status};
use crate::sched::time::{Timestamp, between, words};

/// A daemon that says nothing for so long hangs.
const SILENT: Duration = Duration::from_secs(30);
/// Whatever is later than this is not on time: an occurrence, or the word of a loop that reports each second.
const LATE: Duration = Duration::from_secs(10);
/// A channel that takes nothing for longer is something to complain of.
const UNHEARD: Duration = Duration::from_secs(15 * 60);
/// The second bell is silent when it has not rung for so long; by then it was made anew.
const NO_BELL: Duration = Duration::from_secs(20);

/// Why the daemon does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unready {
    /// It has not yet taken up what it knows from before.
    Recovering,
    /// It decides too late, or says nothing, or its second bell is silent.
    Late,
    /// Nothing can be put on record.
    Store,
    /// It does not believe the clock, or waits for it to catch up.
    Clock,
}

impl Unready {
    /// Every reason with its word. The words are stable.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Recovering, "recovering"),
        (Self::Late, "late"),
        (Self::Store, "store"),
        (Self::Clock, "clock"),
    ];

    /// All that hold now.
    pub(super) fn of(status: &Status, bell: Option<Timestamp>, now: Timestamp) -> Vec<Self> {
        let scheduler = &status.scheduler;
        let recovering = scheduler.mark.is_none();
        let holds = |why: &Self| match why {
            Self::Recovering => recovering,
            Self::Late => is_late(status, bell, now),
            Self::Store => status.store.is_some(),
            Self::Clock => scheduler.clock_doubtful || scheduler.clock_behind,
        };
        let all = Self::ALL.into_iter().map(|(why, _)| why);
        all.filter(holds).collect()
    }

    fn word(self) -> &'static str {
        let row = Self::ALL.iter().find(|(why, _)| *why == self);
        row.map_or("late", |(_, word)| word)
    }
}

fn is_late(status: &Status, bell: Option<Timestamp>, now: Timestamp) -> bool {
    // While the store cannot be used the loop reports nothing, and says so.
    let silent = status.store.is_none() && between(status.at, now) > LATE;
    let rang = bell.unwrap_or(status.started);
    silent || status.late > LATE || between(rang, now) > NO_BELL
}

pub(super) async fn health(State(door): State<Door>) -> (StatusCode, Json<HealthView>) {
    let handle = &door.api.handle;
    let status = handle.status();
    let complaints = complaints(&status, &handle.channels());
    let alive = hangs(&status).is_none();
    let view = HealthView {
        alive,
        healthy: complaints.is_empty(),
        complaints,
    };
    (code(alive), Json(view))
}

pub(super) async fn ready(State(door): State<Door>) -> (StatusCode, Json<ReadyView>) {
    let handle = &door.api.handle;
    let reasons = Unready::of(&handle.status(), handle.bell(), Timestamp::now());
    let ready = reasons.is_empty();
    let view = ReadyView {
        ready,
        reasons: reasons.iter().map(|why| why.word().to_owned()).collect(),
    };
    (code(ready), Json(view))
}

fn code(well: bool) -> StatusCode {
    match well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// For how long nothing was heard of the loop, when that is too long.
fn hangs(status: &Status) -> Option<Duration> {
    let silent = between(status.at, Timestamp::now());
    (status.store.is_none() && silent > SILENT).then_some(silent)
}

/// A channel to people that has taken nothing for long.
fn unheard(channel: &ChannelStatus) -> Option<String> {
    let trouble = channel.trouble.as_ref()?;
    let long = between(trouble.since, Timestamp::now());
    (long > UNHEARD).then(|| {
        format!(
            "channel {} has not taken a message for {}: {}",
            channel.name,
            words(long),
            trouble.why
        )
    })
}

/// What the daemon says is wrong, and what it cannot say itself: that it says nothing.
pub(super) fn complaints(status: &Status, channels: &[ChannelStatus]) -> Vec<String> {
    let mut complaints = status.complaints();
    complaints.extend(channels.iter().filter_map(unheard));
    if status.store.is_some() {
        return complaints;
    }
    if let Some(silent) = hangs(status) {
        complaints.insert(
            0,
            format!("the daemon hangs: nothing for {}", words(silent)),
        );
    } else if status.scheduler.mark.is_none() {
        complaints.insert(
            0,
            "the daemon is starting: it reads its database".to_owned(),
        );
    }
    complaints
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sched::scheduler::Snapshot;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    /// A daemon for which all is well, as it stood at 100 s; it started at 0.
    fn well() -> Status {
        Status {
            pid: 1,
            started: at(0),
            at: at(100),
            instance: "test".to_owned(),
            config: Arc::from("hash"),
            observe: false,
            store: None,
            late: Duration::ZERO,
            bell: Some(at(100)),
            scheduler: Snapshot {
                mark: Some(at(99)),
                ..Snapshot::default()
            },
        }
    }

    fn reasons(status: &Status, bell: i64, now: i64) -> Vec<&'static str> {
        let reasons = Unready::of(status, Some(at(bell)), at(now));
        reasons.into_iter().map(Unready::word).collect()
    }

    #[test]
    fn a_daemon_is_ready_while_its_loop_and_its_bell_are_heard() {
        assert!(reasons(&well(), 100, 101).is_empty());
        assert!(reasons(&well(), 100, 110).is_empty());
        assert_eq!(reasons(&well(), 111, 111), ["late"], "the loop is silent");
        let heard = Status {
            at: at(121),
            ..well()
        };
        assert_eq!(reasons(&heard, 100, 121), ["late"], "the bell is silent");
    }

    #[test]
    fn a_bell_that_never_rang_is_waited_for_a_while() {
        let status = Status {
            started: at(90),
            ..well()
        };
        assert!(Unready::of(&status, None, at(105)).is_empty());
        assert_eq!(Unready::of(&well(), None, at(105)), [Unready::Late]);
    }

    #[test]
    fn what_was_decided_late_is_late() {
        let status = |late| Status {
            late: Duration::from_secs(late),
            ..well()
        };
        assert!(reasons(&status(10), 100, 100).is_empty());
        assert_eq!(reasons(&status(11), 100, 100), ["late"]);
    }

    #[test]
    fn every_reason_is_told_by_its_own_word() {
        let mut status = well();
        status.scheduler.mark = None;
        assert_eq!(reasons(&status, 100, 100), ["recovering"]);
        status.store = Some("the store cannot be used: the disk is full".to_owned());
        assert_eq!(reasons(&status, 100, 100), ["recovering", "store"]);
        assert_eq!(
            reasons(&status, 200, 200),
            ["recovering", "store"],
            "a loop that waits for the store is not late for that"
        );
        status.scheduler.clock_behind = true;
        assert_eq!(reasons(&status, 100, 100), ["recovering", "store", "clock"]);
    }
}
