//! Requests of people that wait for their answer.

use std::collections::HashMap;

use super::handle::{ReplyTo, Request, Undecided, Wanted};
use crate::sched::act::{Acted, By};
use crate::sched::step::{Fired, Input, Token};
use crate::store::StoreError;

/// What the driver does next.
pub(super) enum Next {
    /// Takes this in, with others if there are any.
    Input(Input),
    /// Commits what was before, then does this.
    Alone(Alone),
}

/// What is decided alone, since it must see everything before it on record.
pub(super) struct Alone {
    pub(super) token: Token,
    pub(super) wanted: Box<Wanted>,
    pub(super) by: By,
}

/// Who waits for an answer.
#[derive(Default)]
pub(super) struct Asked {
    tokens: u64,
    fires: HashMap<Token, ReplyTo<Fired>>,
    acts: HashMap<Token, ReplyTo<Acted>>,
}

impl Asked {
    /// Takes a request in; whoever made it waits from now on.
    pub(super) fn next(&mut self, request: Request) -> Next {
        self.tokens += 1;
        let token = Token(self.tokens);
        match request {
            Request::Fire(request, reply) => {
                self.fires.insert(token, reply);
                Next::Input(Input::Fire { token, request })
            }
            Request::Act(wanted, by, reply) => {
                self.acts.insert(token, reply);
                Next::Alone(Alone { token, wanted, by })
            }
        }
    }

    /// The answer to a request for a run.
    pub(super) fn fired(&mut self, token: Token, fired: Fired) {
        if let Some(reply) = self.fires.remove(&token) {
            // Whoever asked may be gone; the run is on record all the same.
            let _ = reply.send(Ok(fired));
        }
    }

    /// The answer to an act.
    pub(super) fn acted(&mut self, token: Token, acted: Acted) {
        if let Some(reply) = self.acts.remove(&token) {
            // Whoever asked may be gone; it is done all the same.
            let _ = reply.send(Ok(acted));
        }
    }

    /// The store cannot be used: nothing is decided.
    pub(super) fn give_up(&mut self, why: &StoreError) {
        // Whoever asked may be gone.
        for (_, reply) in self.fires.drain() {
            let _ = reply.send(Err(Undecided::Unusable(why.clone())));
        }
        for (_, reply) in self.acts.drain() {
            let _ = reply.send(Err(Undecided::Unusable(why.clone())));
        }
    }
}
