//! Another configuration takes the place of the present one while runs are live.

use nightcall::sched::act::SkipWhat;
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::RunState;
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::Input;

use crate::setup::{
    Config, With, at, carto, cron, every, hourly, mins, permanent, secs, series, target, times,
    transient, unauthorized, unreachable,
};
use crate::sim::{Kill, Sim, by_hand, denied, done, made, refused};
use crate::vendor::{Life, Op, Passage};

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const CANCELLED: Option<Outcome> = Some(Outcome::Cancelled);

fn long_runs(config: Config) -> Sim {
    Sim::with_vendor(config, |v| v.usual = Some(Life::succeeds(mins(20))))
}

fn reloaded(config: Config, at: &str, new: Config) -> Sim {
    let mut sim = Sim::new(config);
    sim.run_to(at);
    done(sim.reload(new));
    sim
}

#[test]
fn times_up_to_now_are_decided_by_the_former_trigger_and_later_ones_by_the_new() {
    let new = Config::of([cron("a", "15 * * * *")]);
    let mut sim = reloaded(Config::of([hourly("a")]), "02:30", new);
    sim.run_to("04:05");
    assert!(!sim.has_run("a", "02:15"), "nothing of the past fires");
    assert!(!sim.has_run("a", "03:00") && sim.has_run("a", "02:00"));
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 3]);
    assert_eq!(sim.outcome("a", "03:15"), SUCCEEDED);
    sim.store.check_coverage();
}

#[test]
fn a_time_that_is_due_at_the_very_moment_is_decided_before_the_reload() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59:59");
    // The clock moves before anything wakes the daemon.
    sim.step_clock(1);
    done(sim.reload(Config::of([cron("a", "30 5 * * *")])));
    sim.run_to("01:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
}

#[test]
fn submissions_and_questions_under_way_go_on_without_a_doubt() {
    let mut sim = long_runs(Config::of([hourly("a"), hourly("b")]));
    sim.run_to("00:59:59");
    sim.run_until("a submission is under way", |sim| {
        sim.has_run("a", "01:00") && sim.state("a", "01:00") == "submitting"
    });
    let edited = hourly("a").with(|d| d.query = "CALL other()".into());
    done(sim.reload(Config::of([hourly("z"), edited])));
    assert_eq!(sim.state("a", "01:00"), "submitting");
    sim.run_to("01:10");
    for name in ["a", "b"] {
        assert_eq!(sim.story(name, "01:00"), "planned submitting accepted");
    }
    done(sim.reload(Config::of([hourly("a"), hourly("b")])));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 2]);
    assert_eq!(
        sim.vendor
            .jobs
            .iter()
            .filter(|j| j.query == "CALL a()")
            .count(),
        2
    );
    assert_eq!(sim.snapshot().strays, 0);
}

#[test]
fn a_live_run_keeps_its_definition_and_later_ones_have_the_new() {
    let mut sim = long_runs(Config::of([hourly("a")]));
    sim.run_to("01:10");
    let edited = hourly("a").with(|d| (d.query, d.timeout) = ("CALL b()".into(), mins(5)));
    done(sim.reload(Config::of([edited])));
    sim.run_to("02:30");
    assert_eq!(
        sim.outcome("a", "01:00"),
        SUCCEEDED,
        "by its own time limit"
    );
    assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::TimedOut));
    assert_eq!(&*sim.run("a", "01:00").definition.query, "CALL a()");
}

