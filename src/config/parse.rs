//! Several files into one configuration. Every problem is collected; nothing stops at the first.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, mpsc};
use std::thread::{Builder, Scope, scope};

use toml::Spanned;
use toml::de::DeTable;

use super::after;
use super::channel;
use super::connection::{self, budgets_agree};
use super::cores;
use super::daemon::{Folders, classify, daemon};
use super::key_path::KeyPath;
use super::problem::{Problem, Problems};
use super::read::{Found, Item, Table};
use super::schedule::{self, Known, no_such_connection};
use super::settings::{Said, ZoneBook};
use super::source::{Place, Source, read_all, shown};
use super::syntax::syntax_error;
use super::values::Files;
use super::{Channel, Config, Daemon, raw, secrets, warn};
use crate::sched::time::Timestamp;
use crate::zones::Zones;

/// What the surroundings of the process say.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// The current directory.
    pub(super) folder: PathBuf,
    /// What the service manager gives.
    pub(super) service: Folders,
    /// The time: warnings look at the next occurrences.
    pub(super) now: Timestamp,
}

impl Here {
    /// The surroundings as they are.
    pub(super) fn now() -> Self {
        // several folders may be given, with colons between them; the first is ours
        let first = |name: &str| {
            let value = std::env::var_os(name)?;
            let folder = std::env::split_paths(&value).next()?;
            (!folder.as_os_str().is_empty()).then_some(folder)
        };
        Self {
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            service: Folders {
                state: first("STATE_DIRECTORY"),
                runtime: first("RUNTIME_DIRECTORY"),
            },
            now: Timestamp::now(),
        }
    }
}

/// A file is large from this size on, in bytes.
const LARGE: usize = 64 << 10;

/// Reads the files and makes one configuration of them.
pub(super) fn load(paths: &[PathBuf], zones: &Zones, here: &Here) -> Result<Config, Problems> {
    if paths.is_empty() {
        let hint = "name a file or a folder with --config or $NIGHTCALL_CONFIG, or write \
                    ./nightcall.toml";
        let problem = Problem::of_file(None, "there is none").with_hint(hint);
        return Err(Problems(vec![problem]));
    }
    let (sources, unread) = read_all(paths, &here.folder);
    together(&sources, unread, zones, here)
}

/// The same with this text in the place of a file, or beside the files when it is none of them.
pub(super) fn load_with(
    paths: &[PathBuf],
    (file, text): (&Path, String),
    zones: &Zones,
    here: &Here,
) -> Result<Config, Problems> {
    let (mut sources, unread) = read_all(paths, &here.folder);
    let path = here.folder.join(file);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    let draft = Source::new(path.clone(), shown(&path, &here.folder), text);
    let known = sources
        .iter_mut()
        .find(|source| real(&source.path) == real(&path));
    match known {
        Some(source) => *source = draft,
        None => sources.push(draft),
    }
    together(&sources, unread, zones, here)
}

