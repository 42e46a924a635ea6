//! Writing to a file of the configuration: what is in it stays byte for byte, the new tables come behind it.
//!
//! A new table can always stand at the end of a file of TOML, so nothing has to be taken apart and put together again;
//! `toml_edit`, which does that, keeps whole numbers of 64 bits only, and the configuration has longer ones.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::cli::exit::{Exit, Failure};

/// The largest file of the configuration, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a new file may be used for, before the mask of the process.
const MODE: u32 = 0o666;

/// The file that is written to.
pub(super) struct Target {
    /// As it was named.
    pub(super) file: PathBuf,
    /// Where it really is, behind symbolic links.
    real: PathBuf,
    /// What is in it; `None`: it is not there yet.
    before: Option<String>,
}

impl Target {
    /// Reads the file, if it is there.
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        let real = match file.canonicalize() {
            Ok(real) => real,
            Err(_) if file.is_symlink() => {
                return Err(failed(file, "is a symbolic link that leads nowhere"));
            }
            Err(_) => file.to_owned(),
        };
        let before = match fs::metadata(&real) {
            Ok(meta) if !meta.is_file() => return Err(failed(file, "is not a plain file")),
            Ok(meta) if meta.len() > LARGEST => return Err(failed(file, "is larger than 16 MiB")),
            Ok(_) => {
                let text = fs::read_to_string(&real).map_err(|error| failed(file, error))?;
                Some(text)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(file, error)),
        };
        Ok(Self {
            file: file.to_owned(),
            real,
            before,
        })
    }

    /// Whether it is there already.
    pub(super) fn exists(&self) -> bool {
        self.before.is_some()
    }

    /// How many lines it has now.
    pub(super) fn lines(&self) -> usize {
        self.before
            .as_deref()
            .map_or(0, |text| text.lines().count())
    }

    /// The whole file with these tables behind what is in it.
    pub(super) fn with(&self, tables: &str) -> String {
        joined(self.before.as_deref().unwrap_or_default(), tables)
    }

    /// Puts the text in the place of the file, whole or not at all.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let fail = |error: std::io::Error| failed(&self.file, error);
        let folder = match self.real.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // hidden, so that a folder of the configuration is never read with it
        let mut made = Builder::new();
        made.prefix(".nightcall-import-").suffix(".tmp");
        // what is in a private file is private in the copy, too
        let mode = if self.exists() { 0o600 } else { MODE };
        let permissions = fs::Permissions::from_mode(mode);
        let mut new = made
            .permissions(permissions)
            .tempfile_in(folder)
            .map_err(fail)?;
        new.write_all(text.as_bytes()).map_err(fail)?;
        if self.exists() {
            let old = fs::metadata(&self.real).map_err(fail)?;
            let mine = new.as_file().metadata().map_err(fail)?;
            if (old.uid(), old.gid()) != (mine.uid(), mine.gid()) {
                fchown(new.as_file(), Some(old.uid()), Some(old.gid())).map_err(fail)?;
            }
            new.as_file()
                .set_permissions(old.permissions())
                .map_err(fail)?;
        }
        new.as_file().sync_all().map_err(fail)?;
        self.is_as_before()?;
        match self.exists() {
            true => new.persist(&self.real).map_err(|error| fail(error.error))?,
            false => new
                .persist_noclobber(&self.real)
                .map_err(|error| fail(error.error))?,
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(fail)
    }

    /// Nobody has written to the file since it was read.
    fn is_as_before(&self) -> Result<(), Failure> {
        let now = fs::read_to_string(&self.real).ok();
        match now == self.before {
            true => Ok(()),
            false => Err(failed(&self.file, "was changed meanwhile by somebody else")),
        }
    }
}

fn failed(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Config,
        format!("cannot write to {}: {why}", file.display()),
        "nothing was changed; without --append the tables are printed",
    )
}

/// An empty line between, and line ends as the file has them.
fn joined(before: &str, tables: &str) -> String {
    let windows = before
        .split_once('\n')
        .is_some_and(|(line, _)| line.ends_with('\r'));
    let end = if windows { "\r\n" } else { "\n" };
    let tables = tables.replace('\n', end);
    if before.trim_start_matches('\u{feff}').is_empty() {
        return format!("{before}{tables}");
    }
    let close = if before.ends_with('\n') { "" } else { end };
    let blank = match before.trim_end_matches([' ', '\t']) {
        text if text.ends_with("\n\n") || text.ends_with("\n\r\n") => "",
        _ => end,
    };
    format!("{before}{close}{blank}{tables}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_behind_an_empty_line_with_the_line_ends_of_the_file() {
        let table = [
            ("", "[x]\na = 1\n", "[x]\na = 1\n"),
            ("# c", "[x]\n", "# c\n\n[x]\n"),
            ("# c\n", "[x]\n", "# c\n\n[x]\n"),
            ("# c\n\n", "[x]\n", "# c\n\n[x]\n"),
            ("a = 1\r\n", "[x]\nb = 2\n", "a = 1\r\n\r\n[x]\r\nb = 2\r\n"),
            ("a = 1\r\nb = 2", "[x]\n", "a = 1\r\nb = 2\r\n\r\n[x]\r\n"),
        ];
        for (before, tables, wanted) in table {
            assert_eq!(joined(before, tables), wanted, "{before:?}");
        }
    }

    #[test]
    fn permissions_and_symbolic_links_are_kept_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.toml");
        let link = folder.path().join("link.toml");
        fs::write(&real, "# mine\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let target = Target::open(&link).unwrap();
        target.write(&target.with("[x]\n")).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "# mine\n\n[x]\n");
        assert!(link.is_symlink());
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for there in [true, false] {
            let file = folder.path().join(format!("{there}.toml"));
            if there {
                fs::write(&file, "a").unwrap();
            }
            let target = Target::open(&file).unwrap();
            fs::write(&file, "b").unwrap();
            let failure = target.write("c").unwrap_err();
            assert!(failure.message.contains("changed meanwhile"), "{failure}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "b");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dangling = folder.path().join("link.toml");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        for (path, why) in [
            (folder.path(), "not a plain file"),
            (dangling.as_path(), "leads nowhere"),
        ] {
            let failure = Target::open(path).err().unwrap();
            assert!(failure.message.contains(why), "{failure}");
        }
        let nowhere = folder.path().join("no/such/folder.toml");
        let target = Target::open(&nowhere).unwrap();
        assert_eq!(target.write("x").unwrap_err().exit, Exit::Config);
    }
}
