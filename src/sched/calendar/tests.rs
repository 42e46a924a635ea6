//! Coming times with and without a predecessor.

use std::time::Duration;

use super::*;
use crate::sched::call::{Parameters, Target};
use crate::sched::id::ConnectionName;
use crate::sched::policy::{
    After, DoubtPolicy, MisfirePolicy, On, OverlapPolicy, Policies, RetryPolicy,
};
use crate::sched::time::TimeZone;
use crate::sched::trigger::{Rhythm, TriggerSpec};

struct Plan {
    name: ScheduleName,
    definitions: Vec<Arc<Definition>>,
    trigger: Trigger,
}

/// A schedule by a cron expression and a zone, after others.
fn plan(name: &str, line: &str, zone: &str, after: &[&str]) -> Plan {
    let name = ScheduleName::new(name).unwrap();
    let spec = TriggerSpec::new(Rhythm::Cron(vec![line.to_owned()]), zone);
    let hour = Duration::from_secs(3600);
    let schedules: Vec<_> = after
        .iter()
        .map(|n| ScheduleName::new(n).unwrap())
        .collect();
    let on = On::Success;
    let after = (!schedules.is_empty()).then(|| After { schedules, on }.into());
    let definition = Definition {
        series: SeriesId {
            schedule: name.clone(),
            set: SetName::default_set(),
        },
        trigger: spec.clone().into(),
        connection: ConnectionName::new("c").unwrap(),
        target: Target {
            base_url: "https://host".into(),
            connection: "c".into(),
        },
        query: "CALL x()".into(),
        parameters: Parameters::Positional(Vec::new()).into(),
        policies: Policies {
            misfire: MisfirePolicy::default(),
            overlap: OverlapPolicy::default(),
            retry: RetryPolicy::default(),
            doubt: DoubtPolicy::default(),
        },
        timeout: hour,
        start_deadline: hour,
        cancel_grace: hour,
        priority: 0,
        after,
    };
    let trigger = Trigger::new(&spec, TimeZone::get(zone).unwrap(), &name).unwrap();
    Plan {
        name,
        definitions: vec![definition.into()],
        trigger,
    }
}

/// The dates of the next weeks, from a Tuesday on, on which the last schedule finds no predecessor.
fn lacking(plans: &[Plan]) -> Vec<String> {
    let mut calendar = Calendar::of(
        plans
            .iter()
            .map(|p| (&p.name, &p.definitions[..], &p.trigger)),
    );
    let from: Timestamp = "2026-02-03T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2026-02-17T00:00:00Z".parse().unwrap();
    let last = plans.last().unwrap();
    let found = calendar.lacking(&last.definitions[0], &last.trigger, from, until);
    let ever = calendar.ever_finds(&last.definitions[0], &last.trigger, from, until);
    assert_eq!(ever, found.times.len() < found.of || found.of == 0);
    let date = |lack: &Lack| lack.occurrence.civil.date().to_string();
    found.times.iter().map(date).collect()
}

#[test]
fn a_daily_schedule_lacks_one_of_weekdays_at_weekends() {
    let weekdays = plan("a", "0 1 * * MON-FRI", "UTC", &[]);
    let daily = plan("b", "0 2 * * *", "UTC", &["a"]);
    let expected = ["2026-02-07", "2026-02-08", "2026-02-14", "2026-02-15"];
    assert_eq!(lacking(&[weekdays, daily]), expected);
}

#[test]
fn what_comes_later_on_the_date_or_is_not_planned_is_lacking_every_day() {
    let later = plan("a", "1 2 * * *", "UTC", &[]);
    let daily = || plan("b", "0 2 * * *", "UTC", &["a"]);
    assert_eq!(lacking(&[later, daily()]).len(), 14);
    assert_eq!(lacking(&[daily()]).len(), 14);
    let same = plan("a", "0 2 * * *", "UTC", &[]);
    assert!(lacking(&[same, daily()]).is_empty());
}

#[test]
fn a_predecessor_that_lacks_its_own_is_lacking() {
    let a = plan("a", "0 1 * * TUE", "UTC", &[]);
    let b = plan("b", "0 2 * * *", "UTC", &["a"]);
    let c = plan("c", "0 3 * * TUE,WED", "UTC", &["b"]);
    assert_eq!(lacking(&[a, b, c]), ["2026-02-04", "2026-02-11"]);
}

#[test]
fn zones_and_dates_count_as_they_do_when_it_runs() {
    // 09:00 in Tokyo is 00:00Z; the date changes there at 15:00Z.
    let tokyo = || plan("a", "0 9 * * *", "Asia/Tokyo", &[]);
    assert!(lacking(&[tokyo(), plan("b", "0 14 * * *", "UTC", &["a"])]).is_empty());
    let late = plan("b", "0 15 * * *", "UTC", &["a"]);
    assert_eq!(lacking(&[tokyo(), late]).len(), 14);
}

#[test]
fn who_comes_after_nobody_lacks_nobody() {
    assert!(lacking(&[plan("b", "0 2 * * *", "UTC", &[])]).is_empty());
}
