//! A model of the vendor, in virtual time: jobs with a life of their own, a job list that lags, and every way in which a
//! request or its answer can be lost. It also is the oracle: it knows what really ran.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use nightcall::sched::call::{ListedJob, Marker, Submission, Target};
use nightcall::sched::fault::{Fault, FaultClass};
use nightcall::sched::id::{JobId, RunId, SeriesId};
use nightcall::sched::step::{
    Answer, Ask, CancelAnswer, Effect, Input, ListAnswer, PollAnswer, SubmitAnswer,
};
use nightcall::sched::time::Timestamp;

use crate::setup::{base, secs};

/// What is asked of the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Submit,
    Poll,
    Cancel,
    List,
}

impl Op {
    pub(crate) const ALL: [Self; 4] = [Self::Submit, Self::Poll, Self::Cancel, Self::List];

    pub(crate) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Ask {
                ask: Ask::Submit(_),
                ..
            } => Some(Self::Submit),
            Effect::Ask {
                ask: Ask::Poll(..), ..
            } => Some(Self::Poll),
            Effect::Ask {
                ask: Ask::Cancel(..),
                ..
            } => Some(Self::Cancel),
            Effect::List { .. } => Some(Self::List),
            Effect::Reply { .. } | Effect::Acted { .. } => None,
        }
    }
}

/// What becomes of one request.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// So long after it left the vendor acts on it; never when `None`.
    pub(crate) arrives: Option<Duration>,
    /// What comes back.
    pub(crate) back: Back,
}

#[derive(Clone, Debug)]
pub(crate) enum Back {
    /// The vendor's answer, so long after the request arrived.
    Answer(Duration),
    /// It is certain that the vendor did nothing.
    Refusal(Fault),
    /// An answer that says nothing of what the vendor did.
    Unsure(Fault),
    /// Nothing within the time limit of the request.
    Cut,
    /// Nothing ever, not even the end of the time limit.
    Silence,
}

const WAY: Duration = Duration::from_millis(200);

impl Passage {
    pub(crate) fn fine() -> Self {
        Self {
            arrives: Some(WAY),
            back: Back::Answer(WAY),
        }
    }

    pub(crate) fn slow(there: Duration, back: Duration) -> Self {
        Self {
            arrives: Some(there),
            back: Back::Answer(back),
        }
    }

    pub(crate) fn lost_request() -> Self {
        Self {
            arrives: None,
            back: Back::Cut,
        }
    }

    pub(crate) fn lost_reply() -> Self {
        Self {
            arrives: Some(WAY),
            back: Back::Cut,
        }
    }

    /// The vendor acts late; the answer comes too late for the time limit.
    pub(crate) fn late(after: Duration) -> Self {
        Self {
            arrives: Some(after),
            back: Back::Cut,
        }
    }

    pub(crate) fn refused(fault: Fault) -> Self {
        Self {
            arrives: None,
            back: Back::Refusal(fault),
        }
    }

    pub(crate) fn unsure(fault: Fault) -> Self {
        Self {
            arrives: None,
            back: Back::Unsure(fault),
        }
    }

    pub(crate) fn unsure_but_done(fault: Fault) -> Self {
        Self {
            arrives: Some(WAY),
            back: Back::Unsure(fault),
        }
    }

    pub(crate) fn silence() -> Self {
        Self {
            arrives: None,
            back: Back::Silence,
        }
    }
}

/// How the life of a job goes.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// Runs so long, then ends like this; for ever when `None`.
    pub(crate) ends: Option<(Duration, End)>,
    /// Stops so long after it was asked to; never when `None`.
    pub(crate) obeys: Option<Duration>,
    /// The vendor says that it does not know the job, from so long after its creation on …
    pub(crate) gone_from: Option<Duration>,
    /// … for so long.
    pub(crate) gone_for: Duration,
    /// So long it stays out of the list.
    pub(crate) lag: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Success,
    Failure(Fault),
    Stopped,
}

impl Life {
    fn of(ends: Option<(Duration, End)>) -> Self {
        Self {
            ends,
            obeys: Some(secs(3)),
            gone_from: None,
            gone_for: Duration::MAX,
            lag: secs(1),
        }
    }

