//! What the daemon tells systemd over the notify socket: ready, status, stopping, and that it is alive.
//!
//! Without `NOTIFY_SOCKET` (at a terminal, in tests) every message is a no-op, so the daemon has one code path. The
//! protocol is `sd_notify(3)`: one datagram of lines `KEY=value`. The crate `sd-notify` supplies the lines and reads
//! the watchdog's limit; the sending is here, because the crate sends only to the socket that the environment names
//! and knows no socket in the abstract namespace.
//!
//! The variables stay in the environment, since taking them out is not safe once threads run. A child process that
//! sent anything would be ignored: the unit says `NotifyAccess=main`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

use sd_notify::NotifyState;

/// How long a message may wait for a busy service manager before it is given up.
const PATIENCE: Duration = Duration::from_millis(500);

/// The longest status that is sent, in characters; `systemctl status` shows one line.
const MAX_STATUS: usize = 200;

/// A line to the service manager, or to nobody. A message that cannot be sent is a warning in the log: there is
/// nothing better to do about it, and systemd acts on the silence by itself.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    socket: Option<PathBuf>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The service manager that started this process, if one did and wants to hear from it.
    pub fn from_env() -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            watchdog: sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()),
        }
    }

    /// The socket at this path; a leading `@` names one in the abstract namespace. `watchdog` is the limit after
    /// which the other side takes silence for death.
    pub fn to(socket: impl Into<PathBuf>, watchdog: Option<Duration>) -> Self {
        Self {
            socket: Some(socket.into()),
            watchdog,
        }
    }

    /// Whether anybody listens.
    pub fn listens(&self) -> bool {
        self.socket.is_some()
    }

    /// How often [`alive`](Self::alive) must be said: half the watchdog's limit; `None` when there is no watchdog.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The store is loaded and the loop runs: units that wait for this one may start.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(&one_line(status))]);
    }

    /// Feeds the watchdog. Only the one loop says this, so that a loop that hangs is noticed.
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// The daemon stops on purpose.
    pub fn stopping(&self, status: &str) {
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(&one_line(status)),
        ]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = send(socket.as_os_str(), &lines.join("\n")) {
            tracing::warn!(
                socket = %socket.display(),
                message = %lines.join(" "),
                %error,
                "cannot tell the service manager"
            );
        }
    }
}

fn send(path: &OsStr, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(&address(path)?)?;
    socket.send(message.as_bytes()).map(drop)
}

fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

/// The text on one line and bounded: a line break would begin another message of the protocol.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_STATUS)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn messages_arrive_in_the_words_of_the_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(&path, None);
        notifier.ready("watching 12 schedules");
        assert_eq!(heard(&systemd), "READY=1\nSTATUS=watching 12 schedules");
        notifier.alive();
        assert_eq!(heard(&systemd), "WATCHDOG=1");
        notifier.status("degraded");
        assert_eq!(heard(&systemd), "STATUS=degraded");
        notifier.stopping("jobs stay with the vendor");
        assert_eq!(
            heard(&systemd),
            "STOPPING=1\nSTATUS=jobs stay with the vendor"
        );
    }

    #[test]
    fn a_status_cannot_smuggle_in_another_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        Notifier::to(&path, None).status(&format!("x\nREADY=1{}", "y".repeat(1000)));
        let message = heard(&systemd);
        assert!(message.starts_with("STATUS=x READY=1y") && !message.contains('\n'));
        assert_eq!(message.len(), "STATUS=".len() + MAX_STATUS);
    }

    #[test]
    fn a_socket_in_the_abstract_namespace_is_reached() {
        let name = format!("nightcall-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::to(format!("@{name}"), None).alive();
        assert_eq!(heard(&systemd), "WATCHDOG=1");
    }

    #[test]
    fn nobody_listening_is_no_error() {
        let nobody = Notifier::default();
        nobody.ready("x");
        nobody.alive();
        assert!(!nobody.listens() && nobody.watchdog_interval().is_none());
        Notifier::to("/nowhere/notify", None).alive();
    }

    #[test]
    fn the_watchdog_is_fed_twice_within_its_limit() {
        let notifier = Notifier::to("/nowhere/notify", Some(Duration::from_secs(60)));
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(30)));
    }
}
