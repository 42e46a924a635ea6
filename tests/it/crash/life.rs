//! One life of the daemon: from a start, under faults of the vendor, to a kill.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightcall::sandbox::{Auth, List, Oauth, Span};
use nightcall::sandbox::{Ending, Entry, Fault, Operation, Rule, RunScript, Scenario, Script};
use nightcall::sched::time::Timestamp;

use super::program::{Look, Program, Row, WriteLock};
use crate::support::world::World;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a reply is held back that is to arrive.
pub(super) const HELD: Duration = Duration::from_millis(250);
/// How long after it was accepted a job is first asked about.
pub(super) const FIRST_POLL: Duration = Duration::from_millis(150);
/// The pause before an attempt is made again.
pub(super) const BACKOFF: Duration = Duration::from_millis(300);
/// The time limit of the schedule `limited`.
pub(super) const LIMITED: Duration = Duration::from_millis(500);

/// What runs. Every series is due every few seconds; `oracle.rs` says when, without reading this.
const TABLES: &str = r#"
[connection.sandbox]
base_url = "{base_url}"
provider = "bigquery"
oauth = { token_url = "{oauth_url}", client_id = "sandbox-client", client_secret = { file = "secret" }, audience = "any" }
requests_per_minute = 100000
max_in_flight = 1000
poll = { first = "150ms", factor = 1.2, max = "300ms" }
request_timeout = "1s"
list_lag = "100ms"
give_up = "2m"

[defaults]
connection = "sandbox"
overlap = "allow_all"
misfire = { catch_up = "all", max = 1000 }
retry = { attempts = 9, backoff = "300ms", factor = 1.0, max_backoff = "300ms", jitter = 0.0 }

[schedule.plain]
every = "1s"
procedure = "a.b.plain(y)"
set.a = { y = 1 }
set.b = { y = 2 }

[schedule.alone]
cron = "* * * * * *"
procedure = "a.b.alone(x)"
parameters = { x = 1 }
overlap = "skip"

[schedule.retried]
every = "1s"
procedure = "a.b.retried(x)"
parameters = { x = 1 }

[schedule.limited]
cron = "*/2 * * * * *"
procedure = "a.b.limited(x)"
parameters = { x = 1 }
timeout = "500ms"
cancel_grace = "1m"

[schedule.failing]
cron = "1-59/3 * * * * *"
procedure = "a.b.failing(x)"
parameters = { x = 1 }

[schedule.sparse]
every = "1s"
procedure = "a.b.sparse(x)"
parameters = { x = 1 }
misfire = { catch_up = "latest", tolerance = "300ms" }
"#;

/// What becomes of the jobs.
fn scenario(seed: u64) -> Scenario {
    let ms = Duration::from_millis;
    let script = |contains: &str, script: Script| RunScript {
        contains: contains.to_owned(),
        script,
    };
    Scenario {
        seed,
        collide: false,
        auth: Auth {
            // Told as one second, so that nearly every round of questions needs a new one, and good for longer.
            oauth: Oauth {
                lifetime: ms(1990),
                ..Oauth::default()
            },
            ..Auth::default()
        },
        list: List {
            delay: Span::between(ms(0), ms(60)),
            ..List::default()
        },
        runs: vec![
            script("plain/a@", Script::running(Span::between(ms(50), ms(600)))),
            script("alone/", Script::running(Span::between(ms(200), ms(2500)))),
            script(
                "retried/",
                Script::ending([Ending::fails("backendError"), Ending::Success]),
            ),
            script("limited/", Script::ending([Ending::Stuck])),
            script("failing/", Script::ending([Ending::fails("invalidQuery")])),
        ],
        ..Scenario::default()
    }
}

/// The vendor and a folder with the configuration.
pub(super) async fn world(seed: u64) -> World {
    let world = World::new(scenario(seed), "").await;
    let secret = Oauth::default().client_secret;
    std::fs::write(world.file("secret"), secret).unwrap();
    world.write(&TABLES.replace("{oauth_url}", &world.sandbox.oauth_url()));
    world
}

/// Replies that are lost by chance, whatever else goes wrong.
fn lost_replies() -> impl Iterator<Item = Rule> {
    let chances = [
        (Operation::Create, 0.05),
        (Operation::Read, 0.03),
        (Operation::Cancel, 0.05),
    ];
    let rule = |(operation, chance)| Rule::on(operation, Fault::DropReply).chance(chance);
    chances.into_iter().map(rule)
}

/// From now on these requests go wrong, and some by chance.
pub(super) fn arm(world: &World, rules: impl IntoIterator<Item = Rule>) {
    world.sandbox.world().with(|w| {
        w.clear_faults();
        rules.into_iter().for_each(|rule| w.add_fault(rule));
        lost_replies().for_each(|rule| w.add_fault(rule));
    });
}

