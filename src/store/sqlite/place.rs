//! Where the database is: the file behind symbolic links, and whether its file system can be trusted with locks.

use std::fs;
use std::path::{Path, PathBuf};

use super::open::unavailable;
use crate::store::StoreError;

/// The one path of this database, whatever links lead to it: locks and the files beside it are named after this one.
///
/// A file that does not exist has its folder resolved. A link that leads nowhere is refused: what it leads to is
/// probably on a volume that is not there, and a new database in its place would have forgotten every run. A folder
/// that is missing stays as it is written, for whoever opens it to tell.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let error = match fs::canonicalize(path) {
        Ok(resolved) => return Ok(resolved),
        Err(error) => error,
    };
    if let Ok(target) = fs::read_link(path) {
        return Err(unavailable(
            path,
            format!(
                "it is a symbolic link to {}, which cannot be reached ({error})",
                target.display()
            ),
            "mount the volume that it is on, or correct the link; to begin with a new database, \
             delete the link or name another file",
        ));
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| unavailable(path, error, "name the file of the database"))?;
    Ok(
        match (fs::canonicalize(folder(&absolute)), absolute.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            _ => absolute,
        },
    )
}

/// Refuses file systems on which locks between machines cannot be trusted.
pub(super) fn on_this_machine(path: &Path) -> Result<(), StoreError> {
    match network_file_system(folder(path)) {
        None => Ok(()),
        Some(kind) => Err(unavailable(
            path,
            format!("it is on a network file system ({kind}), where two daemons could write it"),
            "put the database on a disk of this machine",
        )),
    }
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(target_os = "linux")]
fn network_file_system(folder: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(folder).ok()?.f_type;
    // As in linux/magic.h; a negative sign may have crept in where the field is narrow.
    network_kind(u32::try_from(i128::from(found) & 0xFFFF_FFFF).ok()?)
}

#[cfg(target_os = "linux")]
fn network_kind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564C => "NCP",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_folder: &Path) -> Option<&'static str> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_those_of_this_machine() {
        for (magic, kind) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB")] {
            assert_eq!(network_kind(magic), Some(kind));
        }
        for ext4_xfs_btrfs_tmpfs_overlay in
            [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630]
        {
            assert_eq!(network_kind(ext4_xfs_btrfs_tmpfs_overlay), None);
        }
    }
}
