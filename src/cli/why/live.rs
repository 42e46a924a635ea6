//! A run that is not finished, told in sentences: where it stands, and what it waits for.

use std::time::Duration;

use super::Case;
use super::after::wanted;
use crate::cli::exit::Failure;
use crate::cli::serve::store_failure;
use crate::cli::words;
use crate::sched::outcome::Outcome;
use crate::sched::run::{CancelWhy, Run};
use crate::sched::time::{between, earlier, later};
use crate::store::{RunQuery, Story};

impl Case<'_> {
    /// Where a live run stands and what it waits for.
    pub(super) fn stands(&self, story: &Story, text: &mut Vec<String>) -> Result<(), Failure> {
        let run = &story.run;
        // by its word: what a state holds is the business of `sched`
        let job = run
            .job
            .as_ref()
            .map(|job| format!("job {job}"))
            .unwrap_or_default();
        let state = run.state.word();
        let others = match state == "pending" && run.due <= self.now() {
            true => self.awaits(run)?,
            false => None,
        };
        let sentence = match state {
            "pending" => match &others {
                Some(others) => format!("waits for {}", wanted(&others.verdict)),
                None => format!("waits {}", self.waits_for(run)?),
            },
            "submitting" => "is being submitted".to_owned(),
            "in_doubt" => {
                "was submitted, and the answer is unknown; the daemon looks for its job".to_owned()
            }
            "running" => format!("runs as {job}{}", self.since(run)),
            "cancelling" => {
                let why = run.cancel.map(|why| format!(": {}", stopped(why)));
                format!("{job} was asked to stop{}", why.unwrap_or_default())
            }
            "backoff" => format!("waits for attempt {}", run.attempt + 1),
            other => other.to_owned(),
        };
        text.push(format!("{}: {sentence}", self.head_of(run)));
        self.circumstances(story, text);
        if let Some(others) = others {
            self.tell_awaited(run, others, text);
        }
        if state != "pending" || run.due <= self.now() {
            text.extend(self.outage(run)?);
        }
        match state {
            "pending" | "backoff" if run.origin.is_background() => text.push(
                "it runs in the background: when nothing else of its series does, however long that takes"
                    .to_owned(),
            ),
            "pending" | "backoff" => text.push(format!(
                "no attempt starts after {}",
                self.told(run.start_deadline())
            )),
            "running" => {
                let limit = run.submitted.map(|at| later(at, run.definition.timeout));
                text.extend(
                    limit.map(|at| format!("its time limit passes at about {}", self.told(at))),
                );
            }
            _ => {}
        }
        text.push(self.next("status"));
        Ok(())
    }

    /// What is wrong with the connection of a run.
    fn outage(&self, run: &Run) -> Result<Option<String>, Failure> {
        let connection = &run.definition.connection;
        let Some(past) = self.asking.past else {
            return Ok(None);
        };
        let incident = past.history().incident(connection).map_err(store_failure)?;
        Ok(incident.map(|incident| {
            format!(
                "connection {connection} has not worked since {}: {}",
                self.told(incident.since),
                words::plain(&incident.fault)
            )
        }))
    }

    fn since(&self, run: &Run) -> String {
        let submitted = run.submitted.map(|at| {
            format!(
                ", submitted {} ago, attempt {}",
                words::took(between(at, self.now())),
                run.attempt
            )
        });
        submitted.unwrap_or_default()
    }

    /// What a run that is stored and not submitted waits for.
    fn waits_for(&self, run: &Run) -> Result<String, Failure> {
        if run.due > self.now() {
            return Ok(format!("until it is due at {}", self.told(run.due)));
        }
        let neighbours = self.neighbours(run)?;
        let mut newest_first = neighbours.iter().rev();
        if let Some(other) = newest_first.clone().find(|other| other.outcome().is_none()) {
            return Ok(format!(
                "for its series: {} is {}",
                other.id,
                other.state.word()
            ));
        }
        let occupied = |other: &&Run| {
            other.outcome() == Some(Outcome::Lost) && other.may_live_until() > self.now()
        };
        if let Some(lost) = newest_first.find(occupied) {
            return Ok(format!(
                "for {}, which is lost: its job may live until {}",
                lost.id,
                self.told(lost.may_live_until())
            ));
        }
        if self.outage(run)?.is_some() {
            return Ok(format!("for connection {}", run.definition.connection));
        }
        let (busy, slots) = self.slots(run)?;
        Ok(match slots {
            Some(slots) if busy >= slots as usize => {
                format!(
                    "for a slot: {busy} of {slots} runs are with {}",
                    run.definition.connection
                )
            }
            _ => format!("for its turn with connection {}", run.definition.connection),
        })
    }

    /// How many runs are with the connection of a run, and how many may be.
    fn slots(&self, run: &Run) -> Result<(usize, Option<u32>), Failure> {
        let connection = &run.definition.connection;
        let mut connections = self.asking.config.connections.iter();
        let found = connections.find(|c| c.name() == connection);
        let mut busy = 0;
        for state in ["submitting", "in_doubt", "running", "cancelling"] {
            let Some(past) = self.asking.past else { break };
            let live = past.runs(&RunQuery {
                state: Some(state.to_owned()),
                since: Some(earlier(self.now(), Duration::from_secs(400 * 86_400))),
                ..RunQuery::default()
            })?;
            busy += live
                .iter()
                .filter(|r| r.definition.connection == *connection)
                .count();
        }
        Ok((busy, found.map(|c| c.limits.max_in_flight)))
    }
}

fn stopped(why: CancelWhy) -> &'static str {
    match why {
        CancelWhy::Timeout => "its time limit passed",
        CancelWhy::Asked => "somebody asked for it",
        CancelWhy::Superseded => "a newer run takes its place",
        CancelWhy::Removed => "it is no longer in the configuration",
    }
}