#[test]
fn a_series_that_is_removed_is_closed_what_waits_ends_and_what_runs_is_watched() {
    let mut sim = long_runs(Config::of([hourly("a"), hourly("b"), hourly("c")]));
    sim.run_to("00:59");
    sim.config.connections[0].max_in_flight = 1;
    let one = sim.config.clone();
    done(sim.reload(one.clone()));
    sim.run_to("01:10");
    assert_eq!(
        ["a", "b", "c"].map(|n| sim.state(n, "01:00")),
        ["running", "pending", "pending"]
    );
    let new = Config {
        definitions: vec![hourly("c")],
        ..one
    };
    done(sim.reload(new));
    assert_eq!(sim.outcome("b", "01:00"), CANCELLED);
    let answer = refused(sim.fire(by_hand("a", "k")));
    assert!(answer.contains("no schedule called a"), "{answer}");
    sim.run_to("02:10");
    assert_eq!(
        (sim.outcomes("a"), sim.outcomes("b")),
        (vec![SUCCEEDED], vec![CANCELLED])
    );
    assert_eq!(sim.outcome("c", "01:00"), SUCCEEDED);
    assert!(!sim.store.open.contains_key(&series("a")));
    sim.store.check_coverage();
}

#[test]
fn a_name_that_returns_is_new_and_its_live_run_counts() {
    let mut sim = long_runs(Config::of([hourly("a")]));
    sim.run_to("01:10");
    done(sim.reload(Config::of([])));
    sim.run_to("01:12");
    done(sim.reload(Config::of([every("a", mins(5))])));
    sim.run_to("01:50");
    let busy = Some(Outcome::Skipped(SkipReason::Busy));
    assert_eq!(
        (sim.outcome("a", "01:15"), sim.outcome("a", "01:25")),
        (busy, SUCCEEDED)
    );
    assert!(!sim.has_run("a", "01:10"));
    sim.store.check_coverage();
}

#[test]
fn a_series_that_is_added_has_no_past_and_one_that_stays_keeps_its_next_time() {
    let new = Config::of([hourly("n"), hourly("a")]);
    let mut sim = reloaded(Config::of([hourly("a")]), "01:30", new);
    assert_eq!(sim.snapshot().next.len(), 2);
    sim.run_to("02:30");
    assert_eq!(
        (sim.outcomes("a"), sim.outcomes("n")),
        (vec![SUCCEEDED; 2], vec![SUCCEEDED])
    );
    sim.store.check_coverage();
}

#[test]
fn a_schedule_that_is_switched_off_says_so_at_once() {
    let off = Config::of([]).with(|c| c.disabled = vec![series("a").schedule]);
    let mut sim = reloaded(Config::of([hourly("a")]), "01:30", off);
    assert!(refused(sim.fire(by_hand("a", "k"))).contains("switched off"));
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED]);
}

#[test]
fn a_nominal_time_that_ran_does_not_run_again_under_another_zone() {
    let zoned = |zone: &str| cron("a", "15 2 * * *").with(|d| times(d).zone = zone.into());
    let mut sim = reloaded(
        Config::of([zoned("Europe/Madrid")]),
        "01:30",
        Config::of([zoned("UTC")]),
    );
    sim.run_to("+1d 03:00");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 2], "02:15 of each day once");
    assert!(sim.has_run("a", "01:15") && sim.has_run("a", "+1d 02:15"));
}

// ---- connections ---------------------------------------------------------------------------------------------------

fn named(connection: &str) -> impl Fn(&mut Definition) {
    let name = nightcall::sched::id::ConnectionName::new(connection).unwrap();
    move |d| (d.connection, d.target) = (name.clone(), target("other"))
}

fn other() -> nightcall::sched::schedule::ConnectionLimits {
    let name = nightcall::sched::id::ConnectionName::new("other").unwrap();
    carto().with(|c| (c.name, c.target) = (name, target("other")))
}

