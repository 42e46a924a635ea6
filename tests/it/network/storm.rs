//! The whole daemon in a storm: a schedule for each second, a way to the vendor that drops, resets, cuts, delays and
//! swallows by chance. When it is calm again nothing is lost, nothing ran twice, and an outage was told once.
//!
//! `NIGHTCALL_STORM=60` makes the storm last a minute, `NIGHTCALL_STORM_SEED=7` another storm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nightcall::sandbox::{Operation, Scenario, Script, Span};
use nightcall::sched::id::{RunId, SeriesId};
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;
use nightcall::sched::step::Change;
use nightcall::sched::time::Timestamp;
use tokio::sync::broadcast::error::RecvError;

use super::proxy::Proxy;
use crate::support::world::{Night, World};

/// Everything ends so soon after the storm.
const CALM: Duration = Duration::from_secs(40);
/// Longer than it takes to tell an outage.
const PATIENCE: Duration = Duration::from_secs(30);

const CONNECTION: &str = r#"
[connection.sandbox]
base_url = "http://{address}"
provider = "bigquery"
token = { file = "token" }
requests_per_minute = 100000
poll = { first = "50ms", factor = 1.3, max = "300ms" }
request_timeout = "1s"
list_lag = "300ms"
give_up = "10m"
[defaults]
connection = "sandbox"
"#;

const TICK: &str = r#"
[schedule.tick]
every = "1s"
procedure = "a.b.c(x)"
parameters = { x = 1 }
overlap = "allow_all"
misfire = { catch_up = "all", max = 1000 }
retry = { attempts = 5, backoff = "100ms", max_backoff = "1s" }
timeout = "5m"
set.a = { x = 1 }
set.b = { x = 2 }
set.c = { x = 3 }
set.d = { x = 4 }
set.e = { x = 5 }
"#;

fn from_env(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

fn scenario() -> Scenario {
    Scenario {
        script: Script::running(Span::between(
            Duration::from_millis(50),
            Duration::from_millis(600),
        )),
        // Runs that were held up meet the next ones of their series.
        collide: false,
        ..Scenario::default()
    }
}

/// Collects what people are told, by kind.
fn told(night: &Night) -> Arc<Mutex<Vec<(NoticeKind, String)>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (list, mut feed) = (Arc::clone(&told), night.handle.feed());
    tokio::spawn(async move {
        loop {
            match feed.recv().await {
                Ok(change) => {
                    if let Change::Notice(notice) = &*change {
                        let said = format!("{}: {}", notice.subject, notice.body);
                        list.lock().unwrap().push((notice.kind, said));
                    }
                }
                Err(RecvError::Lagged(n)) => panic!("{n} changes were not seen"),
                Err(RecvError::Closed) => return,
            }
        }
    });
    told
}

