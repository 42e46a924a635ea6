//! What was exercised, counted, so that a reader sees that the nights reach everything.

use std::collections::BTreeMap;
use std::fmt;

use nightcall::sandbox::Metadata;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::step::Change;

use super::plan::Night;

/// What two hundred nights must reach, each at least once.
pub(super) const REACHED: [&str; 116] = [
    "act Clock",
    "act Closed",
    "act Doctor",
    "act Fire",
    "act Forget",
    "act NoMarkers",
    "act Kill",
    "act OldCopy",
    "act Restart",
    "act Revoke",
    "act SecondDaemon",
    "act Stall",
    "act StopThere",
    "act StoreRefuses",
    "act Synchronised",
    "act Trouble",
    "killed before the commit",
    "killed after the commit",
    "killed among the effects",
    "commit refused",
    "fenced",
    "start refused",
    "fired",
    "job dropped",
    "stopped at the vendor",
    "hand cancel done",
    "hand cancel refused",
    "hand pause done",
    "hand reload done",
    "hand resume done",
    "hand again done",
    "hand again refused",
    "hand resolve done",
    "hand skip done",
    "hand unskip done",
    "fault cut_reply",
    "fault drip",
    "fault drop_reply",
    "fault garble",
    "fault huge",
    "fault late_handling",
    "fault late_reply",
    "fault no_id",
    "fault redirect",
    "fault refuse",
    "fault reset",
    "fault silence",
    "fault status",
    "fault wrong_length",
    "create 200",
    "create 201",
    "create 400",
    "create 401",
    "create 429",
    "create 503",
    "cancel 200",
    "cancel 204",
    "cancel 400",
    "list 200",
    "list 403",
    "list 503",
    "read 200",
    "read 404",
    "read 429",
    "read 503",
    "token 200",
    "token 503",
    "record absent",
    "record adopted",
    "record cancel_wished",
    "record caught_up",
    "record found",
    "record in_doubt",
    "record refused",
    "record retried",
    "record timed_out",
    "record unknown_word",
    "missed in bulk",
    "series closed",
    "skipped asked",
    "skipped buffer_full",
    "skipped busy",
    "skipped missed",
    "skipped no_predecessor",
    "skipped paused",
    "skipped predecessor_awaited",
    "skipped predecessor_succeeded",
    "skipped predecessor_unknown",
    "skipped start_deadline",
    "succeeded at a later attempt",
    "failed",
    "timed_out",
    "cancelled",
    "lost",
    "notice incident",
    "notice recovered",
    "notice clock",
    "collided on a result table",
    "vendor bigquery",
    "vendor snowflake",
    "vendor snowflakeflat",
    "vendor flat",
    "vendor weird",
    "nights: list forbidden",
    "nights: list without metadata",
    "nights: list cut, newest first",
    "nights: list cut, oldest first",
    "nights: list with others' jobs",
    "nights: metadata dropped",
    "nights: metadata refused",
    "nights: clock of the vendor wrong",
    "nights: cancels ignored",
    "nights: a firewall",
    "nights: oauth",
    "nights: two connections",
    "nights: answers taken in together",
];

/// Counts by a word or two.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(super) fn count(&mut self, what: impl Into<String>) {
        self.add(what.into(), 1);
    }

    fn add(&mut self, what: String, n: u64) {
        *self.0.entry(what).or_default() += n;
    }

    pub(super) fn take_in(&mut self, other: impl IntoIterator<Item = (String, u64)>) {
        other.into_iter().for_each(|(what, n)| self.add(what, n));
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What kind of night it is.
    pub(super) fn night(&mut self, night: &Night) {
        let s = &night.scenario;
        self.count(format!("vendor {:?}", s.profile).to_lowercase());
        self.count(format!("begins {}", night.begins));
        let kinds = [
            ("list forbidden", s.list.forbidden),
            ("list without metadata", !s.list.metadata),
            (
                "list cut, newest first",
                s.list.page.is_some() && s.list.newest_first,
            ),
            (
                "list cut, oldest first",
                s.list.page.is_some() && !s.list.newest_first,
            ),
            ("list with others' jobs", s.list.others > 0),
            ("metadata dropped", s.create.metadata == Metadata::Dropped),
            ("metadata refused", s.create.metadata == Metadata::Refused),
            ("clock of the vendor wrong", s.skew.abs().as_secs() > 60),
            ("cancels ignored", s.cancel.ignored),
            ("a firewall", s.limit.is_some()),
            ("oauth", night.line.oauth),
            ("two connections", night.connections.len() > 1),
            ("answers taken in together", !night.line.together.is_zero()),
        ];
        for (kind, _) in kinds.iter().filter(|(_, is)| *is) {
            self.count(format!("nights: {kind}"));
        }
    }

    /// What was stored.
    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Run { run, record, .. } => {
                self.count(format!("record {}", record.what));
                let message = record.fault.as_ref().map(|f| f.message.as_str());
                if message.is_some_and(|m| m.contains("Already Exists")) {
                    self.count("collided on a result table");
                }
                if let Some(outcome) = run.outcome() {
                    self.count(ended(run, outcome));
                }
            }
            Change::Notice(notice) => self.count(format!("notice {}", notice.kind.word())),
            Change::Missed(_) => self.count("missed in bulk"),
            Change::Closed { .. } => self.count("series closed"),
            _ => {}
        }
    }
}

fn ended(run: &Run, outcome: Outcome) -> String {
    match outcome {
        Outcome::Skipped(reason) => format!("skipped {}", reason.word()),
        Outcome::Succeeded if run.attempt > 1 => "succeeded at a later attempt".to_owned(),
        outcome => outcome.word().to_owned(),
    }
}

impl IntoIterator for Tally {
    type Item = (String, u64);
    type IntoIter = std::collections::btree_map::IntoIter<String, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells: Vec<String> = self
            .0
            .iter()
            .map(|(what, n)| format!("{what} {n}"))
            .collect();
        for row in cells.chunks(4) {
            let row: Vec<String> = row.iter().map(|cell| format!("{cell:<30}")).collect();
            writeln!(f, "  {}", row.join(" ").trim_end())?;
        }
        Ok(())
    }
}