    pub(crate) fn succeeds(after: Duration) -> Self {
        Self::of(Some((after, End::Success)))
    }

    pub(crate) fn fails(after: Duration, fault: Fault) -> Self {
        Self::of(Some((after, End::Failure(fault))))
    }

    pub(crate) fn stopped(after: Duration) -> Self {
        Self::of(Some((after, End::Stopped)))
    }

    pub(crate) fn endless() -> Self {
        Self::of(None)
    }

    pub(crate) fn disobedient(mut self) -> Self {
        self.obeys = None;
        self
    }

    pub(crate) fn gone(mut self, from: Duration, lasts: Duration) -> Self {
        (self.gone_from, self.gone_for) = (Some(from), lasts);
        self
    }

    pub(crate) fn listed_after(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }
}

/// A job as it really is.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) marker: Marker,
    pub(crate) query: String,
    /// The values, as JSON.
    pub(crate) parameters: String,
    /// Each host has a list of its own.
    base_url: String,
    /// True time since the base.
    pub(crate) created: Duration,
    pub(crate) life: Life,
    pub(crate) asked_to_stop: Option<Duration>,
}

impl Job {
    /// How it ended by now; `None` while it runs.
    pub(crate) fn end(&self, t: Duration) -> Option<End> {
        let natural = self
            .life
            .ends
            .as_ref()
            .map(|(after, end)| (self.created + *after, end));
        let stopped = self
            .asked_to_stop
            .zip(self.life.obeys)
            .map(|(at, after)| at + after);
        match (natural, stopped) {
            (Some((at, end)), stopped) if at <= t && stopped.is_none_or(|s| at <= s) => {
                Some(end.clone())
            }
            (_, Some(at)) if at <= t => Some(End::Stopped),
            _ => None,
        }
    }

    fn gone(&self, t: Duration) -> bool {
        let from = self.life.gone_from.map(|after| self.created + after);
        from.is_some_and(|from| t >= from && t - from < self.life.gone_for)
    }
}

