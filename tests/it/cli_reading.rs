//! The reading commands: what they say of a night, of the future, and of nothing at all.
//!
//! Each test types command lines and compares everything that is said with `tests/golden/cli/<name>.snap`. After a
//! change that is meant: `INSTA_UPDATE=always cargo test --test it cli_reading`, then read the difference.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use clap::Parser;
use nightcall::cli::exit::Outcome;
use nightcall::cli::output::Output;
use nightcall::cli::{Context, check, next, report, runs, show, why};
use nightcall::sched::time::Timestamp;
use nightcall::zones::Zones;
use serde_json::Value;

mod after;
mod morning;
mod night;
mod templates;

use night::{EVENING, MORNING, Night, at, without};

/// One night for all tests: they only read.
static NIGHT: LazyLock<Night> = LazyLock::new(Night::new);

#[derive(Parser)]
struct Line {
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Next(next::NextArgs),
    Runs(runs::RunsArgs),
    Show(show::ShowArgs),
    Why(why::WhyArgs),
    Report(report::ReportArgs),
}

/// What a command said: standard output, then what `main` would say on standard error, then the exit code.
struct Said {
    out: String,
    complaint: String,
    code: u8,
}

/// Types one line, with words in single quotes kept together.
fn typed(config: &Path, line: &str, now: Timestamp) -> Said {
    let mut words = vec!["nightcall".to_owned()];
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    let line = Line::try_parse_from(&words).unwrap_or_else(|error| panic!("{error}"));
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let context = Context {
        config: vec![config.to_owned()],
        zones: Zones::load(),
        out: Output::plain(line.json, buffer.clone()),
    };
    let outcome: Outcome = match line.command {
        Command::Check(args) => check::check_at(&context, args, now),
        Command::Next(args) => next::next_at(&context, args, now),
        Command::Runs(args) => runs::runs_at(&context, args, now),
        Command::Show(args) => show::show_at(&context, args, now),
        Command::Why(args) => why::why_at(&context, args, now),
        Command::Report(args) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(report::report_at(&context, args, now)),
    };
    let out = String::from_utf8(buffer.lock().unwrap().clone()).unwrap();
    match outcome {
        Ok(exit) => Said {
            out,
            complaint: String::new(),
            code: exit.code(),
        },
        Err(failure) => Said {
            out,
            complaint: failure.to_string(),
            code: failure.exit.code(),
        },
    }
}

/// Types lines in the morning and gives everything that is seen.
fn seen(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let said = typed(&NIGHT.config(), line, at(MORNING));
        text.push_str(&format!("$ nightcall {line}\n{}", said.out));
        if !said.complaint.is_empty() {
            text.push_str(&format!("stderr: {}\n", said.complaint));
        }
        text.push_str(&format!("[{}]\n\n", said.code));
    }
    without(NIGHT.folder.path(), &text)
}

fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/cli");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The objects of a command with `--json`.
fn objects(line: &str) -> Vec<Value> {
    let said = typed(&NIGHT.config(), &format!("{line} --json"), at(MORNING));
    assert_eq!(said.complaint, "", "{line}");
    let read = |line: &str| serde_json::from_str(line).unwrap();
    said.out.lines().map(read).collect()
}

