//! The whole chain over real HTTP and a real database: fire, CALL, stay with it, record, retry.

use std::time::Duration;

use nightcall::sandbox::{Ending, Failure, Fault, Operation, Procedure, Rule, Scenario, Script};
use nightcall::sched::fault::FaultClass;
use nightcall::sched::outcome::Outcome;
use nightcall::store::Story;
use serde_json::{Value, json};

use crate::support::world::World;

/// The workflow of the vendor's page.
const PAGE: &str = r#"
[schedule.store-clusters]
every = "365d"
procedure = "carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f(number_of_clusters, buffer_radius, store_type)"
parameters = { store_type = "Supermarket", number_of_clusters = 2, buffer_radius = 500 }
retry = { backoff = "50ms", max_backoff = "100ms" }
"#;

const PAGE_QUERY: &str = "CALL `carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f`(@number_of_clusters,@buffer_radius,@store_type)";

fn ends(endings: Vec<Ending>) -> Scenario {
    Scenario {
        script: Script::ending(endings),
        ..Scenario::default()
    }
}

async fn story_of(scenario: Scenario, tables: &str) -> (Story, World) {
    let world = World::new(scenario, tables).await;
    let night = world.start().await;
    let story = night.run("store-clusters").await;
    night.stop().await;
    (story, world)
}

fn what(story: &Story) -> Vec<&str> {
    story.records.iter().map(|r| r.what.as_ref()).collect()
}

#[tokio::test]
async fn the_request_that_leaves_is_the_one_of_the_vendors_page() {
    let (story, world) = story_of(Scenario::default(), PAGE).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    let created = world.sandbox.world().with(|w| {
        let mut creations = w.journal().of(Operation::Create);
        let first = creations.next().cloned().unwrap();
        assert!(creations.next().is_none(), "one submission");
        first.request
    });
    assert_eq!(created.path(), "/v3/sql/sandbox/job");
    assert_eq!(created.header("content-type"), Some("application/json"));
    let bearer = format!("Bearer {}", world.sandbox.token());
    assert_eq!(created.header("authorization"), Some(bearer.as_str()));
    let body = String::from_utf8(created.body.to_vec()).unwrap();
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["query"], PAGE_QUERY);
    assert_eq!(
        sent["queryParameters"].to_string(),
        r#"{"number_of_clusters":2,"buffer_radius":500,"store_type":"Supermarket"}"#
    );
    let marker = &sent["metadata"];
    assert_eq!(marker["app"], "nightcall");
    assert_eq!(marker["run"], json!(story.run.id.to_string()));
    assert_eq!(marker["attempt"], 1);
    assert_eq!(sent.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn the_failed_reply_of_the_page_is_permanent_and_not_retried() {
    let message =
        "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]";
    let ending = Ending::Fails(Failure::new("invalidQuery", message));
    let (story, world) = story_of(ends(vec![ending]), PAGE).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Failed));
    assert_eq!(story.run.attempt, 1);
    let fault = story.run.fault.unwrap();
    assert_eq!(fault.class, FaultClass::Permanent);
    assert_eq!(fault.reason, "invalidQuery");
    assert_eq!(fault.location.as_deref(), Some("query"));
    assert_eq!(fault.message, message);
    assert_eq!(story.notices.len(), 1, "told once");
    let jobs = world.sandbox.world().with(|w| w.jobs().count());
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn a_procedure_that_is_gone_ends_with_what_to_do_in_carto_and_in_the_file() {
    let scenario = Scenario {
        strict: true,
        ..Scenario::default()
    };
    let (story, _world) = story_of(scenario, PAGE).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Failed));
    assert_eq!(story.run.attempt, 1);
    let remedy = story.run.fault.unwrap().remedy.unwrap();
    assert!(
        remedy.contains("Enable") && remedy.contains("procedure"),
        "{remedy}"
    );
}

#[tokio::test]
async fn a_changed_signature_ends_with_what_to_do_in_carto_and_in_the_file() {
    let changed = "carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f(number_of_clusters INT64)";
    let scenario =
        Scenario::default().procedure(Procedure::new(changed, Script::default()).unwrap());
    let (story, _world) = story_of(scenario, PAGE).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Failed));
    let remedy = story.run.fault.unwrap().remedy.unwrap();
    assert!(remedy.contains("Update"), "{remedy}");
}

