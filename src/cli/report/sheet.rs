//! The report as a value: everything that it says, before it is put into words. Pure: it is made of the account and of
//! what was read beside it, so that whoever reads the store elsewhere makes the same report.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::account::{Account, GRACE, LeftOut, Long, Planned, Scope};
use super::counts::{Counts, Wrong};
use crate::cli::held::Held;
use crate::sched::act::{Deed, Pause, Skip};
use crate::sched::id::{ConnectionName, RunId, SeriesId};
use crate::sched::notice::NoticeKind;
use crate::sched::run::Run;
use crate::sched::time::{TimeZone, Timestamp, civil, earlier, later};
use crate::sched::trigger::{Shape, Trigger};
use crate::store::Incident;

/// So many runs are called slow, or are the longest.
const SLOWEST: usize = 5;

/// A usual length needs so many runs.
pub(super) const USUAL: usize = 3;

/// Nothing is slow that took less than this longer than usual.
const AT_LEAST: Duration = Duration::from_secs(60);

/// So many coming occurrences are counted; more are told as "more than".
const COMING: u64 = 1_000_000;

/// A token that ends within this is told.
const ENDS_SOON: Duration = Duration::from_secs(7 * 86_400);

/// The most lines of a kind that a report holds.
const HELD: usize = 1000;

/// What was read beside the runs.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// A database is there.
    pub(super) recorded: bool,
    /// What is planned.
    pub(super) planned: BTreeMap<SeriesId, Planned>,
    /// Series of the configuration that the daemon does not plan.
    pub(super) unplanned: Vec<SeriesId>,
    /// Runs that are not finished, also those of before the span.
    pub(super) live: Vec<Run>,
    /// Pauses in force.
    pub(super) pauses: Vec<Pause>,
    /// Wishes to skip in force.
    pub(super) skips: Vec<Skip>,
    /// Connections that do not work.
    pub(super) incidents: Vec<(ConnectionName, Incident)>,
    /// Notices of the span by kind.
    pub(super) notices: Vec<(NoticeKind, u64)>,
    /// Of long runs: how long the runs of their series took before.
    pub(super) usual: Vec<(Long, Vec<Duration>)>,
    /// When the tokens of connections end, as far as that can be seen here.
    pub(super) tokens: Vec<(ConnectionName, Timestamp)>,
    /// What people did in the span; for a handover.
    pub(super) deeds: Option<Vec<Deed>>,
}

/// The morning report.
#[derive(Debug)]
pub(super) struct Report {
    /// Nobody needs to look.
    pub(super) fine: bool,
    /// The span, when it is looked at, how far everything is decided.
    pub(super) scope: Scope,
    /// A database is there.
    pub(super) recorded: bool,
    /// The daemon has decided nothing for longer than it should.
    pub(super) behind: bool,
    /// The sums.
    pub(super) counts: Counts,
    /// Runs that somebody asked for.
    pub(super) by_hand: Counts,
    /// Occurrences that should be decided and are not.
    pub(super) undecided: u64,
    /// What is not counted.
    pub(super) left_out: LeftOut,
    /// A sum a day, for a week.
    pub(super) days: Vec<(civil::Date, Counts)>,
    /// What somebody should look at, the loudest first.
    pub(super) wrong: Vec<Wrong>,
    /// How many there are, also those that are not listed.
    pub(super) all_wrong: usize,
    /// Runs that are not finished.
    pub(super) live: Vec<Live>,
    /// How many there are.
    pub(super) all_live: usize,
    /// Connections that do not work.
    pub(super) incidents: Vec<(ConnectionName, Incident)>,
    /// Notices of the span by kind.
    pub(super) notices: Vec<(NoticeKind, u64)>,
    /// Runs that took longer than usual; else the longest.
    pub(super) slow: Vec<Slow>,
    /// Pauses in force.
    pub(super) pauses: Vec<Pause>,
    /// Wishes to skip in force.
    pub(super) skips: Vec<Skip>,
    /// What comes.
    pub(super) coming: Coming,
    /// Tokens that have expired or do so within a week, the first first.
    pub(super) tokens: Vec<(ConnectionName, Timestamp)>,
    /// Series of the configuration that the daemon does not plan.
    pub(super) unplanned: Vec<SeriesId>,
    /// What people did; for a handover.
    pub(super) deeds: Option<Vec<Deed>>,
    /// The arguments of the next command to type, when something is wrong.
    pub(super) next: Option<String>,
}

