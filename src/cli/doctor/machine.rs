//! This machine: its clock, its disk, the database on it, and its zone data.

use std::time::Duration;

use super::examine::DATABASE_LIMIT;
use super::vendor::{Skew, TOLERATED};
use crate::cli::serve::{Checkup, Soundness};
use crate::sched::finding::{Finding, Severity};
use crate::sched::time::Timestamp;
use crate::zones::Zones;

const MACHINE: &str = "this machine";
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Less room than this is a problem: a night's history may not fit.
const DISK_PROBLEM: u64 = 100 * MIB;
/// Less than this is a warning, as is less than three times the database: a copy and its log need that once in a while.
const DISK_WARNING: u64 = GIB;
/// The log is cut to 32 MiB when it has been moved into the database. One that is much larger is never moved whole.
const WAL_WARNING: u64 = 128 * MIB;
const WAL_PROBLEM: u64 = GIB;
/// Zone data that came out so many months ago is old for certain.
const ZONES_WARNING: i32 = 18;

/// Whether our clock can be believed, by the system and by the vendors.
pub(super) fn clock(synchronised: Option<bool>, skews: &[Skew]) -> Finding {
    const REMEDY: &str =
        "next: timedatectl   # is a time service running (chrony, systemd-timesyncd)?";
    let agrees = skews.iter().any(|skew| skew.off <= TOLERATED);
    let warn = |message: &str| Finding::bad(Severity::Warning, "clock", MACHINE, message, REMEDY);
    match (synchronised, agrees) {
        (Some(true), _) => Finding::well("clock", MACHINE, "it is synchronised"),
        (Some(false), _) => warn("the system says that its clock is not synchronised"),
        (None, true) => Finding::well(
            "clock",
            MACHINE,
            "the system does not say whether it is synchronised, but the vendor's clock agrees with it",
        ),
        (None, false) => warn(
            "the system does not say whether its clock is synchronised, and no vendor's clock agrees with it",
        ),
    }
}

/// The room, the log, the pages and the rights of the database.
pub(super) fn database(checkup: &Checkup) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(free) = checkup.free {
        findings.push(disk(checkup, free));
    }
    if checkup.bytes.is_some() {
        findings.push(wal(checkup));
    }
    findings.push(soundness(checkup));
    if checkup.bytes.is_some() {
        findings.push(rights(checkup));
    }
    findings
}

fn subject(checkup: &Checkup) -> String {
    checkup.path.display().to_string()
}

fn disk(checkup: &Checkup, free: u64) -> Finding {
    let used = checkup.bytes.unwrap_or(0).saturating_add(checkup.wal);
    let told = format!("{} free, the database takes {}", size(free), size(used));
    let severity = if free < DISK_PROBLEM {
        Severity::Problem
    } else if free < DISK_WARNING || free < used.saturating_mul(3) {
        Severity::Warning
    } else {
        return Finding::well("disk", subject(checkup), told);
    };
    Finding::bad(
        severity,
        "disk",
        subject(checkup),
        format!("{told}: on a full disk nothing is submitted"),
        "free some space, or lower `retention` of [daemon]",
    )
}

fn wal(checkup: &Checkup) -> Finding {
    let told = format!("the write-ahead log takes {}", size(checkup.wal));
    let severity = match checkup.wal {
        WAL_PROBLEM.. => Severity::Problem,
        WAL_WARNING.. => Severity::Warning,
        _ => return Finding::well("wal", subject(checkup), told),
    };
    Finding::bad(
        severity,
        "wal",
        subject(checkup),
        format!(
            "{told}: it is not moved into the database, which something keeps open for reading"
        ),
        "close an sqlite3 shell or a backup that hangs, then restart the daemon; next: lsof the file",
    )
}

fn soundness(checkup: &Checkup) -> Finding {
    let problem = |message: String, remedy: &str| {
        Finding::bad(
            Severity::Problem,
            "database",
            subject(checkup),
            message,
            remedy,
        )
    };
    match &checkup.soundness {
        Soundness::Sound => Finding::well("database", subject(checkup), "its pages fit together"),
        Soundness::Unfinished => {
            let limit = DATABASE_LIMIT.as_secs();
            let message = format!(
                "no damage was found in {limit} s; it is too large for a look at all of it (nightcall doctor --deep)"
            );
            Finding::well("database", subject(checkup), message)
        }
        Soundness::Absent if checkup.path.parent().is_some_and(|f| f.is_dir()) => Finding::well(
            "database",
            subject(checkup),
            "there is none yet; the daemon makes it when it starts",
        ),
        Soundness::Absent => problem(
            "its folder does not exist".to_owned(),
            "make the folder, or name another one in `database` of [daemon]",
        ),
        Soundness::Damaged(what) => problem(
            format!("it is damaged: {what}"),
            "stop the daemon, keep the file, put a backup in its place (docs/operations.md, \"Backup and restore\")",
        ),
        Soundness::Unreadable(error) => problem(
            error.to_string(),
            "when this user may not read it, look as the daemon's: sudo -u nightcall nightcall doctor",
        ),
    }
}

