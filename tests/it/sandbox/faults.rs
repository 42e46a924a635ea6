//! The stand-in for CARTO over real HTTP: each thing that can go wrong on purpose, as a client meets it.

use std::time::{Duration, Instant};

use nightcall::sandbox::{Drip, Entry, Fault, Operation, Rule, Scenario, Script, Status, World};
use reqwest::Method;
use serde_json::{Value, json};

use super::{JOB, JOBS, Vendor, ask, client, creation, known, minute};

/// How long an impatient client waits: enough to be heard on a busy machine.
const SOON: Duration = Duration::from_millis(400);
/// Long enough never to pass in a test.
const AGES: Duration = Duration::from_secs(600);

/// Longer than anything takes that is waited for here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A vendor on which this strikes the first creation.
async fn striking(fault: Fault) -> Vendor {
    struck(Rule::on(Operation::Create, fault).nth(1)).await
}

async fn struck(rule: Rule) -> Vendor {
    Vendor::start(known(minute()).fault(rule)).await
}

/// Creates a job with a client that does not wait for long.
async fn impatient(vendor: &Vendor, run: &str) -> reqwest::Result<super::Answer> {
    let url = vendor.sandbox.base_url() + JOB;
    let token = Some(vendor.sandbox.token());
    ask(
        &client(SOON),
        Method::POST,
        &url,
        token,
        Some(creation(run)),
    )
    .await
}

#[tokio::test]
async fn a_reset_leaves_no_job() {
    let vendor = striking(Fault::Reset).await;
    let error = vendor.try_create("r").await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(vendor.accepted("r"), 0);
    vendor.create("r").await;
    assert_eq!(vendor.accepted("r"), 1);
}

#[tokio::test]
async fn a_connection_can_be_reset_before_anything_is_read() {
    let vendor = struck(Rule::on(Operation::Connect, Fault::Reset).nth(1)).await;
    vendor.try_create("r").await.unwrap_err();
    let read = vendor.sandbox.world().with(|w| w.journal().total());
    assert_eq!((vendor.accepted("r"), read), (0, 0));
    vendor.create("r").await;
}

#[tokio::test]
async fn a_request_can_be_the_last_before_connections_are_refused() {
    let vendor = striking(Fault::Refuse(AGES)).await;
    vendor.try_create("r").await.unwrap_err();
    assert_eq!(vendor.accepted("r"), 0);
    // The listener goes a moment after the connection.
    let begun = Instant::now();
    while !matches!(vendor.try_create("s").await, Err(error) if error.is_connect()) {
        assert!(begun.elapsed() < PATIENCE, "connections are not refused");
    }
    vendor.sandbox.accept_connections().await;
    vendor.create("t").await;
}

#[tokio::test]
async fn connections_are_accepted_again_after_a_while() {
    let vendor = Vendor::start(known(minute())).await;
    vendor.sandbox.refuse_connections(Some(SOON)).await;
    let (mut refused, begun) = (0, Instant::now());
    while let Err(error) = vendor.try_create("r").await {
        assert!(begun.elapsed() < PATIENCE, "never accepted again: {error}");
        refused += usize::from(error.is_connect());
    }
    assert!(refused > 0 && vendor.accepted("r") == 1);
}

#[tokio::test]
async fn the_door_can_be_closed_and_opened_by_hand() {
    let vendor = Vendor::start(known(minute())).await;
    vendor.get(JOBS).await;
    vendor.sandbox.refuse_connections(None).await;
    let error = vendor.try_create("r").await.unwrap_err();
    assert!(error.is_connect(), "a kept connection survived: {error:?}");
    vendor.sandbox.accept_connections().await;
    vendor.create("r").await;
    vendor.sandbox.refuse_connections(Some(AGES)).await;
    vendor.sandbox.stop().await;
}

#[tokio::test]
async fn silence_answers_nobody_and_does_nothing() {
    let vendor = striking(Fault::Silence).await;
    assert!(impatient(&vendor, "r").await.unwrap_err().is_timeout());
    assert_eq!(vendor.accepted("r"), 0);
    vendor.sandbox.stop().await;
}

#[tokio::test]
async fn a_late_creation_happens_after_the_client_gave_up() {
    let vendor = striking(Fault::LateHandling(SOON * 3)).await;
    assert!(impatient(&vendor, "r").await.unwrap_err().is_timeout());
    vendor
        .sandbox
        .world()
        .until(|w| w.accepted("r", 1) == 1)
        .await;
}

#[tokio::test]
async fn a_late_creation_is_answered_to_those_who_wait() {
    let vendor = striking(Fault::LateHandling(SOON)).await;
    vendor.create("r").await;
    assert_eq!(vendor.accepted("r"), 1);
}

