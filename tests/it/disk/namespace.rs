//! A small disk of its own for one program: a file system in memory, mounted where only that program sees it.

#![allow(clippy::print_stderr)]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Whether a process may have mounts of its own here; says it when not.
pub(super) fn possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let tried = Command::new("unshare")
            .args([
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs none /mnt",
            ])
            .output();
        let why = match tried {
            Ok(tried) if tried.status.success() => return true,
            Ok(tried) => String::from_utf8_lossy(&tried.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("no mounts of our own here, so the disk is full by the shim instead: {why}");
        false
    })
}

/// A command whose program sees a file system of this size on this folder. `prepare` is a line of shell that runs
/// there before it.
pub(super) fn command(program: &OsStr, folder: &Path, kilobytes: u32, prepare: &str) -> Command {
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k,mode=700 none \"$0\" && {{ {prepare}; }} && exec \"$@\""
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(folder)
        .arg(program);
    command
}

/// The disk of a running program, seen from outside.
pub(super) struct Inside(PathBuf);

impl Inside {
    /// The folder as the process sees it.
    pub(super) fn of(pid: u32, folder: &Path) -> Self {
        let path = folder.strip_prefix("/").unwrap();
        Self(PathBuf::from(format!("/proc/{pid}/root")).join(path))
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Fills it to the last byte.
    pub(super) fn fill(&self) {
        let mut ballast = fs::File::create(self.file("ballast")).unwrap();
        while ballast.write(&[0; 4096]).is_ok_and(|n| n > 0) {}
    }

    /// Makes room again.
    pub(super) fn empty(&self) {
        fs::remove_file(self.file("ballast")).unwrap();
    }
}
