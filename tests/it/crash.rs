//! The built program is killed without warning at every boundary of its work and started again: nothing is lost,
//! nothing runs twice, nothing is left behind.
//!
//! Thirty kills; more by `NIGHTCALL_KILLS=300`. `NIGHTCALL_KILL_SEED` repeats the choices of an earlier test, and
//! `--nocapture` shows the table. Time is real, since the program is a process of its own.

#[path = "crash/boundary.rs"]
mod boundary;
#[path = "crash/dice.rs"]
mod dice;
#[path = "crash/life.rs"]
mod life;
#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/program.rs"]
mod program;
#[path = "crash/reach.rs"]
mod reach;
#[path = "crash/table.rs"]
mod table;
#[path = "crash/witness.rs"]
mod witness;

use std::time::Duration;

use boundary::{Boundary, Hit};
use dice::Dice;
use life::Life;
use oracle::Oracle;
use program::{Look, Row, WriteLock};
use table::Table;
use witness::{Facts, Scene};

use crate::support::world::World;

/// So many kills unless the environment says otherwise.
const KILLS: usize = 30;
/// So often it is tried again to reach a boundary: what holds it up is a matter of milliseconds.
const TRIES: usize = 25;
/// Within this time everything that was in doubt is decided: two pairs of lists, ten seconds apart, and an attempt.
const CALM: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_at_every_boundary_loses_nothing_and_doubles_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let kills = number("NIGHTCALL_KILLS").map_or(KILLS, |n: u64| usize::try_from(n).unwrap());
    let now = u64::try_from(life::now()).unwrap();
    let seed = number("NIGHTCALL_KILL_SEED").unwrap_or(now % 1_000_000);
    let mut night = Night::begin(seed).await;
    let rounds = kills.div_ceil(KILLS);
    for round in 1..=rounds {
        for boundary in night.choose(kills - (round - 1) * KILLS) {
            night.kill_at(boundary).await;
        }
        if round < rounds {
            night.rest().await;
            // Long enough that times are missed in bulk.
            tokio::time::sleep(Duration::from_secs(if round % 3 == 1 { 13 } else { 0 })).await;
        }
    }
    night.end().await;
    for boundary in Boundary::ALL {
        let reached = night.table.reached(*boundary);
        assert!(reached || kills < KILLS, "never: {}", boundary.words());
    }
}

/// A night in which the daemon is killed again and again.
struct Night {
    world: World,
    dice: Dice,
    oracle: Oracle,
    table: Table,
    lives: u32,
    /// How often the database had been opened at the last kill.
    epoch: i64,
}

impl Night {
    /// The first life: every series is taken in.
    async fn begin(seed: u64) -> Self {
        let world = life::world(seed).await;
        life::arm(&world, []);
        let started = life::now();
        let mut first = Life::start(&world, 0);
        first.ready().await;
        let taken_in = || Oracle::new(first.look(), started, life::now());
        let oracle = first.until("every series", taken_in).await;
        first.fresh("plain", "running").await;
        first.program.kill();
        drop(first);
        Self {
            world,
            dice: Dice::new(seed),
            oracle,
            table: Table::new(seed),
            lives: 0,
            epoch: 1,
        }
    }

    /// Every boundary once and random moments for the rest, in random order.
    fn choose(&mut self, kills: usize) -> Vec<Boundary> {
        let mut chosen = Boundary::ALL.to_vec();
        chosen.resize(KILLS, Boundary::Anywhere);
        self.dice.shuffle(&mut chosen);
        chosen.truncate(kills);
        chosen
    }

    /// One life to a kill at this boundary, or several until it was really there.
    async fn kill_at(&mut self, boundary: Boundary) {
        for _ in 0..TRIES {
            self.table.try_at(boundary);
            if self.live_to(boundary).await {
                return;
            }
        }
        panic!("not reached in {TRIES} lives: {}", boundary.words());
    }

    /// One life; whether the daemon was at the boundary when it was killed.
    async fn live_to(&mut self, boundary: Boundary) -> bool {
        life::arm(&self.world, boundary.rules());
        let database = self.world.config().daemon.database;
        let before = matches!(boundary, Boundary::StartHeld).then(|| WriteLock::take(&database));
        self.lives += 1;
        let mut life = Life::start(&self.world, self.lives);
        if !boundary.at_start() {
            life.ready().await;
            assert_eq!(life.look().problems(), [""; 0]);
        }
        let mut hit = boundary.reach(&life, &mut self.dice).await;
        life.program.kill();
        let at = life::now();
        let vendor = self.world.sandbox.world();
        let facts = vendor.with(|w| Facts::of(w, &hit, life.began));
        hit.unlock();
        drop((before, life));
        self.autopsy(boundary, &hit, &facts, at)
    }

    /// Looks at what the kill has left.
    fn autopsy(&mut self, boundary: Boundary, hit: &Hit, facts: &Facts, at: i64) -> bool {
        let database = self.world.config().daemon.database;
        let look = Look::at_copy(&database, &self.world.file("dead"));
        let rows = self.bury(&look);
        let scene = Scene {
            hit,
            facts,
            look: &look,
            epoch: self.epoch,
            at,
        };
        let there = boundary.was_hit(&scene);
        self.epoch = look.epoch();
        self.table.killed(boundary, there, &rows, (hit, facts));
        there
    }

    /// Checks what must hold after any kill.
    fn bury(&mut self, look: &Look) -> Vec<Row> {
        let vendor = self.world.sandbox.world();
        vendor.with(|w| self.oracle.look_at_the_dead(look, w))
    }

    /// A life without faults that is long enough to decide what is in doubt.
    async fn rest(&mut self) {
        let doubts = "SELECT count(*) FROM runs WHERE state = 'in_doubt'";
        self.live_until("no more doubts", |look| look.number(doubts) == 0)
            .await;
    }

    /// The last life: everything comes to its end and is judged.
    async fn end(&mut self) {
        let upto = life::now();
        self.live_until("everything ends", |look| Oracle::all_ended(look, upto))
            .await;
        let database = self.world.config().daemon.database;
        let look = Look::at_copy(&database, &self.world.file("dead"));
        self.bury(&look);
        let vendor = self.world.sandbox.world();
        vendor.with(|w| self.oracle.judge(&look, w, upto));
        self.table.resolve(&look);
    }

    /// A life in which nothing goes wrong, until this holds.
    async fn live_until(&mut self, what: &str, holds: impl Fn(&Look) -> bool) {
        life::calm(&self.world);
        self.lives += 1;
        let mut life = Life::start(&self.world, self.lives);
        life.ready().await;
        let held = || holds(life.look()).then_some(());
        life.within(CALM, what, held).await;
        self.epoch = life.look().epoch();
        life.program.kill();
    }
}
