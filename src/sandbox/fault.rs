//! What goes wrong between a client and the vendor, and when: by count, by run, by procedure, or by chance.

use std::time::Duration;

use serde::Deserialize;

use super::dice::Dice;
use super::span;

/// What is being asked of the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A connection is opened; nothing has been read yet.
    Connect,
    /// A job is created, by POST or by GET.
    Create,
    /// One job is read.
    Read,
    /// The jobs are listed.
    List,
    /// A job is cancelled.
    Cancel,
    /// A statement is run at once.
    Query,
    /// A token is asked for.
    Token,
    /// Anything else, answered with 404.
    Other,
}

/// What goes wrong. Delays are real time: they are meant for the time limits of a client.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection is reset; the request is not handled.
    Reset,
    /// The connection is reset and none is accepted for this long.
    #[serde(deserialize_with = "span::plain")]
    Refuse(Duration),
    /// The request is read and nothing is ever answered; it is not handled.
    Silence,
    /// The request is handled after this long, whether or not the client still waits.
    #[serde(deserialize_with = "span::plain")]
    LateHandling(Duration),
    /// The request is handled at once and answered after this long.
    #[serde(deserialize_with = "span::plain")]
    LateReply(Duration),
    /// The request is handled and the connection closed without an answer.
    DropReply,
    /// The request is handled and the answer ends after this many bytes, head included.
    CutReply(usize),
    /// The request is handled and the answer says that it is this much longer (or shorter) than it is.
    WrongLength(i64),
    /// The request is handled and the answer comes in small pieces.
    Drip(Drip),
    /// The request is handled and the answer is blown up by white space to at least this many bytes.
    Huge(u64),
    /// The request is handled and the answer, with the right length, is not JSON to its end.
    Garble,
    /// The request is handled and the answer lacks the job's id.
    NoId,
    /// Another answer takes the place of the right one.
    Status(Status),
    /// The client is sent to another address; the request is not handled.
    Redirect(String),
}

/// How an answer drips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drip {
    /// Size of a piece.
    pub bytes: usize,
    /// The pause after each piece.
    #[serde(deserialize_with = "span::plain")]
    pub every: Duration,
}

/// An answer that takes the place of the right one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Status {
    /// The status code.
    pub code: u16,
    /// Whether the request is handled all the same: a creation then leaves a job behind.
    #[serde(default)]
    pub handled: bool,
    /// An HTML page, as proxies and firewalls send it, instead of JSON.
    #[serde(default)]
    pub html: bool,
    /// `Retry-After`, in whole seconds.
    #[serde(default, deserialize_with = "span::optional")]
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// This status instead of handling the request.
    pub fn status(code: u16) -> Self {
        Self::Status(Status {
            code,
            handled: false,
            html: false,
            retry_after: None,
        })
    }

    /// This status although the request is handled.
    pub fn status_after(code: u16) -> Self {
        Self::Status(Status {
            code,
            handled: true,
            html: false,
            retry_after: None,
        })
    }

    /// 429, with `Retry-After` or without.
    pub fn too_many(retry_after: Option<Duration>) -> Self {
        Self::Status(Status {
            code: 429,
            handled: false,
            html: true,
            retry_after,
        })
    }

    /// Its name in scenario files and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Refuse(_) => "refuse",
            Self::Silence => "silence",
            Self::LateHandling(_) => "late_handling",
            Self::LateReply(_) => "late_reply",
            Self::DropReply => "drop_reply",
            Self::CutReply(_) => "cut_reply",
            Self::WrongLength(_) => "wrong_length",
            Self::Drip(_) => "drip",
            Self::Huge(_) => "huge",
            Self::Garble => "garble",
            Self::NoId => "no_id",
            Self::Status(_) => "status",
            Self::Redirect(_) => "redirect",
        }
    }
}

