//! What people do to the daemon, as scenarios say it.

use nightcall::sched::act::{Act, Acted, Again, By, How, Scope, SkipWhat};
use nightcall::sched::id::{RunId, SetName};
use nightcall::sched::step::{Input, Token};
use nightcall::sched::time::Timestamp;

use super::Sim;
use crate::setup::{Config, run_id, series};

/// Who acts in scenarios.
pub(crate) fn somebody() -> By {
    By::new("uid 1000", Some("because"))
}

impl Sim {
    /// Hands an act in as the driver does, with what is on record; `None` when no answer came back.
    pub(crate) fn act(&mut self, act: Act) -> Option<Acted> {
        let known = act.run().map_or_else(Vec::new, |id| {
            let of = (&id.series, id.instant);
            let rows = self.store.runs.values().map(|row| &row.run);
            rows.filter(|run| (&run.id.series, run.id.instant) == of)
                .cloned()
                .collect()
        });
        let token = self.token();
        self.handle(Input::Act {
            token,
            act,
            by: somebody(),
            known,
        });
        self.answers.remove(&token)
    }

    /// Another configuration takes the place of the present one, as the driver does it: it counts once it is stored.
    pub(crate) fn reload(&mut self, config: Config) -> Option<Acted> {
        let token = self.token();
        self.sent.clear();
        let mut setup = Box::new(config.setup());
        setup.predecessors = self.store.predecessors(&setup, self.now().wall);
        let setup = Ok(setup);
        let (steps, former) = (self.steps, std::mem::replace(&mut self.config, config));
        let last = self.store.deeds.len();
        self.handle(Input::Reload {
            token,
            setup,
            by: somebody(),
        });
        if self.store.deeds.len() == last {
            self.config = former;
        }
        assert!(self.steps <= steps + 1);
        self.answers.remove(&token)
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    pub(crate) fn pause(&mut self, schedule: &str, until: Option<Timestamp>) -> Option<Acted> {
        let scope = scope(schedule);
        self.act(Act::Pause { scope, until })
    }

    pub(crate) fn resume(&mut self, schedule: &str, catch_up: bool) -> Option<Acted> {
        let scope = scope(schedule);
        self.act(Act::Resume { scope, catch_up })
    }

    /// By `schedule` or `schedule/set`.
    pub(crate) fn skip(&mut self, name: &str, what: SkipWhat) -> Option<Acted> {
        let (schedule, set) = (series(name).schedule, set_of(name));
        self.act(Act::Skip {
            schedule,
            set,
            what,
        })
    }

    pub(crate) fn unskip(&mut self, name: &str, what: Option<SkipWhat>) -> Option<Acted> {
        let (schedule, set) = (series(name).schedule, set_of(name));
        self.act(Act::Unskip {
            schedule,
            set,
            what,
        })
    }

    pub(crate) fn cancel(&mut self, run: RunId) -> Option<Acted> {
        self.act(Act::Cancel { run })
    }

    /// Retries the planned run of a time.
    pub(crate) fn retry(&mut self, name: &str, time: &str) -> Option<Acted> {
        self.act(Act::Again(again(run_id(name, time))))
    }
}

/// A wish to run it again with nothing special.
pub(crate) fn again(run: RunId) -> Again {
    Again {
        run,
        how: How::Retry,
        queue: false,
        anyway: false,
        even_paused: false,
    }
}

/// `*` is everything.
fn scope(schedule: &str) -> Scope {
    match schedule {
        "*" => Scope::All,
        name => Scope::Schedule(series(name).schedule),
    }
}

fn set_of(name: &str) -> Option<SetName> {
    name.contains('/').then(|| series(name).set)
}

/// The runs that an act made or stops; fails when it was refused.
pub(crate) fn done(acted: Option<Acted>) -> Vec<RunId> {
    match acted {
        Some(Acted::Done { runs, .. }) => runs,
        other => panic!("not done: {other:?}"),
    }
}

/// Why an act was refused; fails when it was not.
pub(crate) fn denied(acted: Option<Acted>) -> String {
    match acted {
        Some(Acted::Refused { message, hint }) => format!("{message} / {hint}"),
        other => panic!("not refused: {other:?}"),
    }
}
