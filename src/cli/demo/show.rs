//! What the demo shows: each run as it is committed, then sums that add up.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::json;

use crate::cli::Context;
use crate::cli::exit::Failure;
use crate::cli::words::{count, plain};
use crate::config::Config;
use crate::control::wire::EventView;
use crate::sandbox::{Operation, Sandbox};
use crate::sched::fault::Fault;
use crate::sched::id::RunId;
use crate::sched::outcome::Outcome;
use crate::sched::run::{Record, Run};
use crate::sched::step::Change;
use crate::sched::time::{Timestamp, between, words};

/// Where the text begins that is too long for its line.
const INDENT: &str = "          ";

/// The most lines of such a text.
const LINES: usize = 2;

/// Shows runs as they are committed, and counts them.
pub(super) struct Show<'a> {
    context: &'a Context,
    sandbox: &'a Sandbox,
    started: Timestamp,
    /// The columns of the longest name of a series.
    series: usize,
    /// How runs ended, without those that were skipped.
    outcomes: BTreeMap<&'static str, usize>,
    /// Why runs were skipped.
    skipped: BTreeMap<String, usize>,
    /// Runs that have not ended, with their states.
    live: HashMap<RunId, &'static str>,
    submissions: usize,
    again: usize,
    found: usize,
}

impl<'a> Show<'a> {
    pub(super) fn new(context: &'a Context, config: &Config, sandbox: &'a Sandbox) -> Self {
        let definitions = config.schedules.iter().flat_map(|s| &s.definitions);
        let names = definitions.map(|d| d.series.to_string().chars().count());
        Self {
            context,
            sandbox,
            started: Timestamp::now(),
            series: names.max().unwrap_or(0),
            outcomes: BTreeMap::new(),
            skipped: BTreeMap::new(),
            live: HashMap::new(),
            submissions: 0,
            again: 0,
            found: 0,
        }
    }

    /// How many runs have ended, without those that were skipped.
    pub(super) fn ended(&self) -> usize {
        self.outcomes.values().sum()
    }

    /// One committed change.
    pub(super) fn change(&mut self, change: &Change) -> Result<(), Failure> {
        match change {
            Change::Run { run, record, .. } => {
                self.add(run, record);
                self.tell(run, record)
            }
            Change::Notice(notice) if notice.run.is_none() && !self.context.out.json => {
                let subject = plain(&notice.subject);
                self.context.out.line(format!("{INDENT}{subject}"))
            }
            _ => Ok(()),
        }
    }

    /// Changes that came faster than they could be shown.
    pub(super) fn lagged(&self, missed: u64) -> Result<(), Failure> {
        match self.context.out.json {
            true => Ok(()),
            false => self
                .context
                .out
                .line(format!("{INDENT}({missed} lines were too fast to show)")),
        }
    }

    fn add(&mut self, run: &Run, record: &Record) {
        match record.what.as_ref() {
            "submitting" => {
                self.submissions += 1;
                self.again += usize::from(record.attempt > 1);
            }
            "found" => self.found += 1,
            _ => {}
        }
        match run.outcome() {
            None => {
                self.live.insert(run.id.clone(), run.state.word());
                return;
            }
            Some(Outcome::Skipped(reason)) => {
                *self.skipped.entry(reason.to_string()).or_default() += 1;
            }
            Some(outcome) => *self.outcomes.entry(outcome.word()).or_default() += 1,
        }
        self.live.remove(&run.id);
    }

    fn tell(&self, run: &Run, record: &Record) -> Result<(), Failure> {
        let out = &self.context.out;
        if out.json {
            let event = EventView::of(record);
            return out.object(&json!({ "run": run.id.to_string(), "event": event }));
        }
        let Some(told) = self.told(run, record) else {
            return Ok(());
        };
        let what = format!("{:<10}", told.what.replace('_', " "));
        let line = format!(
            "{}  {:<width$}  {}  {}",
            record.at.strftime("%H:%M:%S"),
            run.id.series.to_string(),
            out.coloured(&what, told.what),
            told.facts,
            width = self.series
        );
        out.line(line.trim_end())?;
        for line in wrapped(&told.text, out.width().saturating_sub(INDENT.len())) {
            out.line(format!("{INDENT}{line}"))?;
        }
        Ok(())
    }

    /// What is told of a record; nothing of one that another line says soon.
    fn told(&self, run: &Run, record: &Record) -> Option<Told> {
        let job = || {
            let job = record.job.as_ref().map(ToString::to_string);
            job.unwrap_or_default()
        };
        let why = record.why.as_deref();
        Some(match (run.outcome(), record.what.as_ref()) {
            (Some(Outcome::Skipped(reason)), _) => Told {
                what: "skipped",
                facts: reason.to_string(),
                text: String::new(),
            },
            (Some(outcome), _) => Told {
                what: outcome.word(),
                facts: self.facts(run),
                text: joined(record.fault.as_ref(), why),
            },
            (None, "planned" | "submitting") => return None,
            (None, "accepted") => Told {
                what: "accepted",
                facts: match record.attempt {
                    1 => job(),
                    n => format!("{}, attempt {n}", job()),
                },
                text: String::new(),
            },
            (None, "found") => Told {
                what: "found",
                facts: format!("{} by its marker", job()),
                text: String::new(),
            },
            (None, "in_doubt") => Told {
                what: "in_doubt",
                facts: "the answer is lost; looks for the job".to_owned(),
                text: String::new(),
            },
            (None, "failed" | "refused") => Told {
                what: "retries",
                facts: format!("attempt {} failed, {}", record.attempt, why.unwrap_or("")),
                text: joined(record.fault.as_ref(), None),
            },
            (None, _) => Told {
                what: run.state.word(),
                facts: String::new(),
                text: joined(record.fault.as_ref(), why),
            },
        })
    }

