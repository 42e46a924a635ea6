//! A night that breaks something is made as small as it goes while it still breaks the same: acts, schedules and
//! oddities of the vendor are taken away by halves and one by one, spans are shortened. Each try is a whole playing.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use nightcall::sandbox::Scenario;

use super::plan::{Act, Line, Night};
use super::play::Play;
use crate::setup::{mins, secs};

/// So many playings at most.
const TRIES: usize = 400;

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The number of the invariant, or the place in the code: two failures of one kind are the same.
    pub(super) kind: String,
    pub(super) message: String,
    /// When, since the beginning.
    pub(super) at: Duration,
    /// The last events, if they were kept.
    pub(super) trace: VecDeque<String>,
}

thread_local! {
    /// Where the last panic of this thread was; `None` when panics are nobody's business here.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of threads that play are kept instead of shown.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let kept =
                PLACE.with_borrow_mut(|kept| kept.as_mut().map(|kept| *kept = place).is_some());
            if !kept {
                shown(info);
            }
        }));
    });
}

/// Plays a night; what broke, if anything did.
pub(super) fn broken(
    night: &Night,
    traced: bool,
    play: impl Fn(&mut Play<'_>),
) -> Result<Play<'_>, Failure> {
    keep_panics();
    PLACE.set(Some(String::new()));
    let mut played = Play::new(night, traced);
    let ended = catch_unwind(AssertUnwindSafe(|| play(&mut played)));
    let place = PLACE.take().unwrap_or_default();
    match ended {
        Ok(()) => Ok(played),
        Err(panic) => Err(failure(panic, place, &mut played)),
    }
}

fn failure(panic: Box<dyn Any + Send>, place: String, played: &mut Play<'_>) -> Failure {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
    let message = text.unwrap_or_default();
    let numbered = message
        .split(':')
        .next()
        .filter(|head| head.starts_with("invariant ") || *head == "liveness");
    Failure {
        kind: numbered.map_or(place.clone(), str::to_owned),
        message: format!("{message} (at {place})"),
        at: played.t,
        trace: played.trace.take().unwrap_or_default(),
    }
}

/// The smallest night that still breaks in the same way, as far as was tried.
pub(super) fn shrunk(night: &Night, failure: &Failure, play: impl Fn(&mut Play<'_>)) -> Night {
    let mut shrinker = Shrinker {
        best: night.clone(),
        kind: failure.kind.clone(),
        play,
        tries: 0,
    };
    shrinker.end_soon(failure.at);
    loop {
        let before = shrinker.best.to_string();
        shrinker.fewer_acts();
        shrinker.fewer_schedules();
        shrinker.a_plainer_vendor();
        shrinker.shorter_spans();
        if shrinker.best.to_string() == before || shrinker.tries >= TRIES {
            return shrinker.best;
        }
    }
}

struct Shrinker<P> {
    best: Night,
    kind: String,
    play: P,
    tries: usize,
}

impl<P: Fn(&mut Play<'_>)> Shrinker<P> {
    /// Keeps the smaller night if it breaks in the same way.
    fn keeps(&mut self, smaller: Night) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        let same = match broken(&smaller, false, &self.play) {
            Err(failure) => failure.kind == self.kind,
            Ok(_) => false,
        };
        if same {
            self.best = smaller;
        }
        same
    }

    fn with(&self, change: impl FnOnce(&mut Night)) -> Night {
        let mut night = self.best.clone();
        change(&mut night);
        night
    }

    fn end_soon(&mut self, at: Duration) {
        let at = at + secs(1);
        if at < self.best.trouble {
            let smaller = self.with(|night| {
                night.trouble = at;
                night.acts.retain(|timed| timed.at <= at);
            });
            self.keeps(smaller);
        }
    }

    /// By halves, then by quarters, at last one by one.
    fn fewer_acts(&mut self) {
        let mut size = self.best.acts.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < self.best.acts.len() {
                let upto = (from + size).min(self.best.acts.len());
                let smaller = self.with(|night| drop(night.acts.drain(from..upto)));
                if !self.keeps(smaller) {
                    from = upto;
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn fewer_schedules(&mut self) {
        let mut index = 0;
        while self.best.definitions.len() > 1 && index < self.best.definitions.len() {
            let smaller = self.with(|night| drop(night.definitions.remove(index)));
            if !self.keeps(smaller) {
                index += 1;
            }
        }
    }

    fn a_plainer_vendor(&mut self) {
        let usual = Scenario::default;
        let plainer: [fn(&mut Night, Scenario); 10] = [
            |night, usual| night.scenario = usual.seed(night.scenario.seed),
            |night, usual| night.scenario.list = usual.list,
            |night, usual| night.scenario.create = usual.create,
            |night, usual| night.scenario.cancel = usual.cancel,
            |night, usual| night.scenario.limit = usual.limit,
            |night, usual| night.scenario.skew = usual.skew,
            |night, usual| night.scenario.profile = usual.profile,
            |night, usual| night.scenario.script = usual.script,
            |night, _| night.scenario.procedures.clear(),
            |night, _| night.line = Line::default(),
        ];
        for change in plainer {
            let smaller = self.with(|night| change(night, usual()));
            if smaller.to_string() != self.best.to_string() {
                self.keeps(smaller);
            }
        }
    }

    fn shorter_spans(&mut self) {
        for index in 0..self.best.acts.len() {
            for _ in 0..4 {
                let smaller = self.with(|night| shorter(&mut night.acts[index].act));
                if smaller.to_string() == self.best.to_string() || !self.keeps(smaller) {
                    break;
                }
            }
        }
        let half = self.best.trouble / 2;
        let last = self.best.acts.last().map_or(mins(1), |timed| timed.at);
        let smaller = self.with(|night| night.trouble = half.max(last));
        self.keeps(smaller);
    }
}

fn shorter(act: &mut Act) {
    let half = |d: &mut Duration| {
        if *d > secs(1) {
            *d = secs((*d / 2).as_secs().max(1));
        }
    };
    match act {
        Act::Kill { down, .. } | Act::Restart { down, .. } => half(down),
        Act::OldCopy { age } => half(age),
        Act::Stall { lasts }
        | Act::StoreRefuses { lasts }
        | Act::Trouble { lasts, .. }
        | Act::NoMarkers { lasts }
        | Act::Closed { lasts } => half(lasts),
        Act::Clock { seconds, .. } => *seconds /= 2,
        _ => {}
    }
}
