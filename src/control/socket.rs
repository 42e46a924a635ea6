//! The unix socket as a file: who may use it, what becomes of one that a dead daemon left behind, and that only our own
//! is taken away.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket};

/// The owner and the group may ask for runs, nobody else.
const MODE: u32 = 0o660;
/// The longest path, in bytes: the system's limit without the byte that ends it.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;
/// How long a socket that is there has to say whether it is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// The file of a socket that we made; dropping it takes the file away if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    made: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.made) {
            // A file that cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a new socket at this path. Must be called within a tokio runtime.
pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    fits(path)?;
    make_room(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path).map_err(|error| explained(path, &error))?;
    let file = SocketFile {
        path: path.to_owned(),
        made: identity(path)?,
    };
    // Nobody can connect before `listen`, so the rights are there before the first connection.
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let listener = socket.listen(BACKLOG)?;
    Ok((listener, file))
}

fn fits(path: &Path) -> io::Result<()> {
    let length = path.as_os_str().as_bytes().len();
    if length <= LONGEST {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!(
            "the path of a socket has at most {LONGEST} bytes, and {} has {length}; name a shorter one, for example \
             /run/nightcall/nightcall.sock",
            path.display()
        ),
    ))
}

/// Takes away a socket that nobody listens to; anything else at this path stays and is an error.
fn make_room(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return folder_exists(path),
        Err(error) => return Err(explained(path, &error)),
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "{} is there and is not a socket; name another path, or move it away",
                path.display()
            ),
        ));
    }
    match ask(path) {
        Ok(()) => Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!(
                "another daemon listens on {}; stop it, or name another path",
                path.display()
            ),
        )),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => remove_stale(path, &there),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(explained(path, &error)),
    }
}

fn folder_exists(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(io::Error::new(
            ErrorKind::NotFound,
            format!(
                "the folder {} does not exist; make it, or name another path",
                folder.display()
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether somebody listens. A connection that is neither made nor refused (the queue of a hanging daemon is full) means
/// that somebody does.
fn ask(path: &Path) -> io::Result<()> {
    let (reply, answer) = mpsc::channel();
    let path = path.to_owned();
    thread::Builder::new()
        .name("socket-probe".into())
        .spawn(move || {
            // Nobody waits any more: the probe took too long, and that was the answer.
            let _ = reply.send(UnixStream::connect(path).map(drop));
        })?;
    answer.recv_timeout(ALIVE_WITHIN).unwrap_or(Ok(()))
}

/// Removes the socket that was asked, not one that somebody put there meanwhile.
fn remove_stale(path: &Path, asked: &fs::Metadata) -> io::Result<()> {
    if identity(path).is_ok_and(|there| there == (asked.dev(), asked.ino())) {
        fs::remove_file(path).map_err(|error| explained(path, &error))?;
    }
    Ok(())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

fn explained(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
