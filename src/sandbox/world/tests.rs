//! The world in virtual time.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::job::Phase;
use super::*;

fn at(seconds: u64) -> Timestamp {
    "2026-03-01T06:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(seconds)
}

fn secs(seconds: u64) -> Span {
    Duration::from_secs(seconds).into()
}

fn order(run: &str, clusters: Value) -> Order {
    Order {
        connection: "carto_dw".into(),
        query: "CALL `p.d.wf`(@clusters)".into(),
        parameters: json!({ "clusters": clusters }),
        metadata: Some(json!({ "app": "x", "run": run, "attempt": 1 })),
        by_url: false,
    }
}

fn known(script: Script) -> Scenario {
    Scenario::default().procedure(Procedure::new("p.d.wf(clusters INT64)", script).unwrap())
}

fn world(scenario: Scenario) -> World {
    World::new(scenario, at(0))
}

/// Creates a job and gives its id.
fn create(world: &mut World, order: &Order, now: Timestamp) -> String {
    world.create(order, now).unwrap().id.clone()
}

fn phase(world: &mut World, id: &str, now: Timestamp) -> Phase {
    world.read(id, now).unwrap().phase(now)
}

/// The reason with which a job has ended by now.
fn reason(world: &mut World, id: &str, now: Timestamp) -> String {
    match phase(world, id, now) {
        Phase::Ended(Ending::Fails(failure)) => failure.reason,
        other => panic!("not failed but {other:?}"),
    }
}

#[test]
fn a_job_is_invisible_then_pending_then_running_then_done() {
    let script = Script {
        visible_after: secs(3),
        pending: secs(5),
        ..Script::running(secs(60))
    };
    let mut world = world(known(script));
    let id = create(&mut world, &order("r", json!(1)), at(0));
    assert!(world.read(&id, at(2)).is_none());
    assert_eq!(phase(&mut world, &id, at(3)), Phase::Pending);
    assert_eq!(phase(&mut world, &id, at(5)), Phase::Running);
    assert_eq!(
        phase(&mut world, &id, at(65)),
        Phase::Ended(Ending::Success)
    );
}

#[test]
fn a_fast_world_shortens_the_lives_of_jobs() {
    let scenario = Scenario {
        speed: 60.0,
        ..known(Script::running(secs(60)))
    };
    let mut world = world(scenario);
    let id = create(&mut world, &order("r", json!(1)), at(0));
    assert_eq!(phase(&mut world, &id, at(0)), Phase::Running);
    assert!(phase(&mut world, &id, at(1)).is_final());
}

#[test]
fn time_never_goes_back() {
    let mut world = world(known(Script::running(secs(60))));
    let id = create(&mut world, &order("r", json!(1)), at(100));
    world.advance(at(50));
    assert_eq!(world.now(), at(100));
    assert!(world.read(&id, at(0)).is_some());
}

#[test]
fn each_run_has_its_own_list_of_endings() {
    let fails = Ending::fails("backendError");
    let script = Script::ending([fails.clone(), fails, Ending::Success]);
    let mut world = world(known(script));
    for run in ["a", "b"] {
        for well in [false, false, true, true] {
            let id = create(&mut world, &order(run, json!(1)), at(0));
            let Phase::Ended(ending) = phase(&mut world, &id, at(0)) else {
                panic!("not at once");
            };
            assert_eq!(ending.is_success(), well, "{run}");
        }
    }
}

#[test]
fn a_list_of_endings_can_be_shared_by_all_jobs() {
    let script = Script {
        endings_by: EndingsBy::Procedure,
        ..Script::ending([Ending::fails("backendError"), Ending::Success])
    };
    let mut world = world(known(script));
    let first = create(&mut world, &order("a", json!(1)), at(0));
    let second = create(&mut world, &order("b", json!(1)), at(0));
    assert_eq!(reason(&mut world, &first, at(0)), "backendError");
    assert_eq!(
        phase(&mut world, &second, at(0)),
        Phase::Ended(Ending::Success)
    );
}

