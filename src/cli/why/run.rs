//! A run that is on record, told in sentences: what happened, why, what was sent, what to do.

use std::sync::Arc;

use super::{Answer, Case};
use crate::cli::exit::Failure;
use crate::cli::select::zone_of;
use crate::cli::{held, rendered, words};
use crate::sched::act::Ended;
use crate::sched::call::Parameters;
use crate::sched::fault::FaultClass;
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::{Origin, Record, Run};
use crate::sched::time::between;
use crate::store::{RunQuery, Story};

/// So many runs of the series are looked at to find the one that was in the way.
const NEIGHBOURS: usize = 100;

/// Lines of the record that are told; the others only led to them.
const TOLD: [&str; 11] = [
    "resolved",
    "refused",
    "failed",
    "absent",
    "timed_out",
    "in_doubt",
    "found",
    "cancel_asked",
    "cancelling",
    "cancel_wished",
    "unknown_word",
];

impl Case<'_> {
    /// The story of a run.
    pub(super) fn of_run(&self, story: &Story) -> Result<Answer, Failure> {
        let run = &story.run;
        let mut text = Vec::new();
        let verdict = match run.outcome() {
            Some(outcome) => {
                self.ended(story, outcome, &mut text)?;
                outcome.word()
            }
            None => {
                self.stands(story, &mut text)?;
                run.state.word()
            }
        };
        Ok(self.answer_of(run, verdict, text))
    }

    fn ended(
        &self,
        story: &Story,
        outcome: Outcome,
        text: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let run = &story.run;
        text.push(format!("{}: {}", self.head_of(run), ending(story, outcome)));
        self.circumstances(story, text);
        match outcome {
            Outcome::Succeeded => {}
            Outcome::Skipped(reason) => self.skipped(run, reason, text)?,
            Outcome::Cancelled => self.again(run, text, None),
            Outcome::Failed | Outcome::TimedOut | Outcome::Lost => {
                self.went_wrong(run, outcome, text);
            }
        }
        Ok(())
    }

    /// How it came to be, what the clock did, and what its attempts met.
    pub(super) fn circumstances(&self, story: &Story, text: &mut Vec<String>) {
        let run = &story.run;
        match run.origin {
            Origin::Planned => {}
            Origin::CaughtUp => text.push(format!(
                "it was missed and caught up at {}",
                self.told(run.planned)
            )),
            Origin::Manual => text.push(format!(
                "somebody asked for it at {}",
                self.told(run.planned)
            )),
            Origin::Retried => text.push(format!(
                "somebody asked at {} to run it again",
                self.told(run.planned)
            )),
            Origin::Rerun => text.push(format!(
                "somebody asked at {} to run it once more, behind what is on time",
                self.told(run.planned)
            )),
            Origin::Backfilled => text.push(format!(
                "it had not run; somebody asked for it at {}, behind what is on time",
                self.told(run.planned)
            )),
            Origin::Adopted => text.push(
                "its job was found at the vendor with our mark, and the database did not know it"
                    .to_owned(),
            ),
        }
        if !run.id.is_manual() {
            text.extend(self.clock_notes(run.id.instant));
        }
        let zone = zone_of(run, &self.asking.context.zones);
        let told = |record: &&Record| TOLD.contains(&record.what.as_ref());
        for record in story.records.iter().filter(told) {
            let mut line = format!("{} {}", words::second(record.at, &zone), record.what);
            if record.attempt > 0 {
                line.push_str(&format!(", attempt {}", record.attempt));
            }
            let fault = record.fault.as_ref().map(ToString::to_string);
            for detail in [fault.as_deref(), record.why.as_deref()]
                .into_iter()
                .flatten()
            {
                line.push_str(&format!("; {}", words::plain(detail)));
            }
            text.push(line);
        }
    }

    fn skipped(
        &self,
        run: &Run,
        reason: SkipReason,
        text: &mut Vec<String>,
    ) -> Result<(), Failure> {
        if let Some(fault) = &run.fault {
            text.push(words::plain(&fault.to_string()));
        }
        if let SkipReason::Busy | SkipReason::BufferFull | SkipReason::PredecessorUnknown = reason
            && let Some(other) = self.in_the_way(run)?
        {
            let stood = match other.finished {
                Some(finished) => format!(
                    "{} at {}",
                    other.outcome().map_or("ended", Outcome::word),
                    self.told(finished)
                ),
                None => other.state.word().to_owned(),
            };
            text.push(format!("in the way was {} ({stood})", other.id));
            text.push(self.next(format_args!("why {}", other.id)));
            return Ok(());
        }
        if let (
            SkipReason::NoPredecessor
            | SkipReason::PredecessorSucceeded
            | SkipReason::PredecessorAwaited,
            Some(after),
        ) = (reason, &run.definition.after)
        {
            text.push(format!("comes after {}", words::after(after)));
            text.extend(self.others(run, after)?.lines);
        }
        if let Some(past) = self.asking.past {
            let deed = held::who_held_back(past, run)?;
            text.extend(deed.map(|deed| words::deed(&deed, &self.told(deed.at))));
        }
        text.push(format!("what to do: docs/operations.md#{}", reason.word()));
        if reason != SkipReason::NoSuchDay {
            self.again(run, text, None);
        }
        Ok(())
    }

    /// "next: nightcall retry …", or what fills a hole, below its condition; a run by hand is asked for anew.
    fn again(&self, run: &Run, text: &mut Vec<String>, condition: Option<&str>) {
        if self.definition.is_none() || self.disabled() || run.id.is_manual() {
            return self.fire(text, condition);
        }
        text.extend(condition.map(str::to_owned));
        text.push(match run.outcome() {
            Some(Outcome::Skipped(_)) => {
                let (series, at) = (words::series(&self.series), run.id.instant);
                self.next(format_args!("backfill {series} --from {at} --to {at}"))
            }
            _ => self.next(format_args!("retry {}", run.id)),
        });
    }

    /// The run that was live, or lost, when this one was decided.
    fn in_the_way(&self, run: &Run) -> Result<Option<Run>, Failure> {
        let was_live = |other: &Run| match other.outcome() {
            Some(Outcome::Skipped(_)) => false,
            Some(Outcome::Lost) => other.may_live_until() >= run.planned,
            _ => other
                .finished
                .is_none_or(|finished| finished >= run.planned),
        };
        let earlier_ones = self.neighbours(run)?;
        Ok(earlier_ones.into_iter().rev().find(was_live))
    }

    /// Runs of the series before this one, oldest first.
    pub(super) fn neighbours(&self, run: &Run) -> Result<Vec<Run>, Failure> {
        let Some(past) = self.asking.past else {
            return Ok(Vec::new());
        };
        let mut found = past.runs(&RunQuery {
            schedule: Some(run.id.series.schedule.clone()),
            set: Some(run.id.series.set.clone()),
            until: Some(run.planned),
            limit: Some(NEIGHBOURS),
            ..RunQuery::default()
        })?;
        found.retain(|other| other.id != run.id && other.planned <= run.planned);
        Ok(found)
    }

    fn went_wrong(&self, run: &Run, outcome: Outcome, text: &mut Vec<String>) {
        if let Some(fault) = &run.fault {
            text.push(words::plain(&fault.to_string()));
        }
        text.push(self.sent(run));
        text.extend(self.changed_since(run));
        let fault = run.fault.as_ref();
        if let Some(remedy) = fault.and_then(|fault| fault.remedy.as_ref()) {
            text.push(words::plain(remedy));
        }
        match outcome {
            Outcome::Lost => {
                let job = run.job.as_ref().map(|job| format!(" {job}"));
                match run.resolved {
                    Some(ended) => {
                        text.push(format!("a person says of it: {}", ended.word()));
                        if ended == Ended::Failed {
                            self.again(run, text, None);
                        }
                    }
                    None => {
                        text.push(format!(
                            "look for the job{} in CARTO, and say what you saw: succeeded or failed",
                            job.unwrap_or_default()
                        ));
                        text.push(self.next(format_args!("resolve {} --as …", run.id)));
                    }
                }
            }
            Outcome::Failed if fault.is_some_and(|f| f.class == FaultClass::Permanent) => {
                self.again(
                    run,
                    text,
                    Some("once it is mended (a changed file needs `nightcall reload`):"),
                );
            }
            _ => self.again(run, text, None),
        }
    }

    /// What left with the attempts.
    fn sent(&self, run: &Run) -> String {
        let sent = words::parameters(&run.parameters);
        match self.would_send(run) {
            Some(now) if now == run.parameters => {
                format!("sent {sent}, as the configuration has it")
            }
            _ => format!("sent {sent}"),
        }
    }

    /// What the configuration of now has for the occurrence of a run.
    fn would_send(&self, run: &Run) -> Option<Arc<Parameters>> {
        let zone = zone_of(run, &self.asking.context.zones);
        let now = self.definition?;
        Some(rendered::for_run(now, run, &zone))
    }

    /// What the configuration says otherwise now.
    fn changed_since(&self, run: &Run) -> Vec<String> {
        let Some(now) = self.definition else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        if now.query != run.definition.query {
            lines.push("the statement was changed since".to_owned());
        }
        if let Some(now) = self.would_send(run).filter(|now| *now != run.parameters) {
            lines.push(format!(
                "the configuration has {} now",
                differing(&now, &run.parameters)
            ));
        }
        lines
    }

    /// "Tue 3 Feb 02:15 +01:00 Europe/Madrid"
    pub(super) fn head_of(&self, run: &Run) -> String {
        let zone = zone_of(run, &self.asking.context.zones);
        let offset = words::run_offset(run, &zone);
        format!(
            "{} {}",
            words::nominal(run.civil, offset, &zone, self.now()),
            run.definition.trigger.zone
        )
    }
}