fn fields(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// A folder with nothing but this configuration.
fn fresh(config: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightcall.toml");
    std::fs::write(&path, config).unwrap();
    (folder, path)
}

// ---- runs ------------------------------------------------------------------------------------------------------------

#[test]
fn runs_are_listed_with_what_was_missed_and_what_to_ask_next() {
    golden(
        "runs",
        &seen(&[
            "runs",
            "runs --since yesterday --until 2026-02-03T02:30",
            "runs -n 3",
            "runs store-clusters/hyper",
            "runs --schedule sensors --since 2026-02-03 --until 2026-02-03T08:00",
            "runs --state skipped -n 2",
            "runs --state running",
            "runs --state lost --schedule vanishing",
        ]),
    );
}

#[test]
fn runs_that_match_nothing_or_name_nothing_say_what_to_do() {
    golden(
        "runs-nothing",
        &seen(&[
            "runs --since tomorrow",
            "runs newcomer",
            "runs --schedule store-cluster",
            "runs --schedule store-clusters --set hypr",
            "runs --state broken",
            "runs --since noon",
            "runs --since 02:15",
            "runs store-clusters@02:15",
        ]),
    );
}

#[test]
fn runs_as_json_are_one_object_a_line_with_the_stable_fields() {
    let all = objects("runs -n 1000");
    let (missed, runs): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|o| o["run"].is_null());
    let stable = [
        "run",
        "schedule",
        "set",
        "nominal",
        "due",
        "state",
        "outcome",
        "reason",
        "origin",
        "attempts",
        "job",
        "submitted",
        "finished",
        "resolved",
        "fault",
        "query",
        "parameters",
    ];
    for run in &runs {
        assert_eq!(fields(run), stable);
    }
    let failed = runs.iter().find(|run| run["outcome"] == "failed").unwrap();
    assert_eq!(failed["run"], "store-clusters/hyper@2026-02-03T01:15:00Z");
    assert_eq!(failed["nominal"], "2026-02-03T02:15:00+01:00");
    assert_eq!(failed["fault"]["reason"], "invalidQuery");
    assert_eq!(failed["parameters"]["number_of_clusters"], "2");
    let [missed] = missed.as_slice() else {
        panic!("{missed:?}")
    };
    assert_eq!(
        (
            missed["schedule"].as_str(),
            missed["outcome"].as_str(),
            missed["reason"].as_str()
        ),
        (Some("sensors"), Some("skipped"), Some("missed"))
    );
    assert_eq!(missed["count"], 16);
    assert!(objects("runs --since tomorrow").is_empty());
}

// ---- show ------------------------------------------------------------------------------------------------------------

#[test]
fn show_tells_a_run_in_full_by_whatever_names_it() {
    golden(
        "show",
        &seen(&[
            "show store-clusters/hyper",
            "show ingest-sales@01:40",
            "show store-clusters/supermarket@2026-02-02T20:30",
            "show tiles@2026-02-03T08:30",
            "show heat-map@2026-02-03T01:10:00Z",
        ]),
    );
    let names = [
        "show store-clusters/hyper@2026-02-03T01:15:00Z",
        "show store-clusters/hyper@2026-02-03T02:15:00+01:00",
        "show store-clusters/hyper@02:15",
        "show store-clusters/hyper@today",
        "show store-clusters/hyper",
    ];
    for line in names {
        assert_eq!(
            objects(line)[0]["run"],
            "store-clusters/hyper@2026-02-03T01:15:00Z",
            "{line}"
        );
    }
}

#[test]
fn show_says_what_it_needs_when_no_run_or_several_are_named() {
    golden(
        "show-nothing",
        &seen(&[
            "show store-clusters",
            "show store-clusters@2026-02-03",
            "show heat-map@2026-02-03",
            "show store-clusters/hyper@02:16",
            "show store-clusters/hyper@2026-02-03T01:15:00Z+1",
            "show nobody",
            "show store-clusters@noon",
        ]),
    );
}

