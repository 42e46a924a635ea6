//! The driver in virtual time: hands inputs to the scheduler, commits each step to the model store, then releases its
//! effects to the model vendor; jumps to whatever comes next; can be killed at any of these points.

mod acting;
mod checks;
mod look;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use nightcall::sched::act::Acted;
use nightcall::sched::id::RunId;
use nightcall::sched::step::{Ask, Effect, FireRequest, Fired, Input, Key, Step, Token};
use nightcall::sched::time::{Mono, Now, Timestamp};
use nightcall::sched::{Change, Scheduler};

pub(crate) use self::acting::{again, denied, done};
pub(crate) use self::look::{by_hand, made, refused};
use crate::log::{Line, Log};
use crate::setup::{Config, at, base, http_502, secs, zone};
use crate::store::Model;
use crate::vendor::{Back, Op, Passage, Vendor, instead};

/// The driver's sleep is capped so that a stepped clock is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Where a kill hits a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    /// The step never happened.
    BeforeCommit,
    /// Everything is stored, nothing is done.
    AfterCommit,
    /// So many effects were released, the rest not.
    AfterEffects(usize),
}

/// What happens outside the scheduler.
#[derive(Debug)]
enum Event {
    /// A request arrives at the vendor, whatever became of the process that sent it.
    Arrives(Effect, Back, Asker),
    /// An answer arrives at the process that asked.
    Answered(Input, Asker),
}

/// The process that asked, and what to answer at the end of the request's time limit.
#[derive(Clone, Copy, Debug)]
struct Asker {
    process: u64,
}

/// One world: a daemon's heart, its store, its vendor, and time.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) config: Config,
    pub(crate) store: Model,
    pub(crate) vendor: Vendor,
    scheduler: Option<Scheduler>,
    /// True time since the base.
    t: Duration,
    /// The daemon's wall clock minus the true time, in milliseconds.
    pub(crate) skew: i64,
    /// When the present process began, and what its monotonic clock showed then.
    boot: (Duration, Mono),
    process: u64,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    last_wake: Duration,
    idle_wakes: u32,
    replies: HashMap<Token, Fired>,
    answers: HashMap<Token, Acted>,
    tokens: u64,
    submitted: HashSet<(RunId, u32)>,
    last_key: Option<Key>,
    /// When requests left the present process.
    sent: VecDeque<Duration>,
    /// Steps that changed something or did something.
    pub(crate) steps: usize,
    /// Wakes that led to nothing.
    pub(crate) idle: usize,
    /// Kill at this step, at this point; then start again after so long.
    pub(crate) kill: Option<(usize, Kill)>,
    pub(crate) downtime: Duration,
    pub(crate) kills: usize,
    restart_at: Option<Duration>,
    restored: bool,
    /// The last things that happened, for whoever looks at a failure.
    log: Log,
}

impl Sim {
    /// A new database, started at 00:00.
    pub(crate) fn new(config: Config) -> Self {
        Self::stopped(config).started()
    }

    /// As [`Sim::new`], with the vendor prepared before the start.
    pub(crate) fn with_vendor(config: Config, prepare: impl FnOnce(&mut Vendor)) -> Self {
        let mut sim = Self::stopped(config);
        prepare(&mut sim.vendor);
        sim.started()
    }

    pub(crate) fn stopped(config: Config) -> Self {
        Self {
            config,
            store: Model::default(),
            vendor: Vendor::new(),
            scheduler: None,
            t: Duration::ZERO,
            skew: 0,
            boot: (Duration::ZERO, Mono(0)),
            process: 0,
            queue: BTreeMap::new(),
            queued: 0,
            last_wake: Duration::ZERO,
            idle_wakes: 0,
            replies: HashMap::new(),
            answers: HashMap::new(),
            tokens: 0,
            submitted: HashSet::new(),
            last_key: None,
            sent: VecDeque::new(),
            steps: 0,
            idle: 0,
            kill: None,
            downtime: secs(1),
            kills: 0,
            restart_at: None,
            restored: false,
            log: Log::default(),
        }
    }

