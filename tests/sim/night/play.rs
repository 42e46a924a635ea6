//! A night is played: the driver in virtual time. What happens is handed to the scheduler, each step is committed under
//! the lease and then acted upon; time jumps to whatever comes next. A commit may take its time: what comes meanwhile is
//! the next step. The process can be killed at any of these points, stand still, or find that the store takes no commit.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use nightcall::sched::Change;
use nightcall::sched::act::Acted;
use nightcall::sched::step::{Effect, Fired, Input, Step, Token};
use nightcall::sched::time::{Mono, Now, Timestamp};

use super::checks::{Memory, hold};
use super::courier::{self, Courier, Next};
use super::lease::Lease;
use super::ledger::Ledger;
use super::plan::{Act, Night, Point};
use super::planted::Planted;
use super::process::Daemon;
use super::tally::Tally;
use super::vendor::Vendor;
use super::words::{asked, heard, stored};
use crate::dice::Dice;
use crate::setup::{Config, secs};
use crate::store::Model;

/// The driver's sleep is capped so that a stepped clock is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What comes by itself.
#[derive(Debug)]
pub(super) enum Event {
    /// Of a message or a call.
    Mail(courier::Event),
    /// The act of this number.
    Act(usize),
    /// What an act began ends.
    Over(usize),
    /// A process is started, unless another start was ordered since.
    Start(u64),
    /// The store is tried again after so long in vain.
    Retry(u64, Duration),
    /// The commit of this process is durable, or has failed.
    Committed(u64),
}

/// A step whose commit is under way, and the next one: what was taken in meanwhile.
#[derive(Debug)]
pub(super) struct Committing {
    step: Step,
    next: Step,
}

/// What inputs led to.
struct Decided {
    step: Step,
    /// It was a wake-up for nothing.
    idle: bool,
    /// The lists among the inputs.
    lists: Vec<Input>,
}

/// One night on its way.
#[derive(Debug)]
pub(super) struct Play<'n> {
    pub(super) night: &'n Night,
    /// What is in force …
    pub(super) config: Config,
    /// … and what the file says, which a start or a reload reads.
    pub(super) file: Config,
    pub(super) store: Model,
    pub(super) ledger: Ledger,
    pub(super) lease: Lease,
    pub(super) vendor: Vendor,
    pub(super) courier: Courier,
    pub(super) daemon: Option<Daemon>,
    /// A process that stands still and does not know it.
    pub(super) frozen: Option<Daemon>,
    /// True time since the beginning.
    pub(super) t: Duration,
    /// The daemon's wall clock minus the true time, in milliseconds.
    pub(super) skew: i64,
    pub(super) processes: u64,
    pub(super) ordered: u64,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    pub(super) replies: HashMap<Token, Fired>,
    pub(super) acted: HashMap<Token, Acted>,
    pub(super) tokens: u64,
    pub(super) memory: Memory,
    pub(super) tally: Tally,
    pub(super) dice: Dice,
    /// So many steps from now the process is killed, at this point, for so long.
    pub(super) kill: Option<(usize, Point, Duration)>,
    /// The store takes no commit until then.
    pub(super) refuses_until: Duration,
    /// Copies of the database that were made for later.
    pub(super) copies: HashMap<usize, (Model, Ledger)>,
    pub(super) limits_changed: bool,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    steps: usize,
    /// More is decided than the step that is being committed.
    ahead: bool,
    /// What happened, in words; kept for the last playing of a night that fails.
    pub(super) trace: Option<VecDeque<String>>,
}