#[test]
fn overlapping_calls_with_equal_values_collide() {
    let mut world = world(known(Script::running(secs(60))));
    let first = create(&mut world, &order("a", json!(1)), at(0));
    let equal = create(&mut world, &order("b", json!(1)), at(10));
    let other = create(&mut world, &order("c", json!(2)), at(10));
    let third = create(&mut world, &order("d", json!(1)), at(50));
    let after = create(&mut world, &order("e", json!(1)), at(60));
    let end = at(200);
    assert_eq!(reason(&mut world, &equal, end), "duplicate");
    assert_eq!(reason(&mut world, &third, end), "duplicate");
    for id in [first, other, after] {
        assert_eq!(phase(&mut world, &id, end), Phase::Ended(Ending::Success));
    }
}

#[test]
fn an_updated_signature_holds_for_the_calls_that_follow() {
    let mut world = world(known(Script::default()));
    let before = create(&mut world, &order("a", json!(1)), at(0));
    world.update("p.d.wf(clusters STRING)").unwrap();
    let after = create(&mut world, &order("b", json!(1)), at(1));
    assert!(phase(&mut world, &before, at(1)).is_final());
    assert_eq!(world.successes("a"), 1);
    assert_eq!(reason(&mut world, &after, at(1)), "invalidQuery");
}

#[test]
fn a_disabled_procedure_is_not_found_and_nothing_executes() {
    let mut world = world(known(Script::default()));
    assert!(world.enable("p.d.wf", false) && !world.enable("p.d.other", false));
    let id = create(&mut world, &order("a", json!(1)), at(0));
    let Phase::Ended(Ending::Fails(failure)) = phase(&mut world, &id, at(0)) else {
        panic!("it did not fail");
    };
    assert_eq!(failure.reason, "invalidQuery");
    assert!(
        failure.message.contains("not found: p.d.wf"),
        "{}",
        failure.message
    );
    assert_eq!(world.executions("a"), 0);
}

#[test]
fn unknown_procedures_work_unless_the_world_is_strict() {
    let mut order = order("a", json!(1));
    order.query = "CALL `p.d.mine`(@clusters)".into();
    for strict in [false, true] {
        let scenario = Scenario {
            strict,
            ..known(Script::default())
        };
        let mut world = world(scenario);
        create(&mut world, &order, at(0));
        assert_eq!(world.executions("a"), usize::from(!strict));
    }
    let mut world = world(Scenario::default());
    order.parameters = Value::Null;
    let id = create(&mut world, &order, at(0));
    assert_eq!(reason(&mut world, &id, at(0)), "invalidQuery");
}

#[test]
fn a_script_for_a_run_goes_before_that_of_the_procedure() {
    let scenario = known(Script::default()).run("stuck-one", Script::ending([Ending::Stuck]));
    let mut world = world(scenario);
    let stuck = create(&mut world, &order("s/stuck-one@2026", json!(1)), at(0));
    let other = create(&mut world, &order("s/other@2026", json!(2)), at(0));
    let years = at(100_000_000);
    assert_eq!(phase(&mut world, &stuck, years), Phase::Running);
    assert!(phase(&mut world, &other, years).is_final());
}

#[test]
fn cancelling_stops_comes_too_late_or_is_ignored() {
    let mut scenario = known(Script::running(secs(60)));
    scenario.cancel.takes = secs(5);
    let mut world = world(scenario);
    let stopped = create(&mut world, &order("a", json!(1)), at(0));
    let faster = create(&mut world, &order("b", json!(2)), at(0));
    assert_eq!(world.cancel(&stopped, at(10)), Cancelled::Taken);
    assert_eq!(phase(&mut world, &stopped, at(14)), Phase::Stopping);
    assert_eq!(reason(&mut world, &stopped, at(15)), "stopped");
    assert_eq!(world.cancel(&stopped, at(16)), Cancelled::Finished);
    assert_eq!(world.cancel(&faster, at(57)), Cancelled::Taken);
    assert_eq!(
        phase(&mut world, &faster, at(62)),
        Phase::Ended(Ending::Success)
    );
    assert_eq!(world.cancel("job_nobody", at(62)), Cancelled::Unknown);
    world.scenario.cancel.ignored = true;
    let ignored = create(&mut world, &order("c", json!(3)), at(100));
    assert_eq!(world.cancel(&ignored, at(101)), Cancelled::Taken);
    assert_eq!(
        phase(&mut world, &ignored, at(160)),
        Phase::Ended(Ending::Success)
    );
}

