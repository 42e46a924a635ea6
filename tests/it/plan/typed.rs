//! What the command says of edits of every kind, for people (`tests/golden/cli/plan-*.snap`) and for programs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nightcall::cli::output::Output;
use nightcall::cli::plan::{PlanArgs, plan_at};
use nightcall::cli::{Context, exit::Exit};
use nightcall::sched::act::{Act, Scope, SkipWhat};
use nightcall::sched::id::ScheduleName;
use nightcall::sched::time::Timestamp;
use nightcall::store::sqlite::SqliteStore;
use nightcall::zones::Zones;
use serde_json::Value;

use super::heart::{Heart, load};

/// When the reload would come: Friday, two days before the clocks go forward in Madrid.
const NOW: &str = "2026-03-27T16:04:10Z";

const CONNECTION: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token    = { env = "CARTO_API_TOKEN" }
max_in_flight = 4
"#;

const SCHEDULES: &str = r#"
[defaults]
connection = "carto_dw"
timezone   = "Europe/Madrid"

[schedule.clusters]
cron       = "15 2 * * *"
procedure  = "p.d.workflow_procedure_09cc2e19ad5bbc6f(number, store_type)"
parameters = { number = 2 }
set.supermarket = { store_type = "Supermarket" }
set.hyper       = { store_type = "Hypermarket" }

[schedule.ingest]
cron       = "40 * * * *"
procedure  = "p.d.long_ingest()"
timeout    = "3h"

[schedule.tiles]
cron       = "0 6 * * *"
procedure  = "p.d.tiles()"

[schedule.report]
every      = "6h"
procedure  = "p.d.report()"
"#;

/// A folder with a configuration, and a database in which a night was lived with it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self::lived(|_| ())
    }

    /// What people did before.
    fn lived(acts: impl FnOnce(&mut Heart)) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let config = load(&desk.write("nightcall.toml", &format!("{CONNECTION}{SCHEDULES}")));
        let store = Arc::new(SqliteStore::open(&config.daemon.database).unwrap());
        let mut heart = Heart::start(store, &config, "2026-03-27T11:04:00Z".parse().unwrap());
        heart.until("2026-03-27T12:00:00Z".parse().unwrap());
        acts(&mut heart);
        heart.until("2026-03-27T16:04:00Z".parse().unwrap());
        desk
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The configuration with other words in the place of some, in a file of its own.
    fn edited(&self, edits: &[(&str, &str)]) -> PathBuf {
        let mut text = format!("{CONNECTION}{SCHEDULES}");
        for (old, new) in edits {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        self.write("new.toml", &text)
    }

    fn said(&self, new: Option<&Path>, json: bool, all: bool, days: u32) -> Said {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let context = Context {
            config: vec![self.folder.path().join("nightcall.toml")],
            zones: Zones::load(),
            out: Output::plain(json, buffer.clone()),
        };
        let args = PlanArgs {
            new: new.map(Path::to_owned).into_iter().collect(),
            days,
            all,
        };
        let now: Timestamp = NOW.parse().unwrap();
        let (code, complaint) = match plan_at(&context, args, now) {
            Ok(exit) => (exit.code(), String::new()),
            Err(failure) => (failure.exit.code(), failure.to_string()),
        };
        let out = String::from_utf8(buffer.lock().unwrap().clone()).unwrap();
        let told = |text: String| text.replace(self.folder.path().to_str().unwrap(), "/etc");
        Said {
            out: told(out),
            complaint: told(complaint),
            code,
        }
    }

    fn plan(&self, edits: &[(&str, &str)]) -> Said {
        self.said(Some(&self.edited(edits)), false, false, 7)
    }

    fn objects(&self, edits: &[(&str, &str)]) -> Vec<Value> {
        let said = self.said(Some(&self.edited(edits)), true, false, 7);
        assert_eq!(said.complaint, "");
        let read = |line: &str| serde_json::from_str(line).unwrap();
        said.out.lines().map(read).collect()
    }
}

struct Said {
    out: String,
    complaint: String,
    code: u8,
}

