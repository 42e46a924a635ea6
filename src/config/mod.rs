//! TOML text to a value that is right, or all the problems at once.
//!
//! Where to read first: `parse.rs` (files into one configuration), `read.rs` (typed access that collects problems),
//! `schedule.rs` (one schedule). `raw.rs` lists every key. What this module does not know: the store, the vendor, the
//! daemon; and it never reads a credential, only where one is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sched::call::Provider;
use crate::sched::id::{ConnectionName, ScheduleName};
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::time::{TimeZone, civil};
use crate::sched::trigger::Trigger;
use crate::secret::SecretSource;
use crate::zones::Zones;

mod after;
mod agreement;
mod connection;
mod cores;
mod credential;
mod daemon;
pub mod duration;
mod key_path;
mod parameters;
mod parse;
pub mod problem;
pub mod raw;
mod read;
mod schedule;
mod secrets;
mod settings;
mod source;
mod statement;
mod suggest;
mod syntax;
mod times;
mod values;
mod warn;

pub use problem::{Problem, Problems};

/// A configuration that cannot be wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// The files it was read from, in order; relative to the current directory when inside it.
    pub files: Vec<PathBuf>,
    /// A hash of what it means; runs remember the one that planned them.
    pub hash: Arc<str>,
    /// `[daemon]`.
    pub daemon: Daemon,
    /// `[connection.*]`, by name.
    pub connections: Vec<Connection>,
    /// `[classify]`.
    pub classify: Classify,
    /// `[schedule.*]`, by name; disabled ones too.
    pub schedules: Vec<Schedule>,
    /// Worth a second look; never in the way.
    pub warnings: Vec<Problem>,
}

/// `[daemon]`, paths made absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Daemon {
    /// The SQLite file.
    pub database: PathBuf,
    /// The unix socket.
    pub control: PathBuf,
    /// The loopback address of the API, when asked for: there with a token.
    pub http: Option<std::net::SocketAddr>,
    /// The name of this installation in markers; `None`: made once and stored.
    pub instance: Option<String>,
    /// What history is kept.
    pub retention: Retention,
    /// When the daily check of connections is made, in the zone of `[defaults]`, else UTC.
    pub doctor_at: civil::Time,
    /// That zone.
    pub doctor_zone: TimeZone,
}

/// How much history is kept; live runs always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Finished runs are kept for so long.
    pub days: u32,
    /// And at most so many of each series.
    pub runs_per_series: u64,
}

/// `[connection.*]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// What the heart needs of it.
    pub limits: ConnectionLimits,
    /// The warehouse.
    pub provider: Provider,
    /// How to be let in.
    pub credential: Credential,
    /// More certificates to trust (PEM).
    pub ca_file: Option<PathBuf>,
    /// A proxy for every request.
    pub proxy: Option<String>,
}

impl Connection {
    /// Its name in the configuration.
    pub fn name(&self) -> &ConnectionName {
        &self.limits.name
    }
}

/// How to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A static token.
    Token(SecretSource),
    /// OAuth client credentials.
    OAuth {
        /// Where tokens are issued.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// Its secret.
        client_secret: SecretSource,
        /// For which API.
        audience: String,
    },
}

/// `[classify]`: reasons, SQLSTATEs or message patterns that are moved to another class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classify {
    /// These may pass.
    pub transient: Vec<String>,
    /// These never pass.
    pub permanent: Vec<String>,
}

/// `[schedule.*]`.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name.
    pub name: ScheduleName,
    /// For people.
    pub description: Option<String>,
    /// Whom to ask.
    pub owner: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Whether it is planned.
    pub enabled: bool,
    /// Why it is as it is.
    pub note: Option<String>,
    /// Its trigger, checked.
    pub trigger: Arc<Trigger>,
    /// One definition a series, by set name.
    pub definitions: Vec<Arc<Definition>>,
}

/// Reads every path (a file, or a folder whose `*.toml` are read in name order) as one configuration. All problems are
/// found at once; a credential is never needed.
pub fn load(paths: &[PathBuf], zones: &Zones) -> Result<Config, Problems> {
    parse::load(paths, zones, &parse::Here::now())
}

/// Reads as [`load`] does, with this text in the place of a file, which may be one that is not there yet: so that what
/// is about to be written is judged before.
pub fn load_with(
    paths: &[PathBuf],
    file: &Path,
    text: String,
    zones: &Zones,
) -> Result<Config, Problems> {
    parse::load_with(paths, (file, text), zones, &parse::Here::now())
}

/// Where the configuration is when no `--config` is given: `$NIGHTCALL_CONFIG`, `./nightcall.toml`, `/etc/nightcall/`.
/// `None` when none of them is there; what the variable names is returned also when it is not.
pub fn find() -> Option<PathBuf> {
    let named = std::env::var_os("NIGHTCALL_CONFIG").filter(|value| !value.is_empty());
    if let Some(named) = named {
        return Some(named.into());
    }
    let usual = [Path::new("nightcall.toml"), Path::new("/etc/nightcall")];
    let there = |path: &&Path| path.exists();
    usual.into_iter().find(there).map(Path::to_owned)
}