/// The vendor.
#[derive(Debug, Default)]
pub(crate) struct Vendor {
    pub(crate) jobs: Vec<Job>,
    by_id: HashMap<JobId, usize>,
    by_run: HashMap<RunId, Vec<usize>>,
    /// Lives of the next jobs, then `usual`.
    pub(crate) lives: VecDeque<Life>,
    pub(crate) usual: Option<Life>,
    /// Lives of all jobs whose statement contains a word; looked at before `lives`.
    pub(crate) lives_of: Vec<(&'static str, Life)>,
    script: HashMap<Op, VecDeque<Passage>>,
    always: HashMap<Op, Passage>,
    /// One connection does not work.
    pub(crate) down_for: Option<(&'static str, Fault)>,
    /// One host does not work.
    pub(crate) down_host: Option<(String, Fault)>,
    /// Its clock minus the true time, in seconds; no `Date` at all when `None`.
    pub(crate) date: Option<i64>,
    /// The list is refused for good.
    pub(crate) no_list: bool,
    /// The list shows no metadata.
    pub(crate) hides_markers: bool,
    /// The list shows no metadata of jobs that were created from then on: it is no longer kept.
    pub(crate) no_markers_from: Option<Duration>,
    /// The list shows only so many jobs, the newest.
    pub(crate) list_max: Option<usize>,
    /// What was asked, with the true time at which it left.
    pub(crate) asked: Vec<(Duration, Op)>,
    accepted: HashSet<(RunId, u32)>,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        Self {
            date: Some(0),
            ..Self::default()
        }
    }

    /// What becomes of the next request of this kind.
    pub(crate) fn next(&mut self, op: Op, passage: Passage) {
        self.script.entry(op).or_default().push_back(passage);
    }

    /// What becomes of all requests of this kind from now on, scripts aside.
    pub(crate) fn always(&mut self, op: Op, passage: Passage) {
        self.always.insert(op, passage);
    }

    /// Nothing works from now on: as when the connection is refused, the credential is, or the service is out.
    pub(crate) fn down(&mut self, fault: Fault) {
        let certain = fault.class
            != FaultClass::Connection(nightcall::sched::fault::ConnectionFault::Unavailable);
        for op in Op::ALL {
            let passage = match certain {
                true => Passage::refused(fault.clone()),
                false => Passage::unsure(fault.clone()),
            };
            self.always(op, passage);
        }
    }

    pub(crate) fn up(&mut self) {
        self.always.clear();
    }

    pub(crate) fn jobs_of(&self, run: &RunId) -> Vec<&Job> {
        let jobs = self.by_run.get(run);
        jobs.into_iter()
            .flatten()
            .map(|index| &self.jobs[*index])
            .collect()
    }

    pub(crate) fn jobs_of_series<'a>(
        &'a self,
        series: &'a SeriesId,
    ) -> impl Iterator<Item = &'a Job> {
        // The newest are enough: older ones have ended, or were looked at before.
        const LOOKED_AT: usize = 50;
        let newest = self.jobs.iter().rev().take(LOOKED_AT);
        newest.filter(move |job| job.marker.run.series == *series)
    }

    /// How often the daemon asked this.
    pub(crate) fn count(&self, op: Op) -> usize {
        self.asked.iter().filter(|(_, o)| *o == op).count()
    }

    pub(crate) fn clock(&self, t: Duration) -> Timestamp {
        base() + t + jiff::SignedDuration::from_secs(self.date.unwrap_or(0))
    }

    /// The request leaves: what becomes of it is decided now.
    pub(crate) fn passage(&mut self, op: Op, effect: &Effect, t: Duration) -> Passage {
        self.asked.push((t, op));
        if let Some((connection, fault)) = &self.down_for
            && connection_of(effect) == Some(*connection)
        {
            return Passage::refused(fault.clone());
        }
        if let Some((base_url, fault)) = &self.down_host
            && base_url_of(effect) == Some(base_url)
        {
            return Passage::refused(fault.clone());
        }
        if let Some(passage) = self.script.get_mut(&op).and_then(VecDeque::pop_front) {
            return passage;
        }
        if let Some(passage) = self.always.get(&op) {
            return passage.clone();
        }
        Passage::fine()
    }

    /// The request arrives; the answer that goes back, if it does.
    pub(crate) fn arrive(&mut self, effect: &Effect, t: Duration) -> Input {
        let date = self.date.map(|_| self.clock(t));
        match effect {
            Effect::Ask { key, ask, .. } => {
                let answer = match ask {
                    Ask::Submit(submission) => {
                        Answer::Submit(SubmitAnswer::Accepted(self.create(submission, t)))
                    }
                    Ask::Poll(_, job) => Answer::Poll(self.stands(job, t)),
                    Ask::Cancel(_, job) => {
                        self.stop(job, t);
                        Answer::Cancel(CancelAnswer::Noted)
                    }
                };
                Input::Answer {
                    key: key.clone(),
                    answer,
                    date,
                }
            }
            Effect::List { key, since, target } => Input::Listed {
                key: key.clone(),
                answer: self.list(target, *since, t),
                date,
            },
            Effect::Reply { .. } | Effect::Acted { .. } => Input::Wake,
        }
    }

    fn create(&mut self, submission: &Submission, t: Duration) -> JobId {
        let marker = submission.marker.clone();
        let attempt = (marker.run.clone(), marker.attempt);
        assert!(
            self.accepted.insert(attempt),
            "the vendor saw two submissions of {} attempt {}",
            marker.run,
            marker.attempt
        );
        let id = JobId::new(&format!("job_{}", self.jobs.len() + 1)).unwrap();
        let life = self.life_of(submission);
        let index = self.jobs.len();
        self.by_id.insert(id.clone(), index);
        self.by_run
            .entry(marker.run.clone())
            .or_default()
            .push(index);
        self.jobs.push(Job {
            id: id.clone(),
            marker,
            query: submission.query.to_string(),
            parameters: submission.parameters.to_json().to_string(),
            base_url: submission.target.base_url.to_string(),
            created: t,
            life,
            asked_to_stop: None,
        });
        id
    }

    fn life_of(&mut self, submission: &Submission) -> Life {
        let named = self
            .lives_of
            .iter()
            .find(|(word, _)| submission.query.contains(word));
        if let Some((_, life)) = named {
            return life.clone();
        }
        if let Some(life) = self.lives.pop_front() {
            return life;
        }
        let usual = || Life::succeeds(secs(60));
        self.usual.clone().unwrap_or_else(usual)
    }

    fn stands(&self, job: &JobId, t: Duration) -> PollAnswer {
        let gone = || Fault::new(FaultClass::Permanent, "http 404", "Not Found");
        let Some(job) = self.by_id.get(job).map(|index| &self.jobs[*index]) else {
            return PollAnswer::Gone(gone());
        };
        if job.gone(t) {
            return PollAnswer::Gone(gone());
        }
        match job.end(t) {
            None => PollAnswer::Working { unknown: None },
            Some(End::Success) => PollAnswer::Succeeded,
            Some(End::Failure(fault)) => PollAnswer::Failed(fault),
            Some(End::Stopped) => PollAnswer::Cancelled,
        }
    }

    fn stop(&mut self, job: &JobId, t: Duration) {
        if let Some(index) = self.by_id.get(job) {
            let job = &mut self.jobs[*index];
            if job.end(t).is_none() {
                job.asked_to_stop.get_or_insert(t);
            }
        }
    }

    fn list(&self, target: &Target, since: Timestamp, t: Duration) -> ListAnswer {
        if self.no_list {
            let fault = Fault::new(FaultClass::Permanent, "http 403", "no");
            return ListAnswer::Unsupported(fault);
        }
        let shown = |job: &&Job| {
            *job.base_url == *target.base_url
                && job.created + job.life.lag <= t
                && self.clock(job.created) >= since
        };
        let mut listed: Vec<ListedJob> = self
            .jobs
            .iter()
            .filter(shown)
            .map(|job| self.listed(job))
            .collect();
        if let Some(max) = self.list_max {
            listed = listed.split_off(listed.len().saturating_sub(max));
        }
        ListAnswer::Jobs(listed)
    }

    fn listed(&self, job: &Job) -> ListedJob {
        let forgotten = self.no_markers_from.is_some_and(|from| job.created >= from);
        let kept = !self.hides_markers && !forgotten;
        ListedJob {
            job: job.id.clone(),
            created: Some(self.clock(job.created)),
            marker: kept.then(|| job.marker.clone()),
            query: Some(job.query.clone()),
        }
    }
}