fn golden(name: &str, said: &Said) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../golden/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = format!("{}[{}]\n", said.out, said.code);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

const CHANGES: u8 = 2;

#[test]
fn nothing_that_changes_is_one_line_and_0() {
    let desk = Desk::new();
    let said = desk.said(None, false, false, 7);
    assert_eq!(said.code, Exit::Ok.code(), "{}", said.out);
    assert_eq!(
        said.out,
        "nothing changes: 5 series stay as they are planned\n"
    );
    // Words, order and comments are no change.
    let said = desk.plan(&[(
        "\n[schedule.tiles]",
        "\n# early\n[schedule.tiles]\nowner = \"geo\"",
    )]);
    assert_eq!(said.code, Exit::Ok.code(), "{}", said.out);
}

#[test]
fn other_times_are_told_as_moved_added_and_removed() {
    let desk = Desk::new();
    golden(
        "plan-times",
        &desk.plan(&[
            ("\"15 2 * * *\"", "\"45 2 * * *\""),
            ("\"0 6 * * *\"", "[\"0 6 * * *\", \"0 18 * * MON-FRI\"]"),
            (
                "every      = \"6h\"",
                "every      = \"12h\"\njitter = \"5m\"",
            ),
        ]),
    );
}

#[test]
fn edits_that_keep_the_times_are_told_key_by_key_without_occurrences() {
    let desk = Desk::new();
    golden(
        "plan-edits",
        &desk.plan(&[
            ("number = 2", "number = \"2\""),
            ("Hypermarket", "Hyper"),
            (
                "workflow_procedure_09cc2e19ad5bbc6f",
                "workflow_procedure_11d0f30f23f32dcc",
            ),
            (
                "timeout    = \"3h\"",
                "timeout = \"150m\"\noverlap = \"buffer_one\"\nretry = \"none\"",
            ),
        ]),
    );
}

#[test]
fn what_is_added_removed_renamed_or_switched_off_begins_or_ends_now() {
    let desk = Desk::new();
    golden(
        "plan-series",
        &desk.plan(&[
            ("[schedule.tiles]", "[schedule.map-tiles]"),
            ("[schedule.report]", "[schedule.report]\nenabled = false"),
            ("set.hyper       = { store_type = \"Hypermarket\" }", ""),
            (
                "[schedule.ingest]",
                "[schedule.newcomer]\ncron = \"30 2 * * *\"\nprocedure = \"p.d.new()\"\n[schedule.ingest]",
            ),
        ]),
    );
}

#[test]
fn what_is_paused_or_to_be_skipped_is_marked() {
    let name = |n: &str| ScheduleName::new(n).unwrap();
    let desk = Desk::lived(|heart| {
        heart.act(Act::Pause {
            scope: Scope::Schedule(name("tiles")),
            until: Some("2026-03-29T12:00:00Z".parse().unwrap()),
        });
        heart.act(Act::Skip {
            schedule: name("clusters"),
            set: None,
            what: SkipWhat::Next(1),
        });
        heart.act(Act::Pause {
            scope: Scope::Schedule(name("report")),
            until: None,
        });
    });
    golden(
        "plan-acts",
        &desk.plan(&[
            ("\"15 2 * * *\"", "\"15 1,2 * * *\""),
            ("\"0 6 * * *\"", "\"0 7 * * *\""),
            (
                "[schedule.report]\nevery      = \"6h\"\nprocedure  = \"p.d.report()\"",
                "",
            ),
        ]),
    );
}

#[test]
fn a_connection_that_a_live_run_needs_refuses_the_reload_and_plan_says_so() {
    let desk = Desk::new();
    let said = desk.plan(&[
        ("[connection.carto_dw]", "[connection.other]"),
        ("\"carto_dw\"", "\"other\""),
    ]);
    golden("plan-refused", &said);
    let objects = desk.objects(&[
        ("[connection.carto_dw]", "[connection.other]"),
        ("\"carto_dw\"", "\"other\""),
    ]);
    assert_eq!(objects[0]["note"], "refused");
    assert_eq!(objects.last().unwrap()["refused"], true);
}

