//! Carries the daemon's questions to the vendor and the answers back, message by message, as the HTTP client of the
//! daemon does it: credential, time limit, one repetition after 401 with another token, one without `metadata`.
//!
//! What is on its way arrives, whatever became of the process that sent it.

use std::collections::BTreeMap;
use std::time::Duration;

use nightcall::sandbox::{self, Exchange as Done};
use nightcall::sched::step::{Ask, Effect, Input};
use nightcall::sched::time::Timestamp;
use nightcall::warehouse::carto::protocol::{self, Exchange};

use super::delivery::{lost, received, withheld};
use super::plan::Line;
use super::tokens::{Tokens, secret};
use super::vendor::{Meant, Vendor};
use super::wording::{for_token, host_of, read, with_bearer, worded};
use crate::dice::Dice;

/// The longest answer of a token endpoint that is read.
const MAX_TOKEN: usize = 64 * 1024;

/// What happens to a call, some time later.
#[derive(Debug)]
pub(super) enum Event {
    /// A message arrives at the vendor.
    Arrives(Box<Letter>),
    /// The vendor gets to a message that it held back.
    Late(Box<Letter>),
    /// What came of it is known to the sender.
    Back(u64, Exchange),
    /// The time limit of a call passes.
    Deadline(u64),
}

/// One message.
#[derive(Debug)]
pub(super) struct Letter {
    call: u64,
    host: String,
    request: sandbox::Request,
    /// Which submission it is, if it is one.
    meant: Option<Meant>,
    /// The bearer, or the secret: hidden in what comes back.
    hidden: String,
    limit: usize,
    left: Duration,
    deadline: Duration,
}

/// What is to be done after an event, and who gets an answer.
#[derive(Debug, Default)]
pub(super) struct Next {
    pub(super) events: Vec<(Duration, Event)>,
    pub(super) answers: Vec<Input>,
    /// The job that was made.
    pub(super) made: Option<usize>,
}

/// A question with an answer to come.
#[derive(Debug)]
struct Call {
    /// `None` asks for a token.
    effect: Option<Effect>,
    deadline: Duration,
    sent: bool,
    bearer: Option<String>,
    /// Another token was tried already.
    again: bool,
    marked: bool,
}

/// The client of one process with what lies between it and the vendor.
#[derive(Debug)]
pub(super) struct Courier {
    line: Line,
    time_limit: Duration,
    dice: Dice,
    calls: BTreeMap<u64, Call>,
    next: u64,
    tokens: Tokens,
    unmarked: bool,
}

impl Courier {
    pub(super) fn new(line: Line, time_limit: Duration, seed: u64) -> Self {
        Self {
            tokens: Tokens::new(line.oauth),
            line,
            time_limit,
            dice: Dice::new(seed),
            calls: BTreeMap::new(),
            next: 0,
            unmarked: false,
        }
    }

    /// The process is gone; nobody waits any more. Tokens and what was learned are gone with it.
    pub(super) fn another_process(&mut self) {
        self.calls.clear();
        self.tokens = Tokens::new(self.line.oauth);
        self.unmarked = false;
    }

    /// Questions without an answer.
    pub(super) fn open(&self) -> usize {
        self.calls
            .values()
            .filter(|call| call.effect.is_some())
            .count()
    }

    /// From now on nothing is slow.
    pub(super) fn calm(&mut self) {
        self.line.slow = 0;
    }

    /// A question leaves the daemon.
    pub(super) fn ask(&mut self, effect: Effect, t: Duration) -> Next {
        let mut next = Next::default();
        let call = self.call(Some(effect), t, &mut next);
        self.go(call, t, &mut next);
        next
    }

    fn call(&mut self, effect: Option<Effect>, t: Duration, next: &mut Next) -> u64 {
        self.next += 1;
        let deadline = t + self.time_limit;
        next.events.push((deadline, Event::Deadline(self.next)));
        self.calls.insert(
            self.next,
            Call {
                effect,
                deadline,
                sent: false,
                bearer: None,
                again: false,
                marked: !self.unmarked,
            },
        );
        self.next
    }

