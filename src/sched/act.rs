//! What people do to a running scheduler, who did it, and what stays in force because of it.
//!
//! An act is decided at once or refused with a sentence; whatever it changes is stored with who asked, when and why
//! (docs/adr/0016).

use std::fmt;

use super::fault::bounded;
use super::id::{RunId, ScheduleName, SeriesId, SetName};
use super::time::{Timestamp, civil};

/// Who asks, and with which note: one line each, bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    who: String,
    note: Option<String>,
}

impl By {
    /// The longest name of somebody, in bytes.
    pub const WHO: usize = 100;
    /// The longest note, in bytes.
    pub const NOTE: usize = 500;

    /// Somebody by the name that the door knows (`uid 1000`, a token's name), with the note that was given. What is too
    /// long is cut; control characters become spaces; an empty note is none.
    pub fn new(who: &str, note: Option<&str>) -> Self {
        let note = note.map(|text| one_line(text, Self::NOTE));
        Self {
            who: one_line(who, Self::WHO),
            note: note.filter(|text| !text.is_empty()),
        }
    }

    /// Who.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Why, as it was said.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.note {
            Some(note) => write!(f, "{}: {note}", self.who),
            None => f.write_str(&self.who),
        }
    }
}

fn one_line(text: &str, longest: usize) -> String {
    let swap = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.chars().map(swap).collect();
    bounded(line.trim(), longest)
}

/// What a pause holds back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Every schedule.
    All,
    /// All sets of one schedule.
    Schedule(ScheduleName),
}

impl Scope {
    /// Whether a series is held back.
    pub fn holds(&self, series: &SeriesId) -> bool {
        match self {
            Self::All => true,
            Self::Schedule(name) => *name == series.schedule,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Schedule(name) => write!(f, "schedule {name}"),
        }
    }
}

/// A pause that is in force: occurrences between `since` and `until` (neither belongs to it) pass, what waits waits on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What it holds back.
    pub scope: Scope,
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself, if it does.
    pub until: Option<Timestamp>,
    /// Who asked for it.
    pub by: By,
}

impl Pause {
    /// Whether an occurrence at this instant passes.
    pub fn covers(&self, instant: Timestamp) -> bool {
        instant > self.since && self.until.is_none_or(|until| instant < until)
    }
}

/// Occurrences of a series that are not to run: recorded as skipped when their time comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The series.
    pub series: SeriesId,
    /// Which of its occurrences.
    pub what: SkipWhat,
    /// When it was asked.
    pub at: Timestamp,
    /// Who asked.
    pub by: By,
}

/// Which occurrences are not to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipWhat {
    /// The next so many, whatever else becomes of them.
    Next(u32),
    /// All of one nominal date, in the schedule's zone.
    On(civil::Date),
    /// The one at this instant.
    At(Timestamp),
}

impl SkipWhat {
    /// The most occurrences that [`SkipWhat::Next`] counts.
    pub const MOST: u32 = 1000;

    /// What tells the wishes of one series apart: there is one `next`, and one for each date and instant.
    pub fn key(&self) -> String {
        match self {
            Self::Next(_) => "next".to_owned(),
            Self::On(date) => format!("on {date}"),
            Self::At(instant) => format!("at {instant}"),
        }
    }

    /// Reads [`key`](Self::key) back; `left` is how many `next` still counts.
    pub fn from_key(key: &str, left: u32) -> Option<Self> {
        match key.split_once(' ') {
            None => (key == "next").then_some(Self::Next(left)),
            Some(("on", date)) => date.parse().ok().map(Self::On),
            Some(("at", instant)) => instant.parse().ok().map(Self::At),
            Some(_) => None,
        }
    }
}

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Occurrences pass and what waits waits on, until somebody resumes, or until a time.
    Pause {
        /// What is held back.
        scope: Scope,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// Ends a pause. Nothing of the past runs, unless the misfire policy is applied to what passed.
    Resume {
        /// The scope of the pause.
        scope: Scope,
        /// Apply the misfire policy to the times that passed meanwhile.
        catch_up: bool,
    },
    /// Some coming occurrences are not to run.
    Skip {
        /// Which schedule.
        schedule: ScheduleName,
        /// Which set; all when `None`.
        set: Option<SetName>,
        /// Which occurrences.
        what: SkipWhat,
    },
    /// Takes such wishes back.
    Unskip {
        /// Which schedule.
        schedule: ScheduleName,
        /// Which set; all when `None`.
        set: Option<SetName>,
        /// Which wish, by its [`SkipWhat::key`]; all when `None`.
        what: Option<SkipWhat>,
    },
    /// Stops a run.
    Cancel {
        /// Which.
        run: RunId,
    },
    /// Runs an occurrence again, as its next generation.
    Again(Again),
    /// Says how a run ended whose end the daemon cannot know.
    Resolve {
        /// Which.
        run: RunId,
        /// How.
        ended: Ended,
    },
}