#[test]
fn minutes_above_a_limit_are_named_with_what_to_write_instead() {
    let desk = Desk::new();
    let many = (0..6).map(|n| {
        format!("[schedule.more-{n}]\ncron = \"40 6 * * *\"\nprocedure = \"p.d.more{n}()\"\n")
    });
    let many = many.collect::<String>() + "[schedule.ingest]";
    let said = desk.plan(&[("[schedule.ingest]", &many)]);
    golden("plan-piles", &said);
    let piles: Vec<Value> = desk
        .objects(&[("[schedule.ingest]", &many)])
        .into_iter()
        .filter(|o| o["kind"] == "pile_up")
        .collect();
    assert_eq!(piles[0]["minute"], "2026-03-28T05:40:00Z");
    assert_eq!(
        (
            &piles[0]["due"],
            &piles[0]["due_before"],
            &piles[0]["allowed"]
        ),
        (&7.into(), &1.into(), &4.into())
    );
    // Spread, they are none.
    let spread = many.replace("cron = \"40 6", "jitter = \"30m\"\ncron = \"40 6");
    let said = desk.plan(&[("[schedule.ingest]", &spread)]);
    assert!(!said.out.contains("pile-ups"), "{}", said.out);
    // A budget of requests is a limit, too.
    let said = desk.plan(&[
        ("[schedule.ingest]", &many),
        ("max_in_flight = 4", "requests_per_minute = 3"),
    ]);
    assert!(said.out.contains("requests_per_minute = 3"), "{}", said.out);
}

#[test]
fn pile_ups_that_were_there_before_are_counted_and_change_nothing() {
    let desk = Desk::new();
    let said = desk.plan(&[("max_in_flight = 4", "max_in_flight = 1")]);
    assert_eq!(said.code, Exit::Ok.code(), "{}", said.out);
    assert!(
        said.out.contains("none because of this change"),
        "{}",
        said.out
    );
}

#[test]
fn objects_have_a_kind_and_the_stable_fields() {
    let desk = Desk::new();
    let objects = desk.objects(&[
        ("\"15 2 * * *\"", "\"45 2 * * *\""),
        ("[schedule.tiles]", "[schedule.map-tiles]"),
        ("timeout    = \"3h\"", "timeout    = \"2h\""),
    ]);
    let fields = |kind: &str| -> Vec<String> {
        let found = objects.iter().find(|o| o["kind"] == kind).unwrap();
        found.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        fields("series"),
        [
            "kind",
            "schedule",
            "set",
            "change",
            "renamed",
            "disabled",
            "occurrences_before",
            "occurrences_after",
            "added",
            "removed",
            "moved",
            "at_vendor",
            "waiting",
            "paused_since",
            "compared_until",
        ]
    );
    assert_eq!(
        fields("change"),
        ["kind", "schedule", "set", "key", "from", "to"]
    );
    assert_eq!(
        fields("occurrence"),
        [
            "kind",
            "schedule",
            "set",
            "change",
            "nominal",
            "due",
            "passes",
            "from_nominal",
            "from_due",
        ]
    );
    assert_eq!(
        fields("note"),
        ["kind", "note", "schedule", "set", "at", "text"]
    );
    let summary = objects.last().unwrap();
    assert_eq!(
        summary,
        &serde_json::json!({
            "kind": "summary",
            "from": NOW,
            "until": "2026-04-03T16:04:10Z",
            "added": 1, "removed": 1, "retimed": 2, "edited": 1, "unchanged": 1,
            "occurrences_before": 14 + 7 + 168, "occurrences_after": 14 + 7 + 168,
            "pile_ups": 0, "pile_ups_grow": 0, "refused": false,
            "text": "5 series change: 1 added, 1 removed, 2 with other times, 1 edited (it looks as if 1 is renamed); \
                     as many occurrences as before in the next 7 days",
        })
    );
    let moved = objects.iter().find(|o| o["kind"] == "occurrence").unwrap();
    assert_eq!(moved["from_nominal"], "2026-03-28T02:15:00+01:00");
    assert_eq!(moved["nominal"], "2026-03-28T02:45:00+01:00");
    let edit = objects.iter().find(|o| o["key"] == "timeout").unwrap();
    assert_eq!((&edit["from"], &edit["to"]), (&"3h".into(), &"2h".into()));
}

