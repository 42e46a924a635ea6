//! `nightcall demo`: the real daemon on a real database against the sandbox, with the example's schedules compressed
//! from days to seconds. `show.rs` tells what happens.

mod show;

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use self::show::Show;
use super::Context;
use super::exit::{Exit, Failure, Outcome as Ended};
use super::progress::LiveLine;
use super::serve::{Running, end_on_signal, ended_at_once};
use crate::config::{self, Config, Credential};
use crate::sandbox::{
    Ending, Failure as JobFailure, Fault, Operation, Rule, RunScript, Sandbox, Scenario, Script,
    Span,
};
use crate::sched::schedule::{Definition, PollPlan};
use crate::sched::trigger::{Rhythm, Trigger, TriggerSpec};
use crate::secret::SecretSource;
use crate::telemetry;

/// The example, also when the program runs far from its sources.
const EXAMPLE: &str = include_str!("../../schedules.example.toml");
/// Its name.
const EXAMPLE_FILE: &str = "schedules.example.toml";

/// See the daemon at work in a minute.
///
/// Starts the sandbox (a stand-in for CARTO) on a loopback port, loads schedules.example.toml with its times compressed
/// from days to seconds, and runs the real daemon on a real SQLite file. Ctrl-C stops it in order.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  nightcall demo --runs 20\n  nightcall demo --keep demo-night")]
pub struct DemoArgs {
    /// End by itself after so many finished runs
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,
    /// Keep the database in this folder, to look at it afterwards
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}

/// `nightcall demo`.
pub async fn demo(context: &Context, args: DemoArgs) -> Ended {
    // Warnings are part of the show; only what must not happen is logged.
    telemetry::init(telemetry::Format::Text, "error")
        .map_err(|error| Failure::plain(Exit::Usage, error.to_string()))?;
    let folder = Folder::make(args.keep.clone())?;
    let sandbox = Sandbox::start(scenario()).await.map_err(|error| {
        Failure::plain(
            Exit::Unavailable,
            format!("the sandbox cannot listen: {error}"),
        )
    })?;
    let config = compressed(load(context, &folder)?, &sandbox, &folder)?;
    if !context.out.json {
        introduce(context, &config, &sandbox)?;
    }

    let stop = CancellationToken::new();
    let at_once = end_on_signal(stop.clone())?;
    let running = Running::start(
        &config,
        config.files.clone(),
        &context.zones,
        false,
        stop.clone(),
    )
    .await?;
    let mut feed = running.handle().feed();
    let daemon = tokio::spawn(running.ended());
    let mut show = Show::new(context, &config, &sandbox);
    let progress = LiveLine::new(context.out.json);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            change = feed.recv() => {
                progress.clear();
                match change {
                    Ok(change) => show.change(&change)?,
                    Err(RecvError::Lagged(missed)) => show.lagged(missed)?,
                    Err(RecvError::Closed) => break,
                }
            }
        }
        if let Some(wanted) = args.runs {
            progress.count(show.ended().min(wanted), wanted, "runs");
        }
        if args.runs.is_some_and(|wanted| show.ended() >= wanted) {
            stop.cancel();
        }
    }
    progress.clear();
    let ended = tokio::select! {
        ended = daemon => ended.map_err(|error| {
            Failure::plain(Exit::Software, format!("the daemon ended badly: {error}"))
        })?,
        () = at_once.cancelled() => return Err(ended_at_once()),
    };
    while let Ok(change) = feed.try_recv() {
        show.change(&change)?;
    }
    show.summary()?;
    if folder.keep && !context.out.json {
        let database = config.daemon.database.display();
        context
            .out
            .line(format!("the database is kept: {database}"))?;
    }
    sandbox.stop().await;
    ended.map(|()| Exit::Ok)
}

/// Where the demo keeps its files; taken away at the end unless somebody wants to look.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let failed = |path: &Path, error: std::io::Error| {
            let what = format!("cannot make the folder {}: {error}", path.display());
            Failure::plain(Exit::Store, what)
        };
        let Some(path) = keep else {
            // A name that nobody had in mind before, and a folder that only its owner may enter.
            let name = format!(
                "nightcall-demo-{}-{:x}",
                std::process::id(),
                crate::sched::time::Timestamp::now().subsec_nanosecond()
            );
            let path = std::env::temp_dir().join(name);
            let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
            made.map_err(|error| failed(&path, error))?;
            return Ok(Self { path, keep: false });
        };
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { path, keep: true })
    }

    /// Writes a file that only its owner may read.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| {
                Failure::plain(
                    Exit::Store,
                    format!("cannot write {}: {error}", path.display()),
                )
            })?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // A folder in the way of nobody.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The configuration named on the command line, else the example beside us, else the one inside the program.