/// How it ended, after the time.
fn ending(story: &Story, outcome: Outcome) -> String {
    let run = &story.run;
    let ran = match run.attempt {
        0 => "was never submitted".to_owned(),
        n => format!("ran {}", words::times(n.into())),
    };
    let last = story.records.iter().rev().find(|r| r.what == "finished");
    let because = last
        .and_then(|record| record.why.as_ref())
        .map(|why| words::plain(why));
    let because = because.as_deref();
    let after = |mark: &str| {
        because
            .map(|why| format!("{mark} {why}"))
            .unwrap_or_default()
    };
    match outcome {
        Outcome::Succeeded => {
            let took = match (run.submitted, run.finished) {
                (Some(from), Some(to)) => format!(" after {}", words::took(between(from, to))),
                _ => String::new(),
            };
            format!("{ran}, succeeded{took}{}", after(","))
        }
        Outcome::Failed => format!("{ran}, failed{}", after(",")),
        Outcome::TimedOut => format!(
            "{ran}, stopped at its time limit of {}",
            crate::config::duration::show(run.definition.timeout)
        ),
        Outcome::Cancelled => format!("{ran}, was cancelled{}", after(":")),
        Outcome::Skipped(reason) => {
            let why = because.map_or_else(|| reason.to_string(), str::to_owned);
            format!("did not run: {why}")
        }
        Outcome::Lost => {
            format!("{ran}, is lost{}; how it ended cannot be known", after(":"))
        }
    }
}

/// The parameters that differ from those that were sent, as the configuration has them.
fn differing(now: &Parameters, sent: &Parameters) -> String {
    match (now, sent) {
        (Parameters::Named(now), Parameters::Named(sent)) => {
            let changed = now
                .iter()
                .filter(|(name, value)| sent.get(*name) != Some(*value))
                .map(|(name, value)| format!("{name} = {}", words::value(value)));
            let gone = sent
                .keys()
                .filter(|name| !now.contains_key(*name))
                .map(|name| format!("no {name}"));
            let all: Vec<String> = changed.chain(gone).collect();
            match all.is_empty() {
                true => "them in another order".to_owned(),
                false => all.join(", "),
            }
        }
        (now, _) => words::parameters(now),
    }
}
