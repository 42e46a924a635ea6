//! The composition root: `nightcall daemon`, and the only place that names concrete stores, clients and channels.
//! `reload.rs` reads the configuration again while it runs.

mod channels;
mod reload;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Context;
use super::doctor::Patient;
use super::exit::{Exit, Failure, Outcome};
use crate::config::{Classify, Config, Connection, Credential};
use crate::control::{Api, BindError, Loopback, Server, token};
use crate::daemon::{
    self, ChoreSettings, Clients, Daemon, DaemonError, DaemonHandle, Parts, Plan, SystemClock,
};
use crate::store::outbox::Outbox;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use crate::systemd::Notifier;
use crate::telemetry;
use crate::warehouse::JobClient;
use crate::warehouse::carto::{Carto, CartoCredential, CartoSettings, ClassifyRules};
use crate::zones::Zones;

/// The history of the database, readable with and without a daemon.
pub use crate::store::sqlite::SqliteReader as History;
/// What can be said of the configured database without writing to it.
pub use crate::store::sqlite::{Checkup, Soundness};
/// When a token ends, as it says itself.
pub use crate::warehouse::carto::token_end;
/// The way to a channel.
pub use channels::notifier;

/// Run the daemon until SIGTERM or Ctrl-C.
///
/// Jobs at the vendor go on when the daemon stops; the next start adopts them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall daemon --config /etc/nightcall\n  nightcall daemon --observe --log-level warn"
)]
pub struct DaemonArgs {
    /// Decide and record, submit nothing: for a trial night beside the old cron
    #[arg(long)]
    pub observe: bool,
    /// How log lines look: text for people, json for machines
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub log: LogFormat,
    /// Which log lines are shown (error, warn, info, debug); NIGHTCALL_LOG goes before it
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

impl DaemonArgs {
    /// `--json` means JSON for the log, too.
    fn format(&self, context: &Context) -> LogFormat {
        match context.out.json {
            true => LogFormat::Json,
            false => self.log,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormat> for telemetry::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// `nightcall daemon`.
pub async fn daemon(context: &Context, args: DaemonArgs) -> Outcome {
    let config = context.load()?;
    telemetry::init(args.format(context).into(), &args.log_level).map_err(|error| {
        Failure::new(
            Exit::Usage,
            error.to_string(),
            "next: nightcall daemon --help",
        )
    })?;
    let stop = CancellationToken::new();
    let at_once = end_on_signal(stop.clone())?;
    let hangups = reload::hangups()?;
    let held = |failure: Failure| match failure.exit {
        Exit::Held => failure.with_hint(context.next("status")),
        _ => failure,
    };
    let running = Running::start(
        &config,
        context.paths()?,
        &context.zones,
        args.observe,
        stop,
    )
    .await;
    let running = running.map_err(held)?;
    // Only now: they must not bury why a start fails.
    for problem in &config.warnings {
        warn!("{}", problem.to_string().trim());
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        config = &*config.hash,
        database = %config.daemon.database.display(),
        control = %config.daemon.control.display(),
        "starting; {}",
        context.zones.versions()
    );
    // What is planned is the daemon's by now; the rest need not rest with it.
    drop(config);
    let reload = Arc::clone(&running.api.reload);
    tokio::spawn(reload::at_hangups(hangups, running.handle(), reload));
    tokio::select! {
        ended = running.ended() => ended.map_err(held)?,
        () = at_once.cancelled() => return Err(ended_at_once()),
    }
    Ok(Exit::Ok)
}

/// A daemon with its local API.
pub struct Running {
    daemon: Daemon,
    server: Server,
    api: Api,
    stop: CancellationToken,
}

impl Running {
    /// Opens everything and takes the lease; nothing runs before [`Running::ended`] is awaited. `paths` are what a reload
    /// reads.
    pub async fn start(
        config: &Config,
        paths: Vec<PathBuf>,
        zones: &Zones,
        observe: bool,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let reload = reload::source(paths, zones.clone(), config.daemon.clone());
        // What the configuration can still be wrong about comes before anything is made.
        let clients = connect(config)?;
        let store = open_store(&config.daemon.database)?;
        let lookup = zone_lookup(zones);
        let parts = Parts {
            outbox: Arc::clone(&store) as Arc<dyn Outbox>,
            store: Arc::clone(&store) as Arc<dyn Store>,
            clients,
            clock: Arc::new(SystemClock),
            plan: plan(config, zones, observe)?,
            chores: chores(config, zones),
            instance: config.daemon.instance.clone(),
            systemd: Notifier::from_env(),
            stop: stop.clone(),
        };
        let (daemon, handle) = Daemon::new(parts).await.map_err(daemon_failure)?;
        let server = match listen(config) {
            Ok(server) => server,
            Err(failure) => {
                daemon.abandon().await;
                return Err(failure);
            }
        };
        let api = Api {
            handle,
            store,
            zone: lookup,
            zone_data: zones.released(),
            reload,
        };
        Ok(Self {
            daemon,
            server,
            api,
            stop,
        })
    }

    /// To look at the daemon and to ask it for runs.
    pub fn handle(&self) -> DaemonHandle {
        self.api.handle.clone()
    }

    /// Runs until told to stop.
    pub async fn ended(self) -> Result<(), Failure> {
        let serving = tokio::spawn(self.server.run(self.api, self.stop.clone()));
        let ended = self.daemon.run().await;
        self.stop.cancel();
        // The API ends with the daemon; what it still answers matters to nobody.
        let _ = serving.await;
        ended.map_err(daemon_failure)
    }
}

/// The local API, with a token where an address is served that every user of the machine can reach.
fn listen(config: &Config) -> Result<Server, Failure> {
    let loopback = |address| {
        let file = token::file_of(&config.daemon.database);
        let token = token::read_or_make(&file).map_err(|error| {
            Failure::new(
                Exit::Store,
                format!("the token of the local API cannot be read or made: {error}"),
                "next: check `http` in [daemon], or leave it out",
            )
        })?;
        Ok(Loopback { address, token })
    };
    let http = config.daemon.http.map(loopback).transpose()?;
    Server::bind(&config.daemon.control, http).map_err(|error| bind_failure(&error))
}

/// SIGTERM and Ctrl-C stop what runs in order; a second one cancels the token that is given back, to end at once.
pub fn end_on_signal(stop: CancellationToken) -> Result<CancellationToken, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::plain(Exit::Software, format!("cannot listen to signals: {error}"))
        })
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let at_once = CancellationToken::new();
    let second = at_once.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                else => return,
            }
            if stop.is_cancelled() {
                second.cancel();
                return;
            }
            info!("stopping; jobs at the vendor go on");
            stop.cancel();
        }
    });
    Ok(at_once)
}