/// From now on nothing goes wrong.
pub(super) fn calm(world: &World) {
    world.sandbox.world().with(|w| w.clear_faults());
}

/// A running daemon with its surroundings.
pub(super) struct Life<'a> {
    pub(super) world: &'a World,
    pub(super) program: Program,
    database: PathBuf,
    /// Opened at the first look, when the daemon has opened it: what a kill left is the daemon's to put in order.
    look: OnceCell<Look>,
    /// The last request before this life.
    pub(super) began: u64,
}

impl<'a> Life<'a> {
    /// Starts the daemon.
    pub(super) fn start(world: &'a World, number: u32) -> Self {
        let began = requests(world);
        Self {
            world,
            program: Program::start(world, world.file(&format!("life-{number}.log"))),
            database: world.config().daemon.database,
            look: OnceCell::new(),
            began,
        }
    }

    pub(super) fn look(&self) -> &Look {
        self.look.get_or_init(|| Look::open(&self.database))
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    pub(super) fn lock(&self) -> WriteLock {
        WriteLock::take(&self.database)
    }

    /// Waits for something that must come. It is asked every millisecond.
    pub(super) async fn until<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        self.within(LIMIT, what, ask).await
    }

    /// The same for something that takes longer.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut ask: impl FnMut() -> Option<T>,
    ) -> T {
        let wait = async {
            loop {
                if let Some(found) = ask() {
                    return found;
                }
                pause().await;
            }
        };
        let waited = tokio::time::timeout(limit, wait).await;
        waited.unwrap_or_else(|_| panic!("{what}: waited in vain, in {:#?}", self.live()))
    }

    /// Waits until the daemon has recovered and heard the vendor.
    pub(super) async fn ready(&self) {
        let listed = || self.entry(self.began, |e| e.operation == Operation::List && sent(e));
        self.until("the reading of the list after the start", listed)
            .await;
    }

    /// The first request of this kind after a number.
    pub(super) fn entry(&self, after: u64, fits: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.world.sandbox.world().with(|w| {
            let late = w.journal().entries().rev();
            let new: Vec<&Entry> = late.take_while(|e| e.number > after).collect();
            new.into_iter().rev().find(|e| fits(e)).cloned()
        })
    }

    /// Waits for a request that is held up in this way and is about a run of which this is on record.
    pub(super) async fn held(
        &self,
        operation: Operation,
        fault: Option<&Fault>,
        fits: impl Fn(&Row) -> bool,
    ) -> (Entry, Row) {
        let mut after = requests(self.world);
        // What was armed may have struck already.
        after = after.saturating_sub(20).max(self.began);
        let fault = fault.map(Fault::word);
        self.until("a request that is held up", || {
            let this = |e: &Entry| e.operation == operation && e.fault == fault;
            let entry = self.entry(after, this)?;
            let row = entry.run.as_deref().and_then(|run| self.look().run(run));
            let ready = fault.is_some() || sent(&entry);
            match row.filter(|row| fits(row)) {
                Some(row) if ready => Some((entry, row)),
                // Not yet answered, as it should be.
                Some(_) => None,
                None => {
                    after = entry.number;
                    None
                }
            }
        })
        .await
    }

    /// Waits until the reply to a request is with the daemon, which cannot commit what it says.
    pub(super) async fn heard(&self, entry: &Entry) {
        let number = entry.number;
        let left = || self.entry(number - 1, |e| e.number == number && sent(e));
        self.until("a reply that is let go", left).await;
        assert!(
            self.program.waits_for_lock().await,
            "nothing waits to be committed"
        );
    }

    /// Waits until a run is in a state that it has reached just now.
    pub(super) async fn fresh(&self, schedule: &str, state: &str) -> Row {
        self.until("a run that has just moved on", || {
            let rows = self.look().in_state(schedule, state);
            let new = |row: &Row| since(row.changed) < Duration::from_millis(40);
            rows.into_iter().rev().find(new)
        })
        .await
    }

    /// Runs that are not finished, for messages.
    fn live(&self) -> Vec<Row> {
        let mut rows = self.look().all();
        rows.retain(|row| row.state != "finished");
        rows
    }
}

/// How many requests the vendor has read so far.
pub(super) fn requests(world: &World) -> u64 {
    world.sandbox.world().with(|w| w.journal().total())
}

fn sent(entry: &Entry) -> bool {
    entry.sent.is_some()
}

/// Real time, since the program is a process of its own.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The time in nanoseconds, as the database has it.
pub(super) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap()
}

/// How long ago this was.
pub(super) fn since(then: i64) -> Duration {
    Duration::from_nanos(u64::try_from(now() - then).unwrap_or(0))
}

/// Sleeps until so long after a time.
pub(super) async fn sleep_past(then: i64, after: Duration) {
    tokio::time::sleep(after.saturating_sub(since(then))).await;
}