#[test]
fn a_connection_that_a_live_run_needs_cannot_be_removed_and_then_nothing_changes() {
    let mut sim = long_runs(Config::of([hourly("a")]));
    sim.run_to("01:10");
    let gone = || {
        let moved = hourly("a").with(|d| named("other")(d));
        Config::of([moved]).with(|c| c.connections = vec![other()])
    };
    let before = sim.store.clone();
    let answer = denied(sim.reload(gone()));
    assert!(
        answer.contains("connection carto") && answer.contains("[connection.carto]"),
        "{answer}"
    );
    let told = sim.notices(NoticeKind::Reload);
    assert!(
        told.len() == 1 && told[0].body.contains(&answer[..20]),
        "{told:?}"
    );
    assert!(denied(sim.reload(gone())).contains("connection carto"));
    assert_eq!(sim.notices(NoticeKind::Reload).len(), 1, "told once");
    assert!(sim.snapshot().not_reloaded.is_some());
    let (is, was) = (&sim.store, &before);
    assert_eq!(
        format!("{:?}", (&is.open, &is.runs)),
        format!("{:?}", (&was.open, &was.runs))
    );
    assert_eq!(is.deeds, was.deeds);
    sim.run_to("01:30");
    done(sim.reload(gone()));
    assert!(sim.snapshot().not_reloaded.is_none());
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 2]);
    assert_eq!(sim.run("a", "02:00").definition.connection, other().name);
}

#[test]
fn a_connection_that_only_runs_need_that_end_now_may_go() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:59");
    sim.vendor.down(unreachable());
    sim.run_to("01:05");
    let new = Config::of([hourly("b").with(|d| named("other")(d))]);
    done(sim.reload(new.with(|c| c.connections = vec![other()])));
    assert_eq!(sim.outcomes("a"), [CANCELLED]);
    sim.vendor.up();
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("b"), [SUCCEEDED]);
}

#[test]
fn a_live_run_keeps_the_address_that_it_was_submitted_to() {
    let mut sim = long_runs(Config::of([hourly("a")]));
    sim.run_to("01:10");
    let mut new = sim.config.clone();
    new.connections[0].target = target("moved");
    new.definitions[0].target = target("moved");
    done(sim.reload(new));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 2]);
    assert_eq!(sim.run("a", "01:00").definition.target, target("carto"));
    assert_eq!(sim.run("a", "02:00").definition.target, target("moved"));
}

#[test]
fn a_former_address_is_left_alone_once_nothing_needs_it() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::succeeds(mins(10)));
    });
    sim.run_to("01:05");
    let moved = || nightcall::sched::call::Target {
        base_url: "https://new.example".into(),
        ..target("carto")
    };
    done(sim.reload(sim.config.clone().with(|c| {
        c.connections[0].target = moved();
        c.definitions[0].target = moved();
    })));
    assert_eq!(sim.snapshot().connections.len(), 2);
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
    assert_eq!(sim.snapshot().connections.len(), 1);
    let former = target("carto").base_url;
    sim.vendor.down_host = Some((former.to_string(), unreachable()));
    sim.handle(Input::Doctor);
    sim.run_to("02:30");
    assert!(sim.notices(NoticeKind::Incident).is_empty());
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 2]);
}

#[test]
fn changed_limits_hold_from_now_on() {
    let schedules = || (0..6).map(|n| hourly(&format!("s{n}")));
    let mut sim = long_runs(Config::of(schedules()).with(|c| c.connections[0].max_in_flight = 1));
    sim.run_to("01:10");
    let running = |sim: &Sim| sim.snapshot().live.get("running").copied().unwrap_or(0);
    assert_eq!(running(&sim), 1);
    let limit = |n| Config::of(schedules()).with(|c| c.connections[0].max_in_flight = n);
    done(sim.reload(limit(4)));
    sim.run_to("01:11");
    assert_eq!(running(&sim), 4);
    let slow = limit(4).with(|c| c.connections[0].requests_per_minute = 20);
    done(sim.reload(slow));
    // The simulation itself counts what leaves in any minute.
    sim.run_to("03:00");
    sim.store.check_coverage();
}

#[test]
fn a_connection_that_did_not_work_is_tried_at_once() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:30");
    sim.vendor.down(unauthorized());
    sim.run_to("01:20");
    sim.vendor.up();
    let asked = sim.vendor.asked.len();
    done(sim.reload(Config::of([hourly("a")])));
    assert_eq!(sim.vendor.asked.len(), asked + 1);
    sim.run_for(secs(5));
    assert_eq!(sim.state("a", "01:00"), "running");
}

