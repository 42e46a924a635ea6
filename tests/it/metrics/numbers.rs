//! After a night the numbers are there, and they are few.

use super::page::Page;
use super::world::{NIGHT, World};
use crate::support::runs::by_hand;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_night_the_numbers_say_what_happened() {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    world.play(&life).await;
    let page = life.page().await;
    let at_least = |sample: &str, least: f64| {
        let value = page.value(sample);
        assert!(value >= least, "{sample}: {value}");
    };
    at_least(
        r#"nightcall_runs_total{schedule="tick",outcome="succeeded",reason="none"}"#,
        1.0,
    );
    at_least(
        r#"nightcall_runs_total{schedule="busy",outcome="skipped",reason="busy"}"#,
        1.0,
    );
    at_least(
        r#"nightcall_runs_total{schedule="late",outcome="skipped",reason="start_deadline"}"#,
        1.0,
    );
    at_least(r#"nightcall_notices_total{kind="late"}"#, 1.0);
    let failed =
        r#"nightcall_runs_total{schedule="broken",outcome="failed",reason="invalidQuery"}"#;
    assert_eq!(page.value(failed), 1.0);
    let odd = r#"nightcall_runs_total{schedule="odd",outcome="failed",reason="other"}"#;
    assert_eq!(page.value(odd), 1.0, "a reason that nobody knows");
    assert!(!page.0.contains("vendorsFancy"));
    let faults = r#"nightcall_faults_total{connection="sandbox",reason="invalidQuery"}"#;
    assert_eq!(page.value(faults), 1.0);
    assert_eq!(page.value(r#"nightcall_notices_total{kind="failed"}"#), 2.0);
    assert_eq!(page.value(r#"nightcall_notices_total{kind="bug"}"#), 0.0);

    at_least("nightcall_fire_lateness_seconds_count", 3.0);
    let soon = page.value(r#"nightcall_fire_lateness_seconds_bucket{le="5.0"}"#);
    assert!(soon >= 3.0, "decided within five seconds: {soon}");
    at_least("nightcall_queue_delay_seconds_count", 4.0);
    at_least(
        r#"nightcall_run_duration_seconds_count{schedule="tick"}"#,
        1.0,
    );
    at_least(
        r#"nightcall_run_duration_seconds_sum{schedule="tick"}"#,
        0.05,
    );
    assert_eq!(
        page.values(r#"nightcall_run_duration_seconds_count{schedule="busy"}"#)
            .count(),
        0
    );
    at_least(
        r#"nightcall_last_success_timestamp_seconds{schedule="tick"}"#,
        1.7e9,
    );
    at_least(
        r#"nightcall_request_duration_seconds_count{connection="sandbox",request="submit"}"#,
        4.0,
    );
    at_least(
        r#"nightcall_request_duration_seconds_count{connection="sandbox",request="poll"}"#,
        1.0,
    );
    at_least("nightcall_store_commit_duration_seconds_count", 4.0);
    assert_eq!(page.value("nightcall_store_commit_failures_total"), 0.0);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_things_stand_is_read_from_the_status() {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    world.play(&life).await;
    // The loop shows how it stands a moment after it has acted.
    let mut page = life.page().await;
    while page.value(r#"nightcall_live_runs{state="running"}"#) < 1.0 {
        page = life.page().await;
    }
    assert_eq!(page.value(r#"nightcall_live_runs{state="in_doubt"}"#), 0.0);
    assert_eq!(page.value("nightcall_series"), 5.0);
    assert_eq!(page.value("nightcall_bugs_total"), 0.0);
    assert!(page.value(r#"nightcall_connection_runs{connection="sandbox"}"#) >= 1.0);
    assert_eq!(
        page.value(r#"nightcall_connection_circuit_open{connection="sandbox"}"#),
        0.0
    );
    let url = world.world.sandbox.base_url();
    let host = url.strip_prefix("http://").unwrap();
    let budget = |of: &str| page.value(&format!("nightcall_host_budget{of}{{host=\"{host}\"}}"));
    let left = budget("_left");
    assert_eq!(budget(""), 25_000.0);
    assert!((20_000.0..=25_000.0).contains(&left), "{left}");
    assert!(page.value("nightcall_bell_age_seconds") < 20.0);
    assert!(page.value("nightcall_zone_data_age_seconds") > 86_400.0);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_shows_in_the_circuit_of_its_connection() {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    world.world.sandbox.refuse_connections(None).await;
    life.handle.fire(by_hand("broken", "k")).await.unwrap();
    let open = r#"nightcall_connection_circuit_open{connection="sandbox"}"#;
    while life.page().await.value(open) < 1.0 {
        tokio::task::yield_now().await;
    }
    let ready = life.ask("/readyz", false, None).await;
    assert_eq!(
        ready.status, 200,
        "that is the vendor's, not ours: {}",
        ready.body
    );
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_open_metrics_and_the_older_form_for_those_who_read_no_other() {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let prometheus =
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for accept in [None, Some("*/*"), Some(prometheus)] {
        let answer = life.ask("/metrics", true, accept).await;
        assert_eq!(answer.form, open, "{accept:?}");
        assert!(answer.body.ends_with("# EOF\n"));
        assert!(answer.body.contains("# TYPE nightcall_runs counter\n"));
        assert!(
            answer
                .body
                .contains("# UNIT nightcall_bell_age_seconds seconds\n")
        );
    }
    let older = life.ask("/metrics", true, Some("text/plain")).await;
    assert_eq!(older.form, "text/plain; version=0.0.4; charset=utf-8");
    assert!(older.body.contains("# TYPE nightcall_runs_total counter\n"));
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_schedules_make_a_page_of_two_hundred() {
    let tables: String = (0..10_000)
        .map(|n| {
            format!(
                "[schedule.s{n:05}]\nevery = \"365d\"\nprocedure = \"p.d.quick(n)\"\nparameters = {{ n = 1 }}\n"
            )
        })
        .collect();
    let world = World::new(&tables).await;
    let life = world.start().await;
    life.until("/readyz", 200).await;
    for schedule in ["s00000", "s00199", "s00200", "s09999"] {
        life.run(schedule).await;
    }
    let Page(page) = life.page().await;
    let runs = |schedule: &str, count: usize| {
        let line = format!(
            "nightcall_runs_total{{schedule=\"{schedule}\",outcome=\"succeeded\",reason=\"none\"}} {count}\n"
        );
        assert!(page.contains(&line), "{line}");
    };
    runs("s00000", 1);
    runs("s00199", 1);
    runs("other", 2);
    assert_eq!(page.matches("s09999").count(), 0);
    assert!(page.contains("nightcall_series 10000"), "{page}");
    assert!(page.len() < 100_000, "{} bytes", page.len());
    life.stop().await;
}
