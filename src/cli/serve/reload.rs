//! The configuration read again while the daemon runs: when somebody asks over the local API, and on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::replacement;
use crate::cli::exit::{Exit, Failure};
use crate::config::{self, Daemon};
use crate::control::{Reload, Reread};
use crate::daemon::DaemonHandle;
use crate::sched::act::{Acted, By};
use crate::zones::Zones;

/// Who asks when the system passes it on.
const SIGHUP: &str = "SIGHUP";

/// Reads these files again. What `[daemon]` says belongs to the process: `former` stays, and a difference is told.
pub(super) fn source(paths: Vec<PathBuf>, zones: Zones, former: Daemon) -> Reload {
    Arc::new(move || {
        let config = match config::load(&paths, &zones) {
            Ok(config) => config,
            Err(problems) => {
                return Reread {
                    new: Err(problems.to_string()),
                    notes: Vec::new(),
                };
            }
        };
        let mut notes = Vec::new();
        if config.daemon != former {
            notes.push("what [daemon] says counts from the next start".to_owned());
        }
        match config.warnings.len() {
            0 => {}
            1 => notes.push("there is 1 warning; `nightcall check` shows it".to_owned()),
            n => notes.push(format!(
                "there are {n} warnings; `nightcall check` shows them"
            )),
        }
        let new = replacement(&config, &zones).map_err(|failure| failure.message);
        Reread { new, notes }
    })
}

/// Hears hang-ups from now on: whoever asks for a reload too early must not end the daemon.
pub(super) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| {
        Failure::plain(Exit::Software, format!("cannot listen to signals: {error}"))
    })
}

/// Reads the configuration again at each hang-up.
pub(super) async fn at_hangups(mut hangups: Signal, handle: DaemonHandle, reload: Reload) {
    while hangups.recv().await.is_some() {
        let reread = Arc::clone(&reload);
        let Ok(Reread { new, notes }) = spawn_blocking(move || reread()).await else {
            warn!("the configuration cannot be read again: a bug");
            continue;
        };
        match handle.reload(new, By::new(SIGHUP, None)).await {
            Ok(Acted::Done { message, .. }) => {
                info!("reloaded: {message}");
                notes.iter().for_each(|note| warn!("{note}"));
            }
            // The problem itself is a notice, which the log has as well.
            Ok(Acted::Refused { hint, .. }) => warn!("not reloaded: {hint}"),
            Err(undecided) => warn!("not reloaded: {undecided}"),
        }
    }
}