#[test]
fn what_is_remembered_of_a_connection_proves_absence_also_after_a_reload() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    done(sim.reload(Config::of([hourly("a"), hourly("b")])));
    sim.run_to("01:59:59");
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:30");
    let story = sim.story("a", "02:00");
    assert!(story.contains("in_doubt absent"), "{story}");
    assert_eq!(sim.outcome("a", "02:00"), SUCCEEDED);
}

#[test]
fn a_run_in_doubt_is_looked_for_on_and_expires_by_its_own_time() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:59:59");
    sim.vendor.next(Op::Submit, Passage::lost_request());
    sim.run_to("02:00:40");
    let before = sim.run("a", "02:00").state.clone();
    assert!(matches!(before, RunState::InDoubt { .. }));
    done(sim.reload(Config::of([hourly("a").with(|d| d.priority = 3)])));
    assert_eq!(
        sim.run("a", "02:00").state,
        before,
        "no new doubt is caused"
    );
    sim.run_to("02:30");
    let story = sim.story("a", "02:00");
    assert!(
        story.starts_with("planned submitting in_doubt absent submitting"),
        "{story}"
    );
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (SUCCEEDED, 1)
    );
}

#[test]
fn jobs_that_are_being_stopped_and_retries_that_wait_go_on() {
    let config = Config::of([
        hourly("a").with(|d| d.timeout = mins(10)),
        hourly("b").with(|d| d.policies.retry.backoff = mins(15)),
    ]);
    let mut sim = Sim::new(config);
    sim.vendor.lives_of.push(("CALL a", Life::endless()));
    sim.vendor
        .lives_of
        .push(("CALL b", Life::fails(secs(5), transient())));
    sim.run_until("one is being stopped", |sim| {
        sim.has_run("a", "01:00") && sim.state("a", "01:00") == "cancelling"
    });
    sim.vendor.lives_of.clear();
    let same = sim.config.clone();
    done(sim.reload(same));
    sim.run_to("01:40");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    assert_eq!(
        (sim.outcome("b", "01:00"), sim.jobs("b", "01:00")),
        (SUCCEEDED, 2)
    );
}

#[test]
fn a_series_that_is_occupied_stays_so() {
    let mut sim = Sim::new(Config::of([hourly("z"), hourly("a")]));
    sim.vendor
        .lives_of
        .push(("CALL a", Life::endless().gone(mins(3), mins(600))));
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    done(sim.reload(Config::of([hourly("a")])));
    sim.run_to("02:30");
    let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
    assert_eq!(sim.outcome("a", "02:00"), unknown);
    assert_eq!(sim.snapshot().occupied.len(), 1);
}

#[test]
fn a_connection_that_is_added_takes_no_finished_job_for_an_unknown_one() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:01:10");
    assert_eq!(sim.outcome("a", "01:00"), SUCCEEDED);
    let old = sim.config.clone();
    // Its list is that of the same host.
    let more = old.clone().with(|c| c.connections.push(other()));
    let moved = old.clone().with(|c| {
        c.connections[0].target = target("moved");
        c.definitions[0].target = target("moved");
    });
    for config in [more, moved, old] {
        done(sim.reload(config));
        sim.run_for(secs(10));
    }
    sim.run_to("01:10");
    let told = sim.notices(NoticeKind::Adopted);
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn what_has_ended_stays_so_when_its_schedule_and_connection_return() {
    let once = |config: Config| config.with(|c| c.definitions[0].policies.retry.attempts = 1);
    for (life, end) in [
        (Life::succeeds(secs(5)), SUCCEEDED),
        (Life::fails(secs(5), transient()), Some(Outcome::Failed)),
    ] {
        let mut sim = Sim::new(once(Config::of([hourly("a")])));
        sim.vendor.lives.push_back(life);
        sim.run_to("01:00:30");
        assert_eq!(sim.outcome("a", "01:00"), end);
        done(sim.reload(Config::of([]).with(|c| c.connections = vec![])));
        sim.run_for(secs(10));
        // With another attempt allowed, a run that is taken in again would have one.
        done(sim.reload(Config::of([hourly("a")])));
        sim.run_to("01:30");
        assert_eq!(
            (sim.outcome("a", "01:00"), sim.jobs("a", "01:00")),
            (end, 1)
        );
        assert!(sim.notices(NoticeKind::Adopted).is_empty());
    }
}

