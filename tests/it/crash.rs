//! The built program is killed without warning and started again: nothing is lost, nothing runs twice.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nightcall::cli::serve::History;
use nightcall::sandbox::{Fault, Operation, Rule, Scenario, Script, Span};
use nightcall::sched::id::RunId;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::time::Timestamp;
use nightcall::store::RunQuery;

use crate::support::world::World;

/// A daemon of its own process; it does not outlive the test.
struct Program(Child);

impl Program {
    fn start(world: &World) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_nightcall"))
            .args(["daemon", "--log-level", "warn", "--config"])
            .arg(world.file("nightcall.toml"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Dead already, or dies now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn runs(database: &Path) -> Vec<Run> {
    match History::open(database) {
        Ok(history) => history.runs(&RunQuery::default()).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Waits, in real time since the program is a process of its own, until this holds of all runs.
async fn until(database: &Path, what: &str, holds: impl Fn(&[Run]) -> bool) -> Vec<Run> {
    for _ in 0..600 {
        let runs = runs(database);
        if holds(&runs) {
            return runs;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: {:#?}", runs(database));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let scenario = Scenario {
        script: Script::running(Span::between(
            Duration::from_millis(50),
            Duration::from_millis(700),
        )),
        ..Scenario::default()
    }
    .fault(
        Rule::on(Operation::Create, Fault::DropReply)
            .nth(2)
            .every(5),
    );
    let world = World::new(
        scenario,
        "[schedule.tick]\nevery = \"1s\"\nprocedure = \"a.b.c(x)\"\nparameters = { x = 1 }\n\
         overlap = \"allow_all\"\nmisfire = { catch_up = \"all\", max = 1000 }\ndoubt = \"verify\"\n",
    )
    .await;
    let database = world.config().daemon.database;

    let first = Program::start(&world);
    until(&database, "the first run", |runs| !runs.is_empty()).await;
    first.kill();
    let mut seen = runs(&database).len();
    for round in 0..5_u64 {
        let program = Program::start(&world);
        until(&database, "one run more", |runs| runs.len() > seen).await;
        // Somewhere in the life of a run, another place each time.
        tokio::time::sleep(Duration::from_millis(37 * (round + 1))).await;
        program.kill();
        seen = runs(&database).len();
    }

    let last = Program::start(&world);
    let upto = Timestamp::now();
    let ended = |run: &Run| run.outcome().is_some();
    let all = until(&database, "everything ends", |runs| {
        runs.iter().any(|run| run.id.instant > upto)
            && runs.iter().filter(|run| run.id.instant <= upto).all(ended)
    })
    .await;
    last.kill();

    let doubled = world.sandbox.world().with(|w| w.doubled());
    assert!(doubled.is_empty(), "submitted twice: {doubled:?}");
    let first = all.first().unwrap().id.clone();
    let span = upto.as_second() - first.instant.as_second();
    for second in 0..=span {
        let instant = Timestamp::from_second(first.instant.as_second() + second).unwrap();
        let id = RunId::planned(first.series.clone(), instant);
        let run = all.iter().find(|run| run.id == id);
        let run = run.unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(run.outcome(), Some(Outcome::Succeeded), "{id}");
        let text = id.to_string();
        let executed = world.sandbox.world().with(|w| w.executions(&text));
        assert_eq!(executed, 1, "{id}");
    }
}
