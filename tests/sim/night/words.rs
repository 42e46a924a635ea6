//! What happened, in words, for whoever looks at a night that broke.

use nightcall::sched::Change;
use nightcall::sched::step::{Effect, Input};

use super::play::Play;

impl Play<'_> {
    /// Keeps a line, if lines are kept.
    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        const KEPT: usize = 160;
        let now = self.true_now();
        if let Some(trace) = &mut self.trace {
            if trace.len() == KEPT {
                trace.pop_front();
            }
            trace.push_back(format!("{now} {}", what()));
        }
    }
}

pub(super) fn heard(input: &Input) -> String {
    match input {
        Input::Answer { key, answer, .. } => format!("{}#{}: {answer:?}", key.run, key.attempt),
        Input::Listed { key, answer, .. } => format!("list of {}: {answer:?}", key.connection),
        other => format!("{other:?}"),
    }
}

pub(super) fn stored(change: &Change) -> String {
    match change {
        Change::Run { run, record, .. } => {
            let why = record.why.as_deref().unwrap_or("");
            format!(
                "  store {}: {} -> {:?} {why}",
                run.id, record.what, run.state
            )
        }
        Change::Notice(notice) => format!("  notice {:?}: {}", notice.kind, notice.subject),
        Change::Cursor { series, upto, .. } => format!("  store cursor {series} {upto}"),
        other => format!("  store {other:?}"),
    }
}

pub(super) fn asked(effect: &Effect) -> String {
    match effect {
        Effect::Ask { key, ask, .. } => {
            let words = format!("{ask:?}");
            let verb = words.split('(').next().unwrap_or_default();
            format!("  {verb} {}#{}", key.run, key.attempt)
        }
        Effect::List { key, since, .. } => format!("  list of {} since {since}", key.connection),
        other => format!("  {other:?}"),
    }
}