/// A run that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live {
    /// Which.
    pub(super) run: RunId,
    /// Its state, by its word.
    pub(super) state: &'static str,
    /// When it was submitted, while it is with the vendor.
    pub(super) since: Option<Timestamp>,
}

/// A run that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slow {
    /// Which.
    pub(super) run: RunId,
    /// How long it took.
    pub(super) took: Duration,
    /// How long such runs usually take, when it took much longer than that.
    pub(super) usually: Option<Duration>,
}

/// What comes after now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coming {
    /// Up to here, not including it.
    pub(super) until: Timestamp,
    /// How many occurrences.
    pub(super) count: u64,
    /// There are more.
    pub(super) more: bool,
    /// How many of them people hold back.
    pub(super) held: u64,
    /// The first.
    pub(super) first: Vec<Next>,
}

/// A coming occurrence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Next {
    /// When.
    pub(super) at: Timestamp,
    /// Of which series.
    pub(super) series: SeriesId,
    /// Why it will not run, if people hold it back.
    pub(super) held: Option<&'static str>,
}

impl Report {
    /// Everything put together; `ahead`: up to when to look, and how many coming occurrences to list.
    pub(super) fn of(account: Account, reading: Reading, ahead: (Timestamp, usize)) -> Self {
        let scope = account.scope().clone();
        let held = Held::of(
            reading.pauses.clone(),
            reading.skips.clone(),
            &|series| reading.planned.get(series)?.trigger.as_ref(),
            scope.now,
        );
        let mut wrong = account.all_wrong();
        let mut live: Vec<Live> = reading.live.iter().map(Live::of).collect();
        live.sort_by_key(|live| (live.since.is_none(), live.since, live.run.instant));
        let mut tokens = reading.tokens;
        tokens.retain(|(_, end)| *end < later(scope.now, ENDS_SOON));
        tokens.sort_by_key(|(_, end)| *end);
        let mut report = Self {
            fine: false,
            behind: reading.recorded && is_behind(&scope),
            recorded: reading.recorded,
            all_wrong: wrong.len(),
            all_live: live.len(),
            coming: coming(&reading.planned, &held, scope.now, ahead),
            slow: slow(&account.longest, reading.usual),
            incidents: reading.incidents,
            notices: reading.notices,
            pauses: reading.pauses,
            skips: reading.skips,
            unplanned: reading.unplanned,
            deeds: reading.deeds,
            undecided: account.undecided,
            left_out: account.left_out,
            days: account.days.into_iter().collect(),
            counts: account.counts,
            by_hand: account.by_hand,
            wrong: Vec::new(),
            live: Vec::new(),
            tokens,
            next: None,
            scope,
        };
        wrong.truncate(HELD);
        live.truncate(HELD);
        (report.wrong, report.live) = (wrong, live);
        report.next = report.next_command();
        report.fine = report.next.is_none();
        report
    }

    /// What to type about the loudest thing that is wrong.
    fn next_command(&self) -> Option<String> {
        if !self.recorded {
            return Some("daemon".to_owned());
        }
        if let Some(wrong) = self.wrong.first() {
            let Wrong {
                series, at, run, ..
            } = wrong;
            return Some(match run {
                Some(run) => format!("why {run}"),
                None => format!("why {} {at}", crate::cli::words::series(series)),
            });
        }
        let bug = self
            .notices
            .iter()
            .any(|(kind, _)| *kind == NoticeKind::Bug);
        if self.undecided > 0 || self.behind || !self.incidents.is_empty() || bug {
            return Some("status".to_owned());
        }
        let expired = self.tokens.iter().any(|(_, end)| *end <= self.scope.now);
        expired.then(|| "doctor".to_owned())
    }
}

