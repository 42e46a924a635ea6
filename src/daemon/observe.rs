//! Committed changes become log lines, the live feed and measures. Readers only: nothing here decides anything.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast};
use tracing::{debug, info, warn};

use super::measure::Measures;
use crate::sched::act::Pause;
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::outcome::Outcome;
use crate::sched::run::{Record, Run};
use crate::sched::step::Change;

/// So many changes may a slow reader be behind before it misses some.
const FEED: usize = 4096;

/// Tells the log, the feed and the measures what was committed.
#[derive(Clone)]
pub(super) struct Observer {
    feed: broadcast::Sender<Arc<Change>>,
    notices: Arc<Notify>,
    pub(super) measures: Measures,
}

impl Observer {
    pub(super) fn new() -> Self {
        Self {
            feed: broadcast::channel(FEED).0,
            notices: Arc::default(),
            measures: Measures::new(),
        }
    }

    /// Where readers get the feed from.
    pub(super) fn feed(&self) -> broadcast::Sender<Arc<Change>> {
        self.feed.clone()
    }

    /// Rings when a notice was stored.
    pub(super) fn notices(&self) -> Arc<Notify> {
        Arc::clone(&self.notices)
    }

    /// What was committed, in order.
    pub(super) fn observe(&self, changes: Vec<Change>) {
        // First, so that whoever follows the feed finds it counted.
        changes
            .iter()
            .for_each(|change| self.measures.changed(change));
        for change in changes {
            log(&change);
            if let Change::Notice(_) = change {
                self.notices.notify_waiters();
            }
            if self.feed.receiver_count() > 0 {
                // Nobody listens any more: fine.
                let _ = self.feed.send(Arc::new(change));
            }
        }
    }
}

fn log(change: &Change) {
    match change {
        Change::Run { run, record, .. } => log_run(run, record),
        Change::Missed(missed) => warn!(
            series = %missed.series, count = missed.count, from = %missed.range.after,
            until = %missed.range.upto, "times passed and will not run: {}", missed.reason
        ),
        Change::Cursor {
            series,
            upto,
            definition,
        } => info!(
            series = %series, zone = definition.trigger.zone,
            "planned from {upto} on; earlier times are decided, or it has none"
        ),
        Change::Closed { series, upto } => {
            info!(series = %series, "no longer in the configuration; decided up to {upto}");
        }
        Change::Notice(notice) => log_notice(notice),
        Change::Mark(mark) => debug!(%mark, "everything up to here is decided"),
        Change::Connection { name, memory } => {
            debug!(connection = %name, proven = ?memory.proven, "connection remembered");
        }
        Change::Paused(pause) => log_pause(pause),
        Change::Resumed(scope) => info!("the pause of {scope} is over"),
        Change::Skip(skip) => info!(
            series = %skip.series, by = %skip.by, "is to be skipped: {}", skip.what.key()
        ),
        Change::Unskip(series, what) => {
            info!(series = %series, "no longer to be skipped: {}", what.key());
        }
        Change::Acted(deed) => info!(act = deed.act, by = %deed.by, "{}", deed.said),
    }
}

fn log_pause(pause: &Pause) {
    let until = pause.until.map(|until| until.to_string());
    info!(by = %pause.by, until, "{} is paused", pause.scope);
}

fn log_run(run: &Run, record: &Record) {
    let fault = record.fault.as_ref().map(ToString::to_string);
    let job = record.job.as_ref().map(ToString::to_string);
    let why = record.why.as_deref();
    let bad = matches!(
        run.outcome(),
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Lost)
    );
    let what = match run.outcome() {
        Some(outcome) => outcome.word(),
        None => record.what.as_ref(),
    };
    if bad {
        warn!(run = %run.id, attempt = record.attempt, job, why, fault, "{what}");
    } else {
        info!(run = %run.id, attempt = record.attempt, job, why, fault, "{what}");
    }
}

/// Every notice is a log line, too.
pub(super) fn log_notice(notice: &Notice) {
    let body = notice.body.replace('\n', "; ");
    match notice.kind {
        NoticeKind::Recovered => {
            info!(
                notice = notice.kind.word(),
                id = notice.id,
                body,
                "{}",
                notice.subject
            );
        }
        _ => warn!(
            notice = notice.kind.word(),
            id = notice.id,
            body,
            "{}",
            notice.subject
        ),
    }
}
