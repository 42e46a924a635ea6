//! The token of the loopback address: made once, kept beside the database, readable by the owner and the group, who may
//! use the socket as well.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

/// The owner writes, the group reads, nobody else.
const MODE: u32 = 0o640;
/// Random bytes of a token.
const BYTES: usize = 32;

/// Where the token of a database is kept: `nightcall.token` beside `nightcall.db`.
pub fn file_of(database: &Path) -> PathBuf {
    database.with_extension("token")
}

/// The token that is there, or a new one. Two that make one at once end with the same.
///
/// # Errors
/// The file cannot be made or read, or holds no token.
pub fn read_or_make(file: &Path) -> io::Result<Secret> {
    match read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found,
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE);
    match options.open(file) {
        Ok(mut new) => new.write_all(random()?.as_bytes())?,
        // Another was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(named(file, &error)),
    }
    read(file)
}

/// The token that is there.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none; else the file cannot be read or holds no token.
pub fn read(file: &Path) -> io::Result<Secret> {
    let text = std::fs::read_to_string(file).map_err(|error| named(file, &error))?;
    Secret::new(text).map_err(|bad| {
        let what = format!(
            "{} {bad}; delete it, and a start makes another",
            file.display()
        );
        io::Error::new(ErrorKind::InvalidData, what)
    })
}

/// Whether a header `Authorization` carries the token. Every byte is looked at, whatever the first ones are.
pub(super) fn opens(token: &Secret, header: &[u8]) -> bool {
    let Some(shown) = header.strip_prefix(b"Bearer ") else {
        return false;
    };
    let token = token.expose().as_bytes();
    let differ = shown.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
    shown.len() == token.len() && differ == 0
}

fn random() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(hex.chain(["\n".to_owned()]).collect())
}

fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_the_owner_and_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_of(&folder.path().join("nightcall.db"));
        let first = read_or_make(&file).unwrap();
        assert_eq!(first.expose().len(), 2 * BYTES);
        assert!(read_or_make(&file).unwrap().same_as(&first));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "nobody else reads it");
        let other = file_of(&folder.path().join("other.db"));
        assert!(!read_or_make(&other).unwrap().same_as(&first));
    }

    #[test]
    fn a_file_that_holds_no_token_is_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nightcall.token");
        std::fs::write(&file, "\n").unwrap();
        let error = read_or_make(&file).unwrap_err().to_string();
        assert!(error.contains("is empty; delete it"), "{error}");
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Secret::new("abcdef0123456789".to_owned()).unwrap();
        assert!(opens(&token, b"Bearer abcdef0123456789"));
        for header in [
            &b"Bearer abcdef012345678"[..],
            b"Bearer abcdef01234567890",
            b"Bearer abcdef0123456780",
            b"Bearer ",
            b"abcdef0123456789",
            b"bearer abcdef0123456789",
            b"",
        ] {
            assert!(!opens(&token, header), "{header:?}");
        }
    }
}