fn load(context: &Context, folder: &Folder) -> Result<Config, Failure> {
    let paths = match context.config.as_slice() {
        [] if Path::new(EXAMPLE_FILE).exists() => vec![PathBuf::from(EXAMPLE_FILE)],
        [] => vec![folder.write(EXAMPLE_FILE, EXAMPLE)?],
        named => named.to_vec(),
    };
    config::load(&paths, &context.zones)
        .map_err(|problems| Failure::plain(Exit::Config, problems.to_string()))
}

/// What the vendor does: most runs succeed, one schedule needs a second attempt, one set fails for good, and every
/// fifth reply to a submission gets lost.
fn scenario() -> Scenario {
    let steady = Script {
        pending: Span::between(Duration::from_millis(100), Duration::from_millis(400)),
        running: Span::between(Duration::from_millis(800), Duration::from_secs(3)),
        ..Script::default()
    };
    let of = |contains: &str, endings: Vec<Ending>| RunScript {
        contains: contains.to_owned(),
        script: Script {
            endings,
            ..steady.clone()
        },
    };
    let type_error = JobFailure::new(
        "invalidQuery",
        "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]",
    );
    Scenario {
        runs: vec![
            of(
                "foot-traffic/",
                vec![Ending::fails("backendError"), Ending::Success],
            ),
            of(
                "store-clusters/convenience@",
                vec![Ending::Fails(type_error)],
            ),
        ],
        script: steady,
        ..Scenario::default()
    }
    .fault(
        Rule::on(Operation::Create, Fault::DropReply)
            .nth(3)
            .every(5),
    )
}

/// The same schedules with seconds for days, and limits to match.
fn compressed(mut config: Config, sandbox: &Sandbox, folder: &Folder) -> Result<Config, Failure> {
    config.daemon.database = folder.path.join("nightcall.db");
    config.daemon.control = folder.path.join("nightcall.sock");
    config.daemon.http = None;
    let token = folder.write("token", sandbox.token())?;
    for connection in &mut config.connections {
        connection.credential = Credential::Token(SecretSource::File(token.clone()));
        connection.limits.target.base_url = sandbox.base_url().into();
        connection.limits.requests_per_minute = 6000;
        connection.limits.request_timeout = Duration::from_secs(5);
        connection.limits.list_lag = Duration::from_secs(1);
        connection.limits.give_up = Duration::from_secs(60);
        connection.limits.poll = PollPlan {
            first: Duration::from_millis(300),
            factor: 1.3,
            max: Duration::from_secs(1),
        };
        connection.proxy = None;
    }
    for (index, schedule) in config.schedules.iter_mut().enumerate() {
        let seconds = 6 + 3 * (index % 4);
        let rhythm = Rhythm::Cron(vec![format!("{}-59/{seconds} * * * * *", index % 3)]);
        let zone = schedule.trigger.zone().clone();
        for definition in &mut schedule.definitions {
            let faster = faster(definition, rhythm.clone(), &sandbox.base_url());
            *definition = Arc::new(faster);
        }
        if let Some(definition) = schedule.definitions.first() {
            let trigger = Trigger::new(&definition.trigger, zone, &schedule.name);
            let trigger =
                trigger.map_err(|error| Failure::plain(Exit::Software, error.to_string()))?;
            schedule.trigger = Arc::new(trigger);
        }
    }
    Ok(config)
}

fn faster(definition: &Definition, rhythm: Rhythm, base_url: &str) -> Definition {
    let mut faster = definition.clone();
    faster.target.base_url = base_url.into();
    let slow = &definition.trigger;
    faster.trigger = Arc::new(TriggerSpec {
        dst_gap: slow.dst_gap,
        dst_overlap: slow.dst_overlap,
        ..TriggerSpec::new(rhythm, &slow.zone)
    });
    faster.timeout = Duration::from_secs(60);
    faster.policies.retry.backoff = Duration::from_secs(1);
    faster.policies.retry.max_backoff = Duration::from_secs(5);
    faster
}

fn introduce(context: &Context, config: &Config, sandbox: &Sandbox) -> Result<(), Failure> {
    let out = &context.out;
    out.line(format!(
        "nightcall demo: the sandbox stands in for CARTO at {}\n\
         database {}\n",
        sandbox.base_url(),
        config.daemon.database.display()
    ))?;
    let rows = config.schedules.iter().map(|schedule| {
        let when = match schedule.enabled {
            true => schedule.trigger.words(),
            false => "switched off".to_owned(),
        };
        let sets: Vec<&str> = schedule
            .definitions
            .iter()
            .map(|d| d.series.set.as_str())
            .collect();
        vec![schedule.name.to_string(), sets.join(", "), when]
    });
    out.table(&["SCHEDULE", "SETS", "COMPRESSED TO"], rows.collect())?;
    out.line("\nCtrl-C stops it in order.\n")
}