#[test]
fn the_list_lags_is_cut_and_asks_the_vendors_clock() {
    let mut scenario = known(Script::default());
    scenario.list.delay = secs(30);
    scenario.skew = SignedDuration::from_mins(-3);
    let mut world = world(scenario);
    let ids: Vec<String> = (0..3)
        .map(|n| create(&mut world, &order("a", json!(1)), at(n * 10)))
        .collect();
    let listed = |world: &mut World, since, now| -> Vec<String> {
        world
            .list(since, now)
            .iter()
            .map(|job| job.id.clone())
            .collect()
    };
    assert_eq!(listed(&mut world, None, at(29)), Vec::<String>::new());
    assert_eq!(listed(&mut world, None, at(40)), ids[..2]);
    assert_eq!(
        listed(&mut world, Some(at(0)), at(60)),
        Vec::<String>::new()
    );
    let three_minutes = Duration::from_secs(180);
    assert_eq!(
        listed(&mut world, Some(at(10) - three_minutes), at(60)),
        ids[1..]
    );
    world.scenario.list.ignores_created_since = true;
    assert_eq!(listed(&mut world, Some(at(0)), at(60)), ids);
    world.scenario.list.page = Some(1);
    assert_eq!(listed(&mut world, None, at(60)), ids[..1]);
    world.scenario.list.newest_first = true;
    assert_eq!(listed(&mut world, None, at(60)), ids[2..]);
}

#[test]
fn metadata_can_be_dropped_or_refused_and_the_oracle_still_sees_it() {
    let mut world = world(known(Script::default()));
    world.scenario.create.metadata = Metadata::Dropped;
    let id = create(&mut world, &order("a", json!(1)), at(0));
    assert_eq!(world.job(&id).unwrap().metadata, json!({}));
    assert_eq!(world.executions("a"), 1);
    world.scenario.create.metadata = Metadata::Refused;
    let refused = world.create(&order("b", json!(1)), at(0)).unwrap_err();
    assert_eq!(refused, Refusal::Metadata);
    assert_eq!(world.jobs().count(), 1);
}

#[test]
fn wrong_calls_can_be_refused_at_once() {
    let mut world = world(known(Script::default()));
    world.scenario.create.refuse_wrong_calls = true;
    let refused = world.create(&order("a", json!("x")), at(0)).unwrap_err();
    assert!(matches!(refused, Refusal::WrongCall(f) if f.message.contains("Cannot coerce")));
    let empty = Order::default();
    assert_eq!(world.create(&empty, at(0)).unwrap_err(), Refusal::NoQuery);
    assert_eq!(world.jobs().count(), 0);
}

#[test]
fn a_job_can_be_ended_or_forgotten_from_outside() {
    let mut world = world(known(Script::ending([Ending::Stuck])));
    let id = create(&mut world, &order("a", json!(1)), at(0));
    assert!(world.finish(&id, Ending::fails("timeout")));
    assert!(!world.finish(&id, Ending::Success), "it has ended");
    assert_eq!(reason(&mut world, &id, at(0)), "timeout");
    assert!(world.forget(&id).is_some());
    assert!(world.read(&id, at(1)).is_none());
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let ids = |seed| -> Vec<(String, Option<Timestamp>)> {
        let scenario = known(Script::running(Span::between(
            Duration::from_secs(1),
            Duration::from_secs(99),
        )));
        let mut world = world(scenario.seed(seed));
        (0..5)
            .map(|n| {
                let job = world.create(&order("a", json!(n)), at(n)).unwrap();
                (job.id.clone(), job.ends)
            })
            .collect()
    };
    assert_eq!(ids(4), ids(4));
    assert_ne!(ids(4), ids(5));
}

#[test]
fn memory_is_bounded() {
    let mut world = world(Scenario::default());
    let select = Order {
        query: "SELECT 1".into(),
        ..Order::default()
    };
    let first = create(&mut world, &select, at(0));
    for _ in 0..JOBS_MAX {
        world.create(&select, at(0)).unwrap();
    }
    assert_eq!(world.jobs().count(), JOBS_MAX);
    assert!(world.read(&first, at(0)).is_none());
}