#[test]
fn all_shows_every_occurrence_and_days_look_further() {
    let desk = Desk::new();
    let new = desk.edited(&[("\"0 6 * * *\"", "\"0 7 * * *\"")]);
    let few = desk.said(Some(&new), false, false, 30);
    assert!(few.out.contains("27 more moved"), "{}", few.out);
    assert!(few.out.contains("in the next 30 days"), "{}", few.out);
    assert!(
        few.out
            .contains("everything: nightcall plan /etc/new.toml --days 30 --all"),
        "{}",
        few.out
    );
    let all = desk.said(Some(&new), false, true, 30);
    assert_eq!(all.out.matches("  moved ").count(), 30, "{}", all.out);
    let json = desk.said(Some(&new), true, true, 30);
    assert_eq!(json.out.matches("\"kind\":\"occurrence\"").count(), 30);
}

#[test]
fn a_wrong_new_file_is_told_as_check_tells_it_and_nothing_else() {
    let desk = Desk::new();
    let wrong = desk.edited(&[("\"15 2 * * *\"", "\"15 25 * * *\"")]);
    let said = desk.said(Some(&wrong), false, false, 7);
    assert_eq!((said.code, said.out.as_str()), (Exit::Config.code(), ""));
    assert!(
        said.complaint.contains("hour 25 is out of range"),
        "{}",
        said.complaint
    );
    assert!(
        said.complaint.contains("schedule.clusters.cron"),
        "{}",
        said.complaint
    );
    let json = desk.said(Some(&wrong), true, false, 7);
    let object: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (json.code, &object["severity"]),
        (Exit::Config.code(), &"error".into())
    );
    let missing = desk.folder.path().join("nowhere.toml");
    assert_eq!(
        desk.said(Some(&missing), false, false, 7).code,
        Exit::Config.code()
    );
}

#[test]
fn without_a_database_everything_is_new_and_none_is_made() {
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    let fresh = Desk { folder };
    fresh.write("nightcall.toml", &format!("{CONNECTION}{SCHEDULES}"));
    let said = fresh.said(None, false, false, 7);
    assert_eq!(said.code, CHANGES);
    assert!(
        said.out
            .starts_with("5 series change: 5 added; 217 occurrences more"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("no daemon has run here yet"),
        "{}",
        said.out
    );
    let there = std::fs::read_dir(fresh.folder.path()).unwrap().count();
    assert_eq!(there, 1, "only the configuration");
    drop(desk);
}

#[test]
fn many_series_of_which_the_same_is_to_be_said_are_told_at_once() {
    let desk = Desk::new();
    let more = "[defaults]\npriority = 3";
    let said = desk.plan(&[("[defaults]", more)]);
    let heads: Vec<&str> = said
        .out
        .lines()
        .filter(|l| l.contains("edited; its times stay"))
        .collect();
    assert_eq!(heads.len(), 2, "one has a live run: {}", said.out);
    assert!(
        said.out
            .contains("clusters/hyper, clusters/supermarket, report, tiles: edited"),
        "{}",
        said.out
    );
}

#[test]
fn a_daemon_that_is_silent_is_told() {
    let desk = Desk::new();
    let new = desk.edited(&[("\"0 6 * * *\"", "\"0 7 * * *\"")]);
    assert!(
        !desk
            .said(Some(&new), false, false, 7)
            .out
            .contains("no daemon seems to run")
    );
    let database = desk.folder.path().join("nightcall.db");
    let conn = rusqlite::Connection::open(database).unwrap();
    conn.execute("UPDATE meta SET mark = mark - 600000000000", [])
        .unwrap();
    drop(conn);
    let said = desk.said(Some(&new), false, false, 7);
    assert!(said.out.contains("no daemon seems to run"), "{}", said.out);
}
