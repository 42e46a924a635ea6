//! What may happen next: an answer, a request of a person, a time that comes, the wish to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::asked::{Alone, Asked, Next};
use super::clock::Clock;
use super::handle::Request;
use crate::sched::scheduler::Scheduler;
use crate::sched::step::{Input, Step};
use crate::sched::time::between;

/// The driver never sleeps longer, so that a stepped clock is noticed.
const NAP: Duration = Duration::from_secs(1);
/// At most so many inputs are taken in, or so many changes made of them, before they are committed.
pub(super) const GROUP: usize = 4096;

/// Where everything comes in.
pub(super) struct Inbox {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) asked: Asked,
    pub(super) stop: CancellationToken,
}

/// What was taken in together: its changes are committed in one transaction.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) step: Step,
    /// The answers among it, to be told when nothing comes of them.
    pub(super) heard: Vec<Input>,
    /// What is to be done alone, after all this.
    pub(super) alone: Option<Alone>,
    inputs: usize,
}

impl Taken {
    /// Nothing happened.
    pub(super) fn is_empty(&self) -> bool {
        self.inputs == 0 && self.alone.is_none()
    }

    /// Whether more may be added.
    pub(super) fn has_room(&self) -> bool {
        self.inputs < GROUP && self.step.changes.len() < GROUP && self.alone.is_none()
    }
}

impl Inbox {
    /// What happens next, at the latest a wake-up after `longest`; `None` when it is time to stop.
    pub(super) async fn next(&mut self, scheduler: &Scheduler, longest: Duration) -> Option<Next> {
        let now = self.clock.now();
        let wake = scheduler.next_wake(now);
        let pause = wake.mono.map_or(NAP, |at| at.since(now.mono).min(NAP));
        let due = async {
            // One that is far away is looked for again after the nap.
            match wake.wall.filter(|at| between(now.wall, *at) <= NAP) {
                Some(at) => self.clock.shows(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            input = self.inputs.recv() => input.map(Next::Input),
            Some(request) = self.requests.recv() => Some(self.asked.next(request)),
            () = due => Some(Next::Input(Input::Wake)),
            () = sleep(pause.min(longest)) => Some(Next::Input(Input::Wake)),
        }
    }

    /// Takes in what comes, as long as there is room and it is not time to stop.
    pub(super) async fn listen(&mut self, scheduler: &mut Scheduler, taken: &mut Taken) {
        while taken.has_room()
            && let Some(next) = self.next(scheduler, Duration::MAX).await
        {
            self.take(scheduler, next, taken);
        }
    }

    /// Takes in what comes next and what waits behind it.
    pub(super) fn take(&mut self, scheduler: &mut Scheduler, mut next: Next, taken: &mut Taken) {
        let now = self.clock.now();
        loop {
            match next {
                Next::Input(input) => {
                    taken.inputs += 1;
                    if let Input::Answer { .. } = &input {
                        taken.heard.push(input.clone());
                    }
                    taken.step.extend(scheduler.handle(input, now));
                }
                Next::Alone(act) => taken.alone = Some(act),
            }
            if !taken.has_room() {
                return;
            }
            match self.waiting() {
                Some(more) => next = more,
                None => return,
            }
        }
    }

    /// What has happened meanwhile.
    fn waiting(&mut self) -> Option<Next> {
        let input = self.inputs.try_recv().ok();
        input.map(Next::Input).or_else(|| {
            let request = self.requests.try_recv().ok()?;
            Some(self.asked.next(request))
        })
    }
}