    pub(crate) fn started(mut self) -> Self {
        self.start();
        self
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    pub(crate) fn now(&self) -> Now {
        let (began, mono) = self.boot;
        Now {
            wall: self.true_now() + jiff::SignedDuration::from_millis(self.skew),
            mono: mono.plus(self.t - began),
        }
    }

    pub(crate) fn true_now(&self) -> Timestamp {
        base() + self.t
    }

    /// True time since the base.
    pub(crate) fn t(&self) -> Duration {
        self.t
    }

    /// Lets so much time pass.
    pub(crate) fn run_for(&mut self, d: Duration) {
        let end = self.t + d;
        while self.advance(end) {}
    }

    /// Lets time pass until the true clock shows this.
    pub(crate) fn run_to(&mut self, time: &str) {
        let end = Duration::try_from(at(time).duration_since(base())).unwrap();
        assert!(end >= self.t, "{time} is over");
        while self.advance(end) {}
    }

    /// Lets time pass until something is so; fails when it is not after two days.
    pub(crate) fn run_until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let end = self.t + secs(48 * 3600);
        while !is(self) {
            assert!(self.advance(end), "never: {what}");
        }
    }

    /// One event, at most until `end`; `false` when the end is reached.
    pub(crate) fn advance(&mut self, end: Duration) -> bool {
        let wake = self.wake_at();
        let event = self.queue.first_key_value().map(|(key, _)| key.0);
        let next = [wake, event, self.restart_at].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.t = end;
            return false;
        };
        self.t = self.t.max(next);
        if self.restart_at.is_some_and(|at| at <= self.t) {
            self.start();
        } else if event.is_some_and(|at| at <= self.t) {
            if let Some((_, event)) = self.queue.pop_first() {
                self.happen(event);
            }
        } else {
            self.last_wake = self.t;
            self.handle(Input::Wake);
        }
        true
    }

    fn wake_at(&self) -> Option<Duration> {
        let scheduler = self.scheduler.as_ref()?;
        let now = self.now();
        let wake = scheduler.next_wake(now);
        let wall = wake.wall.map(|at| {
            let ahead = Duration::try_from(at.duration_since(now.wall)).unwrap_or_default();
            self.t + ahead
        });
        let mono = wake.mono.map(|at| self.t + at.since(now.mono));
        let cap = Some(self.last_wake + LONGEST_SLEEP);
        [wall, mono, cap].into_iter().flatten().min()
    }

    // ---- the daemon ----------------------------------------------------------------------------------------------

    /// The process starts: recovers from the store.
    pub(crate) fn start(&mut self) {
        assert!(self.scheduler.is_none(), "already started");
        self.process += 1;
        self.restart_at = None;
        self.last_wake = self.t;
        self.sent.clear();
        // Each process has a monotonic clock with an origin of its own.
        self.boot = (
            self.t,
            Mono(i64::try_from(self.process).unwrap() * 1_000_003),
        );
        self.note(Line::Started(self.process, self.now().wall));
        let (mut setup, saved) = (self.config.setup(), self.store.load());
        let now = self.now().wall;
        setup.predecessors = self
            .store
            .predecessors(&setup, saved.mark.unwrap_or(now).min(now));
        let (scheduler, step) = Scheduler::recover(setup, saved, &zone, self.now());
        self.scheduler = Some(scheduler);
        self.take(step);
    }

    /// The process is gone at once: no answer reaches it any more.
    pub(crate) fn stop(&mut self) {
        self.note(Line::Stopped);
        self.scheduler = None;
    }

    /// After a kill: until it was started again.
    pub(crate) fn wait_until_running(&mut self) {
        self.run_until("it runs again", |sim| sim.scheduler.is_some());
    }

    /// Another database takes the place of the present one.
    pub(crate) fn restore(&mut self, store: Model) {
        self.note(Line::Restored);
        self.store = store;
        self.restored = true;
        // It may not know of submissions that came to nothing.
        self.submitted.clear();
    }

    /// The daemon's machine sleeps for so long: the vendor and both clocks go on, the daemon and what it has sent do not.
    pub(crate) fn suspend(&mut self, d: Duration) {
        self.t += d;
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue
            .into_iter()
            .map(|((at, number), event)| ((at + d, number), event))
            .collect();
    }

    /// Hands one input to the scheduler and carries out what it says.
    pub(crate) fn handle(&mut self, input: Input) {
        let now = self.now();
        let wake = matches!(input, Input::Wake);
        if !wake {
            self.note(Line::Input(input.clone()));
        }
        let Some(scheduler) = &mut self.scheduler else {
            return;
        };
        let step = scheduler.handle(input, now);
        let idle = wake && step == Step::default();
        self.idle += usize::from(idle);
        self.take(step);
        self.check_progress(idle);
    }

    /// Store first, then act.
    fn take(&mut self, step: Step) {
        if step == Step::default() {
            return;
        }
        self.steps += 1;
        let kill = self
            .kill
            .filter(|(at, _)| *at == self.steps)
            .map(|(_, point)| point);
        if kill == Some(Kill::BeforeCommit) {
            return self.killed();
        }
        let told = |change: &&Change| !matches!(change, Change::Mark(_));
        for change in step.changes.iter().filter(told) {
            self.note(Line::Stored(change.clone()));
        }
        self.store.commit(&step.changes);
        let released = match kill {
            Some(Kill::AfterCommit) => 0,
            Some(Kill::AfterEffects(n)) => n,
            _ => usize::MAX,
        };
        for effect in step.effects.into_iter().take(released) {
            self.perform(effect);
        }
        if kill.is_some() {
            return self.killed();
        }
        self.check_state();
    }

    fn killed(&mut self) {
        self.note(Line::Killed(self.steps));
        self.kills += 1;
        self.kill = None;
        self.scheduler = None;
        self.restart_at = Some(self.t + self.downtime);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { token, fired } => return drop(self.replies.insert(token, fired)),
            Effect::Acted { token, acted } => return drop(self.answers.insert(token, acted)),
            _ => {}
        }
        let Some(op) = Op::of(&effect) else { return };
        self.check_effect(&effect);
        self.check_budget();
        let asker = Asker {
            process: self.process,
        };
        let passage = self.vendor.passage(op, &effect, self.t);
        self.note(Line::Asked(effect.clone(), passage.clone()));
        let Passage { arrives, back } = passage;
        if let Some(after) = arrives {
            return self.later(after, Event::Arrives(effect, back, asker));
        }
        self.send_back(&effect, Duration::ZERO, back, asker);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(effect, back, asker) => {
                if let Effect::Ask {
                    ask: Ask::Submit(submission),
                    ..
                } = &effect
                {
                    self.check_creation(submission);
                }
                let input = self.vendor.arrive(&effect, self.t);
                match back {
                    Back::Answer(way) => self.later(way, Event::Answered(input, asker)),
                    back => self.send_back(&effect, Duration::from_millis(200), back, asker),
                }
            }
            Event::Answered(input, asker) => {
                if asker.process == self.process {
                    self.handle(input);
                }
            }
        }
    }

    fn send_back(&mut self, effect: &Effect, gone: Duration, back: Back, asker: Asker) {
        let way = Duration::from_millis(200);
        let date = self.vendor.date.map(|_| self.vendor.clock(self.t));
        let limit = self.config.connections[0].request_timeout;
        let (after, fault, certain, date) = match back {
            Back::Silence | Back::Answer(_) => return,
            Back::Cut => {
                let fault = http_502();
                (limit.saturating_sub(gone), fault, false, None)
            }
            Back::Refusal(fault) => {
                let heard = fault.reason != "connection";
                (way, fault, true, date.filter(|_| heard))
            }
            Back::Unsure(fault) => (way, fault, false, date),
        };
        let input = instead(effect, fault, certain, date);
        self.later(after, Event::Answered(input, asker));
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((self.t + after, self.queued), event);
    }

    // ---- by hand -------------------------------------------------------------------------------------------------

    /// Asks for a run by hand; `None` when no answer came back.
    pub(crate) fn fire(&mut self, request: FireRequest) -> Option<Fired> {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.handle(Input::Fire { token, request });
        self.replies.remove(&token)
    }

    /// The system says that its clock is synchronised.
    pub(crate) fn synchronised(&mut self) {
        self.handle(Input::Clock { synchronised: true });
    }

    /// The clock of the daemon's machine is set by so many seconds.
    pub(crate) fn step_clock(&mut self, seconds: i64) {
        self.skew += seconds * 1000;
        self.note(Line::ClockStepped(seconds));
    }

    fn note(&mut self, line: Line) {
        self.log.push(self.true_now(), line);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last events:\n{}", self.log);
        }
    }
}