/// Waits until every run up to this time has ended and a later one is on record.
async fn ended(night: &Night, upto: Timestamp) -> Vec<Run> {
    let begun = std::time::Instant::now();
    loop {
        let runs = night.runs();
        let mut before = runs.iter().filter(|run| run.id.instant <= upto);
        let later = runs.iter().any(|run| run.id.instant > upto);
        if later && before.all(|run| run.outcome().is_some()) {
            return runs;
        }
        let live: Vec<String> = runs
            .iter()
            .filter(|run| run.outcome().is_none())
            .map(|run| format!("{} {} {:?}", run.id, run.state.word(), run.fault))
            .collect();
        assert!(begun.elapsed() < CALM, "these do not end: {live:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Each second from the first run on has one run that ended well, and its procedure was executed once.
fn nothing_lost_nothing_twice(world: &World, runs: &[Run], upto: Timestamp) {
    let doubled = world.sandbox.world().with(|w| w.doubled());
    assert!(doubled.is_empty(), "submitted twice: {doubled:?}");
    let mut series: BTreeMap<SeriesId, Timestamp> = BTreeMap::new();
    for run in runs {
        let first = series
            .entry(run.id.series.clone())
            .or_insert(run.id.instant);
        *first = run.id.instant.min(*first);
    }
    assert_eq!(series.len(), 5);
    for (series, first) in series {
        for second in first.as_second()..=upto.as_second() {
            let instant = Timestamp::from_second(second).unwrap();
            let id = RunId::planned(series.clone(), instant);
            let of_second: Vec<&Run> = runs.iter().filter(|run| run.id == id).collect();
            assert_eq!(of_second.len(), 1, "{id}");
            let outcome = of_second[0].outcome();
            assert_eq!(outcome, Some(Outcome::Succeeded), "{:#?}", of_second[0]);
            let text = id.to_string();
            let executed = world.sandbox.world().with(|w| w.executions(&text));
            assert_eq!(executed, 1, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_on_the_way_loses_nothing_and_doubles_nothing() {
    let seed = from_env("NIGHTCALL_STORM_SEED", 1);
    let lasts = Duration::from_secs(from_env("NIGHTCALL_STORM", 6));
    let world = World::new(scenario(), TICK).await;
    let proxy = Proxy::start(world.sandbox.address(), seed).await;
    world.write(&(CONNECTION.replace("{address}", &proxy.address.to_string()) + TICK));
    let night = world.start().await;
    let told = told(&night);
    // Before the first accepted job there is nothing to prove an absence with (docs/adr/0005).
    night
        .until(|runs| runs.iter().any(|run| run.outcome().is_some()))
        .await;
    proxy.rage();
    tokio::time::sleep(lasts).await;
    proxy.calm();
    let upto = Timestamp::now();
    let runs = ended(&night, upto).await;
    nothing_lost_nothing_twice(&world, &runs, upto);

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let all = told.lock().unwrap().clone();
    for (kind, _) in &all {
        *kinds.entry(format!("{kind:?}")).or_default() += 1;
    }
    let doubts = runs
        .iter()
        .filter_map(|run| night.story(&run.id))
        .filter(|story| {
            story
                .records
                .iter()
                .any(|r| r.what == "in_doubt" || r.what == "unsure")
        })
        .count();
    let asked = world
        .sandbox
        .world()
        .with(|w| w.journal().count(Operation::Create));
    eprintln!(
        "seed {seed}, {lasts:?}: {} runs, {} connections spoilt, {asked} creations asked for, \
         {doubts} runs were in doubt, told {kinds:?}",
        runs.len(),
        proxy.spoilt()
    );
    assert!(proxy.spoilt() >= 5, "that was no storm: {}", proxy.spoilt());
    // Each outage is told once, and its end once.
    let incidents = kinds.get("Incident").copied().unwrap_or_default();
    let recovered = kinds.get("Recovered").copied().unwrap_or_default();
    assert!(recovered <= incidents && incidents <= 1, "{all:#?}");
    night.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let world = World::new(scenario(), TICK).await;
    let address = world.sandbox.address().to_string();
    world.write(&(CONNECTION.replace("{address}", &address) + TICK));
    let night = world.start().await;
    let told = told(&night);
    night
        .until(|runs| runs.iter().any(|r| r.outcome().is_some()))
        .await;
    world.sandbox.refuse_connections(None).await;
    let incident = || {
        told.lock()
            .unwrap()
            .iter()
            .any(|(kind, _)| *kind == NoticeKind::Incident)
    };
    let begun = Instant::now();
    while !incident() {
        let patient = begun.elapsed() < PATIENCE;
        assert!(patient, "no outage is told: {:?}", told.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.sandbox.accept_connections().await;
    let upto = Timestamp::now();
    let runs = ended(&night, upto).await;
    nothing_lost_nothing_twice(&world, &runs, upto);
    let kinds: Vec<NoticeKind> = told.lock().unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [NoticeKind::Incident, NoticeKind::Recovered]);
    night.stop().await;
}
