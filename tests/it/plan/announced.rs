//! Nothing fires because of a reload but what `plan` announced, and all of that does: pairs of configurations, played.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightcall::cli::plan::changes::{Changes, Span};
use nightcall::cli::plan::running::{Coming, Running};
use nightcall::cli::plan::span::Move;
use nightcall::config::Config;
use nightcall::sched::act::{Act, Acted, Scope, SkipWhat};
use nightcall::sched::id::{RunKind, ScheduleName, SeriesId};
use nightcall::sched::step::Decided;
use nightcall::sched::time::{Timestamp, later};
use nightcall::store::{InForce, RunQuery, Store};
use nightcall::zones::Zones;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::heart::{Heart, Ran, load};
use crate::support::memory_store::MemoryStore;

/// Two days before the clocks go forward in Madrid; in New York they did three weeks ago.
const START: &str = "2026-03-27T09:59:30Z";

/// A schedule as it is written, or not.
fn schedule(name: &'static str) -> BoxedStrategy<String> {
    let times = select(vec![
        "cron = \"0 * * * *\"",
        "cron = \"15 * * * *\"",
        "cron = \"*/20 * * * *\"",
        "cron = \"15 2 * * *\"",
        "cron = \"30 2 * * *\"",
        "cron = [\"30 2 * * *\", \"0 */3 * * *\"]",
        "cron = \"H 1-5 * * *\"",
        "cron = \"0 9-17 * * MON-FRI\"",
        "every = \"45m\"",
        "every = \"3h\"",
    ]);
    let zone = select(vec![
        "Europe/Madrid",
        "UTC",
        "America/New_York",
        "Pacific/Auckland",
    ]);
    let more = select(vec![
        "",
        "jitter = \"7m\"",
        "dst_gap = \"skip\"",
        "exclude = [2026-03-29]",
        "until = 2026-03-29T12:00:00",
    ]);
    let other = select(vec![
        "",
        "timeout = \"2h\"",
        "priority = 3",
        "overlap = \"buffer_one\"",
        "misfire = \"none\"",
        "enabled = false",
    ]);
    let sets = select(vec![
        "",
        "set.x = { n = 1 }\nset.y = { n = 2 }",
        "set.x = { n = 3 }",
    ]);
    let connection = select(vec!["one", "two"]);
    let call = select(vec!["long", "short"]);
    (times, zone, more, other, sets, connection, call)
        .prop_map(move |(times, zone, more, other, sets, connection, call)| {
            format!(
                "[schedule.{name}]\n{times}\ntimezone = \"{zone}\"\n{more}\n{other}\n\
                 connection = \"{connection}\"\nprocedure = \"p.d.{call}(n)\"\n\
                 parameters = {{ n = 0 }}\n{sets}\n"
            )
        })
        .boxed()
}

const CONNECTIONS: [&str; 2] = ["one", "two"];

/// A configuration with few schedules. Connections that nothing names may be left out.
fn configuration() -> BoxedStrategy<String> {
    let schedules = ["a", "b", "c"].map(|name| option::weighted(0.8, schedule(name)));
    (schedules, any::<bool>())
        .prop_map(|(schedules, all)| {
            let schedules: String = schedules.into_iter().flatten().collect();
            let named = |name: &&str| schedules.contains(&format!("connection = \"{name}\""));
            let there = CONNECTIONS.iter().filter(|name| all || named(name));
            let there = there.map(|name| {
                format!(
                    "[connection.{name}]\nbase_url = \"https://{name}.example.com\"\n\
                     provider = \"bigquery\"\ntoken = {{ env = \"T\" }}\n"
                )
            });
            there.collect::<String>() + &schedules
        })
        .boxed()
}

/// Mostly the same schedules, some of them written anew.
fn edited() -> BoxedStrategy<(String, String)> {
    (configuration(), configuration())
        .prop_flat_map(|(before, other)| {
            let kept = vec(any::<bool>(), 3);
            (Just(before), Just(other), kept)
        })
        .prop_map(|(before, other, kept)| {
            let mut after = String::new();
            for (name, keep) in ["a", "b", "c"].iter().zip(kept) {
                let from = if keep { &before } else { &other };
                after.push_str(table(from, &format!("schedule.{name}")));
            }
            for name in CONNECTIONS {
                let key = format!("connection.{name}");
                let needed = after.contains(&format!("connection = \"{name}\""));
                let either = [table(&other, &key), table(&before, &key)];
                let found = either.into_iter().find(|text| !text.is_empty());
                if needed || !table(&other, &key).is_empty() {
                    after.insert_str(0, found.unwrap_or_default());
                }
            }
            (before, after)
        })
        .boxed()
}

/// A table of a text with everything below it; empty when it is not there.
fn table<'t>(text: &'t str, name: &str) -> &'t str {
    let Some(at) = text.find(&format!("[{name}]\n")) else {
        return "";
    };
    let rest = &text[at..];
    let end = rest[1..].find("\n[").map_or(rest.len(), |end| end + 2);
    &rest[..end]
}