/// One configuration of all files.
fn together(
    sources: &[Source],
    unread: Vec<Problem>,
    zones: &Zones,
    here: &Here,
) -> Result<Config, Problems> {
    let reading = RwLock::new(());
    scope(|scope| {
        let _lasts = reading.write();
        let mut found = Found::default();
        let mut incomplete = !unread.is_empty();
        unread.into_iter().for_each(|problem| found.wrong(problem));
        let mut parsed: Vec<(&Source, Spanned<DeTable<'_>>)> = Vec::new();
        for source in sources {
            match tree(&source.text, scope, &reading) {
                Ok(table) => {
                    source.hide(secrets::spans(table.get_ref()));
                    parsed.push((source, table));
                }
                Err(error) => {
                    incomplete = true;
                    found.wrong(syntax_error(source, &error));
                }
            }
        }
        let tables: Vec<Table<'_>> = parsed
            .iter()
            .map(|(source, table)| Table::of_file(source, table.get_ref()))
            .collect();
        let config = assemble(sources, &tables, incomplete, zones, here, &mut found);
        let order = |a: &Problem, b: &Problem| by_place(sources, a, b);
        found.problems.sort_by(order);
        found.warnings.sort_by(order);
        match config {
            Some(config) if found.problems.is_empty() => Ok(Config {
                warnings: found.warnings,
                ..config
            }),
            _ => Err(Problems(found.problems)),
        }
    })
}

/// The tree of a file, which is some thirty times as large as its text. That of a large file is made by another thread:
/// what one thread allocates goes back to the system together, while among what is kept it would stay with the process
/// as holes. For ten thousand schedules that is a third of the memory at rest. The thread lasts as long as `reading` is
/// held, or else a later one would take over its part of the memory, and fill it with what is kept.
fn tree<'s, 'e: 's>(
    text: &'e str,
    scope: &'s Scope<'s, 'e>,
    reading: &'e RwLock<()>,
) -> Result<Spanned<DeTable<'e>>, toml::de::Error> {
    let (made, tree) = mpsc::channel();
    if text.len() > LARGE {
        let thread = Builder::new().name("configuration".to_owned());
        // without a thread nothing comes, and the tree is made here
        let _ = thread.spawn_scoped(scope, move || {
            let _ = made.send(DeTable::parse(text));
            drop(reading.read());
        });
    } else {
        drop(made);
    }
    tree.recv().unwrap_or_else(|_| DeTable::parse(text))
}

/// In the order of the files, and of the lines in them.
fn by_place(sources: &[Source], a: &Problem, b: &Problem) -> Ordering {
    let rank = |problem: &Problem| {
        let file = problem.file.as_ref();
        file.and_then(|file| sources.iter().position(|source| source.shown == *file))
    };
    (rank(a), a.line, a.column).cmp(&(rank(b), b.line, b.column))
}

/// The tables that exist once, gathered from all files, and the named ones.
struct Parts<'a> {
    daemon: Table<'a>,
    defaults: Table<'a>,
    classify: Table<'a>,
    connections: Vec<Item<'a>>,
    channels: Vec<Item<'a>>,
    schedules: Vec<Item<'a>>,
}

fn gather<'a>(first: &'a Source, tables: &[Table<'a>], found: &mut Found) -> Parts<'a> {
    let empty = |path: &'a str| Table {
        path: KeyPath::default().key(path),
        at: Place::new(first, 0..0),
        items: Vec::new(),
    };
    let mut parts = Parts {
        daemon: empty("daemon"),
        defaults: empty("defaults"),
        classify: empty("classify"),
        connections: Vec::new(),
        channels: Vec::new(),
        schedules: Vec::new(),
    };
    for table in tables {
        table.check_keys(&raw::ROOT, found);
        for item in &table.items {
            let into = match item.key {
                "daemon" => &mut parts.daemon.items,
                "defaults" => &mut parts.defaults.items,
                "classify" => &mut parts.classify.items,
                "connection" => &mut parts.connections,
                "notify" => &mut parts.channels,
                "schedule" => &mut parts.schedules,
                _ => continue,
            };
            if let Some(inner) = item.open_table(found) {
                into.extend(inner.items);
            }
        }
    }
    let keys = [
        (&mut parts.daemon.items, "key"),
        (&mut parts.defaults.items, "key"),
        (&mut parts.classify.items, "key"),
        (&mut parts.connections, "connection"),
        (&mut parts.channels, "channel"),
        (&mut parts.schedules, "schedule"),
    ];
    for (items, what) in keys {
        keep_first(items, what, found);
    }
    parts
}

/// Names are unique over all files; a second one is a problem that names both places.
fn keep_first(items: &mut Vec<Item<'_>>, what: &str, found: &mut Found) {
    let mut first: HashMap<&str, Place<'_>> = HashMap::new();
    items.retain(|item| {
        if let Some(place) = first.get(item.key) {
            let message = format!("this {what} is already in {}", place.words());
            let problem = item.key_problem(message);
            found.wrong(problem.with_hint(match what {
                "key" => "keep one of them",
                _ => "keep one of them, or rename one",
            }));
            return false;
        }
        first.insert(item.key, item.key_at);
        true
    });
}

