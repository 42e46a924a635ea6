//! The daemon's socket: whether somebody listens, and who else may ask for runs.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::cli::reach;
use crate::sched::finding::{Finding, Severity};

const CHECK: &str = "control";

/// A daemon that does not take a connection for so long hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Looks at the socket and knocks.
pub(super) async fn control(path: &Path) -> Finding {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return nobody(path, "no daemon is running: there is no socket");
        }
        Err(error) => return unseen(path, &error),
    };
    if !there.file_type().is_socket() {
        return bad(
            path,
            Severity::Problem,
            "it is there and is not a socket, so no daemon can start",
            "move it away, or name another path in `control` of [daemon]",
        );
    }
    let knocked = tokio::time::timeout(ANSWERS_WITHIN, UnixStream::connect(path)).await;
    match knocked {
        Ok(Ok(_)) => rights(path, &there),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => nobody(
            path,
            "no daemon is running: nobody listens to the socket that an earlier one left",
        ),
        Ok(Err(error)) => unseen(path, &error),
        Err(_) => bad(
            path,
            Severity::Problem,
            "the daemon takes no connection",
            "next: systemctl status nightcall",
        ),
    }
}

/// Whoever may write to it may ask for runs.
fn rights(path: &Path, there: &Metadata) -> Finding {
    let mode = there.mode() & 0o777;
    let group = reach::group_name(there.gid());
    let remedy = format!("next: chmod 660 {}", path.display());
    if mode & 0o002 != 0 {
        let message = format!("mode {mode:04o}: everybody on this machine may ask for runs");
        return bad(path, Severity::Problem, message, remedy);
    }
    if mode != 0o660 {
        let message = format!(
            "mode {mode:04o} instead of 0660, by which its user and the group {group} may ask for runs"
        );
        return bad(path, Severity::Warning, message, remedy);
    }
    let message = format!("a daemon listens, to its user and the group {group} (mode 0660)");
    Finding::well(CHECK, shown(path), message)
}

fn nobody(path: &Path, message: &str) -> Finding {
    bad(
        path,
        Severity::Warning,
        message,
        "next: systemctl start nightcall   # or nightcall daemon",
    )
}

fn unseen(path: &Path, error: &std::io::Error) -> Finding {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => reach::join_its_group(path).replace('\n', "; "),
        _ => "next: systemctl status nightcall".to_owned(),
    };
    let message = format!("it cannot be reached: {error}");
    bad(path, Severity::Warning, message, remedy)
}

fn bad(
    path: &Path,
    severity: Severity,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding::bad(severity, CHECK, shown(path), message, remedy)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