#[test]
fn show_as_json_adds_the_events_and_the_notices() {
    let [story] = objects("show store-clusters/hyper").try_into().unwrap();
    let what: Vec<&str> = story["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["planned", "submitting", "accepted", "finished"]);
    assert_eq!(story["notices"][0]["kind"], "failed");
    assert_eq!(story["fault"]["location"], "query");
    assert_eq!(fields(&story).len(), 19);
}

// ---- why -------------------------------------------------------------------------------------------------------------

#[test]
fn why_tells_how_runs_ended() {
    golden(
        "why-ended",
        &seen(&[
            "why store-clusters/hyper",
            "why store-clusters 02:15",
            "why ingest-sales",
            "why heat-map 2026-02-03T02:10",
            "why big-join",
            "why vanishing",
            "why stopped",
            "why five-oclock",
            "why store-clusters/supermarket@2026-02-02T19:30:00Z+manual-0f3a",
            "why heat-map today",
        ]),
    );
}

#[test]
fn why_tells_what_live_runs_wait_for() {
    golden(
        "why-live",
        &seen(&["why tiles 08:00", "why tiles 08:30", "why unsure"]),
    );
}

#[test]
fn why_tells_of_times_without_a_run() {
    golden(
        "why-absent",
        &seen(&[
            "why sensors 06:15",
            "why sensors 2026-02-03T09:15",
            "why sensors yesterday",
            "why store-clusters/hyper 2026-02-02T02:15",
            "why store-clusters/hyper 02:16",
            "why store-clusters/hyper tomorrow",
            "why newcomer",
            "why newcomer 06:00",
            "why newcomer 2026-02-04T06:00",
            "why pg-territories",
            "why pg-territories 04:00",
            "why delivery-zones",
            "why delivery-zones 2026-12-25",
            "why delivery-zones 2026-02-02T05:30",
            "why nobody 02:15",
            "why store-clusters/hyper@02:15 02:15",
        ]),
    );
}

#[test]
fn why_tells_what_the_clock_change_does() {
    golden(
        "why-clock",
        &seen(&[
            "why store-clusters/hyper 2026-03-29T02:15",
            "why store-clusters/hyper 2026-03-29T02:45",
            "why store-clusters/hyper 2026-10-25T02:15",
            "why store-clusters/hyper 2026-10-25T02:15:00+01:00",
            "why spring 2026-03-29T02:30",
        ]),
    );
}

#[test]
fn why_tells_of_a_time_that_nobody_decided() {
    // the next night, and the daemon has not run since the morning
    let said = typed(
        &NIGHT.config(),
        "why store-clusters/hyper 02:15",
        at("2026-02-04T06:00:00Z"),
    );
    let latest = typed(
        &NIGHT.config(),
        "why store-clusters/hyper",
        at("2026-02-04T06:00:00Z"),
    );
    assert_eq!(said.out, latest.out);
    golden("why-undecided", &without(NIGHT.folder.path(), &said.out));
}

#[test]
fn why_as_json_has_a_verdict_for_every_case() {
    let table = [
        ("why store-clusters/hyper", "failed"),
        ("why ingest-sales", "succeeded"),
        ("why heat-map 2026-02-03T02:10", "skipped"),
        ("why big-join", "timed_out"),
        ("why vanishing", "lost"),
        ("why stopped", "cancelled"),
        ("why tiles 08:00", "running"),
        ("why tiles 08:30", "pending"),
        ("why unsure", "in_doubt"),
        ("why heat-map today", "several"),
        ("why sensors 06:15", "missed"),
        ("why sensors 2026-02-03T09:15", "not_an_occurrence"),
        ("why store-clusters/hyper tomorrow", "future"),
        (
            "why store-clusters/hyper 2026-02-02T02:15",
            "before_first_seen",
        ),
        ("why newcomer 06:00", "not_seen"),
        ("why pg-territories 04:00", "disabled"),
        ("why delivery-zones 2026-12-25", "excluded"),
        ("why delivery-zones 2026-02-02T05:30", "out_of_bounds"),
        ("why spring 2026-03-29T02:30", "gap"),
        ("why store-clusters/hyper 2026-10-25T02:15:00+01:00", "fold"),
    ];
    for (line, verdict) in table {
        let [answer] = objects(line).try_into().unwrap();
        assert_eq!(
            fields(&answer),
            ["schedule", "set", "time", "verdict", "text", "run"]
        );
        assert_eq!(answer["verdict"], verdict, "{line}: {answer}");
        assert!(!answer["text"].as_array().unwrap().is_empty(), "{line}");
    }
    let [failed] = objects("why store-clusters/hyper").try_into().unwrap();
    assert_eq!(failed["time"], "2026-02-03T02:15:00+01:00");
    assert_eq!(failed["run"]["outcome"], "failed");
}

// ---- next ------------------------------------------------------------------------------------------------------------

#[test]
fn next_shows_what_will_run_in_the_order_in_which_it_is_due() {
    golden(
        "next",
        &seen(&[
            "next",
            "next store-clusters/hyper -n 2",
            "next store-clusters/hyper --from 2026-03-28 --until 2026-03-31",
            "next store-clusters/hyper --from 2026-10-25 --until +266d",
            "next delivery-zones -n 2 --from 2026-12-24",
            "next spring --from 2026-03-28 -n 4",
            "next pg-territories",
            "next --from 2026-02-03 --until 2026-02-03",
            "next --from 2026-02-03 --until 2026-02-02",
            "next --until yesterday",
            "next nobody",
            "next store-clusters/nothing",
        ]),
    );
}

#[test]
fn next_as_json_has_offsets_due_times_and_the_fold() {
    let [gap] = objects("next store-clusters/hyper --from 2026-03-29 --until 2026-03-30")
        .try_into()
        .unwrap();
    let wanted = [
        "schedule",
        "set",
        "nominal",
        "due",
        "fold",
        "note",
        "parameters",
    ];
    assert_eq!(fields(&gap), wanted);
    assert_eq!(gap["nominal"], "2026-03-29T02:15:00+01:00");
    assert_eq!(gap["due"], "2026-03-29T01:00:00Z");
    assert_eq!(gap["fold"], Value::Null);
    assert_eq!(gap["parameters"]["number_of_clusters"], 2);
    let [twice] = objects("next store-clusters/hyper --from 2026-10-25 --until 2026-10-26")
        .try_into()
        .unwrap();
    assert_eq!(twice["nominal"], "2026-10-25T02:15:00+02:00");
    assert_eq!(twice["fold"], "first");
}

#[test]
fn next_includes_its_beginning_and_not_its_end_and_shows_all_between() {
    let line = "next sensors --from 2026-02-04T03:00 --until 2026-02-04T08:00";
    let all = objects(line);
    assert_eq!(all.len(), 20, "four an hour from 03:00 to 07:45");
    assert_eq!(all[0]["nominal"], "2026-02-04T03:00:00+01:00");
    assert_eq!(all[19]["nominal"], "2026-02-04T07:45:00+01:00");
    assert_eq!(objects("next sensors").len(), 10);
    assert_eq!(objects(&format!("{line} -n 3")).len(), 3);
}

// ---- check -----------------------------------------------------------------------------------------------------------

#[test]
fn check_shows_what_a_configuration_means() {
    golden(
        "check",
        &seen(&[
            "check",
            "check store-clusters/hyper",
            "check nobody",
            "check --json",
        ]),
    );
}

#[test]
fn check_shows_all_problems_and_ends_with_78() {
    let (folder, path) = fresh("[schedule.nightly]\ncron = \"0 25 * * *\"\ntimout = \"1h\"\n");
    let said = typed(&path, "check", at(MORNING));
    assert_eq!((said.code, said.out.as_str()), (78, ""));
    golden("check-wrong", &without(folder.path(), &said.complaint));

    let said = typed(&path, "check --json", at(MORNING));
    assert_eq!((said.code, said.complaint.as_str()), (78, ""));
    let problems: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(problems.len() >= 3, "{}", said.out);
    for problem in &problems {
        let wanted = [
            "severity", "file", "line", "column", "key", "message", "hint",
        ];
        assert_eq!(fields(problem), wanted);
        assert_eq!(problem["severity"], "error");
    }
    let cron = problems
        .iter()
        .find(|p| p["key"] == "schedule.nightly.cron")
        .unwrap();
    assert_eq!(
        (&cron["line"], &cron["column"]),
        (&Value::from(2), &Value::from(11))
    );
}

#[test]
fn a_warning_is_shown_and_does_not_stop_anything() {
    let warned = EVENING.replace("\"40 1 * * *\"", "\"* 1 * * *\"");
    let (_folder, path) = fresh(&warned);
    let said = typed(&path, "check --json", at(MORNING));
    assert_eq!(said.code, 0);
    let warnings: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!warnings.is_empty());
    assert!(warnings.iter().all(|w| w["severity"] == "warning"));
    let said = typed(&path, "check", at(MORNING));
    assert!(said.out.contains("\nwarning: "), "{}", said.out);
    let last = said.out.lines().last().unwrap();
    assert!(
        last.contains(&format!("{} warning", warnings.len())),
        "{last}"
    );
}