/// A wish to run an occurrence again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The run that is followed: the newest generation of its occurrence. Of an occurrence without a record, the planned
    /// run that there is not.
    pub run: RunId,
    /// Which ends it may follow, and how it waits.
    pub how: How,
    /// Wait behind a busy series instead of being refused.
    pub queue: bool,
    /// Run beside a busy series instead of being refused.
    pub anyway: bool,
    /// Run although the schedule is paused.
    pub even_paused: bool,
}

/// Why an occurrence is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It did not end well: a run of the night, made good at once.
    Retry,
    /// Whatever it ended as, also well. In the background.
    Rerun,
    /// It was skipped, missed, or nobody watched. In the background.
    Backfill,
}

/// How a run ended, by the word of a person who looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Well.
    Succeeded,
    /// Not well.
    Failed,
}

impl Ended {
    /// Every end with its word.
    pub const ALL: [(Self, &'static str); 2] =
        [(Self::Succeeded, "succeeded"), (Self::Failed, "failed")];

    /// The word used in the store, in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads [`word`](Self::word) back.
    pub fn from_word(word: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == word);
        known.map(|(ended, _)| ended)
    }
}

impl How {
    /// The name of its command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Rerun => "rerun",
            Self::Backfill => "backfill",
        }
    }
}

impl Act {
    /// One word: the name of its command.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Skip { .. } => "skip",
            Self::Unskip { .. } => "unskip",
            Self::Cancel { .. } => "cancel",
            Self::Again(again) => again.how.word(),
            Self::Resolve { .. } => "resolve",
        }
    }

    /// The run that it concerns. Whoever hands the act in gives all runs on record of that series and instant along,
    /// read after everything before the act was stored.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Cancel { run } | Self::Resolve { run, .. } => Some(run),
            Self::Again(Again { run, .. }) => Some(run),
            _ => None,
        }
    }
}

/// The answer to an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is done, or was done before, and is stored.
    Done {
        /// One sentence: what it means.
        message: String,
        /// The runs that it made or stops.
        runs: Vec<RunId>,
    },
    /// Nothing was changed: why, and what to do.
    Refused {
        /// One sentence.
        message: String,
        /// What to do about it.
        hint: String,
    },
}

/// An act on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who, and why.
    pub by: By,
    /// What, by [`Act::word`], or `reload`.
    pub act: String,
    /// The schedule that it concerns, when it concerns one.
    pub schedule: Option<ScheduleName>,
    /// The run that it concerns, when it concerns one.
    pub run: Option<RunId>,
    /// What was answered.
    pub said: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_and_why_are_one_bounded_line_each() {
        let by = By::new("uid 1000\n", Some(&"a\tb ".repeat(1000)));
        assert_eq!(by.who(), "uid 1000");
        assert!(
            by.note()
                .is_some_and(|note| note.len() <= By::NOTE && note.starts_with("a b"))
        );
        assert_eq!(
            By::new(by.who(), by.note()),
            by,
            "reads back as it was stored"
        );
        assert_eq!(By::new("x", Some(" ")).note(), None);
    }

    #[test]
    fn wishes_to_skip_read_back_as_they_were_written() {
        let at = "2026-02-03T01:15:00.25Z".parse().unwrap();
        for what in [
            SkipWhat::Next(3),
            SkipWhat::On(civil::date(2026, 2, 3)),
            SkipWhat::At(at),
        ] {
            assert_eq!(SkipWhat::from_key(&what.key(), 3), Some(what));
        }
        for text in ["", "nxt", "on", "on noon", "at 2026", "in 3"] {
            assert_eq!(SkipWhat::from_key(text, 1), None, "{text}");
        }
    }

    #[test]
    fn neither_end_of_a_pause_belongs_to_it() {
        let t = |n| Timestamp::from_second(n).unwrap();
        let by = By::new("x", None);
        let pause = Pause {
            scope: Scope::All,
            since: t(10),
            until: Some(t(20)),
            by,
        };
        assert_eq!(
            [10, 11, 19, 20].map(|n| pause.covers(t(n))),
            [false, true, true, false]
        );
    }
}
