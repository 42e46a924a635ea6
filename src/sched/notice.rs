//! What a person should hear; stored in the same transaction as the change that caused it.

use super::id::{RunId, ScheduleName};
use super::time::Timestamp;

/// What a notice is about. The words are what `[notify]` channels will subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// A run failed for good.
    Failed,
    /// A run reached its time limit.
    TimedOut,
    /// How a run ended cannot be known.
    Lost,
    /// A run was cancelled.
    Cancelled,
    /// A run was skipped because it could not start in time, or will be unless somebody mends what it waits for.
    Late,
    /// Times passed while nobody watched and were not run.
    Missed,
    /// A series is skipped because the end of its last run is unknown.
    Occupied,
    /// A connection does not work; one notice for a whole outage.
    Incident,
    /// The connection works again.
    Recovered,
    /// The clock cannot be believed, or a cursor lies in the future.
    Clock,
    /// A job with our marker that the store did not know.
    Adopted,
    /// Another configuration was to take the place of the present one and could not.
    Reload,
    /// The daily look at everything found something.
    Doctor,
    /// Something that must not happen happened: an illegal transition, a trigger that does not advance.
    Bug,
}

/// Every kind with its word.
pub const KINDS: [(NoticeKind, &str); 14] = [
    (NoticeKind::Failed, "failed"),
    (NoticeKind::TimedOut, "timed_out"),
    (NoticeKind::Lost, "lost"),
    (NoticeKind::Cancelled, "cancelled"),
    (NoticeKind::Late, "late"),
    (NoticeKind::Missed, "missed"),
    (NoticeKind::Occupied, "occupied"),
    (NoticeKind::Incident, "incident"),
    (NoticeKind::Recovered, "recovered"),
    (NoticeKind::Clock, "clock"),
    (NoticeKind::Adopted, "adopted"),
    (NoticeKind::Reload, "reload"),
    (NoticeKind::Doctor, "doctor"),
    (NoticeKind::Bug, "bug"),
];

impl NoticeKind {
    /// The word used in the store and in the configuration.
    pub fn word(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("bug", |(_, word)| word)
    }

    /// Reads [`word`](Self::word) back.
    pub fn from_word(word: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(_, w)| *w == word)
            .map(|(kind, _)| *kind)
    }
}

/// What a person should hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Stable: the same cause makes the same id, so a notice is stored once.
    pub id: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// When it was decided.
    pub at: Timestamp,
    /// The schedule it concerns, when it concerns one.
    pub schedule: Option<ScheduleName>,
    /// The run it concerns, when it concerns one.
    pub run: Option<RunId>,
    /// One line.
    pub subject: String,
    /// The rest: what is known and what to do.
    pub body: String,
}

impl Notice {
    /// What it belongs to: notices of one thread tell one story, and are told in order.
    pub fn thread(&self) -> String {
        let connection = || {
            let mut parts = self.id.split(':').skip(1);
            format!("connection:{}", parts.next().unwrap_or_default())
        };
        match (self.kind, &self.run, &self.schedule) {
            (NoticeKind::Incident | NoticeKind::Recovered, ..) => connection(),
            (_, Some(run), _) => format!("series:{}", run.series),
            (_, None, Some(schedule)) => format!("schedule:{schedule}"),
            (kind, None, None) => kind.word().to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_and_its_end_are_one_story_and_so_is_all_that_happens_to_a_series() {
        let thread = |id: &str, kind, schedule: Option<&str>, run: Option<&str>| {
            let notice = Notice {
                id: id.to_owned(),
                kind,
                at: Timestamp::UNIX_EPOCH,
                schedule: schedule.map(|name| ScheduleName::new(name).unwrap()),
                run: run.map(|id| id.parse().unwrap()),
                subject: String::new(),
                body: String::new(),
            };
            notice.thread()
        };
        let run = Some("a/x@2026-02-03T02:15:00Z");
        assert_eq!(
            thread(
                "incident:dw:2026-02-03T02:15:00Z",
                NoticeKind::Incident,
                None,
                None
            ),
            thread(
                "recovered:dw:2026-02-03T02:00:00Z",
                NoticeKind::Recovered,
                None,
                None
            ),
        );
        assert_eq!(
            thread("i", NoticeKind::Failed, Some("a"), run),
            "series:a/x"
        );
        assert_eq!(thread("j", NoticeKind::Late, Some("a"), run), "series:a/x");
        assert_eq!(
            thread("k", NoticeKind::Missed, Some("a"), None),
            "schedule:a"
        );
        assert_eq!(thread("l", NoticeKind::Clock, None, None), "clock");
    }
}
