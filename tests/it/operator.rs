//! The operator's commands, by the built program against a real daemon and the sandbox.

use std::process::Output;
use std::time::Duration;

use nightcall::sandbox::{Ending, Procedure, Scenario, Script};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::Origin;
use nightcall::sched::time::{TimeRange, Timestamp};
use serde_json::Value;

use crate::support::world::{Night, World};

const SCHEDULES: &str = "
[schedule.one]
every = \"365d\"
tags = [\"map\"]
procedure = \"p.d.one()\"

[schedule.two]
every = \"365d\"
tags = [\"map\", \"late\"]
procedure = \"p.d.two()\"

[schedule.broken]
every = \"365d\"
procedure = \"p.d.broken()\"

[schedule.second]
every = \"1s\"
misfire = { tolerance = \"1h\" }
procedure = \"p.d.second()\"
";

fn scenario() -> Scenario {
    let script = |endings: Vec<Ending>| Script {
        running: Duration::from_millis(30).into(),
        endings,
        ..Script::default()
    };
    Scenario {
        procedures: vec![
            Procedure::new(
                "p.d.broken()",
                script(vec![Ending::fails("invalidQuery"), Ending::Success]),
            )
            .unwrap(),
        ],
        script: script(Vec::new()),
        ..Scenario::default()
    }
}

/// The built program with these words and the configuration of the world.
async fn nightcall(world: &World, words: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nightcall"));
    command
        .args(words)
        .arg("--config")
        .arg(world.file("nightcall.toml"))
        .env_remove("NIGHTCALL_CONFIG")
        .stdin(std::process::Stdio::null());
    let ended = tokio::time::timeout(Duration::from_secs(60), command.output());
    ended.await.expect("the command ends").unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// It ends well; gives back what it said.
async fn well(world: &World, words: &[&str]) -> String {
    let output = nightcall(world, words).await;
    assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
    said(&output)
}

/// It ends with this code; gives back what it said.
async fn ends(world: &World, words: &[&str], with: i32) -> String {
    let output = nightcall(world, words).await;
    assert_eq!(code(&output), with, "{words:?}: {}", said(&output));
    said(&output)
}

async fn start(schedules: &str) -> (World, Night) {
    let world = World::new(scenario(), schedules).await;
    let night = world.start().await;
    (world, night)
}

async fn status(world: &World) -> Value {
    let output = nightcall(world, &["status", "--json"]).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_told_by_whom_and_why_and_ends_as_it_began() {
    let (world, night) = start(SCHEDULES).await;
    let told = well(
        &world,
        &["pause", "one", "--until", "tomorrow", "--note", "late data"],
    )
    .await;
    assert!(told.contains("schedule one is paused until"), "{told}");
    let refused = ends(&world, &["fire", "one"], 2).await;
    assert!(refused.contains("nightcall resume"), "{refused}");
    well(&world, &["fire", "one", "--even-paused", "--wait"]).await;
    let next = well(&world, &["next", "second", "-n", "1"]).await;
    assert!(!next.contains("will pass"), "{next}");
    well(&world, &["pause", "second"]).await;
    let next = well(&world, &["next", "second", "-n", "1"]).await;
    assert!(next.contains("will pass: paused"), "{next}");
    well(&world, &["resume", "second"]).await;
    let shown = said(&nightcall(&world, &["status"]).await);
    assert!(
        shown.contains("paused: one since") && shown.contains("late data"),
        "{shown}"
    );
    let seen = status(&world).await;
    assert_eq!(seen["pauses"][0]["schedule"], "one");
    assert!(seen["pauses"][0]["who"].as_str().unwrap().contains("uid "));
    well(&world, &["resume", "one"]).await;
    let refused = ends(&world, &["resume", "one"], 2).await;
    assert!(refused.contains("is not paused"), "{refused}");
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_means_each_of_its_schedules_and_all_means_everything() {
    let (world, night) = start(SCHEDULES).await;
    let told = well(&world, &["pause", "--tag", "map", "--json"]).await;
    let of: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of: Vec<&str> = of.iter().map(|line| line["of"].as_str().unwrap()).collect();
    assert_eq!(of, ["one", "two"]);
    well(&world, &["pause", "--all"]).await;
    assert_eq!(status(&world).await["pauses"].as_array().unwrap().len(), 3);
    let told = ends(&world, &["pause", "--tag", "nobody"], 1).await;
    assert!(told.contains("there are: late, map"), "{told}");
    ends(&world, &["pause"], 64).await;
    ends(&world, &["pause", "one", "--all"], 64).await;
    let told = ends(&world, &["pause", "one/default"], 64).await;
    assert!(told.contains("whole schedule"), "{told}");
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_times_are_skipped_and_taken_back() {
    let (world, night) = start(SCHEDULES).await;
    let told = well(&world, &["skip", "one", "--note", "holiday"]).await;
    assert!(told.contains("one does not run at"), "{told}");
    let next = well(&world, &["next", "one", "-n", "1"]).await;
    assert!(
        next.contains("will be skipped, as somebody asked"),
        "{next}"
    );
    let seen = status(&world).await;
    assert_eq!(
        (&seen["skips"][0]["next"], &seen["skips"][0]["note"]),
        (&1.into(), &"holiday".into())
    );
    let told = ends(&world, &["skip", "one", "--on", "2001-01-01"], 2).await;
    assert!(told.contains("nightcall next one"), "{told}");
    ends(
        &world,
        &["skip", "one", "--next", "2", "--on", "tomorrow"],
        64,
    )
    .await;
    well(&world, &["unskip", "one"]).await;
    assert_eq!(status(&world).await["skips"], Value::Array(Vec::new()));
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_and_the_stop_is_confirmed() {
    let world = World::new(
        Scenario {
            script: Script::running(Duration::from_secs(600)),
            ..Scenario::default()
        },
        SCHEDULES,
    )
    .await;
    let night = world.start().await;
    let run = night.fire("one").await;
    night
        .until(|runs| runs.iter().any(|r| r.id == run && r.job.is_some()))
        .await;
    let told = well(&world, &["cancel", "one", "--note", "wrong table"]).await;
    assert!(
        told.contains("is asked to stop job") && told.contains("is cancelled: its job has stopped"),
        "{told}"
    );
    assert_eq!(
        night.finished(&run).await.run.outcome(),
        Some(Outcome::Cancelled)
    );
    let told = ends(&world, &["cancel", &run.to_string()], 2).await;
    assert!(told.contains("has ended already"), "{told}");
    let told = ends(&world, &["cancel", "two"], 1).await;
    assert!(told.contains("no such run is live"), "{told}");
    let why = said(&nightcall(&world, &["show", &run.to_string()]).await);
    assert!(
        why.contains("cancel_asked") && why.contains("wrong table"),
        "{why}"
    );
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_read_again_whole_or_not_at_all() {
    let (world, night) = start(SCHEDULES).await;
    world.write(&format!(
        "{SCHEDULES}\n[schedule.three]\nevery = \"365d\"\nprocedure = \"p.d.three()\"\n"
    ));
    let told = well(&world, &["reload", "--note", "one more"]).await;
    assert!(told.contains("1 added"), "{told}");
    well(&world, &["fire", "three", "--wait"]).await;
    world.write("[schedule.one]\ncron = \"0 25 * * *\"\n");
    let told = ends(&world, &["reload"], 78).await;
    assert!(told.contains("hours go from 0 to 23"), "{told}");
    let seen = night
        .handle
        .fire(crate::support::runs::by_hand("three", "k"))
        .await;
    assert!(
        matches!(seen, Ok(nightcall::sched::step::Fired::Run(_))),
        "{seen:?}"
    );
    let deeds = night
        .history()
        .deeds(TimeRange {
            after: Timestamp::MIN,
            upto: Timestamp::MAX,
        })
        .unwrap();
    assert!(
        deeds
            .iter()
            .any(|deed| deed.act == "reload" && deed.by.note() == Some("one more"))
    );
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_retried_and_what_succeeded_is_rerun() {
    let (world, night) = start(SCHEDULES).await;
    // Planned runs are retried; those of the second come by themselves.
    let ran = night
        .until(|runs| runs.iter().any(|r| r.outcome() == Some(Outcome::Succeeded)))
        .await;
    let first = ran
        .iter()
        .find(|r| r.outcome() == Some(Outcome::Succeeded))
        .unwrap()
        .id
        .clone();
    let told = ends(&world, &["retry", &first.to_string()], 2).await;
    assert!(told.contains("nightcall rerun"), "{told}");
    let from = first.instant.to_string();
    let span = ["--from", from.as_str(), "--to", from.as_str()];
    let rerun = [&["rerun", "second"][..], &span, &["--reason", "corrected"]].concat();
    let told = ends(&world, &rerun, 64).await;
    assert!(told.contains("--yes"), "{told}");
    let told = well(&world, &[&rerun[..], &["--dry-run"]].concat()).await;
    assert!(
        told.contains("succeeded") && told.contains("1 run of 1 series"),
        "{told}"
    );
    well(&world, &[&rerun[..], &["--yes", "--no-wait"]].concat()).await;
    let again = |r: &nightcall::sched::run::Run| r.origin == Origin::Rerun;
    night.until(|runs| runs.iter().any(again)).await;
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_skipped_is_filled_and_filling_it_twice_changes_nothing() {
    let (world, night) = start(SCHEDULES).await;
    well(&world, &["pause", "second", "--note", "the load is frozen"]).await;
    let paused =
        |r: &nightcall::sched::run::Run| r.outcome() == Some(Outcome::Skipped(SkipReason::Paused));
    let seen = night
        .until(|runs| runs.iter().filter(|r| paused(r)).count() >= 3)
        .await;
    let skipped: Vec<_> = seen
        .iter()
        .filter(|r| paused(r))
        .map(|r| r.id.clone())
        .collect();
    let (from, to) = (
        skipped[0].instant.to_string(),
        skipped[2].instant.to_string(),
    );
    // Both say who held it back.
    for command in ["show", "why"] {
        let told = well(&world, &[command, &skipped[0].to_string()]).await;
        assert!(
            told.contains("pause at ") && told.contains("uid "),
            "{told}"
        );
        assert!(told.contains("the load is frozen"), "{told}");
    }
    let fill = [
        "backfill",
        "second",
        "--from",
        &from,
        "--to",
        &to,
        "--even-paused",
    ];
    let told = well(&world, &[&fill[..], &["--dry-run"]].concat()).await;
    assert!(
        told.contains("skipped: paused") && told.contains("3 runs of 1 series"),
        "{told}"
    );
    let told = well(&world, &[&fill[..], &["--yes"]].concat()).await;
    assert!(told.contains("3 of 3 succeeded"), "{told}");
    let told = well(&world, &[&fill[..], &["--yes"]].concat()).await;
    assert!(told.contains("there is nothing to run"), "{told}");
    let filled = night
        .runs()
        .into_iter()
        .filter(|r| r.origin == Origin::Backfilled);
    assert_eq!(filled.count(), 3);
    let told = ends(&world, &["backfill", "second", "--from", "2001-01-01"], 2).await;
    assert!(told.contains("retention.days"), "{told}");
    night.stop().await;
    assert!(world.sandbox.world().with(|w| w.doubled()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_daemon_every_acting_command_says_so() {
    let world = World::new(scenario(), SCHEDULES).await;
    let night = world.start().await;
    night.stop().await;
    for words in [
        &["pause", "one"][..],
        &["resume", "--all"],
        &["skip", "one"],
        &["unskip", "one"],
        &["cancel", "one/default@2026-02-03T01:15:00Z"],
        &["retry", "one/default@2026-02-03T01:15:00Z"],
        &[
            "resolve",
            "one/default@2026-02-03T01:15:00Z",
            "--as",
            "failed",
        ],
        &["reload"],
    ] {
        let told = ends(&world, words, 69).await;
        assert!(
            told.contains("no daemon is running") && told.contains("nightcall daemon"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_each_series_of_a_tag_is_fired_and_waited_for() {
    let (world, night) = start(SCHEDULES).await;
    let told = well(&world, &["fire", "--tag", "map", "--wait"]).await;
    assert_eq!(told.matches("succeeded").count(), 2, "{told}");
    let told = well(&world, &["fire", "--tag", "late"]).await;
    assert!(told.starts_with("two/default@"), "{told}");
    ends(&world, &["fire", "--tag", "map", "--key", "k"], 64).await;
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_night_submits_nothing_and_shows_what_would_have_run() {
    let world = World::new(
        scenario(),
        "[schedule.second]\nevery = \"1s\"\nprocedure = \"p.d.second(day)\"\n\
         parameters = { day = \"{{ date }}\" }\nmisfire = \"all\"\n",
    )
    .await;
    let night = world.observing().await;
    night.until(|runs| runs.len() >= 2).await;
    let shown = well(&world, &["runs", "second", "-n", "1"]).await;
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    assert!(shown.contains("would have run, with day = "), "{shown}");
    assert!(shown.contains(&today[..8]), "{shown}");
    let told = ends(&world, &["fire", "second"], 2).await;
    assert!(told.contains("only observes"), "{told}");
    night.stop().await;
    assert_eq!(world.sandbox.world().with(|w| w.jobs().count()), 0);
}