#[tokio::test]
async fn a_late_reply_comes_after_the_job() {
    let vendor = striking(Fault::LateReply(AGES)).await;
    assert!(impatient(&vendor, "r").await.unwrap_err().is_timeout());
    assert_eq!(vendor.accepted("r"), 1);
    vendor.sandbox.stop().await;
}

#[tokio::test]
async fn the_journal_says_which_replies_have_left() {
    let vendor = striking(Fault::LateReply(AGES)).await;
    impatient(&vendor, "r").await.unwrap_err();
    vendor.create("s").await;
    let sent = |w: &mut World, run: &str| {
        let of_run = |e: &&Entry| e.run.as_deref() == Some(run);
        let mut creations = w.journal().of(Operation::Create);
        creations.find(of_run).unwrap().sent.is_some()
    };
    let world = vendor.sandbox.world();
    world.until(|w| sent(w, "s")).await;
    assert!(!world.with(|w| sent(w, "r")), "it is held back");
    vendor.sandbox.stop().await;
}

#[tokio::test]
async fn a_dropped_reply_leaves_a_job_that_its_marker_finds() {
    let vendor = striking(Fault::DropReply).await;
    let error = vendor.try_create("r").await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(vendor.accepted("r"), 1);
    let list = vendor.get(JOBS).await.json();
    assert_eq!(
        list[0]["metadata"],
        json!({ "app": "test", "run": "r", "attempt": 1 })
    );
}

#[tokio::test]
async fn a_reply_can_be_cut_in_its_body_or_in_its_head() {
    for bytes in [40, 400] {
        let vendor = striking(Fault::CutReply(bytes)).await;
        vendor.try_create("r").await.unwrap_err();
        assert_eq!(vendor.accepted("r"), 1);
    }
}

#[tokio::test]
async fn a_length_can_be_wrong_in_both_directions() {
    let vendor = striking(Fault::WrongLength(10)).await;
    vendor.try_create("r").await.unwrap_err();
    let vendor = striking(Fault::WrongLength(-10)).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<Value>(&answer.bytes).is_err());
    assert_eq!(vendor.accepted("r"), 1);
    // What was too much on the connection must not spoil the next answer.
    vendor.create("s").await;
}

#[tokio::test]
async fn a_reply_can_drip() {
    let every = Duration::from_millis(10);
    let vendor = striking(Fault::Drip(Drip { bytes: 50, every })).await;
    let start = Instant::now();
    let answer = vendor.try_create("r").await.unwrap();
    assert!(answer.json()["externalId"].is_string());
    assert!(start.elapsed() >= every * 5, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_reply_can_be_huge() {
    let bytes = 50 << 20;
    let vendor = struck(Rule::on(Operation::List, Fault::Huge(bytes))).await;
    let answer = vendor.get(JOBS).await;
    assert!(answer.bytes.len() as u64 > bytes);
    assert_eq!(answer.json(), json!([]));
}

#[tokio::test]
async fn a_reply_can_be_unreadable_or_without_an_id() {
    let vendor = striking(Fault::Garble).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<Value>(&answer.bytes).is_err());
    let vendor = striking(Fault::NoId).await;
    let answer = vendor.try_create("r").await.unwrap().json();
    assert!(answer.get("externalId").is_none() && answer["metadata"]["run"] == "r");
    assert_eq!(vendor.accepted("r"), 1);
}

#[tokio::test]
async fn server_errors_come_before_or_after_the_creation() {
    for code in [500, 502, 503, 504] {
        let vendor = striking(Fault::status(code)).await;
        let answer = vendor.try_create("r").await.unwrap();
        assert_eq!((answer.status, vendor.accepted("r")), (code, 0));
        let vendor = striking(Fault::status_after(code)).await;
        let answer = vendor.try_create("r").await.unwrap();
        assert_eq!((answer.status, vendor.accepted("r")), (code, 1));
    }
}

#[tokio::test]
async fn an_error_can_be_a_page() {
    let page = Status {
        code: 502,
        handled: false,
        html: true,
        retry_after: None,
    };
    let vendor = striking(Fault::Status(page)).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.status, 502);
    assert!(answer.text().starts_with("<html>"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
}

#[tokio::test]
async fn too_many_requests_come_with_and_without_a_wait() {
    for (wait, header) in [(None, None), (Some(Duration::from_secs(7)), Some("7"))] {
        let vendor = striking(Fault::too_many(wait)).await;
        let answer = vendor.try_create("r").await.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (429, header));
        assert_eq!(vendor.accepted("r"), 0);
    }
    let vendor = struck(Rule::on(Operation::Token, Fault::too_many(None))).await;
    let reply = vendor
        .http
        .post(vendor.sandbox.oauth_url())
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 429);
}