    /// What is known of a run that has ended.
    fn facts(&self, run: &Run) -> String {
        let mut facts = Vec::new();
        if let (Some(submitted), Some(finished)) = (run.submitted, run.finished) {
            facts.push(format!("took {}", tenths(between(submitted, finished))));
        }
        facts.extend(self.polls(run));
        if run.attempt > 1 {
            facts.push(format!("{} attempts", run.attempt));
        }
        facts.join(", ")
    }

    /// How often the job was asked about, as the sandbox saw it.
    fn polls(&self, run: &Run) -> Option<String> {
        let job = run.job.as_ref()?;
        let polls = self.sandbox.world().with(|world| {
            let reads = world.journal().of(Operation::Read);
            reads
                .filter(|e| e.request.path().ends_with(job.as_str()))
                .count()
        });
        Some(count(polls, "poll"))
    }

    /// The sums, after the stop.
    pub(super) fn summary(&self) -> Result<(), Failure> {
        let lasted = between(self.started, Timestamp::now());
        let (doubled, jobs) = self
            .sandbox
            .world()
            .with(|world| (world.doubled().len(), world.jobs().count()));
        let out = &self.context.out;
        if out.json {
            return out.object(&json!({ "summary": {
                "seconds": lasted.as_secs_f64(), "ended": self.outcomes, "skipped": self.skipped,
                "live": self.live.len(), "submissions": self.submissions, "found": self.found,
                "jobs": jobs, "doubled": doubled,
            }}));
        }
        out.line("")?;
        let requests = format!(
            "{}, {} of them after a failure; {} found by the marker after a lost reply",
            count(self.submissions, "submission"),
            self.again,
            count(self.found, "job"),
        );
        let vendor = format!(
            "the sandbox made {}, {} twice",
            count(jobs, "job"),
            match doubled {
                0 => "none".to_owned(),
                n => n.to_string(),
            }
        );
        let lines = [self.ends(lasted), requests, vendor];
        for text in lines.into_iter().chain(self.goes_on()) {
            for line in wrapped(&text, out.width()) {
                out.line(line)?;
            }
        }
        Ok(())
    }

    /// "20 runs finished in 35s: 16 succeeded, 4 failed; 2 skipped: the run before it was still live"
    fn ends(&self, lasted: Duration) -> String {
        let mut text = format!(
            "{} finished in {}",
            count(self.ended(), "run"),
            tenths(lasted)
        );
        let mut counts: Vec<_> = self.outcomes.iter().collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let counts: Vec<String> = counts
            .into_iter()
            .map(|(word, n)| format!("{n} {}", word.replace('_', " ")))
            .collect();
        if !counts.is_empty() {
            text.push_str(&format!(": {}", counts.join(", ")));
        }
        for (reason, n) in &self.skipped {
            text.push_str(&format!("; {n} skipped: {reason}"));
        }
        text
    }

    /// What the next start would go on with.
    fn goes_on(&self) -> Vec<String> {
        let counted = |states: &[&str]| {
            let found = self.live.values().filter(|word| states.contains(word));
            found.count()
        };
        let mut lines = Vec::new();
        let go_on = |n: usize| if n == 1 { "goes on" } else { "go on" };
        let adopt = |n: usize| if n == 1 { "it" } else { "them" };
        match counted(&["running", "cancelling"]) {
            0 => {}
            n => lines.push(format!(
                "{} {} at the vendor; the next start would adopt {}",
                count(n, "job"),
                go_on(n),
                adopt(n)
            )),
        }
        match counted(&["submitting", "in_doubt"]) {
            0 => {}
            n => lines.push(format!(
                "{} in doubt; the next start would look for {} by the marker",
                count(n, "submission"),
                adopt(n)
            )),
        }
        match counted(&["pending", "backoff"]) {
            0 => {}
            n => lines.push(format!(
                "{} not submitted yet; the next start would go on with {}",
                count(n, "run"),
                adopt(n)
            )),
        }
        lines
    }
}

/// One line of the show, and the text below it.
struct Told {
    what: &'static str,
    facts: String,
    text: String,
}

fn joined(fault: Option<&Fault>, why: Option<&str>) -> String {
    let fault = fault.map(ToString::to_string);
    let parts: Vec<&str> = fault.as_deref().into_iter().chain(why).collect();
    plain(&parts.join("; "))
}

/// `1.4s`; what takes longer than a minute is told without tenths.
fn tenths(length: Duration) -> String {
    match length.as_secs() {
        0..60 => format!("{:.1}s", length.as_secs_f64()),
        _ => words(length),
    }
}

/// The text in lines of at most so many columns, broken between words; cut when it has too many.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let columns = |text: &str| text.chars().count();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(width.saturating_sub(2)).collect();
            *last = format!("{kept} …");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_broken_between_words_and_cut_after_two_lines() {
        assert!(wrapped("", 20).is_empty());
        assert_eq!(wrapped("one two", 20), ["one two"]);
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrapped("one two three four five six", 9),
            ["one two", "three …"]
        );
        for width in 1..30 {
            let lines = wrapped("Query error: Cannot coerce expression @n", width);
            assert!(lines.len() <= LINES, "{lines:?}");
        }
    }

    #[test]
    fn short_durations_have_tenths() {
        let shown = |millis| tenths(Duration::from_millis(millis));
        assert_eq!(shown(1449), "1.4s");
        assert_eq!(shown(0), "0.0s");
        assert_eq!(shown(35_040), "35.0s");
        assert_eq!(shown(90_500), "1m 30s");
    }
}