impl Live {
    fn of(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            state: run.state.word(),
            since: run.submitted.filter(|_| run.in_flight()),
        }
    }
}

/// Nothing is decided up to where it should be.
fn is_behind(scope: &Scope) -> bool {
    let should = earlier(scope.now, GRACE).min(scope.until);
    scope.mark.is_none_or(|mark| mark < should)
}

/// Runs that took half as long again as usual, and a minute more; the worst first. When there is none: the longest.
fn slow(longest: &[Long], usual: Vec<(Long, Vec<Duration>)>) -> Vec<Slow> {
    let measured = usual.into_iter().filter_map(|(long, mut before)| {
        if before.len() < USUAL {
            return None;
        }
        before.sort_unstable();
        let usually = before[before.len() / 2];
        let is_slow = long.took > usually.mul_f64(1.5) && long.took >= usually + AT_LEAST;
        is_slow.then_some(Slow {
            run: long.run,
            took: long.took,
            usually: Some(usually),
        })
    });
    let mut slow: Vec<Slow> = measured.collect();
    let times = |slow: &Slow| {
        let usually = slow.usually.unwrap_or_default().as_secs_f64().max(1.0);
        slow.took.as_secs_f64() / usually
    };
    slow.sort_by(|a, b| {
        times(b)
            .total_cmp(&times(a))
            .then_with(|| a.run.cmp(&b.run))
    });
    if slow.is_empty() {
        slow.extend(longest.iter().map(|long| Slow {
            run: long.run.clone(),
            took: long.took,
            usually: None,
        }));
        slow.sort_by(|a, b| b.took.cmp(&a.took).then_with(|| a.run.cmp(&b.run)));
    }
    slow.truncate(SLOWEST);
    slow
}

/// What the planned series do until then.
fn coming(
    planned: &BTreeMap<SeriesId, Planned>,
    held: &Held,
    now: Timestamp,
    (until, shown): (Timestamp, usize),
) -> Coming {
    let mut coming = Coming {
        until,
        count: 0,
        more: false,
        held: 0,
        first: Vec::new(),
    };
    // The last of the first is on top, to make room.
    let mut first: BinaryHeap<Next> = BinaryHeap::new();
    let triggers = planned
        .iter()
        .filter_map(|(series, planned)| Some((series, planned.trigger.as_ref()?)));
    for (series, trigger) in triggers {
        let runs = following(trigger, now, until).filter(|o| o.shape != Shape::NoSuchDay);
        for (index, occurrence) in runs.enumerate() {
            let full = coming.count == COMING;
            coming.more |= full;
            if full && index >= shown {
                break;
            }
            let why = match held.is_empty() {
                true => None,
                false => held.why(series, &occurrence),
            };
            coming.count += u64::from(!full);
            coming.held += u64::from(!full && why.is_some());
            let later_than_all = first
                .peek()
                .is_some_and(|last| (last.at, &last.series) <= (occurrence.instant, series));
            if first.len() < shown || !later_than_all {
                first.push(Next {
                    at: occurrence.instant,
                    series: series.clone(),
                    held: why,
                });
            }
            if first.len() > shown {
                first.pop();
            }
        }
    }
    coming.first = first.into_sorted_vec();
    coming
}

fn following(
    trigger: &Trigger,
    from: Timestamp,
    until: Timestamp,
) -> impl Iterator<Item = crate::sched::trigger::Occurrence> {
    // A trigger that does not advance must not keep us here.
    let after = move |at| trigger.after(at).filter(|next| next.instant > at);
    std::iter::successors(after(from), move |last| after(last.instant))
        .take_while(move |next| next.instant < until)
}

/// The zone in which the report tells times, by its name.
pub(super) fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

#[cfg(test)]
mod tests;