#[tokio::test]
async fn a_credential_can_fail_in_the_middle_of_polling() {
    let vendor = struck(
        Rule::on(Operation::Read, Fault::status(401))
            .nth(2)
            .run("r"),
    )
    .await;
    let path = format!("{JOB}/{}", vendor.create("r").await);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(vendor.get(&path).await.status);
    }
    assert_eq!(seen, [200, 401, 200]);
}

#[tokio::test]
async fn a_redirect_names_another_host() {
    let elsewhere = "http://127.0.0.2:9/elsewhere";
    let vendor = striking(Fault::Redirect(elsewhere.into())).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, Some(elsewhere))
    );
    assert_eq!(vendor.accepted("r"), 0);
}

#[tokio::test]
async fn chance_strikes_about_as_often_as_it_should_and_the_same_way_again() {
    let run = async || {
        let rule = Rule::on(Operation::Create, Fault::status(503)).chance(0.3);
        let vendor = Vendor::start(known(minute()).fault(rule).seed(9)).await;
        let mut struck = Vec::new();
        for n in 0..60 {
            let answer = vendor.try_create(&format!("r{n}")).await.unwrap();
            struck.push(answer.status == 503);
        }
        struck
    };
    let (first, second) = (run().await, run().await);
    assert_eq!(first, second);
    let count = first.iter().filter(|struck| **struck).count();
    assert!((8..30).contains(&count), "{count}");
}

#[tokio::test]
async fn faults_come_and_go_while_it_runs() {
    let vendor = Vendor::start(known(Script::default())).await;
    vendor.create("a").await;
    let world = vendor.sandbox.world();
    world.with(|w| w.add_fault(Rule::always(Fault::status(503))));
    assert_eq!(vendor.try_create("b").await.unwrap().status, 503);
    world.with(|w| {
        w.clear_faults();
        assert!(w.enable("p.d.wf", false));
    });
    let id = vendor.create("c").await;
    let status = vendor.status(&id).await;
    assert!(
        status["errorResult"]["message"]
            .as_str()
            .unwrap()
            .contains("not found")
    );
    let faults: Vec<_> = world.with(|w| w.journal().entries().map(|e| e.fault).collect());
    assert_eq!(faults, [None, Some("status"), None, None]);
}

#[tokio::test]
async fn many_connections_at_once_are_served() {
    let vendor = Vendor::start(known(Script::default())).await;
    let url = vendor.sandbox.base_url() + JOB;
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (http, url) = (vendor.http.clone(), url.clone());
            let body = creation(&format!("r{n}"));
            tokio::spawn(async move {
                let answer =
                    ask(&http, Method::POST, &url, Some("sandbox-token"), Some(body)).await;
                answer.map(|answer| answer.status)
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 200);
    }
    assert_eq!(vendor.sandbox.world().with(|w| w.tally().len()), 200);
}

#[tokio::test]
async fn the_demo_shows_all_that_it_promises() {
    let vendor = Vendor::start(Scenario::demo()).await;
    let poor = json!({
        "query": "CALL `carto-demo.carto_temp.wfproc_api_2222222222222222`(@day)",
        "queryParameters": { "day": "2026-03-01" },
        "metadata": { "run": "flaky", "attempt": 1 },
    });
    let mut ends = Vec::new();
    let mut dropped = 0;
    while ends.len() < 3 {
        let token = Some(vendor.sandbox.token());
        let Ok(answer) = vendor
            .ask(Method::POST, JOB, token, Some(poor.clone()))
            .await
        else {
            dropped += 1;
            ends.push(Value::Null);
            continue;
        };
        vendor.pass(5);
        let id = answer.json()["externalId"].as_str().unwrap().to_owned();
        ends.push(vendor.status(&id).await["errorResult"]["reason"].clone());
    }
    assert_eq!(
        ends,
        [json!("backendError"), json!("backendError"), Value::Null]
    );
    assert_eq!(dropped, 1, "the reply to the third creation is dropped");
    let page = json!({
        "query": "CALL `carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.\
                  workflow_procedure_09cc2e19ad5bbc6f`(@number_of_clusters,@buffer_radius,@store_type)",
        "queryParameters": { "number_of_clusters": "2", "buffer_radius": 500, "store_type": "Hyper" },
    });
    let id = vendor.post(JOB, page).await.json()["externalId"]
        .as_str()
        .unwrap()
        .to_owned();
    vendor.pass(5);
    let message = vendor.status(&id).await["errorResult"]["message"].clone();
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("Cannot coerce expression @number_of_clusters")
    );
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(vendor.get(&format!("{JOB}/{id}")).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1);
}
