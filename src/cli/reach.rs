//! How acting commands reach the daemon, and what people are told when nobody answers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Context;
use super::exit::{Exit, Failure};
use crate::config::Config;
use crate::control::caller::named;
use crate::control::client::{Client, ClientError};
use crate::sched::time::TimeZone;

/// The daemon of the configuration; nothing is asked yet.
pub(super) fn daemon(context: &Context) -> Result<(Config, Client), Failure> {
    let config = context.load()?;
    let client = Client::new(&config.daemon.control);
    Ok((config, client))
}

/// What a person reads when the daemon could not be asked, or said no.
pub(super) fn failure(context: &Context, error: ClientError) -> Failure {
    let message = error.to_string();
    match error {
        ClientError::NoDaemon { .. } => {
            Failure::new(Exit::Unavailable, message, context.next("daemon"))
        }
        ClientError::Denied { socket, .. } => {
            Failure::new(Exit::Unavailable, message, join_its_group(&socket))
        }
        ClientError::Lost(_) | ClientError::Unreadable(_) => {
            Failure::new(Exit::Unavailable, message, context.next("status"))
        }
        ClientError::Refused { status, view } => Failure {
            exit: match status {
                400 | 413 => Exit::Usage,
                409 => Exit::Refused,
                422 => Exit::Config,
                500.. => Exit::Unavailable,
                _ => Exit::Failed,
            },
            message: view.message,
            hint: view.hint,
        },
    }
}

/// How to become one who may use the socket.
pub(super) fn join_its_group(socket: &Path) -> String {
    let group = socket
        .ancestors()
        .find_map(|path| std::fs::metadata(path).ok())
        .map(|there| there.gid())
        .map(group_name);
    let group = group.unwrap_or_else(|| "GROUP".to_owned());
    format!(
        "it is for the daemon's user and for the group {group}\n\
         next: sudo usermod -aG {group} \"$USER\"   # then log in anew"
    )
}

/// The name of a group, else its number.
pub(super) fn group_name(id: u32) -> String {
    named("/etc/group", id).unwrap_or_else(|| id.to_string())
}

/// The zone of a schedule, as the configuration has it now; UTC when it has no such schedule.
pub(super) fn zone_of(config: &Config, schedule: &str) -> TimeZone {
    let known = config.schedules.iter();
    known
        .filter(|known| known.name.as_str() == schedule)
        .map(|known| known.trigger.zone().clone())
        .next()
        .unwrap_or(TimeZone::UTC)
}