#[tokio::test]
async fn a_passing_fault_is_retried_and_succeeds() {
    let endings = vec![Ending::fails("backendError"), Ending::Success];
    let (story, world) = story_of(ends(endings), PAGE).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(story.run.attempt, 2);
    assert!(what(&story).contains(&"failed"));
    assert!(world.sandbox.world().with(|w| w.doubled()).is_empty());
}

#[tokio::test]
async fn a_lost_reply_is_found_by_its_marker_and_never_submitted_again() {
    for fault in [
        Fault::DropReply,
        Fault::CutReply(20),
        Fault::status_after(502),
        Fault::NoId,
    ] {
        let scenario = Scenario::default().fault(Rule::on(Operation::Create, fault.clone()).nth(1));
        let (story, world) = story_of(scenario, PAGE).await;
        assert_eq!(story.run.outcome(), Some(Outcome::Succeeded), "{fault:?}");
        assert_eq!(story.run.attempt, 1, "{fault:?}");
        assert!(
            what(&story).contains(&"found"),
            "{fault:?}: {:?}",
            what(&story)
        );
        let run = story.run.id.to_string();
        let executed = world.sandbox.world().with(|w| w.executions(&run));
        assert_eq!(executed, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_stops_leaves_the_job_and_adopts_it_at_the_next_start() {
    let scenario = Scenario {
        script: Script::running(Duration::from_millis(1500)),
        ..Scenario::default()
    };
    let world = World::new(scenario, PAGE).await;
    let night = world.start().await;
    let run = night.fire("store-clusters").await;
    night
        .until(|runs| runs.iter().any(|r| r.job.is_some()))
        .await;
    night.stop().await;
    let night = world.start().await;
    let story = night.finished(&run).await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(story.run.attempt, 1);
    let executed = world
        .sandbox
        .world()
        .with(|w| w.executions(&run.to_string()));
    assert_eq!(executed, 1);
    night.stop().await;
}

#[tokio::test]
async fn a_time_limit_cancels_the_job_and_is_believed_when_the_vendor_confirms() {
    let scenario = ends(vec![Ending::Stuck]);
    let tables = PAGE.to_owned() + "timeout = \"300ms\"\ncancel_grace = \"5s\"\n";
    let (story, world) = story_of(scenario, &tables).await;
    assert_eq!(story.run.outcome(), Some(Outcome::TimedOut));
    let asked = world
        .sandbox
        .world()
        .with(|w| w.journal().count(Operation::Cancel));
    assert!(asked >= 1);
}

#[tokio::test]
async fn oauth_tokens_are_fetched_once_and_refreshed_once_when_refused() {
    let tables = PAGE.to_owned()
        + r#"
[connection.sandbox]
base_url = "{base_url}"
provider = "bigquery"
oauth = { token_url = "{base_url}/oauth/token", client_id = "client", client_secret = { file = "secret" } }
{quick}
[defaults]
connection = "sandbox"
"#;
    let world = World::new(Scenario::default(), &tables).await;
    let secret = world
        .sandbox
        .world()
        .with(|w| w.scenario.auth.oauth.client_secret.clone());
    let client = world
        .sandbox
        .world()
        .with(|w| w.scenario.auth.oauth.client_id.clone());
    std::fs::write(world.file("secret"), secret).unwrap();
    world.write(&tables.replace("\"client\"", &format!("{client:?}")));
    let night = world.start().await;
    for _ in 0..2 {
        let story = night.run("store-clusters").await;
        assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    }
    assert_eq!(world.sandbox.world().with(|w| w.tokens_issued()), 1);
    world.sandbox.world().with(|w| w.revoke_tokens());
    let story = night.run("store-clusters").await;
    assert_eq!(story.run.outcome(), Some(Outcome::Succeeded));
    assert_eq!(world.sandbox.world().with(|w| w.tokens_issued()), 2);
    night.stop().await;
}

#[tokio::test]
async fn no_secret_is_in_any_file_of_the_daemon() {
    let (_, world) = story_of(Scenario::default(), PAGE).await;
    let token = world.sandbox.token().as_bytes().to_vec();
    for entry in std::fs::read_dir(world.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "token") && path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(token.len()).any(|w| w == token);
            assert!(!found, "{}", path.display());
        }
    }
}
