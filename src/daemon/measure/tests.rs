//! What is counted, and that its labels are bounded.

use prometheus_client::registry::Registry;

use super::*;

/// Each schedule ends in every way that there is.
fn ended(measures: &Measures, schedules: &[ScheduleName], reasons: &[&'static str]) {
    for schedule in schedules {
        let schedule = measures.0.schedules.label(schedule);
        for outcome in ["succeeded", "failed", "timed_out", "cancelled", "lost"] {
            for reason in reasons {
                let ended = Ended {
                    schedule: schedule.clone(),
                    outcome,
                    reason,
                };
                measures.0.runs.get_or_create(&ended).inc();
            }
        }
        let of = OfSchedule { schedule };
        measures.0.ran.get_or_create(&of).observe(12.0);
    }
}

fn page(measures: &Measures) -> String {
    let mut registry = Registry::with_prefix("nightcall");
    measures.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    page
}

fn schedules(count: usize) -> Vec<ScheduleName> {
    let name = |n| ScheduleName::new(&format!("schedule-{n:05}")).unwrap();
    (0..count).map(name).collect()
}

#[test]
fn ten_thousand_schedules_have_labels_for_the_first_two_hundred() {
    let measures = Measures::new();
    let all = schedules(10_000);
    measures.0.schedules.admit(all.iter().rev());
    // More reasons of a vendor than any vendor has.
    let reasons: Vec<&'static str> = (0..500).map(|n| counted_as(&format!("42{n:03}"))).collect();
    ended(&measures, &all, &reasons[..3]);
    ended(&measures, &all[..300], &reasons);
    let page = page(&measures);
    let labels = |name: &str| page.matches(&format!("schedule=\"{name}\"")).count();
    assert!(labels("schedule-00000") > 0 && labels("schedule-00199") > 0);
    assert_eq!((labels("schedule-00200"), labels("schedule-09999")), (0, 0));
    let other = "runs_total{schedule=\"other\",outcome=\"lost\",reason=\"other\"} 79400";
    assert!(page.contains(other), "9,800 times 3, and 100 times 500");
    assert!(page.len() < 512 * 1024, "{} bytes", page.len());
}

#[test]
fn what_never_happened_is_there_with_zero() {
    let page = page(&Measures::new());
    for line in [
        "nightcall_notices_total{kind=\"bug\"} 0",
        "nightcall_store_commit_failures_total 0",
        "nightcall_fire_lateness_seconds_count 0",
        "nightcall_occurrences_passed_total{schedule=\"other\",reason=\"missed\"} 0",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn a_commit_is_timed_and_one_that_fails_is_counted() {
    let measures = Measures::new();
    assert_eq!(measures.commit(async { Ok(7) }).await, Ok(7));
    let fails = async { Err::<(), _>(StoreError::Unavailable("the disk is full".to_owned())) };
    assert!(measures.commit(fails).await.is_err());
    let page = page(&measures);
    for line in [
        "nightcall_store_commit_duration_seconds_count 1",
        "nightcall_store_commit_duration_seconds_bucket{le=\"30.0\"} 1",
        "nightcall_store_commit_failures_total 1",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}
