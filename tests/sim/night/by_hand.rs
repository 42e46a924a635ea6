//! What people do to the running daemon, and what must be so right afterwards.

use nightcall::sched::act::{Act, Acted, Again, By, Ended, How, Scope, SkipWhat};
use nightcall::sched::id::{RunId, ScheduleName};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::{Run, RunState};
use nightcall::sched::step::{Input, Token};
use nightcall::sched::time::TimeZone;

use super::acts::edited;
use super::checks::hold;
use super::plan::{Edit, Hand, Which};
use super::play::Play;

impl Play<'_> {
    pub(super) fn by_hand(&mut self, hand: Hand) {
        let words = format!("{hand:?}");
        let end = words
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(words.len());
        let acted = match hand {
            Hand::Pause { which, lasts } => {
                let until = lasts.map(|lasts| self.now().wall + lasts);
                let scope = scope(which);
                self.do_act(Act::Pause { scope, until })
            }
            Hand::Resume { which, catch_up } => {
                self.memory.caught_up |= catch_up;
                let scope = scope(which);
                self.do_act(Act::Resume { scope, catch_up })
            }
            Hand::Skip { schedule, what } => self.skip(&schedule, what),
            Hand::Unskip { schedule } => self.do_act(Act::Unskip {
                schedule: name(&schedule),
                set: None,
                what: None,
            }),
            Hand::Cancel { pick } => self.cancel(pick),
            Hand::Again {
                pick,
                how,
                queue,
                anyway,
                even_paused,
            } => {
                let wish = |run| Again {
                    run,
                    how,
                    queue,
                    anyway,
                    even_paused,
                };
                self.again(pick, how, wish)
            }
            Hand::Resolve { pick } => self.resolve(pick),
            Hand::Reload(edit) => self.reload(edit),
        };
        let end_of = match &acted {
            None => "unanswered",
            Some(Acted::Done { .. }) => "done",
            Some(Acted::Refused { .. }) => "refused",
        };
        self.tally
            .count(format!("hand {} {end_of}", words[..end].to_lowercase()));
    }

    /// Hands an act in as the driver does, with what is on record; `None` when no answer came back.
    fn do_act(&mut self, act: Act) -> Option<Acted> {
        let known = act.run().map_or_else(Vec::new, |id| {
            let rows = self.store.runs.values().map(|row| &row.run);
            let same =
                rows.filter(|run| run.id.series == id.series && run.id.instant == id.instant);
            same.cloned().collect()
        });
        let (token, by) = self.asker();
        self.handle(vec![Input::Act {
            token,
            act,
            by,
            known,
        }]);
        self.acted.remove(&token)
    }

    fn asker(&mut self) -> (Token, By) {
        self.tokens += 1;
        (Token(self.tokens), By::new("uid 1000", Some("at night")))
    }

    fn skip(&mut self, schedule: &str, what: Which) -> Option<Acted> {
        let now = self.now().wall;
        let what = match what {
            Which::Next(n) => SkipWhat::Next(n),
            Which::Today => SkipWhat::On(now.to_zoned(TimeZone::UTC).date()),
            Which::Coming(nth) => {
                let definitions = self.config.definitions.iter();
                let mut of = definitions.filter(|d| d.series.schedule.as_str() == schedule);
                let trigger = of.next()?.trigger.clone();
                SkipWhat::At(self.ledger.coming(&trigger, now, nth)?)
            }
        };
        self.do_act(Act::Skip {
            schedule: name(schedule),
            set: None,
            what,
        })
    }

    /// One of the live runs, or of those that ended: then nothing may change.
    fn cancel(&mut self, pick: u64) -> Option<Acted> {
        let mut ids: Vec<RunId> = self
            .store
            .live_rows()
            .map(|row| row.run.id.clone())
            .collect();
        if ids.is_empty() {
            ids.extend(self.store.runs.keys().next_back().cloned());
        }
        let id = ids.get(pick as usize % ids.len().max(1))?.clone();
        let live = self.store.runs[&id].run.outcome().is_none();
        let acted = self.do_act(Act::Cancel { run: id.clone() });
        let run = &self.store.runs[&id].run;
        if let Some(Acted::Done { .. }) = acted {
            let wished = run.cancel.is_some() || run.outcome() == Some(Outcome::Cancelled);
            hold(6, live && wished, || format!("cancelled, and is {run:?}"));
        }
        acted
    }

    /// A lost run, or one that is looked for, ends as somebody says who has looked at its job; asked twice.
    fn resolve(&mut self, pick: u64) -> Option<Acted> {
        let rows = self.store.runs.values().map(|row| &row.run);
        let unknown = |run: &&Run| {
            run.outcome() == Some(Outcome::Lost) || matches!(run.state, RunState::InDoubt { .. })
        };
        let ids: Vec<RunId> = rows.filter(unknown).map(|run| run.id.clone()).collect();
        let id = ids.get(pick as usize % ids.len().max(1))?.clone();
        let (was, attempt) = (
            self.store.runs[&id].run.outcome(),
            self.store.runs[&id].run.attempt,
        );
        let jobs = || self.vendor.of_run(&id);
        let seen = jobs().any(|job| job.meant.1 == attempt);
        if !seen || jobs().any(|job| !self.vendor.phase(job).is_final()) {
            return None;
        }
        let ended = match self.vendor.successes(&id) {
            0 => Ended::Failed,
            _ => Ended::Succeeded,
        };
        let run = id.clone();
        let act = move || Act::Resolve {
            run: run.clone(),
            ended,
        };
        let first = self.do_act(act());
        if let Some(Acted::Done { .. }) = first {
            let is = self.store.runs[&id].run.outcome();
            let kept = was.is_none() || is == was;
            hold(5, is.is_some() && kept, || {
                format!("{id} was {was:?}, is {is:?}")
            });
            self.do_act(act());
        }
        first
    }

    /// Asked twice, as after a lost answer.
    fn again(&mut self, pick: u64, how: How, wish: impl Fn(RunId) -> Again) -> Option<Acted> {
        let fits = |outcome: Option<Outcome>| match outcome {
            Some(Outcome::Skipped(_)) => how == How::Backfill,
            Some(Outcome::Succeeded) => how == How::Rerun,
            Some(_) => how != How::Backfill,
            None => false,
        };
        let rows = self.store.runs.values().map(|row| &row.run);
        let ids: Vec<RunId> = rows
            .filter(|run| fits(run.outcome()))
            .map(|run| run.id.clone())
            .collect();
        let id = ids.get(pick as usize % ids.len().max(1))?.clone();
        self.memory.again.insert(id.clone());
        let wish = wish(id.clone());
        let first = self.do_act(Act::Again(wish.clone()));
        let runs = self.store.runs.len();
        let second = self.do_act(Act::Again(wish));
        let again = first.is_some() && second.is_some();
        let later = self.store.runs.len() - runs;
        hold(2, !again || later == 0, || format!("{id} runs again twice"));
        first
    }

    /// The file is edited and read again; it counts once it is stored.
    fn reload(&mut self, edit: Edit) -> Option<Acted> {
        self.limits_changed |= matches!(edit, Edit::Limits(..));
        edited(&mut self.file, edit);
        // What is due is decided by what is in force.
        self.handle(vec![Input::Wake]);
        let process = self.daemon.as_ref().map(|daemon| daemon.process)?;
        let former = std::mem::replace(&mut self.config, self.file.clone());
        let mut setup = Box::new(self.config.setup());
        setup.predecessors = self.store.predecessors(&setup, self.now().wall);
        let setup = Ok(setup);
        let (deeds, (token, by)) = (self.store.deeds.len(), self.asker());
        self.handle(vec![Input::Reload { token, setup, by }]);
        let lives = self
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.process == process);
        if lives && self.store.deeds.len() == deeds {
            self.config = former;
        }
        self.acted.remove(&token)
    }

    /// Whatever is paused goes on.
    pub(super) fn resume_all(&mut self) {
        for scope in self.store.pauses.keys().cloned().collect::<Vec<_>>() {
            self.do_act(Act::Resume {
                scope,
                catch_up: false,
            });
        }
    }
}

fn name(schedule: &str) -> ScheduleName {
    ScheduleName::new(schedule).unwrap()
}

fn scope(which: Option<String>) -> Scope {
    which.map_or(Scope::All, |schedule| Scope::Schedule(name(&schedule)))
}
