//! The report in words: sentences and tables, the same for a terminal and for a mail.

use super::counts::{Counts, End, Wrong};
use super::sheet::{Coming, Report, Slow, zone_name};
use crate::cli::words;
use crate::sched::act::{By, Deed, Pause, Skip, SkipWhat};
use crate::sched::time::{TimeZone, Timestamp, between};

/// The most rows of a table.
const ROWS: usize = 20;

/// Everything that is said, in order.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Nobody needs to look.
    pub(super) fine: bool,
    /// What must be seen before anything else; empty as a rule.
    pub(super) alarm: Option<String>,
    /// The sums in one line.
    pub(super) headline: String,
    /// The span in one line.
    pub(super) span: String,
    /// What is said in sentences.
    pub(super) remarks: Vec<String>,
    /// The rest.
    pub(super) tables: Vec<Section>,
    /// The arguments of the next command to type.
    pub(super) next: Option<String>,
}

/// A table.
#[derive(Debug)]
pub(super) struct Section {
    /// What is above each column; the first says what the table is about.
    pub(super) head: Vec<&'static str>,
    /// The rows; the first cell of a row of wrongs is a word with a colour.
    pub(super) rows: Vec<Vec<String>>,
    /// What is below it: `and 3 more`.
    pub(super) below: Option<String>,
}

impl Section {
    /// At most [`ROWS`] of these rows, of so many in all.
    fn of(head: Vec<&'static str>, rows: Vec<Vec<String>>, all: usize) -> Option<Self> {
        Self::cut(head, rows, all, ROWS)
    }

    fn cut(
        head: Vec<&'static str>,
        mut rows: Vec<Vec<String>>,
        all: usize,
        most: usize,
    ) -> Option<Self> {
        rows.truncate(most);
        let more = all.saturating_sub(rows.len());
        (!rows.is_empty()).then(|| Self {
            head,
            rows,
            below: (more > 0).then(|| format!("and {more} more")),
        })
    }
}

impl Page {
    /// The words of a report.
    pub(super) fn of(report: &Report) -> Self {
        let told = Told { report };
        Self {
            fine: report.fine,
            alarm: told.alarm(),
            headline: told.headline(),
            span: told.span(),
            remarks: told.remarks(),
            tables: [
                told.wrong(),
                told.days(),
                told.live(),
                told.slow(),
                told.coming(),
                told.deeds(),
            ]
            .into_iter()
            .flatten()
            .collect(),
            next: report.next.clone(),
        }
    }
}

struct Told<'r> {
    report: &'r Report,
}

