//! Wishes that coming occurrences do not run.

use nightcall::sched::act::SkipWhat;
use nightcall::sched::time::civil::date;

use super::{ASKED, SUCCEEDED, restart};
use crate::setup::{Config, at, cron, every, hourly, mins, series};
use crate::sim::{Sim, denied, done};
use crate::vendor::{Life, Op, Passage};

#[test]
fn the_next_so_many_are_skipped_and_the_one_after_runs_also_over_a_restart() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(2)));
    sim.run_to("01:30");
    restart(&mut sim);
    assert_eq!(sim.snapshot().skips[0].what, SkipWhat::Next(1));
    sim.run_to("03:30");
    assert_eq!(sim.outcomes("a"), [ASKED, ASKED, SUCCEEDED]);
    assert!(sim.store.skips.is_empty());
    sim.store.check_coverage();
}

#[test]
fn asking_twice_skips_no_more() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(1)));
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [ASKED, SUCCEEDED]);
}

#[test]
fn a_date_or_a_time_is_skipped_also_when_nobody_watches() {
    for what in [
        SkipWhat::On(date(2026, 2, 4)),
        SkipWhat::At(at("+1d 02:00")),
    ] {
        let mut sim = Sim::new(Config::of([cron("a", "0 2 * * *")]));
        done(sim.skip("a", what));
        sim.run_to("02:30");
        sim.stop();
        sim.run_to("+1d 01:00");
        sim.start();
        sim.run_to("+1d 01:59:30");
        sim.stop();
        sim.run_to("+1d 03:00");
        sim.start();
        sim.run_to("+2d 02:30");
        assert_eq!(sim.outcomes("a"), [SUCCEEDED, ASKED, SUCCEEDED], "{what:?}");
        assert!(sim.store.skips.is_empty(), "{:?}", sim.store.skips);
    }
}

#[test]
fn a_wish_to_skip_can_be_taken_back() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::Next(3)));
    done(sim.skip("a", SkipWhat::At(at("02:00"))));
    sim.run_to("01:30");
    done(sim.unskip("a", Some(SkipWhat::Next(9))));
    sim.run_to("02:30");
    assert_eq!(
        sim.outcomes("a"),
        [ASKED, ASKED],
        "the other wish is in force"
    );
    done(sim.skip("a", SkipWhat::Next(1)));
    done(sim.unskip("a", None));
    sim.run_to("03:30");
    assert_eq!(sim.outcome("a", "03:00"), SUCCEEDED);
    assert!(denied(sim.unskip("a", None)).contains("nothing of a"));
}

#[test]
fn a_set_is_skipped_alone_and_a_schedule_with_all_its_sets() {
    let mut sim = Sim::new(Config::of([hourly("a/x"), hourly("a/y")]));
    done(sim.skip("a/x", SkipWhat::Next(1)));
    sim.run_to("01:30");
    assert_eq!(
        (sim.outcomes("a/x"), sim.outcomes("a/y")),
        (vec![ASKED], vec![SUCCEEDED])
    );
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("02:30");
    assert_eq!(
        (sim.outcome("a/x", "02:00"), sim.outcome("a/y", "02:00")),
        (ASKED, ASKED)
    );
    assert!(denied(sim.skip("a/z", SkipWhat::Next(1))).contains("no parameter set"));
}

#[test]
fn what_does_not_come_cannot_be_skipped() {
    let mut sim = Sim::new(Config::of([cron("a", "0 2 * * *")]));
    sim.run_to("03:00");
    for what in [
        SkipWhat::On(date(2026, 2, 3)),
        SkipWhat::At(at("02:00")),
        SkipWhat::At(at("+1d 02:01")),
    ] {
        let answer = denied(sim.skip("a", what));
        assert!(answer.contains("no such time"), "{answer}");
    }
    for n in [0, SkipWhat::MOST + 1] {
        denied(sim.skip("a", SkipWhat::Next(n)));
    }
    assert!(sim.store.skips.is_empty() && sim.store.deeds.is_empty());
}

#[test]
fn a_date_beyond_the_calendar_is_refused_at_once() {
    let mut sim = Sim::new(Config::of([every("a", mins(1))]));
    // Looking for it among the minutes of eight thousand years would never end.
    denied(sim.skip("a", SkipWhat::On(date(9999, 12, 31))));
}

#[test]
fn a_skip_touches_nothing_that_already_runs() {
    let mut sim = Sim::with_vendor(Config::of([hourly("a")]), |v| {
        v.usual = Some(Life::succeeds(mins(20)));
    });
    sim.run_to("01:10");
    done(sim.skip("a", SkipWhat::On(date(2026, 2, 3))));
    sim.run_to("02:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, ASKED]);
}

#[test]
fn what_is_skipped_is_not_shown_as_the_next_to_run() {
    let mut sim = Sim::new(Config::of([hourly("a"), every("b", mins(90))]));
    done(sim.skip("a", SkipWhat::Next(1)));
    assert_eq!(sim.snapshot().next, [(series("b"), at("01:30"))]);
    done(sim.pause("b", None));
    assert!(sim.snapshot().next.is_empty());
}

/// Down from 01:30 to 03:30, and the list cannot be had at the start: 02:00 and 03:00 wait for it.
fn while_the_past_waits(sim: &mut Sim) {
    sim.stop();
    sim.run_to("03:30");
    sim.vendor.always(Op::List, Passage::silence());
    sim.start();
    sim.run_to("03:30:10");
}

#[test]
fn while_the_past_waits_for_the_job_list_no_wish_to_skip_is_made_or_taken_back() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    while_the_past_waits(&mut sim);
    // It is meant for 04:00, and 02:00 would take it.
    assert!(denied(sim.skip("a", SkipWhat::Next(1))).contains("just started"));
    sim.vendor.up();
    sim.run_to("03:31");
    done(sim.skip("a", SkipWhat::Next(1)));
    sim.run_to("04:30");
    assert_eq!(sim.outcome("a", "04:00"), ASKED);

    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    done(sim.skip("a", SkipWhat::Next(2)));
    while_the_past_waits(&mut sim);
    assert!(denied(sim.unskip("a", None)).contains("just started"));
    sim.vendor.up();
    sim.run_to("03:50");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, ASKED, ASKED]);
}
