//! What the loop does with inputs that wait.

use std::future::ready;

use super::*;
use crate::sched::act::Deed;
use crate::sched::call::{Parameters, Target};
use crate::sched::id::{ClientKey, ConnectionName, RunId, SeriesId, SetName};
use crate::sched::notice::Notice;
use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use crate::sched::run::Run;
use crate::sched::step::{Change, FireRequest, Fired, Missed, Saved};
use crate::sched::time::{TimeRange, Timestamp, civil};
use crate::sched::trigger::{Rhythm, TriggerSpec};
use crate::store::outbox::{Progress, ThreadName};
use crate::store::{Chore, Holder, Lease, Reply, RunQuery, Story};

/// A store that takes everything and knows nothing.
struct Nothing;

fn well<'a, T: Send + 'a>(answer: T) -> Reply<'a, T> {
    Box::pin(ready(Ok(answer)))
}

const LEASE: Lease = Lease {
    epoch: 1,
    until: Timestamp::MAX,
};

impl Store for Nothing {
    fn instance(&self, _: Option<String>) -> Reply<'_, String> {
        well("test".to_owned())
    }
    fn acquire(&self, _: Holder, _: Duration, _: Timestamp) -> Reply<'_, Lease> {
        well(LEASE)
    }
    fn renew(&self, _: Lease, _: Duration, _: Timestamp) -> Reply<'_, Lease> {
        well(LEASE)
    }
    fn release(&self, _: Lease) -> Reply<'_, ()> {
        well(())
    }
    fn load(&self) -> Reply<'_, Saved> {
        well(Saved::default())
    }
    fn commit(&self, _: Lease, changes: Vec<Change>) -> Reply<'_, Vec<Change>> {
        well(changes)
    }
    fn runs(&self, _: RunQuery) -> Reply<'_, Vec<Run>> {
        well(Vec::new())
    }
    fn story(&self, _: RunId) -> Reply<'_, Option<Story>> {
        well(None)
    }
    fn missed(&self, _: Option<SeriesId>, _: TimeRange) -> Reply<'_, Vec<Missed>> {
        well(Vec::new())
    }
    fn deeds(&self, _: TimeRange) -> Reply<'_, Vec<Deed>> {
        well(Vec::new())
    }
    fn maintain(&self, _: Chore) -> Reply<'_, u64> {
        well(0)
    }
}

impl Outbox for Nothing {
    fn channel(&self, _: String) -> Reply<'_, Progress> {
        well(Progress::default())
    }
    fn notices(&self, _: u64, _: usize) -> Reply<'_, Vec<(u64, Notice)>> {
        well(Vec::new())
    }
    fn waiting(&self, _: u64) -> Reply<'_, u64> {
        well(0)
    }
    fn thread(&self, _: String, _: String) -> Reply<'_, Option<String>> {
        well(None)
    }
    fn settle(&self, _: String, _: Progress, _: Option<ThreadName>) -> Reply<'_, ()> {
        well(())
    }
    fn keep_channels(&self, _: Vec<String>) -> Reply<'_, ()> {
        well(())
    }
}

#[tokio::test]
async fn what_comes_behind_a_full_group_is_not_lost() {
    let stop = CancellationToken::new();
    let (daemon, handle) = Daemon::new(Parts {
        store: Arc::new(Nothing),
        outbox: Arc::new(Nothing),
        clients: Clients::new(),
        clock: Arc::new(SystemClock),
        plan: Plan {
            config: Arc::from("c"),
            definitions: Vec::new(),
            disabled: Vec::new(),
            connections: Vec::new(),
            observe: false,
            kept: std::time::Duration::MAX,
            zones: Arc::new(|name| TimeZone::get(name).ok()),
            checks: Arc::new(|| Box::pin(async { Vec::new() })),
            channels: Vec::new(),
        },
        chores: ChoreSettings {
            keep_days: 1,
            keep_runs: 10,
            doctor_at: civil::time(17, 0, 0, 0),
            doctor_zone: TimeZone::UTC,
            zone_data: Arc::new(String::new),
        },
        instance: None,
        systemd: Notifier::default(),
        stop: stop.clone(),
    })
    .await
    .unwrap();
    for _ in 0..inbox::GROUP {
        daemon.answers.try_send(Input::Wake).unwrap();
    }
    let asked = tokio::spawn(async move {
        handle
            .fire(FireRequest {
                schedule: ScheduleName::new("none").unwrap(),
                set: None,
                key: ClientKey::new("k").unwrap(),
                overrides: serde_json::Map::new(),
                as_of: None,
                queue: false,
                anyway: false,
                even_paused: false,
            })
            .await
    });
    tokio::task::yield_now().await;
    let running = tokio::spawn(daemon.driver.run());
    let answer = tokio::time::timeout(Duration::from_secs(10), asked).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let answer = answer.expect("no answer within 10 s").unwrap();
    assert!(matches!(answer, Ok(Fired::Refused { .. })), "{answer:?}");
}

#[test]
fn what_a_reload_reads_and_is_as_it_was_keeps_its_former_value() {
    let series = |name: &str, priority| {
        let spec = TriggerSpec::new(Rhythm::Every(Duration::from_secs(60)), "UTC");
        let schedule = ScheduleName::new(name).unwrap();
        let trigger = Trigger::new(&spec, TimeZone::UTC, &schedule).unwrap();
        let definition = Definition {
            series: SeriesId {
                schedule,
                set: SetName::default_set(),
            },
            trigger: Arc::clone(trigger.spec()),
            connection: ConnectionName::new("c").unwrap(),
            target: Target {
                base_url: "".into(),
                connection: "".into(),
            },
            query: "".into(),
            parameters: Parameters::Positional(Vec::new()).into(),
            policies: Policies {
                misfire: MisfirePolicy::default(),
                overlap: OverlapPolicy::Skip,
                retry: RetryPolicy::default(),
                doubt: DoubtPolicy::Verify,
            },
            timeout: Duration::ZERO,
            start_deadline: Duration::ZERO,
            cancel_grace: Duration::ZERO,
            priority,
            after: None,
        };
        (Arc::new(definition), Arc::new(trigger))
    };
    let former = Arc::new(vec![series("a", 0), series("b", 0)]);
    let read = vec![series("new", 0), series("b", 0), series("a", 1)];
    let kept = handle::keep(read.clone(), &former);
    let same = |a: &Arc<Definition>, b: &Arc<Definition>| Arc::ptr_eq(a, b);
    assert!(same(&kept[0].0, &read[0].0) && same(&kept[2].0, &read[2].0));
    assert!(same(&kept[1].0, &former[1].0) && Arc::ptr_eq(&kept[1].1, &former[1].1));
}