#[test]
fn a_name_that_returns_is_occupied_as_long_as_its_lost_job_may_live() {
    let both = || Config::of([hourly("z"), hourly("a")]);
    let without = || Config::of([hourly("z")]);
    // Gone and back by reloads, by starts, or gone over a start and back by a reload.
    for starts in [[false, false], [true, true], [true, false], [false, true]] {
        let mut sim = Sim::new(both());
        sim.vendor
            .lives_of
            .push(("CALL a", Life::endless().gone(mins(3), mins(600))));
        sim.run_to("01:30");
        assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
        for (start, config) in starts.into_iter().zip([without(), both()]) {
            match start {
                true => {
                    sim.stop();
                    sim.config = config;
                    sim.start();
                }
                false => drop(done(sim.reload(config))),
            }
            sim.run_for(mins(5));
        }
        sim.run_to("02:05");
        let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
        assert_eq!(sim.outcome("a", "02:00"), unknown, "by starts: {starts:?}");
    }
}

#[test]
fn a_name_that_returns_is_occupied_also_by_a_job_that_was_lost_meanwhile() {
    let mut sim = Sim::new(Config::of([hourly("z"), hourly("a")]));
    sim.vendor
        .lives_of
        .push(("CALL a", Life::endless().gone(mins(10), mins(600))));
    sim.run_to("01:05");
    done(sim.reload(Config::of([hourly("z")])));
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
    done(sim.reload(Config::of([hourly("z"), hourly("a")])));
    sim.run_to("02:30");
    let unknown = Some(Outcome::Skipped(SkipReason::PredecessorUnknown));
    assert_eq!(sim.outcome("a", "02:00"), unknown);
}

// ---- acts over a reload --------------------------------------------------------------------------------------------

#[test]
fn pauses_and_wishes_to_skip_outlast_a_reload_and_go_with_their_series() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b"), hourly("c")]));
    done(sim.pause("a", None));
    done(sim.skip("b", SkipWhat::Next(2)));
    done(sim.pause("c", None));
    done(sim.skip("c", SkipWhat::Next(2)));
    sim.run_to("01:30");
    done(sim.reload(Config::of([
        cron("b", "15 * * * *"),
        cron("a", "15 * * * *"),
    ])));
    sim.run_to("03:30");
    let paused = Some(Outcome::Skipped(SkipReason::Paused));
    let asked = Some(Outcome::Skipped(SkipReason::Asked));
    assert_eq!(sim.outcomes("a"), [paused; 3]);
    assert_eq!(sim.outcomes("b"), [asked, asked, SUCCEEDED]);
    assert_eq!((sim.store.pauses.len(), sim.store.skips.len()), (1, 0));
    sim.store.check_coverage();
}

#[test]
fn a_set_that_takes_the_place_of_another_is_paused_with_its_schedule() {
    let mut sim = Sim::new(Config::of([hourly("a/x")]));
    done(sim.pause("a", None));
    done(sim.reload(Config::of([hourly("a/y")])));
    sim.run_to("01:30");
    assert_eq!(
        sim.outcomes("a/y"),
        [Some(Outcome::Skipped(SkipReason::Paused))]
    );
}

#[test]
fn what_passed_before_a_reload_is_caught_up_after_it() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    sim.run_to("01:30");
    done(sim.reload(Config::of([
        hourly("a").with(|d| d.query = "CALL b()".into()),
    ])));
    let runs = done(sim.resume("a", true));
    assert_eq!(runs.len(), 1);
    sim.run_to("01:50");
    assert_eq!(sim.vendor.jobs[0].query, "CALL b()");
}

// ---- when it is refused, and when it is cut short ------------------------------------------------------------------