impl Told<'_> {
    fn zone(&self) -> &TimeZone {
        &self.report.scope.zone
    }

    fn at(&self, at: Timestamp) -> String {
        words::instant(at, self.zone(), self.report.scope.now)
    }

    fn moment(&self, at: Timestamp) -> String {
        words::moment(at, self.zone(), self.report.scope.now)
    }

    fn alarm(&self) -> Option<String> {
        let Counts {
            unexplained,
            expected,
            ..
        } = self.report.counts;
        (unexplained > 0).then(|| {
            format!(
                "UNEXPLAINED: {unexplained} of {expected} expected times {} nowhere on record; this must not happen, report it",
                if unexplained == 1 { "is" } else { "are" }
            )
        })
    }

    /// "all fine: 42 expected, 42 succeeded (2 retried), unexplained 0"
    fn headline(&self) -> String {
        let fine = match self.report.fine {
            true => "all fine",
            false => "not fine",
        };
        let counts = &self.report.counts;
        if !self.report.recorded {
            return format!("{fine}: no daemon has run here, nothing is recorded yet");
        }
        let mut parts = match counts.expected {
            0 => vec!["nothing was expected".to_owned()],
            n => vec![format!("{n} expected")],
        };
        parts.extend(ended(counts));
        parts.push(format!("unexplained {}", counts.unexplained));
        let late = (counts.late > 0).then(|| format!("; {} started late", counts.late));
        format!("{fine}: {}{}", parts.join(", "), late.unwrap_or_default())
    }

    fn span(&self) -> String {
        let scope = &self.report.scope;
        format!(
            "from {} to {}, {}",
            self.at(scope.since),
            self.at(scope.until),
            zone_name(self.zone())
        )
    }

    /// Sentences, the more urgent first.
    fn remarks(&self) -> Vec<String> {
        let report = self.report;
        let mut lines = Vec::new();
        let decided = match report.scope.mark {
            Some(mark) => format!("the daemon last decided at {}", self.at(mark)),
            None => "the daemon has not decided anything yet".to_owned(),
        };
        match report.undecided {
            0 if report.behind => lines.push(format!("{decided}. Is it running?")),
            0 => {}
            n => lines.push(format!(
                "{} due and not decided: {decided}. Is it running?",
                counted(n, "time is", "times are")
            )),
        }
        for (connection, incident) in &report.incidents {
            lines.push(format!(
                "connection {connection} has not worked since {}: {}",
                self.moment(incident.since),
                words::plain(&incident.fault)
            ));
        }
        for (connection, end) in &report.tokens {
            let verb = match *end <= report.scope.now {
                true => "has expired",
                false => "expires",
            };
            lines.push(format!(
                "the token of {connection} {verb}: {}",
                self.at(*end)
            ));
        }
        lines.extend(report.pauses.iter().take(ROWS).map(|p| self.pause(p)));
        lines.extend(more(report.pauses.len(), "pauses"));
        lines.extend(report.skips.iter().take(ROWS).map(|s| self.skip(s)));
        lines.extend(more(report.skips.len(), "wishes to skip"));
        lines.extend(self.by_hand());
        lines.extend(self.notices());
        lines.extend(self.unplanned());
        lines.extend(self.left_out());
        lines
    }

    /// "paused: tiles since … until … (ana (uid 1000): the load is frozen)"
    fn pause(&self, pause: &Pause) -> String {
        let until = pause
            .until
            .map(|until| format!(" until {}", self.at(until)));
        format!(
            "paused: {} since {}{} ({})",
            pause.scope,
            self.at(pause.since),
            until.unwrap_or_default(),
            by(&pause.by)
        )
    }

    fn skip(&self, skip: &Skip) -> String {
        let what = match skip.what {
            SkipWhat::Next(n) => words::count(n as usize, "next time"),
            SkipWhat::On(date) => words::date(date, self.zone(), self.report.scope.now),
            SkipWhat::At(at) => self.at(at),
        };
        format!(
            "to be skipped: {} {what} ({})",
            words::series(&skip.series),
            by(&skip.by)
        )
    }

    fn by_hand(&self) -> Option<String> {
        let counts = &self.report.by_hand;
        (counts.expected > 0).then(|| {
            let asked = counted(counts.expected, "run", "runs");
            format!("by hand: {asked}, {}", ended(counts).join(", "))
        })
    }

    fn notices(&self) -> Option<String> {
        let told = |(kind, n): &(crate::sched::notice::NoticeKind, u64)| {
            format!("{n} {}", kind.word().replace('_', " "))
        };
        let all: Vec<String> = self.report.notices.iter().map(told).collect();
        (!all.is_empty()).then(|| format!("notices: {}", all.join(", ")))
    }

    fn unplanned(&self) -> Option<String> {
        let all = &self.report.unplanned;
        let first = all.first()?;
        let more = all.len() - 1;
        let rest = (more > 0).then(|| format!(" and {more} more"));
        Some(format!(
            "in the configuration and not planned by the daemon: {}{} (nightcall plan)",
            words::series(first),
            rest.unwrap_or_default()
        ))
    }

    fn left_out(&self) -> Vec<String> {
        let left_out = self.report.left_out;
        let mut lines = Vec::new();
        if left_out.changed > 0 {
            lines.push(format!(
                "{} added or changed in this time: before that, what is on record is what was expected",
                counted(left_out.changed, "series was", "series were")
            ));
        }
        if left_out.not_worked_out > 0 {
            lines.push(format!(
                "of {} the times were not worked out in full: what is on record is what was expected",
                counted(left_out.not_worked_out, "series", "series")
            ));
        }
        if left_out.deleted > 0 {
            lines.push(format!(
                "{} not counted: retention may have deleted what is on record of them",
                counted(left_out.deleted, "time is", "times are")
            ));
        }
        if left_out.decided_before > 0 {
            lines.push(format!(
                "{} not counted: decided in a former time zone of the schedule",
                counted(left_out.decided_before, "time is", "times are")
            ));
        }
        lines
    }

    // ---- tables --------------------------------------------------------------------------------------------------

    fn wrong(&self) -> Option<Section> {
        let row = |wrong: &Wrong| {
            vec![
                wrong.end.word().to_owned(),
                words::times(wrong.count),
                self.at(wrong.at),
                words::series(&wrong.series),
                why(wrong),
            ]
        };
        let rows = self.report.wrong.iter().take(ROWS).map(row).collect();
        Section::of(
            vec!["WRONG", "TIMES", "NEWEST", "SERIES", "WHY"],
            rows,
            self.report.all_wrong,
        )
    }

    fn days(&self) -> Option<Section> {
        let row = |(day, counts): &(_, Counts)| {
            let ended = ended(counts);
            vec![
                words::date(*day, self.zone(), self.report.scope.now),
                counts.expected.to_string(),
                ended.join(", "),
            ]
        };
        let days = &self.report.days;
        let rows = days.iter().map(row).collect();
        Section::cut(
            vec!["DAY", "EXPECTED", "ENDED"],
            rows,
            days.len(),
            days.len(),
        )
    }

    fn live(&self) -> Option<Section> {
        let now = self.report.scope.now;
        let row = |live: &super::sheet::Live| {
            let since = live.since.map(|since| words::took(between(since, now)));
            vec![
                live.state.replace('_', " "),
                since.unwrap_or_else(|| "-".to_owned()),
                self.at(live.run.instant),
                words::series(&live.run.series),
            ]
        };
        let most = match self.report.deeds {
            Some(_) => ROWS,
            None => ROWS / 4,
        };
        let rows = self.report.live.iter().take(most).map(row).collect();
        Section::cut(
            vec!["LIVE", "SO FAR", "NOMINAL", "SERIES"],
            rows,
            self.report.all_live,
            most,
        )
    }

    fn slow(&self) -> Option<Section> {
        let slow = &self.report.slow;
        let is_slow = slow.iter().any(|slow| slow.usually.is_some());
        let row = |slow: &Slow| {
            let mut row = vec![words::took(slow.took)];
            row.extend(slow.usually.map(words::took));
            row.push(self.at(slow.run.instant));
            row.push(words::series(&slow.run.series));
            row
        };
        let head = match is_slow {
            true => vec!["SLOW", "USUALLY", "NOMINAL", "SERIES"],
            false => vec!["LONGEST", "NOMINAL", "SERIES"],
        };
        Section::of(head, slow.iter().map(row).collect(), slow.len())
    }

    fn coming(&self) -> Option<Section> {
        let Coming {
            until,
            count,
            more,
            held,
            first,
        } = &self.report.coming;
        let row = |next: &super::sheet::Next| {
            vec![
                self.at(next.at),
                words::series(&next.series),
                next.held.unwrap_or_default().to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = first.iter().map(row).collect();
        let rest = count.saturating_sub(rows.len() as u64);
        let mut below = match (more, rest) {
            (true, _) => format!("and more than {rest} more"),
            (false, 0) => "no more".to_owned(),
            (false, rest) => format!("and {rest} more"),
        };
        below.push_str(&format!(" until {}", self.at(*until)));
        if *held > 0 {
            below.push_str(&format!("; of all these {held} will not run"));
        }
        (!rows.is_empty()).then(|| Section {
            head: vec!["COMES NEXT", "SERIES", "NOTE"],
            rows,
            below: Some(below),
        })
    }

    fn deeds(&self) -> Option<Section> {
        let deeds = self.report.deeds.as_deref()?;
        let row = |deed: &Deed| {
            vec![
                self.moment(deed.at),
                deed.act.clone(),
                by(&deed.by),
                words::plain(&deed.said),
            ]
        };
        // The newest count most.
        let skipped = deeds.len().saturating_sub(ROWS);
        let rows = deeds[skipped..].iter().map(row).collect();
        let mut section = Section::of(vec!["DONE AT", "WHAT", "BY", "SAID"], rows, deeds.len())?;
        section.below = (skipped > 0).then(|| format!("and {skipped} before these"));
        Some(section)
    }
}

/// How many ended how, in words: `36 succeeded (2 retried)`, `1 failed`.
fn ended(counts: &Counts) -> Vec<String> {
    let mut parts = Vec::new();
    let mut add = |n: u64, word: &str| {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    };
    let of: Vec<String> = [
        (counts.retried, "retried"),
        (counts.resolved, "by a person's word"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{n} {word}"))
    .collect();
    match of.is_empty() {
        true => add(counts.succeeded, "succeeded"),
        false => add(counts.succeeded, &format!("succeeded ({})", of.join(", "))),
    }
    add(counts.failed, "failed");
    add(counts.timed_out, "timed out");
    add(counts.cancelled, "cancelled");
    add(counts.lost, "lost");
    add(counts.missed, "missed");
    let reasons: Vec<String> = counts
        .skipped
        .iter()
        .map(|(reason, n)| format!("{n} {}", reason.replace('_', " ")))
        .collect();
    add(
        counts.all_skipped(),
        &format!("skipped ({})", reasons.join(", ")),
    );
    add(counts.live, "still live");
    parts
}

/// Why it is wrong, in a few words.
fn why(wrong: &Wrong) -> String {
    let of_itself = match wrong.end {
        End::Unexplained => "expected, and nothing is on record".to_owned(),
        End::Skipped(reason) => reason.to_string(),
        End::Cancelled => "stopped at the vendor".to_owned(),
        _ => String::new(),
    };
    wrong.fault.as_deref().map_or(of_itself, words::plain)
}

fn by(by: &By) -> String {
    words::plain(&by.to_string())
}

fn counted(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ => format!("{n} {many}"),
    }
}

fn more(all: usize, what: &str) -> Option<String> {
    let more = all.saturating_sub(ROWS);
    (more > 0).then(|| format!("… and {more} more {what}"))
}