#[test]
fn many_schedules_get_a_line_each_unless_all_is_asked_for() {
    let mut config = EVENING.to_owned();
    for n in 0..60 {
        config.push_str(&format!(
            "[schedule.many-{n:02}]\ncron = \"{n} 7 * * *\"\nprocedure = \"p.d.many(n)\"\nparameters = {{ n = {n} }}\n"
        ));
    }
    let (_folder, path) = fresh(&config);
    let short = typed(&path, "check", at(MORNING)).out;
    assert!(
        short.contains(
            "\nmany-07  at 07:07 every day, Europe/Madrid; next Wed 4 Feb 07:07 +01:00\n"
        )
    );
    let lines = short.lines().filter(|line| line.starts_with("many-"));
    assert_eq!(lines.count(), 60, "{short}");
    let said = typed(&path, "check many-07 --json", at(MORNING));
    assert_eq!(said.code, 0);
    let one = typed(&path, "check many-07", at(MORNING)).out;
    assert!(one.contains("p.d.many"));
    assert!(typed(&path, "check --all", at(MORNING)).out.lines().count() > 200);
}

#[test]
fn ten_thousand_schedules_are_checked_in_a_screenful_or_two() {
    let mut config =
        "[connection.dw]\nbase_url = \"https://example.com\"\nprovider = \"bigquery\"\n\
                      token = { env = \"T\" }\n[defaults]\nconnection = \"dw\"\n"
            .to_owned();
    for n in 0..10_000 {
        config.push_str(&format!(
            "[schedule.many-{n:05}]\nevery = \"1h\"\ntimeout = \"2h\"\nprocedure = \"p.d.many(n)\"\nparameters = {{ n = {n} }}\n"
        ));
    }
    let (_folder, path) = fresh(&config);
    let said = typed(&path, "check", at(MORNING));
    assert_eq!((said.code, said.complaint.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines.len() < 400, "{} lines", lines.len());
    let has = |text: &str| lines.iter().any(|line| line.starts_with(text));
    assert!(has(
        "and 9900 more schedules: nightcall check --all --config "
    ));
    assert!(has(
        "and 950 more warnings: nightcall check --json --config "
    ));
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("10000 schedules, 10000 series: "),
        "{last}"
    );
}

