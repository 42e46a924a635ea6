//! The last things that happened, for whoever looks at a failure. Kept as they are and put into words only then.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use nightcall::sched::Change;
use nightcall::sched::step::{Ask, Effect, Input};
use nightcall::sched::time::Timestamp;

use crate::vendor::Passage;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Line {
    Started(u64, Timestamp),
    Stopped,
    Killed(usize),
    Restored,
    ClockStepped(i64),
    Input(Input),
    Stored(Change),
    Asked(Effect, Passage),
}

/// A bounded log.
#[derive(Debug, Default)]
pub(crate) struct Log(VecDeque<(Timestamp, Line)>);

impl Log {
    pub(crate) fn push(&mut self, t: Timestamp, line: Line) {
        const KEPT: usize = 400;
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((t, line));
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (t, line) in &self.0 {
            writeln!(f, "{t} {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(process, wall) => write!(f, "---- start {process}, wall clock {wall}"),
            Self::Stopped => write!(f, "---- stop"),
            Self::Killed(step) => write!(f, "---- killed at step {step}"),
            Self::Restored => write!(f, "---- an old copy of the database"),
            Self::ClockStepped(secs) => write!(f, "---- clock stepped by {secs} s"),
            Self::Input(input) => said(f, input),
            Self::Stored(change) => stored(f, change),
            Self::Asked(effect, passage) => asked(f, effect, passage),
        }
    }
}

fn said(f: &mut fmt::Formatter<'_>, input: &Input) -> fmt::Result {
    match input {
        Input::Answer { key, answer, .. } => {
            write!(f, "answer {}#{}: {answer:?}", key.run, key.attempt)
        }
        Input::Listed { answer, .. } => write!(f, "list: {answer:?}"),
        other => write!(f, "{other:?}"),
    }
}

fn stored(f: &mut fmt::Formatter<'_>, change: &Change) -> fmt::Result {
    match change {
        Change::Run { run, record, .. } => {
            let why = record.why.as_deref().unwrap_or("");
            write!(
                f,
                "  store {}: {} -> {:?} {why}",
                run.id, record.what, run.state
            )
        }
        Change::Notice(notice) => write!(f, "  notice {:?}: {}", notice.kind, notice.subject),
        Change::Cursor { series, upto, .. } => write!(f, "  store cursor {series} {upto}"),
        other => write!(f, "  store {other:?}"),
    }
}

fn asked(f: &mut fmt::Formatter<'_>, effect: &Effect, passage: &Passage) -> fmt::Result {
    match effect {
        Effect::Ask { key, ask, .. } => {
            let verb = match ask {
                Ask::Submit(_) => "submit",
                Ask::Poll(..) => "poll",
                Ask::Cancel(..) => "cancel",
            };
            write!(f, "  {verb} {}#{}", key.run, key.attempt)?;
        }
        Effect::List { since, .. } => write!(f, "  list since {since}")?,
        Effect::Reply { fired, .. } => write!(f, "  reply {fired:?}")?,
        Effect::Acted { acted, .. } => write!(f, "  answer {acted:?}")?,
    }
    let none = Duration::MAX;
    match passage.arrives.unwrap_or(none) {
        d if d == none => write!(f, ", never arrives, {:?}", passage.back),
        d => write!(f, ", arrives after {d:?}, {:?}", passage.back),
    }
}