fn base_url_of(effect: &Effect) -> Option<&str> {
    let target = match effect {
        Effect::Ask { ask, .. } => match ask {
            Ask::Submit(submission) => &submission.target,
            Ask::Poll(target, _) | Ask::Cancel(target, _) => target,
        },
        Effect::List { target, .. } => target,
        _ => return None,
    };
    Some(&target.base_url)
}

fn connection_of(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::Ask { connection, .. } => Some(connection.as_str()),
        Effect::List { key, .. } => Some(key.connection.as_str()),
        Effect::Reply { .. } | Effect::Acted { .. } => None,
    }
}

/// What comes back in place of an answer.
pub(crate) fn instead(
    effect: &Effect,
    fault: Fault,
    certain: bool,
    date: Option<Timestamp>,
) -> Input {
    match effect {
        Effect::Ask { key, ask, .. } => {
            let answer = match ask {
                Ask::Submit(_) if certain => Answer::Submit(SubmitAnswer::Refused(fault)),
                Ask::Submit(_) => Answer::Submit(SubmitAnswer::Unsure(fault)),
                Ask::Poll(..) => Answer::Poll(PollAnswer::NoAnswer(fault)),
                Ask::Cancel(..) => Answer::Cancel(CancelAnswer::NoAnswer(fault)),
            };
            Input::Answer {
                key: key.clone(),
                answer,
                date,
            }
        }
        Effect::List { key, .. } => Input::Listed {
            key: key.clone(),
            answer: ListAnswer::NoAnswer(fault),
            date,
        },
        Effect::Reply { .. } | Effect::Acted { .. } => Input::Wake,
    }
}