impl<'n> Play<'n> {
    pub(super) fn new(night: &'n Night, traced: bool) -> Self {
        let time_limit = night.connections.iter().map(|c| c.request_timeout).min();
        let time_limit = time_limit.unwrap_or(secs(30));
        let config = Config {
            definitions: night.definitions.clone(),
            connections: night.connections.clone(),
            disabled: Vec::new(),
            observe: false,
            kept: Duration::MAX,
        };
        let mut play = Self {
            file: config.clone(),
            config,
            store: Model::default(),
            ledger: Ledger::new(night.begins),
            lease: Lease::default(),
            vendor: Vendor::new(night.scenario.clone(), night.begins),
            courier: Courier::new(night.line.clone(), time_limit, night.seed ^ 0x51),
            daemon: None,
            frozen: None,
            t: Duration::ZERO,
            skew: 0,
            processes: 0,
            ordered: 0,
            queue: BTreeMap::new(),
            queued: 0,
            replies: HashMap::new(),
            acted: HashMap::new(),
            tokens: 0,
            memory: Memory::default(),
            tally: Tally::default(),
            dice: Dice::new(night.seed ^ 0xac7),
            kill: None,
            refuses_until: Duration::ZERO,
            copies: HashMap::new(),
            limits_changed: false,
            calm: false,
            steps: 0,
            ahead: false,
            trace: traced.then(VecDeque::new),
            night,
        };
        for (index, timed) in night.acts.iter().enumerate() {
            // A copy is made long before it takes over.
            if let Act::OldCopy { age } = timed.act {
                play.later(timed.at.saturating_sub(age), Event::Over(index));
            }
            play.later(timed.at, Event::Act(index));
        }
        play
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    pub(super) fn true_now(&self) -> Timestamp {
        self.night.begins + self.t
    }

    /// Both clocks of the process.
    pub(super) fn now(&self) -> Now {
        let (began, mono) = self.daemon.as_ref().map_or((self.t, Mono(0)), |d| d.boot);
        self.clocks(began, mono)
    }

    fn clocks(&self, began: Duration, mono: Mono) -> Now {
        Now {
            wall: self.true_now() + jiff::SignedDuration::from_millis(self.skew),
            mono: mono.plus(self.t - began),
        }
    }

    /// At this true time since the beginning.
    pub(super) fn later(&mut self, at: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((at.max(self.t), self.queued), event);
    }

    pub(super) fn run_to(&mut self, end: Duration) {
        while self.advance(end) {}
        self.finish_commits();
    }

    /// One event, at most until `end`; `false` when the end is reached.
    pub(super) fn advance(&mut self, end: Duration) -> bool {
        let (wake, event) = (self.wake_at(), self.queue.first_key_value());
        let event = event.map(|(key, _)| key.0);
        let next = [wake, event].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.t = end;
            return false;
        };
        self.t = self.t.max(next);
        if event.is_some_and(|at| at <= self.t)
            && let Some((_, event)) = self.queue.pop_first()
        {
            self.happen(event);
        } else {
            if let Some(daemon) = &mut self.daemon {
                daemon.last_wake = self.t;
            }
            self.take_in(vec![Input::Wake]);
        }
        true
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        let daemon = self.daemon.as_ref()?;
        let scheduler = daemon.scheduler.as_ref()?;
        let now = self.now();
        let wake = scheduler.next_wake(now);
        let wall = wake
            .wall
            .map(|at| self.t + Duration::try_from(at.duration_since(now.wall)).unwrap_or_default());
        let mono = wake.mono.map(|at| self.t + at.since(now.mono));
        let cap = Some(daemon.last_wake + LONGEST_SLEEP);
        [wall, mono, cap].into_iter().flatten().min()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Mail(mail) => self.mail(mail),
            // What is done from outside finds no commit under way, as an act does.
            Event::Act(index) => {
                self.finish_commits();
                self.act(index);
            }
            Event::Over(index) => {
                self.finish_commits();
                self.over(index);
            }
            Event::Committed(process) => self.committed(process),
            Event::Start(order) if order == self.ordered => self.start(),
            Event::Start(_) => {}
            Event::Retry(process, pause) => self.retry_store(process, pause),
        }
    }

    // ---- messages ------------------------------------------------------------------------------------------------

    fn mail(&mut self, mail: courier::Event) {
        let mut answers = self.deliver(mail);
        // What comes at about the same time is committed at once.
        while !answers.is_empty() && !self.night.line.together.is_zero() {
            let soon = self.t + self.night.line.together;
            let next = self.queue.first_entry();
            let Some(entry) = next.filter(|e| e.key().0 <= soon) else {
                break;
            };
            if !matches!(entry.get(), Event::Mail(_)) {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.t = self.t.max(at);
            if let Event::Mail(mail) = event {
                answers.extend(self.deliver(mail));
            }
        }
        if !answers.is_empty() {
            self.take_in(answers);
        }
    }

    fn deliver(&mut self, mail: courier::Event) -> Vec<Input> {
        let (t, now) = (self.t, self.true_now());
        let next = self.courier.happen(mail, &mut self.vendor, t, now);
        if let Some(index) = next.made {
            let made = self.vendor.made[index].clone();
            self.say(|| {
                format!(
                    "  the vendor makes {} for {}#{}",
                    made.id, made.meant.0, made.meant.1
                )
            });
            self.check_made(&made);
        }
        self.follow(next)
    }

    fn follow(&mut self, next: Next) -> Vec<Input> {
        for (at, event) in next.events {
            self.later(at, Event::Mail(event));
        }
        next.answers
    }

    // ---- the daemon ----------------------------------------------------------------------------------------------

    /// Hands inputs to the scheduler and carries out what it says, at once.
    pub(super) fn handle(&mut self, inputs: Vec<Input>) {
        self.finish_commits();
        if let Some(decided) = self.decide(inputs) {
            self.take(decided.step);
            decided.lists.iter().for_each(|list| self.check_shown(list));
            self.check_progress(decided.idle);
        }
    }

    /// Hands inputs to the scheduler while a commit may be under way, and lets that of their step take its time.
    fn take_in(&mut self, inputs: Vec<Input>) {
        let Some(Decided { step, idle, lists }) = self.decide(inputs) else {
            return;
        };
        let under_way = self.daemon.as_mut().and_then(|d| d.committing.as_mut());
        match under_way {
            Some(Committing { next, .. }) => next.extend(step),
            None => self.begin_commit(step),
        }
        if !lists.is_empty() {
            // What a list showed is judged by what is on record.
            self.finish_commits();
            lists.iter().for_each(|list| self.check_shown(list));
        }
        self.check_progress(idle);
    }

    fn begin_commit(&mut self, step: Step) {
        let takes = self.night.line.commit;
        match &mut self.daemon {
            Some(daemon) if !takes.is_zero() && !step.changes.is_empty() => {
                let next = Step::default();
                daemon.committing = Some(Committing { step, next });
                let process = daemon.process;
                self.later(self.t + takes, Event::Committed(process));
            }
            _ => self.take(step),
        }
    }

    fn committed(&mut self, process: u64) {
        let daemon = self.daemon.as_mut().filter(|d| d.process == process);
        let Some(Committing { step, next }) = daemon.and_then(|d| d.committing.take()) else {
            return;
        };
        self.ahead = next != Step::default();
        self.take(step);
        self.ahead = false;
        // With a step that never happened, or a process that is gone, goes what was decided after it.
        if self.runs() && next != Step::default() {
            self.tally.count("taken in during a commit");
            self.begin_commit(next);
        }
    }

    /// No time passes, and nothing waits to be committed.
    pub(super) fn finish_commits(&mut self) {
        while let Some(daemon) = &self.daemon
            && daemon.committing.is_some()
        {
            let process = daemon.process;
            self.committed(process);
        }
    }

    /// What inputs lead to; `None` without a scheduler.
    fn decide(&mut self, inputs: Vec<Input>) -> Option<Decided> {
        let now = self.now();
        let wake = matches!(inputs.as_slice(), [Input::Wake]);
        let mut whole = Step::default();
        let mut lists = Vec::new();
        for input in inputs {
            if !wake {
                self.say(|| heard(&input));
            }
            if let Input::Listed { .. } = &input {
                self.hear_list(&input);
                lists.push(input.clone());
            }
            let scheduler = self.daemon.as_mut()?.scheduler.as_mut()?;
            whole.extend(scheduler.handle(input, now));
        }
        Some(Decided {
            idle: wake && whole == Step::default(),
            step: whole,
            lists,
        })
    }

    /// Store first, then act.
    pub(super) fn take(&mut self, step: Step) {
        if !self.keep_lease() || step == Step::default() {
            return;
        }
        if self.refuses_until > self.t && !step.changes.is_empty() {
            return self.store_refused();
        }
        self.steps += 1;
        let kill = self.kill_now();
        let Step { changes, effects } = step;
        if kill == Some(Point::BeforeCommit) {
            return self.killed();
        }
        let first = self.night.planted == Planted::ActsFirst;
        let mut released = match kill {
            Some(Point::AfterCommit) => 0,
            Some(Point::AfterEffects(n)) => n,
            _ => usize::MAX,
        };
        let mut effects = effects.into_iter();
        if first {
            effects.by_ref().for_each(|effect| self.perform(effect));
            released = 0;
        }
        self.commit(changes);
        for effect in effects.take(released) {
            self.perform(effect);
        }
        if kill.is_some() {
            return self.killed();
        }
        // Memory is compared with what is on record, unless it is ahead of it.
        if !self.ahead && self.steps.is_multiple_of(8 + self.store.live_count() / 4) {
            let now = self.now();
            let scheduler = self.daemon.as_ref().and_then(|d| d.scheduler.as_ref());
            if let Some(snapshot) = scheduler.map(|s| s.snapshot(now)) {
                self.check_state(&snapshot);
            }
        }
    }

    fn commit(&mut self, mut changes: Vec<Change>) {
        self.check_changes(&changes);
        self.check_given_up(&changes);
        match self.night.planted {
            Planted::ForgetsIntent => changes.retain(
                |c| !matches!(c, Change::Run { record, .. } if record.what == "submitting"),
            ),
            Planted::ForgetsCursor => changes.retain(|c| !matches!(c, Change::Cursor { .. })),
            Planted::ForgetsNotices => changes.retain(|c| !matches!(c, Change::Notice(_))),
            _ => {}
        }
        for change in &changes {
            self.tally.change(change);
            if !matches!(change, Change::Mark(_)) {
                self.say(|| stored(change));
            }
        }
        self.store.commit(&changes);
        self.ledger.stored(&changes, &self.config.definitions);
    }

    fn perform(&mut self, effect: Effect) {
        if let Effect::Reply { token, fired } = effect {
            self.replies.insert(token, fired);
            return;
        }
        if let Effect::Acted { token, acted } = effect {
            self.acted.insert(token, acted);
            return;
        }
        self.check_request(&effect);
        self.check_pace(&effect);
        self.remember_list(&effect);
        self.say(|| asked(&effect));
        let next = self.courier.ask(effect, self.t);
        let answers = self.follow(next);
        // What cannot even leave is answered as soon as anything is.
        hold(9, answers.is_empty(), || format!("at once: {answers:?}"));
    }
}
