//! A whole small world for a test: the sandbox as vendor, a configuration, a database in a folder of its own, and the
//! real daemon, started and stopped as often as the test wants.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightcall::cli::serve::{History, Running, replacement};
use nightcall::config::{self, Config};
use nightcall::daemon::{Clients, DaemonHandle, Plan};
use nightcall::sandbox::{Sandbox, Scenario};
use nightcall::sched::act::{Act, Acted, By};
use nightcall::sched::id::RunId;
use nightcall::sched::run::Run;
use nightcall::sched::step::{FireRequest, Fired};
use nightcall::store::{RunQuery, Story};
use nightcall::zones::Zones;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::runs::by_hand;

/// Longer than anything here takes, so that a test that hangs fails.
const LIMIT: Duration = Duration::from_secs(30);

/// Limits that let a test end within a moment.
const QUICK: &str = r#"
requests_per_minute = 100000
poll = { first = "20ms", factor = 1.2, max = "100ms" }
request_timeout = "2s"
list_lag = "100ms"
give_up = "10s"
"#;

/// The sandbox and a folder with a configuration.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    folder: TempDir,
    zones: Zones,
}

/// A daemon that runs in a [`World`].
pub(crate) struct Night {
    pub(crate) handle: DaemonHandle,
    stop: CancellationToken,
    task: JoinHandle<()>,
    database: PathBuf,
    keys: std::sync::atomic::AtomicU32,
}

impl World {
    /// A sandbox that behaves so, and a file with one connection called `sandbox` and these tables.
    pub(crate) async fn new(scenario: Scenario, tables: &str) -> Self {
        let sandbox = Sandbox::start(scenario).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            sandbox,
            folder,
            zones: Zones::load(),
        };
        std::fs::write(world.file("token"), world.sandbox.token()).unwrap();
        world.write(tables);
        world
    }

    /// Writes the configuration anew.
    pub(crate) fn write(&self, tables: &str) {
        let base_url = self.sandbox.base_url();
        let connection = match tables.contains("[connection.") {
            true => String::new(),
            false => format!(
                "[connection.sandbox]\nbase_url = \"{base_url}\"\nprovider = \"bigquery\"\n\
                 token = {{ file = \"token\" }}\n{QUICK}\n[defaults]\nconnection = \"sandbox\"\n"
            ),
        };
        let tables = tables
            .replace("{base_url}", &base_url)
            .replace("{quick}", QUICK);
        std::fs::write(self.file("nightcall.toml"), connection + &tables).unwrap();
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration as it stands.
    pub(crate) fn config(&self) -> Config {
        config::load(&[self.file("nightcall.toml")], &self.zones)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The configuration as it stands takes the place of the one that a daemon has.
    pub(crate) async fn reload(&self, night: &Night) -> Acted {
        let by = By::new("test", Some("edited"));
        let new = Ok(self.replacement());
        night.handle.reload(new, by).await.unwrap()
    }

    /// What a daemon takes of the configuration as it stands.
    pub(crate) fn replacement(&self) -> (Plan, Clients) {
        let parts = replacement(&self.config(), &self.zones);
        parts.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Starts the daemon.
    pub(crate) async fn start(&self) -> Night {
        self.started(false).await
    }

    /// Starts a daemon that only observes.
    pub(crate) async fn observing(&self) -> Night {
        self.started(true).await
    }

    async fn started(&self, observe: bool) -> Night {
        let stop = CancellationToken::new();
        let config = self.config();
        let running = Running::start(
            &config,
            vec![self.file("nightcall.toml")],
            &self.zones,
            observe,
            stop.clone(),
        )
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
        let handle = running.handle();
        let task = tokio::spawn(async move { running.ended().await.unwrap() });
        Night {
            handle,
            stop,
            task,
            database: config.daemon.database,
            keys: std::sync::atomic::AtomicU32::new(0),
        }
    }
}

impl Night {
    /// Asks for a run by hand; it must be taken.
    pub(crate) async fn fire(&self, schedule: &str) -> RunId {
        match self.try_fire(schedule).await {
            Fired::Run(run) => run,
            Fired::Refused { message, .. } => panic!("{message}"),
        }
    }

    /// Asks for a run by hand.
    pub(crate) async fn try_fire(&self, schedule: &str) -> Fired {
        let (schedule, set) = match schedule.split_once('/') {
            Some((schedule, set)) => (schedule, Some(set)),
            None => (schedule, None),
        };
        let key = self.keys.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = format!("test-{key}-{}", std::process::id());
        self.handle
            .fire(FireRequest {
                set: set.map(|set| set.parse().unwrap()),
                ..by_hand(schedule, &key)
            })
            .await
            .unwrap()
    }

    /// Does something that must not be refused; gives back the runs that it made or stops.
    pub(crate) async fn act(&self, act: Act) -> Vec<RunId> {
        match self.try_act(act).await {
            Acted::Done { runs, .. } => runs,
            Acted::Refused { message, .. } => panic!("{message}"),
        }
    }

    /// Does something.
    pub(crate) async fn try_act(&self, act: Act) -> Acted {
        let by = By::new("test", None);
        self.handle.act(act, by).await.unwrap()
    }

    /// Waits until a run has finished and tells its story.
    pub(crate) async fn finished(&self, run: &RunId) -> Story {
        let mut feed = self.handle.feed();
        let wait = async {
            loop {
                let story = self.story(run);
                if let Some(story) = story.filter(|s| s.run.outcome().is_some()) {
                    return story;
                }
                // Whatever was committed: look again.
                let _ = feed.recv().await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        waited.unwrap_or_else(|_| panic!("{run} does not end: {:#?}", self.story(run)))
    }

    /// Fires, waits, tells the story.
    pub(crate) async fn run(&self, schedule: &str) -> Story {
        let run = self.fire(schedule).await;
        self.finished(&run).await
    }

    /// Waits until something was committed after which this holds of all runs.
    pub(crate) async fn until(&self, holds: impl Fn(&[Run]) -> bool) -> Vec<Run> {
        let mut feed = self.handle.feed();
        let wait = async {
            loop {
                let runs = self.runs();
                if holds(&runs) {
                    return runs;
                }
                let _ = feed.recv().await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        waited.unwrap_or_else(|_| panic!("it never holds: {:#?}", self.runs()))
    }

    /// All runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.history().runs(&RunQuery::default()).unwrap()
    }

    /// What is on record of a run.
    pub(crate) fn story(&self, run: &RunId) -> Option<Story> {
        self.history().story(run).unwrap()
    }

    /// The history, as the command line reads it.
    pub(crate) fn history(&self) -> History {
        History::open(&self.database).unwrap()
    }

    /// Stops the daemon in order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}