/// What was to stop in order, ended by a second signal: as safe as a crash.
pub fn ended_at_once() -> Failure {
    Failure::plain(
        Exit::Failed,
        "ended at once, not in order; the next start goes on from what is recorded",
    )
}

/// The store of the daemon.
pub fn open_store(path: &Path) -> Result<Arc<SqliteStore>, Failure> {
    match SqliteStore::open(path) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(store_failure(error)),
    }
}

/// The history in the configured database, read only; never creates anything.
pub fn open_history(config: &Config) -> Result<History, Failure> {
    History::open(&config.daemon.database).map_err(store_failure)
}

/// How the program ends when the store cannot be used.
pub fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Fenced { .. } => Failure::plain(Exit::Held, error.to_string()),
        StoreError::TooNew { .. } | StoreError::Corrupt(_) | StoreError::Unavailable(_) => {
            Failure::plain(Exit::Store, error.to_string())
        }
    }
}

/// How the program ends when its local API cannot be served.
fn bind_failure(error: &BindError) -> Failure {
    let message = format!("the local API cannot be opened: {error}");
    match error {
        BindError::Held(_) => Failure::plain(Exit::Held, message),
        BindError::Socket(_) => {
            Failure::new(Exit::Store, message, "next: check `control` in [daemon]")
        }
        BindError::Http(_) => Failure::new(Exit::Store, message, "next: check `http` in [daemon]"),
    }
}