#[test]
fn while_the_clock_is_in_doubt_or_the_past_is_undecided_a_reload_waits() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("00:30");
    sim.step_clock(2 * 3600);
    let same = || Config::of([hourly("a")]);
    assert!(denied(sim.reload(same())).contains("in doubt"));
    sim.step_clock(-2 * 3600);
    done(sim.reload(same()));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to("02:30");
    sim.vendor.down(unreachable());
    sim.start();
    sim.run_to("02:30:10");
    assert!(denied(sim.reload(same())).contains("just started"));
    sim.run_to("02:31");
    done(sim.reload(same()));
    sim.vendor.up();
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 3]);
}

/// Before the change: a success, a failure, a run in flight, one that waits; and what becomes of all.
fn changed(how: &str, kill: Option<Kill>) -> Sim {
    let names = ["edited", "kept", "removed", "retimed"];
    let mut sim = Sim::new(Config::of(names.map(hourly)));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(5), permanent()));
    sim.run_to("01:30");
    done(sim.skip("kept", SkipWhat::At(at("03:00"))));
    done(sim.pause("removed", None));
    made(sim.fire(by_hand("kept", "k")));
    sim.run_to("01:40");
    let new = Config::of([
        hourly("added"),
        hourly("edited").with(|d| d.query = "CALL e()".into()),
        hourly("kept"),
        cron("retimed", "10,50 * * * *"),
    ]);
    match how {
        "reload" => {
            sim.downtime = secs(2);
            sim.kill = kill.map(|point| (sim.steps + 1, point));
            if sim.reload(new.clone()).is_none() && sim.config.definitions.len() == names.len() {
                sim.wait_until_running();
                // Whoever asked and was cut short before it was stored asks again when he has no answer.
                sim.run_for(mins(1));
                if !sim.store.deeds.iter().any(|deed| deed.act == "reload") {
                    done(sim.reload(new));
                }
            }
        }
        _ => {
            sim.stop();
            sim.config = new;
            sim.start();
        }
    }
    sim.run_to("04:30");
    sim
}

fn state_of(sim: &Sim) -> (String, String) {
    let runs = sim.store.runs.values();
    let runs = runs.map(|row| {
        format!(
            "{} {:?} {}\n",
            row.run.id,
            row.run.outcome(),
            row.run.definition.query
        )
    });
    let open = sim
        .store
        .open
        .values()
        .map(|s| format!("{:?}\n", s.definition));
    let acts = format!("{:?} {:?}", sim.store.pauses.keys(), sim.store.skips.keys());
    (runs.collect(), open.collect::<String>() + &acts)
}

#[test]
fn a_reload_ends_where_a_stop_and_a_start_with_the_new_configuration_end() {
    let (reload, restart) = (changed("reload", None), changed("restart", None));
    assert_eq!(state_of(&reload), state_of(&restart));
    reload.store.check_coverage();
    restart.store.check_coverage();
    assert!(reload.has_run("retimed", "01:50") && !reload.has_run("added", "01:00"));
}

#[test]
fn a_kill_at_any_point_of_a_reload_leaves_the_former_configuration_or_the_new_one() {
    let expected = state_of(&changed("reload", None));
    for point in [Kill::BeforeCommit, Kill::AfterCommit, Kill::AfterEffects(0)] {
        let sim = changed("reload", Some(point));
        assert_eq!(sim.kills, 1);
        assert_eq!(state_of(&sim), expected, "{point:?}");
        sim.store.check_coverage();
    }
}

#[test]
fn a_reload_is_on_record_and_one_without_a_change_changes_nothing_else() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.run_to("01:30:30");
    let before = (sim.store.open.clone(), sim.store.runs.len());
    let same = sim.config.clone();
    done(sim.reload(same));
    assert_eq!((sim.store.open.clone(), sim.store.runs.len()), before);
    let deed = sim.store.deeds.last().unwrap();
    assert_eq!((deed.act.as_str(), deed.by.who()), ("reload", "uid 1000"));
    assert!(
        deed.said.contains("2 series") && deed.said.contains("0 added"),
        "{}",
        deed.said
    );
}
