//! Schedules that come after others, with the real daemon, store and vendor door: what a predecessor did is known.

use nightcall::sandbox::Scenario;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::Run;

use crate::support::world::World;

fn ingest(every: &str) -> String {
    format!(
        "[schedule.ingest]\nevery = \"{every}\"\nprocedure = \"p.d.ingest()\"\n\
         overlap = \"allow_all\"\n"
    )
}

fn after_it(name: &str) -> String {
    format!("[schedule.{name}]\nevery = \"1s\"\nprocedure = \"p.d.{name}()\"\nafter = \"ingest\"\n")
}

fn succeeded(name: &str) -> impl Fn(&[Run]) -> bool {
    let ended = |run: &Run| run.outcome() == Some(Outcome::Succeeded);
    move |runs| {
        let mut of = runs
            .iter()
            .filter(|run| run.id.series.schedule.as_str() == name);
        of.any(ended)
    }
}

#[tokio::test]
async fn what_a_predecessor_did_before_it_was_named_counts_after_a_reload_and_after_a_start() {
    let world = World::new(Scenario::default(), &ingest("1s")).await;
    let night = world.start().await;
    night.until(succeeded("ingest")).await;
    // From now on it has no time: only the record tells of it.
    world.write(&(ingest("365d") + &after_it("map")));
    world.reload(&night).await;
    let runs = night.until(succeeded("map")).await;
    let last = runs
        .iter()
        .filter(|run| run.id.series.schedule.as_str() == "ingest");
    let last = last.filter_map(|run| run.finished).max();
    let map = runs
        .iter()
        .find(|run| run.id.series.schedule.as_str() == "map");
    assert!(map.unwrap().submitted >= last);
    night.stop().await;
    world.write(&(ingest("365d") + &after_it("atlas")));
    let night = world.start().await;
    night.until(succeeded("atlas")).await;
    night.stop().await;
    assert!(world.sandbox.world().with(|w| w.doubled()).is_empty());
}