#[test]
fn check_names_the_files_that_were_read() {
    let (folder, _) = fresh("");
    for n in 0..12 {
        let text = format!(
            "[connection.c{n}]\nbase_url = \"https://example.com\"\nprovider = \"bigquery\"\ntoken = {{ env = \"T\" }}\n"
        );
        std::fs::write(folder.path().join(format!("{n:02}.toml")), text).unwrap();
    }
    let said = typed(folder.path(), "check", at(MORNING));
    let text = without(folder.path(), &said.out);
    let read = text.lines().find(|line| line.starts_with("read ")).unwrap();
    assert!(
        read.starts_with("read /night/00.toml, /night/01.toml, "),
        "{read}"
    );
    assert!(read.ends_with("/night/09.toml and 3 more"), "{read}");
}

// ---- without a database ----------------------------------------------------------------------------------------------

#[test]
fn without_a_database_reading_says_so_and_makes_none() {
    let (folder, path) = fresh(EVENING);
    let mut text = String::new();
    for line in [
        "runs",
        "runs --json",
        "runs --schedule nobody",
        "show store-clusters/hyper",
        "why store-clusters/hyper",
        "why store-clusters/hyper 02:15",
        "next store-clusters/hyper -n 1",
    ] {
        let said = typed(&path, line, at(MORNING));
        text.push_str(&format!(
            "$ nightcall {line}\n{}{}\n[{}]\n\n",
            said.out, said.complaint, said.code
        ));
    }
    golden("no-database", &without(folder.path(), &text));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_wrong_configuration_ends_every_command_with_78() {
    let (_folder, path) = fresh("[schedule.nightly]\n");
    for line in ["check", "next", "runs", "show nightly", "why nightly"] {
        let said = typed(&path, line, at(MORNING));
        assert_eq!(said.code, 78, "{line}");
        assert!(
            said.complaint.contains("nothing was changed"),
            "{}",
            said.complaint
        );
    }
}
