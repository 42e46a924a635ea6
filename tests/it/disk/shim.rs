//! A disk that fails or is slow on command, by `shim.c`, which is compiled when the first test needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// No space left.
pub(super) const FULL: i32 = 28;
/// Input/output error.
pub(super) const BROKEN: i32 = 5;
/// Read-only file system.
pub(super) const READ_ONLY: i32 = 30;

/// The library to load before all others.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| crate::support::preload::compiled("disk"))
}

/// How the files below a path behave for one program.
pub(super) struct Shim {
    path: PathBuf,
    orders: PathBuf,
}

impl Shim {
    /// For files whose path begins so. Behaves well until told otherwise.
    pub(super) fn new(path: PathBuf, orders: PathBuf) -> Self {
        let shim = Self { path, orders };
        shim.works();
        shim
    }

    /// The program runs on this disk.
    pub(super) fn under(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("DISK_PATH", &self.path)
            .env("DISK_ORDERS", &self.orders);
    }

    /// All is well from now on.
    pub(super) fn works(&self) {
        self.order("0 - 0");
    }

    /// These operations fail with this error from now on; their letters are in `shim.c`.
    pub(super) fn fails(&self, error: i32, operations: &str) {
        self.order(&format!("{error} {operations} 0"));
    }

    /// These operations take so long from now on.
    pub(super) fn slow(&self, operations: &str, milliseconds: u32) {
        self.order(&format!("0 {operations} {milliseconds}"));
    }

    fn order(&self, text: &str) {
        // Whole at once, since it is read at any time.
        let draft = self.orders.with_extension("new");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &self.orders).unwrap();
    }
}

/// The program is struck at one call that changes something.
pub(super) struct Strike<'a> {
    /// Files whose path begins so.
    pub(super) path: &'a Path,
    /// The number of the call, from 1.
    pub(super) nth: u32,
    /// `kill`, `torn` or the number of an error.
    pub(super) how: &'a str,
    /// A file that is made when it happens.
    pub(super) mark: &'a Path,
}

impl Strike<'_> {
    /// The program will be struck.
    pub(super) fn under(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("DISK_PATH", self.path)
            .env("DISK_NTH", self.nth.to_string())
            .env("DISK_STRIKE", self.how)
            .env("DISK_STRUCK", self.mark);
    }
}