fn daemon_failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Store(error) => store_failure(error),
        DaemonError::Chores(_) => Failure::plain(Exit::Software, error.to_string()),
    }
}

/// One client a connection. A credential that cannot be read is no fault of the start: its schedules wait.
pub fn connect(config: &Config) -> Result<Clients, Failure> {
    let mut clients: Clients = HashMap::new();
    for connection in &config.connections {
        let client = client(connection, &config.classify).map_err(|error| {
            Failure::new(
                Exit::Config,
                format!("connection {} cannot be set up: {error}", connection.name()),
                format!("next: check [connection.{}]", connection.name()),
            )
        })?;
        clients.insert(connection.name().clone(), client);
    }
    Ok(clients)
}

/// A client of its own for this connection, or why there can be none. Nothing is sent and no secret is read yet.
pub fn client(connection: &Connection, classify: &Classify) -> Result<Arc<dyn JobClient>, String> {
    match Carto::new(settings(connection, classify)) {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => Err(error.to_string()),
    }
}

fn settings(connection: &Connection, classify: &Classify) -> CartoSettings {
    CartoSettings {
        credential: match connection.credential.clone() {
            Credential::Token(source) => CartoCredential::Token(source),
            Credential::OAuth {
                token_url,
                client_id,
                client_secret,
                audience,
            } => CartoCredential::OAuth {
                token_url,
                client_id,
                client_secret,
                audience,
            },
        },
        request_timeout: connection.limits.request_timeout,
        ca_file: connection.ca_file.clone(),
        proxy: connection.proxy.clone(),
        rules: ClassifyRules {
            transient: classify.transient.clone(),
            permanent: classify.permanent.clone(),
        },
    }
}

fn zone_lookup(zones: &Zones) -> daemon::Zones {
    let zones = zones.clone();
    Arc::new(move |name| zones.get(name))
}

fn plan(config: &Config, zones: &Zones, observe: bool) -> Result<Plan, Failure> {
    let mut definitions = Vec::new();
    let mut disabled = Vec::new();
    for schedule in &config.schedules {
        if !schedule.enabled {
            disabled.push(schedule.name.clone());
            continue;
        }
        for definition in &schedule.definitions {
            definitions.push((Arc::clone(definition), Arc::clone(&schedule.trigger)));
        }
    }
    Ok(Plan {
        config: Arc::clone(&config.hash),
        definitions,
        disabled,
        connections: config
            .connections
            .iter()
            .map(|c| c.limits.clone())
            .collect(),
        observe,
        kept: Duration::from_secs(u64::from(config.daemon.retention.days) * 24 * 3600),
        zones: zone_lookup(zones),
        checks: Arc::new(Patient::of(config, zones)).checks(),
        channels: channels::channels(config)?,
    })
}

/// What a running daemon takes in place of its configuration: the plan, and the clients that belong to it. The database,
/// the local API and the maintenance calendar stay as they were at the start.
pub fn replacement(config: &Config, zones: &Zones) -> Result<(Plan, Clients), Failure> {
    let clients = connect(config)?;
    Ok((plan(config, zones, false)?, clients))
}

fn chores(config: &Config, zones: &Zones) -> ChoreSettings {
    let versions = zones.clone();
    ChoreSettings {
        keep_days: config.daemon.retention.days,
        keep_runs: config.daemon.retention.runs_per_series,
        doctor_at: config.daemon.doctor_at,
        doctor_zone: config.daemon.doctor_zone.clone(),
        zone_data: Arc::new(move || versions.versions()),
    }
}