fn rights(checkup: &Checkup) -> Finding {
    let mode = checkup.mode;
    let (severity, who) = match mode {
        _ if mode & 0o002 != 0 => (Severity::Problem, "everybody on this machine may write it"),
        _ if mode & 0o004 != 0 => (Severity::Warning, "everybody on this machine may read it"),
        _ if mode & 0o020 != 0 => (
            Severity::Warning,
            "its group may write it, and so change what was decided",
        ),
        _ => {
            let told = format!("others may not read it (mode {mode:04o})");
            return Finding::well("database-rights", subject(checkup), told);
        }
    };
    Finding::bad(
        severity,
        "database-rights",
        subject(checkup),
        format!("mode {mode:04o}: {who}"),
        format!("next: chmod 640 {}*", checkup.path.display()),
    )
}

/// How old the zone data in use is.
pub(super) fn zone_data(zones: &Zones, now: Timestamp) -> Finding {
    let versions = zones.versions();
    match zones.months_old(now) {
        Some(months) if months > ZONES_WARNING => Finding::bad(
            Severity::Warning,
            "zone-data",
            MACHINE,
            format!("{versions} (of {months} months ago)"),
            "update the package tzdata, or nightcall, then restart the daemon",
        ),
        _ => Finding::well("zone-data", MACHINE, versions),
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    match unit {
        Some((unit, word)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            format!("{}.{} {word}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// How far two clocks are apart, in words.
pub(super) fn apart(off: Duration) -> String {
    format!("{} s", off.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn checkup() -> Checkup {
        Checkup {
            path: "/var/lib/nightcall/nightcall.db".into(),
            bytes: Some(10 * MIB),
            mode: 0o640,
            wal: MIB,
            free: Some(50 * GIB),
            soundness: Soundness::Sound,
            connections: Vec::new(),
        }
    }

    fn found(check: &str, change: impl FnOnce(&mut Checkup)) -> Severity {
        let mut checkup = checkup();
        change(&mut checkup);
        let findings = database(&checkup);
        let found = findings.iter().find(|f| f.check == check).unwrap();
        let bad = found.severity > Severity::Well;
        assert_eq!(found.remedy.is_some(), bad, "{found}");
        found.severity
    }

    #[test]
    fn room_on_the_disk_has_two_thresholds_and_grows_with_the_database() {
        use Severity::{Problem, Warning, Well};
        for (free, bytes, severity) in [
            (50 * GIB, 10 * MIB, Well),
            (GIB, 10 * MIB, Well),
            (GIB - 1, 10 * MIB, Warning),
            (29 * GIB, 10 * GIB, Warning),
            (DISK_PROBLEM, 0, Warning),
            (DISK_PROBLEM - 1, 0, Problem),
            (0, 0, Problem),
        ] {
            let disk = found("disk", |c| (c.free, c.bytes) = (Some(free), Some(bytes)));
            assert_eq!(disk, severity, "{free} {bytes}");
        }
    }

    #[test]
    fn a_log_that_is_never_moved_is_told() {
        use Severity::{Problem, Warning, Well};
        for (wal, severity) in [
            (0, Well),
            (WAL_WARNING - 1, Well),
            (WAL_WARNING, Warning),
            (WAL_PROBLEM, Problem),
        ] {
            assert_eq!(found("wal", |c| c.wal = wal), severity, "{wal}");
        }
    }

    #[test]
    fn a_database_that_others_may_read_or_write_is_told() {
        use Severity::{Problem, Warning, Well};
        for (mode, severity) in [
            (0o600, Well),
            (0o640, Well),
            (0o644, Warning),
            (0o660, Warning),
            (0o666, Problem),
        ] {
            assert_eq!(found("database-rights", |c| c.mode = mode), severity);
        }
    }

    #[test]
    fn what_is_said_of_the_pages_decides() {
        let of = |soundness| found("database", |c| c.soundness = soundness);
        assert_eq!(of(Soundness::Sound), Severity::Well);
        assert_eq!(of(Soundness::Unfinished), Severity::Well);
        let damaged = Soundness::Damaged("page 7".to_owned());
        assert_eq!(of(damaged), Severity::Problem);
        // Its folder is not on this machine.
        assert_eq!(of(Soundness::Absent), Severity::Problem);
    }

    #[test]
    fn the_clock_is_believed_when_the_system_or_else_a_vendor_says_so() {
        let skew = |seconds| Skew {
            off: Duration::from_secs(seconds),
        };
        let severity = |said, skews: &[Skew]| clock(said, skews).severity;
        assert_eq!(severity(Some(true), &[]), Severity::Well);
        assert_eq!(severity(Some(false), &[skew(1)]), Severity::Warning);
        assert_eq!(severity(None, &[skew(300), skew(1)]), Severity::Well);
        assert_eq!(severity(None, &[skew(300)]), Severity::Warning);
        assert_eq!(severity(None, &[]), Severity::Warning);
    }

    #[test]
    fn zone_data_is_old_after_a_year_and_a_half() {
        let zones = Zones::load();
        let now = Timestamp::now();
        let months = zones.months_old(now).unwrap();
        let in_months = |more: i32| {
            let days = i64::from(more - months) * 31;
            now + Duration::from_secs(u64::try_from(days.max(0)).unwrap() * 86_400)
        };
        assert_eq!(zone_data(&zones, in_months(24)).severity, Severity::Warning);
        if months <= ZONES_WARNING {
            assert_eq!(zone_data(&zones, now).severity, Severity::Well);
        }
    }

    #[test]
    fn sizes_are_told_with_one_decimal() {
        for (bytes, told) in [
            (0, "0 B"),
            (1536, "1.5 KiB"),
            (100 * MIB, "100.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }
}