    /// With a token in hand, or after one was fetched.
    fn go(&mut self, number: u64, t: Duration, next: &mut Next) {
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        let refused = call.bearer.as_deref().filter(|_| call.again);
        match self.tokens.good(refused, t) {
            Some(token) => self.send(number, token, t, next),
            None => {
                let host = call.effect.as_ref().map(host_of).unwrap_or_default();
                if self.tokens.wait(number) {
                    let fetch = self.call(None, t, next);
                    self.fetch(fetch, host, t, next);
                }
            }
        }
    }

    fn send(&mut self, number: u64, token: String, t: Duration, next: &mut Next) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let Some(effect) = &call.effect else { return };
        call.sent = true;
        call.bearer = Some(token.clone());
        let (request, meant) = match worded(effect, call.marked) {
            Ok(worded) => worded,
            Err(fault) => return self.came(number, Exchange::Withheld(fault), t, next),
        };
        let host = host_of(effect);
        let limit = request.limit;
        let message = with_bearer(request, &token);
        let deadline = call.deadline;
        let letter = Letter {
            call: number,
            host,
            request: message,
            meant,
            hidden: token,
            limit,
            left: t,
            deadline,
        };
        self.post(letter, next);
    }

    fn fetch(&mut self, number: u64, host: String, t: Duration, next: &mut Next) {
        let message = for_token();
        if let Some(call) = self.calls.get_mut(&number) {
            call.sent = true;
        }
        let letter = Letter {
            call: number,
            host,
            request: message,
            meant: None,
            hidden: "sandbox-secret".to_owned(),
            limit: MAX_TOKEN,
            left: t,
            deadline: t + self.time_limit,
        };
        self.post(letter, next);
    }

    fn post(&mut self, letter: Letter, next: &mut Next) {
        let (left, deadline) = (letter.left, letter.deadline);
        // Late by the network, but within the time limit: what leaves may be handled until then and not after.
        let way = match self.dice.percent(self.line.slow) {
            true => self.dice.time(deadline.saturating_sub(left)),
            false => self.way(),
        };
        let event = Event::Arrives(Box::new(letter));
        next.events.push(((left + way).min(deadline), event));
    }

    fn way(&mut self) -> Duration {
        self.dice.time(self.line.way) / 2 + Duration::from_millis(5)
    }

    /// Something happens to a call.
    pub(super) fn happen(
        &mut self,
        event: Event,
        vendor: &mut Vendor,
        t: Duration,
        now: Timestamp,
    ) -> Next {
        let mut next = Next::default();
        match event {
            Event::Arrives(letter) => self.arrives(*letter, vendor, t, now, &mut next),
            Event::Late(letter) => {
                let meant = letter.meant.as_ref();
                let (done, made) = vendor.handle(&letter.host, &letter.request, meant, true, now);
                next.made = made;
                self.answer(&letter, done, vendor, t, now, &mut next);
            }
            Event::Back(call, exchange) => self.came(call, exchange, t, &mut next),
            Event::Deadline(number) => {
                if let Some(call) = self.calls.get(&number) {
                    let exchange = match call.sent {
                        true => lost("no answer in time"),
                        false => withheld("credential", "obtaining a token takes too long"),
                    };
                    self.finish(number, exchange, t, &mut next);
                }
            }
        }
        next
    }

    fn arrives(
        &mut self,
        letter: Letter,
        vendor: &mut Vendor,
        t: Duration,
        now: Timestamp,
        next: &mut Next,
    ) {
        let connecting = match t < vendor.closed_until {
            true => Some(withheld("connect", "connection refused")),
            false => self.connect(&letter.host, vendor, t, now),
        };
        if let Some(exchange) = connecting {
            let wait = (self.time_limit / 2).min(Duration::from_secs(10));
            let after = match &exchange {
                Exchange::Withheld(fault) if fault.message.contains("timed out") => {
                    (letter.left + wait).max(t)
                }
                _ => t + self.way(),
            };
            next.events
                .push((after, Event::Back(letter.call, exchange)));
            return;
        }
        let meant = letter.meant.as_ref();
        let (done, made) = vendor.handle(&letter.host, &letter.request, meant, false, now);
        next.made = made;
        if let Done::Later(wait) = done {
            let at = (t + wait).min(letter.deadline.max(t));
            next.events.push((at, Event::Late(Box::new(letter))));
            return;
        }
        self.answer(&letter, done, vendor, t, now, next);
    }

    /// A connection is opened: what goes wrong already. Where it is encrypted no request has left by then.
    fn connect(
        &self,
        host: &str,
        vendor: &mut Vendor,
        t: Duration,
        now: Timestamp,
    ) -> Option<Exchange> {
        let done = vendor.at(host, now).connect(now)?;
        if let Done::Refuse(wait) = done {
            vendor.closed_until = t + wait;
        }
        Some(match (self.line.tls, done) {
            (true, Done::Silence) => withheld("connect", "operation timed out"),
            (true, _) => withheld("connect", "connection reset by peer"),
            // The deadline says so.
            (false, Done::Silence) => return Some(lost("no answer in time")),
            (false, _) => lost("connection lost"),
        })
    }

    fn answer(
        &mut self,
        letter: &Letter,
        done: Done,
        vendor: &mut Vendor,
        t: Duration,
        now: Timestamp,
        next: &mut Next,
    ) {
        let way = self.way();
        let (after, exchange) = match done {
            Done::Reply(reply, delivery) => {
                let left = letter.deadline.saturating_sub(t + way);
                let hidden = secret(&letter.hidden);
                received(&reply, delivery, left, letter.limit, &hidden, now)
            }
            Done::Refuse(wait) => {
                vendor.closed_until = t + wait;
                (Duration::ZERO, lost("connection lost"))
            }
            Done::Reset | Done::Close => (Duration::ZERO, lost("connection lost")),
            // The deadline ends it.
            Done::Silence | Done::Later(_) => return,
        };
        let at = t.saturating_add(way).saturating_add(after);
        // What comes later than the time limit comes to nobody.
        if at <= letter.deadline {
            next.events.push((at, Event::Back(letter.call, exchange)));
        }
    }

    /// What came of a message.
    fn came(&mut self, number: u64, exchange: Exchange, t: Duration, next: &mut Next) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        let refused = matches!(&exchange, Exchange::Answered(a) if a.status == 401);
        if call.effect.is_some() && refused && !call.again && self.line.oauth {
            call.again = true;
            call.sent = false;
            return self.go(number, t, next);
        }
        if is_creation(call) && call.marked && protocol::refuses_metadata(&exchange) {
            (call.marked, call.again, call.bearer) = (false, false, None);
            return self.go(number, t, next);
        }
        self.finish(number, exchange, t, next);
    }

    fn finish(&mut self, number: u64, exchange: Exchange, t: Duration, next: &mut Next) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let learned = is_creation(&call) && !call.marked && exchange.is_success();
        self.unmarked |= learned;
        match call.effect {
            Some(effect) => next.answers.push(read(effect, exchange)),
            None => self.token_came(exchange, t, next),
        }
    }

    fn token_came(&mut self, exchange: Exchange, t: Duration, next: &mut Next) {
        let (waiting, fault) = self.tokens.fetched(exchange, t);
        for number in waiting {
            let Some(call) = self.calls.get(&number) else {
                continue;
            };
            let refused = call.bearer.as_deref().filter(|_| call.again);
            match (self.tokens.good(refused, t), &fault) {
                (Some(token), _) => self.send(number, token, t, next),
                (None, Some(fault)) => {
                    self.finish(number, Exchange::Withheld(fault.clone()), t, next);
                }
                (None, None) => self.finish(number, lost("a token that ends at once"), t, next),
            }
        }
    }
}

fn is_creation(call: &Call) -> bool {
    let ask = call.effect.as_ref();
    matches!(
        ask,
        Some(Effect::Ask {
            ask: Ask::Submit(_),
            ..
        })
    )
}