/// When something goes wrong. A rule counts the requests that fit its filters; without `nth`, `every`, `times` and
/// `probability` it strikes each of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    #[serde(rename = "does")]
    pub fault: Fault,
    /// Which operations; none means every one but `connect`.
    #[serde(default)]
    pub on: Vec<Operation>,
    /// Only requests about a run whose id contains this.
    #[serde(default)]
    pub run: Option<String>,
    /// Only requests about a procedure whose name contains this.
    #[serde(default)]
    pub procedure: Option<String>,
    /// The first request that is struck, from 1. Alone, it is the only one.
    #[serde(default)]
    pub nth: Option<u32>,
    /// Each so many requests are struck.
    #[serde(default)]
    pub every: Option<u32>,
    /// At most so many requests are struck.
    #[serde(default)]
    pub times: Option<u32>,
    /// Those that could be struck are struck with this probability.
    #[serde(default)]
    pub probability: Option<f64>,
}

impl Rule {
    /// Strikes every request for one operation.
    pub fn on(operation: Operation, fault: Fault) -> Self {
        Self {
            on: vec![operation],
            ..Self::always(fault)
        }
    }

    /// Strikes every request.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            on: Vec::new(),
            run: None,
            procedure: None,
            nth: None,
            every: None,
            times: None,
            probability: None,
        }
    }

    /// Only requests about a run whose id contains this text.
    pub fn run(mut self, text: impl Into<String>) -> Self {
        self.run = Some(text.into());
        self
    }

    /// Only requests about a procedure whose name contains this text.
    pub fn procedure(mut self, text: impl Into<String>) -> Self {
        self.procedure = Some(text.into());
        self
    }

    /// From the nth request on; only the nth unless [`every`](Self::every) or [`times`](Self::times) is set too.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Each so many requests.
    pub fn every(mut self, every: u32) -> Self {
        self.every = Some(every);
        self
    }

    /// At most so many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability.
    pub fn chance(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    fn fits(&self, request: &Subject<'_>) -> bool {
        let operation = if self.on.is_empty() {
            request.operation != Operation::Connect
        } else {
            self.on.contains(&request.operation)
        };
        operation && holds(&self.run, request.run) && holds(&self.procedure, request.procedure)
    }

    /// Whether the request that is the `count`th to fit may be struck.
    fn counts(&self, count: u32) -> bool {
        match (self.nth, self.every) {
            (None, None) => true,
            (Some(nth), None) => count >= nth,
            (None, Some(every)) => count.is_multiple_of(every.max(1)),
            (Some(nth), Some(every)) => count >= nth && (count - nth).is_multiple_of(every.max(1)),
        }
    }

    fn most(&self) -> u32 {
        let once = self.nth.is_some() && self.every.is_none();
        self.times.unwrap_or(if once { 1 } else { u32::MAX })
    }

    /// What does not make sense about the rule, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let name = self.fault.word();
        let before_reading = matches!(self.fault, Fault::Reset | Fault::Refuse(_) | Fault::Silence);
        if self.on.contains(&Operation::Connect) && !before_reading {
            return Some(format!(
                "{name} cannot strike on connect, where nothing has been asked yet; \
                 reset, refuse and silence can"
            ));
        }
        if self.nth == Some(0) || self.every == Some(0) {
            return Some(format!("{name}: nth and every count from 1"));
        }
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Some(format!("{name}: a probability goes from 0 to 1"));
        }
        match &self.fault {
            Fault::Status(status) if !(200..=599).contains(&status.code) => {
                Some(format!("status {} is not an answer", status.code))
            }
            Fault::Drip(drip) if drip.bytes == 0 => Some("drip: no bytes in a piece".into()),
            _ => None,
        }
    }
}

fn holds(wanted: &Option<String>, have: Option<&str>) -> bool {
    wanted
        .as_ref()
        .is_none_or(|wanted| have.is_some_and(|have| have.contains(wanted.as_str())))
}

/// What a request is about, as far as rules ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The run in the marker of the job that it is about.
    pub run: Option<&'a str>,
    /// The procedure of that job.
    pub procedure: Option<&'a str>,
}