/// What people do before the reload, and after how many minutes.
fn acts() -> BoxedStrategy<Vec<(u64, Act)>> {
    let name = || select(vec!["a", "b", "c"]).prop_map(|n| ScheduleName::new(n).unwrap());
    let scope = prop_oneof![1 => Just(Scope::All), 3 => name().prop_map(Scope::Schedule)];
    let until = option::of((0..4000_u64).prop_map(|m| after(START, 300 + m)));
    let what = prop_oneof![
        (1..9_u32).prop_map(SkipWhat::Next),
        (28..31_i8).prop_map(|day| SkipWhat::On(jiff::civil::date(2026, 3, day))),
        (1..90_u64).prop_map(|hour| SkipWhat::At(after("2026-03-27T10:00:00Z", hour * 60))),
    ];
    let act = prop_oneof![
        (scope, until).prop_map(|(scope, until)| Act::Pause { scope, until }),
        (name(), what).prop_map(|(schedule, what)| Act::Skip {
            schedule,
            set: None,
            what
        }),
    ];
    vec((1..200_u64, act), 0..3).boxed()
}

fn after(time: &str, minutes: u64) -> Timestamp {
    later(time.parse().unwrap(), Duration::from_secs(minutes * 60))
}

/// A life up to the moment of the reload.
fn lived(store: &MemoryStore, config: &Config, acts: &[(u64, Act)], now: Timestamp) -> Heart {
    let start = START.parse().unwrap();
    let mut heart = Heart::start(Arc::new(store.clone()), config, start);
    let mut at = start;
    for (minutes, act) in acts {
        at = later(at, Duration::from_secs(minutes * 60)).min(now);
        heart.until(at);
        // One that is refused is none.
        heart.act(act.clone());
    }
    heart.until(now);
    heart
}

/// What the command reads from a database.
fn running(store: &MemoryStore, coming: &Coming) -> Running {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let zones = Zones::load();
    let zones = |name: &str| zones.get(name);
    let saved = runtime.block_on(store.load()).unwrap();
    let stored = InForce {
        mark: saved.mark,
        series: saved.series,
        live: saved.live.into_iter().map(|(run, _)| run).collect(),
        pauses: saved.pauses,
        skips: saved.skips,
    };
    let mut running = Running::of(stored, coming, &zones);
    let mut lately = Vec::new();
    for SeriesId { schedule, set } in running.retimed(coming) {
        let query = RunQuery {
            schedule: Some(schedule),
            set: Some(set),
            ..RunQuery::default()
        };
        let runs = runtime.block_on(store.runs(query)).unwrap();
        let planned = runs
            .into_iter()
            .filter(|r| r.id.kind == RunKind::Generation(0));
        lately.extend(planned.map(|run| {
            let decided = Decided {
                run: run.id.clone(),
                civil: run.civil,
                fold: run.fold,
            };
            (decided, run.definition)
        }));
    }
    running.remember(lately, &zones);
    running
}

/// What runs after the moment of the reload and within the span.
fn runs_of(heart: &Heart, span: Span) -> BTreeSet<Ran> {
    let within = |ran: &&Ran| ran.1 > span.now && ran.1 <= span.until;
    let ran = heart.decided.iter().filter(|(_, passed)| passed.is_none());
    ran.map(|(ran, _)| ran).filter(within).cloned().collect()
}

/// What runs without the reload, changed as announced.
fn announced(mut runs: BTreeSet<Ran>, changes: &Changes) -> BTreeSet<Ran> {
    for change in &changes.series {
        let series = &change.series;
        let mut take = |a: &nightcall::cli::plan::span::Announced| {
            runs.retain(|(of, at, _)| !(of == series && *at == a.occurrence.instant));
        };
        for found in &change.difference.first {
            match found {
                Move::Removed(a) | Move::Moved(a, _) => take(a),
                Move::Added(_) => {}
            }
        }
        for found in &change.difference.first {
            match found {
                Move::Added(a) | Move::Moved(_, a) if a.passes.is_none() => {
                    runs.insert((series.clone(), a.occurrence.instant, a.due));
                }
                _ => {}
            }
        }
    }
    runs
}

fn written(text: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightcall.toml");
    std::fs::write(&path, text).unwrap();
    let config = load(&path);
    (folder, config)
}

