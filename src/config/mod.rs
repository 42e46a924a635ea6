//! TOML text to a value that is right, or all the problems at once.
//!
//! Where to read first: `parse.rs` (files into one configuration), `read.rs` (typed access that collects problems),
//! `schedule.rs` (one schedule). `raw.rs` lists every key. What this module does not know: the store, the vendor, the
//! daemon; and it never reads a credential, only where one is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::sched::call::Provider;
use crate::sched::id::{ConnectionName, ScheduleName};
use crate::sched::notice::NoticeKind;
use crate::sched::schedule::{ConnectionLimits, Definition};
use crate::sched::time::{TimeZone, civil};
use crate::sched::trigger::Trigger;
use crate::secret::SecretSource;
use crate::zones::Zones;

mod after;
mod agreement;
mod channel;
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
    /// `[notify.*]`, by name.
    pub channels: Vec<Channel>,
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

/// `[notify.*]`: who is told, and of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name in the configuration.
    pub name: String,
    /// The kinds of notices that go there; `None`: all.
    pub on: Option<Vec<NoticeKind>>,
    /// Only those of schedules with one of these tags, when there are any.
    pub tags: Vec<String>,
    /// Only those of schedules with one of these owners, when there are any.
    pub owners: Vec<String>,
    /// How long one message may take.
    pub timeout: Duration,
    /// The way there.
    pub kind: ChannelKind,
}

impl Channel {
    /// Whether it looks at everything, and not only at schedules with its tags and owners.
    pub fn hears_all(&self) -> bool {
        self.tags.is_empty() && self.owners.is_empty()
    }

    /// Whether it hears of a schedule.
    pub fn hears(&self, schedule: &Schedule) -> bool {
        let named = schedule.notify.as_ref();
        let chosen = named.is_none_or(|names| names.contains(&self.name));
        let tagged = self.tags.iter().any(|tag| schedule.tags.contains(tag));
        let owner = schedule.owner.as_ref();
        let owned = owner.is_some_and(|owner| self.owners.contains(owner));
        chosen && (self.hears_all() || tagged || owned)
    }
}

/// How a channel is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum ChannelKind {
    /// JSON by POST.
    Webhook {
        /// The address, which may hold a secret.
        url: SecretSource,
        /// What messages are signed with.
        secret: Option<SecretSource>,
        /// More certificates to trust (PEM).
        ca_file: Option<PathBuf>,
    },
    /// An incoming webhook of Slack; it knows no threads.
    SlackWebhook {
        /// The address, which is a secret.
        url: SecretSource,
    },
    /// A bot in a channel of Slack.
    SlackBot {
        /// Its token.
        token: SecretSource,
        /// The channel.
        channel: String,
    },
    /// Mail.
    Email {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// How it is spoken to.
        tls: Tls,
        /// Who asks, when it wants to know.
        login: Option<(String, SecretSource)>,
        /// The sender.
        from: String,
        /// The receivers.
        to: Vec<String>,
    },
    /// A program with its arguments.
    Command(Vec<String>),
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// In the clear first, then not.
    StartTls,
    /// From the first byte on.
    Implicit,
    /// Not at all; on this machine only.
    None,
}

impl Tls {
    /// Each with its word.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::StartTls, "starttls"),
        (Self::Implicit, "implicit"),
        (Self::None, "none"),
    ];

    /// The usual port.
    pub fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
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
    /// The channels that hear of it; `None`: all that want to.
    pub notify: Option<Vec<String>>,
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