/// The rules in force with what they have counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Counted>);

#[derive(Clone, Debug)]
struct Counted {
    rule: Rule,
    seen: u32,
    struck: u32,
}

impl Faults {
    /// Adds a rule after the others.
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(Counted {
            rule,
            seen: 0,
            struck: 0,
        });
    }

    /// Forgets every rule.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with this request. Every rule that fits counts it; the first that strikes is the one.
    pub(super) fn strike(&mut self, request: &Subject<'_>, dice: &mut Dice) -> Option<Fault> {
        let mut fault = None;
        for counted in &mut self.0 {
            if !counted.rule.fits(request) {
                continue;
            }
            counted.seen = counted.seen.saturating_add(1);
            let may = counted.rule.counts(counted.seen) && counted.struck < counted.rule.most();
            if fault.is_none() && may && dice.chance(counted.rule.probability.unwrap_or(1.0)) {
                counted.struck += 1;
                fault = Some(counted.rule.fault.clone());
            }
        }
        fault
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn about<'a>(operation: Operation, run: Option<&'a str>) -> Subject<'a> {
        Subject {
            operation,
            run,
            procedure: Some("p.d.stores"),
        }
    }

    /// Which of the first twelve creations a rule strikes.
    fn struck(rule: Rule) -> Vec<u32> {
        let mut faults = Faults::default();
        faults.add(rule);
        let mut dice = Dice::new(1);
        (1..=12)
            .filter(|_| {
                let subject = about(Operation::Create, Some("a/b@1"));
                faults.strike(&subject, &mut dice).is_some()
            })
            .collect()
    }

    #[test]
    fn rules_count_what_they_strike() {
        let rule = || Rule::on(Operation::Create, Fault::Reset);
        assert_eq!(struck(rule()).len(), 12);
        assert_eq!(struck(rule().nth(3)), [3]);
        assert_eq!(struck(rule().nth(3).times(2)), [3, 4]);
        assert_eq!(struck(rule().every(5)), [5, 10]);
        assert_eq!(struck(rule().nth(2).every(5)), [2, 7, 12]);
        assert_eq!(struck(rule().times(2)), [1, 2]);
        let by_chance = struck(rule().chance(0.5)).len();
        assert!((1..12).contains(&by_chance));
    }

    #[test]
    fn filters_keep_other_requests_out() {
        let mut faults = Faults::default();
        let rule = Rule::on(Operation::Read, Fault::DropReply)
            .run("b@2")
            .procedure("stores");
        faults.add(rule.nth(1));
        let mut dice = Dice::new(1);
        for subject in [
            about(Operation::Create, Some("a/b@2")),
            about(Operation::Read, Some("a/b@1")),
            about(Operation::Read, None),
        ] {
            assert_eq!(faults.strike(&subject, &mut dice), None);
        }
        let subject = about(Operation::Read, Some("a/b@2"));
        assert_eq!(faults.strike(&subject, &mut dice), Some(Fault::DropReply));
        assert_eq!(faults.strike(&subject, &mut dice), None);
    }

    #[test]
    fn a_rule_for_everything_spares_the_opening_of_connections() {
        let mut faults = Faults::default();
        faults.add(Rule::always(Fault::Reset));
        let mut dice = Dice::new(1);
        assert_eq!(
            faults.strike(&about(Operation::Connect, None), &mut dice),
            None
        );
        assert!(
            faults
                .strike(&about(Operation::Token, None), &mut dice)
                .is_some()
        );
    }

    #[test]
    fn rules_without_sense_are_told() {
        let rule = Rule::on(Operation::Connect, Fault::DropReply);
        assert!(rule.problem().unwrap().contains("cannot strike on connect"));
        assert!(Rule::always(Fault::status(99)).problem().is_some());
        assert!(Rule::always(Fault::Reset).chance(1.5).problem().is_some());
        assert!(Rule::always(Fault::Reset).every(0).problem().is_some());
        assert_eq!(Rule::always(Fault::Reset).problem(), None);
    }
}