fn play(before: &str, after: &str, acts: &[(u64, Act)], now: Timestamp, days: u64) {
    let ((_a, before), (_b, after)) = (written(before), written(after));
    let span = Span {
        now,
        until: later(now, Duration::from_secs(days * 86_400)),
    };
    let (store, other) = (MemoryStore::default(), MemoryStore::default());
    let mut reloads = lived(&store, &before, acts, now);
    let mut stays = lived(&other, &before, acts, now);
    let coming = Coming::of(&after);
    let changes = Changes::of(&running(&store, &coming), &coming, span, usize::MAX);
    let answer = reloads.reload(&after);
    match (&answer, &changes.refused) {
        (Acted::Refused { message, .. }, Some((connection, run))) => {
            let told = format!("connection {connection} is no longer there, and {run} needs it");
            assert_eq!(*message, told);
        }
        (Acted::Done { .. }, None) => {
            let again = Changes::of(&running(&store, &coming), &coming, span, 1);
            assert!(!again.is_any(), "after the reload: {:#?}", again.series);
        }
        told => panic!("{told:?}"),
    }
    reloads.until(span.until);
    stays.until(span.until);
    let without = runs_of(&stays, span);
    let with = runs_of(&reloads, span);
    let expected = match changes.refused {
        Some(_) => without,
        None => announced(without, &changes),
    };
    assert_eq!(expected, with, "announced (left) and what runs (right)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_plan_announces_is_what_the_heart_does_after_the_reload(
        (before, after) in edited(),
        acts in acts(),
        minutes in 0..1800_u64,
        seconds in 0..60_u64,
        days in 1..4_u64,
    ) {
        let now = later(self::after(START, minutes), Duration::from_secs(seconds));
        play(&before, &after, &acts, now, days);
    }
}

// ---- by hand -------------------------------------------------------------------------------------------------------

/// One schedule with these lines, played to a time; what it announces.
fn told(before: &str, after: &str, acts: &[(u64, Act)], now: &str) -> String {
    let whole = |lines: &str| {
        format!(
            "[connection.one]\nbase_url = \"https://one.example.com\"\nprovider = \"bigquery\"\n\
             token = {{ env = \"T\" }}\n[defaults]\nconnection = \"one\"\n{lines}\n"
        )
    };
    let (before, after) = (whole(before), whole(after));
    play(&before, &after, acts, now.parse().unwrap(), 1);
    let ((_a, before), (_b, after)) = (written(&before), written(&after));
    let now = now.parse().unwrap();
    let span = Span {
        now,
        until: later(now, Duration::from_secs(86_400)),
    };
    let store = MemoryStore::default();
    lived(&store, &before, acts, now);
    let coming = Coming::of(&after);
    let changes = Changes::of(&running(&store, &coming), &coming, span, usize::MAX);
    let short = |a: &nightcall::cli::plan::span::Announced| {
        let passes = a.passes.map_or("", |reason| reason.word());
        format!("{}{passes}", a.due.strftime("%H:%M"))
    };
    let moves = changes.series.iter().flat_map(|c| &c.difference.first);
    let moves: Vec<String> = moves
        .map(|found| match found {
            Move::Added(a) => format!("+{}", short(a)),
            Move::Removed(a) => format!("-{}", short(a)),
            Move::Moved(a, b) => format!("{}>{}", short(a), short(b)),
        })
        .collect();
    moves.join(" ")
}

fn plain(times: &str) -> String {
    format!("[schedule.a]\n{times}\nprocedure = \"p.d.a()\"")
}

#[test]
fn a_nominal_time_that_ran_today_does_not_run_again_in_a_zone_further_west() {
    let daily = |zone: &str| plain(&format!("cron = \"15 12 * * *\"\ntimezone = \"{zone}\""));
    let said = told(
        &daily("Europe/Madrid"),
        &daily("America/New_York"),
        &[],
        "2026-03-27T12:00:00Z",
    );
    // At 12:15 in New York it would be 16:15; that of today is on record, and that of tomorrow is beyond the span.
    assert_eq!(said, "-11:15");
}

#[test]
fn a_period_has_no_nominal_times_to_be_remembered() {
    let zone = "timezone = \"America/New_York\"";
    let said = told(
        &plain("every = \"12h\""),
        &plain(&format!("cron = \"0 12 * * *\"\n{zone}")),
        &[],
        "2026-03-27T12:30:00Z",
    );
    assert_eq!(said, "00:00>16:00 -12:00");
}

#[test]
fn wishes_to_skip_count_the_new_times() {
    let skip = Act::Skip {
        schedule: ScheduleName::new("a").unwrap(),
        set: None,
        what: SkipWhat::Next(2),
    };
    let said = told(
        &plain("cron = \"0 */6 * * *\""),
        &plain("cron = \"0 */3 * * *\""),
        &[(1, skip)],
        "2026-03-27T13:00:00Z",
    );
    // One was counted at 12:00; the other was that of 18:00 and is that of 15:00.
    assert_eq!(said, "+15:00asked +18:00 +21:00 +03:00 +09:00");
}

#[test]
fn a_schedule_that_is_switched_off_runs_no_more_and_one_under_another_name_begins() {
    let on = plain("cron = \"0 6 * * *\"");
    let off = plain("cron = \"0 6 * * *\"\nenabled = false");
    assert_eq!(told(&on, &off, &[], "2026-03-27T13:00:00Z"), "-06:00");
    let renamed = on.replace("schedule.a", "schedule.b");
    assert_eq!(
        told(&on, &renamed, &[], "2026-03-27T13:00:00Z"),
        "-06:00 +06:00"
    );
}