fn assemble<'a>(
    sources: &'a [Source],
    tables: &[Table<'a>],
    incomplete: bool,
    zones: &Zones,
    here: &Here,
    found: &mut Found,
) -> Option<Config> {
    let first = sources.first()?;
    let parts = gather(first, tables, found);
    let folder = first.path.parent().unwrap_or(Path::new("/"));
    let daemon = daemon(&parts.daemon, folder, &here.service, found);
    let classify = classify(&parts.classify, found);
    let connections: Vec<connection::Read<'a>> = parts
        .connections
        .iter()
        .filter_map(|item| connection::connection(item, found))
        .collect();
    budgets_agree(&connections, found);
    let tables = parts
        .connections
        .iter()
        .filter(|item| item.value.is_table());
    let names: Vec<&str> = tables.map(|item| item.key).collect();
    let channels: Vec<Channel> = parts
        .channels
        .iter()
        .filter_map(|item| channel::channel(item, found))
        .collect();
    let channel_names = channel::Names::of(&parts.channels, incomplete);
    let zone_book = ZoneBook::new(zones);
    parts.defaults.check_keys(&raw::DEFAULTS, found);
    let defaults = Said::read(&parts.defaults, &zone_book, found);
    defaults.check(&defaults, &parts.defaults, found);
    let files = Files::default();
    let known = Known {
        connections: &connections,
        names: &names,
        incomplete,
        channels: &channel_names,
        schedules: &after::Names::of(&parts.schedules, incomplete),
        defaults: &defaults,
        zones: &zone_book,
        files: &files,
    };
    check_default_connection(&known, found);
    if let Some(item) = &defaults.notify {
        channel_names.read(item, found);
    }
    let schedules: Vec<schedule::Read<'a>> = cores::each(&parts.schedules, found, |item, found| {
        schedule::schedule(item, &known, found)
    });
    if parts.schedules.is_empty() && !incomplete {
        let problem = Place::new(first, 0..0).problem("", "there is no schedule");
        found.doubtful(problem.with_hint("add [schedule.NAME]"));
    }
    debug_assert!(
        !found.problems.is_empty() || schedules.len() == parts.schedules.len(),
        "a schedule that is left out was told"
    );
    after::look(&schedules, here.now, found);
    warn::look(&schedules, &connections, here.now, found);
    Some(Config {
        files: sources.iter().map(|source| source.shown.clone()).collect(),
        hash: hash(sources, &files),
        daemon: Daemon {
            doctor_zone: defaults.zone(),
            ..daemon
        },
        connections: connections
            .into_iter()
            .map(|read| read.connection)
            .collect(),
        channels,
        classify,
        schedules: schedules.into_iter().map(|read| read.schedule).collect(),
        warnings: Vec::new(),
    })
}

/// The connection that `[defaults]` names, told once and not at every schedule.
fn check_default_connection(known: &Known<'_, '_>, found: &mut Found) {
    let Some(item) = &known.defaults.connection else {
        return;
    };
    let name = item.text(&mut Found::default()).unwrap_or_default();
    if !known.incomplete && !known.names.contains(&name) {
        found.wrong(no_such_connection(item, name, known, found));
    }
}

/// FNV-1a over the texts of all files, in order: the same texts give the same hash, on every machine.
fn hash(sources: &[Source], files: &Files) -> Arc<str> {
    let values = files.texts();
    let texts = sources.iter().map(|source| source.text.as_str());
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for text in texts.chain(values.iter().map(|text| &**text)) {
        // a zero byte, which no TOML text holds, keeps two files apart
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("{hash:016x}").into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(text: &str, service: Folders) -> Config {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("n.toml"), text).unwrap();
        let here = Here {
            folder: folder.path().to_owned(),
            service,
            now: Timestamp::UNIX_EPOCH,
        };
        let mut config = load(&["n.toml".into()], &Zones::load(), &here).unwrap();
        // so that the folder of the test does not matter
        let relative = |path: &Path| path.strip_prefix(folder.path()).unwrap_or(path).to_owned();
        config.daemon.database = relative(&config.daemon.database);
        config.daemon.control = relative(&config.daemon.control);
        config
    }

    fn systemd() -> Folders {
        Folders {
            state: Some("/var/lib/nightcall".into()),
            runtime: Some("/run/nightcall".into()),
        }
    }

    fn paths(daemon: &super::super::Daemon) -> [&str; 2] {
        [&daemon.database, &daemon.control].map(|path| path.to_str().unwrap())
    }

    #[test]
    fn the_folders_of_the_service_manager_are_defaults_only() {
        let beside = read("", Folders::default()).daemon;
        assert_eq!(paths(&beside), ["nightcall.db", "nightcall.sock"]);
        let given = read("", systemd()).daemon;
        assert_eq!(
            paths(&given),
            [
                "/var/lib/nightcall/nightcall.db",
                "/run/nightcall/nightcall.sock"
            ]
        );
        let text = "[daemon]\ndatabase = 'a/b.db'\ncontrol = '/tmp/c.sock'\n";
        let said = read(text, systemd()).daemon;
        assert_eq!(paths(&said), ["a/b.db", "/tmp/c.sock"]);
    }

    #[test]
    fn everything_in_daemon_and_classify_is_read() {
        let config = read(
            "[daemon]\nhttp = 'localhost:7070'\ninstance = 'prod.1'\n\
             retention = { days = 30, runs_per_series = 5 }\ndoctor_at = 06:30:00\n\
             [classify]\ntransient = ['40001']\npermanent = ['too late']\n",
            Folders::default(),
        );
        let daemon = config.daemon;
        assert_eq!(daemon.http.unwrap().to_string(), "127.0.0.1:7070");
        assert_eq!(daemon.instance.as_deref(), Some("prod.1"));
        assert_eq!(
            (daemon.retention.days, daemon.retention.runs_per_series),
            (30, 5)
        );
        assert_eq!(daemon.doctor_at.to_string(), "06:30:00");
        assert_eq!(config.classify.transient, ["40001"]);
        assert_eq!(config.classify.permanent, ["too late"]);
    }

    #[test]
    fn a_draft_is_read_in_the_place_of_its_file_or_beside_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let there = "[connection.c]\nbase_url = 'https://h'\nprovider = 'bigquery'\ntoken = { env = 'X' }\n";
        std::fs::write(folder.path().join("a.toml"), there).unwrap();
        std::fs::write(folder.path().join("b.toml"), "not TOML").unwrap();
        std::os::unix::fs::symlink("b.toml", folder.path().join("link")).unwrap();
        let here = Here {
            folder: folder.path().to_owned(),
            service: Folders::default(),
            now: Timestamp::UNIX_EPOCH,
        };
        let schedule =
            "\u{feff}[schedule.s]\nconnection = 'c'\ncron = '@daily'\ncall = 'CALL x()'\n";
        let with = |paths: &[&str], file: &str, text: &str| {
            let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
            load_with(
                &paths,
                (Path::new(file), text.to_owned()),
                &Zones::load(),
                &here,
            )
        };
        for file in ["b.toml", "link"] {
            let config = with(&["."], file, schedule).unwrap();
            assert_eq!((config.connections.len(), config.schedules.len()), (1, 1));
        }
        let config = with(&["a.toml"], "new.toml", schedule).unwrap();
        assert_eq!(
            config.files,
            [PathBuf::from("a.toml"), PathBuf::from("new.toml")]
        );
        let problems = with(&["a.toml"], "new.toml", "x = 1").unwrap_err();
        assert_eq!(problems.0[0].file.as_deref(), Some(Path::new("new.toml")));
        assert!(!folder.path().join("new.toml").exists());
    }

    #[test]
    fn the_hash_follows_the_texts_and_their_order() {
        let hash = |text: &str| read(text, Folders::default()).hash;
        assert_eq!(hash(""), hash(""));
        assert_eq!(&*hash(""), "af63bd4c8601b7df");
        assert_ne!(hash(""), hash("#"));
    }
}
