//! The stand-in for CARTO over real HTTP: each route as it should answer. What goes wrong on purpose is in `faults.rs`.

mod faults;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nightcall::sandbox::{
    Ending, Limit, Metadata, Operation, Procedure, Profile, Sandbox, Scenario, Script, Wrapper,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const CALL: &str = "CALL `p.d.wf`(@clusters,@kind)";
const JOB: &str = "/v3/sql/carto_dw/job";
const JOBS: &str = "/v3/sql/jobs";
const QUERY: &str = "/v3/sql/carto_dw/query";

/// A sandbox whose clock stands still until it is moved, and a client.
struct Vendor {
    sandbox: Sandbox,
    clock: Arc<Mutex<Timestamp>>,
    http: Client,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Vendor {
    async fn start(scenario: Scenario) -> Self {
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let clock = Arc::new(Mutex::new(noon));
        let read = Arc::clone(&clock);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox =
            Sandbox::start_with(scenario, address, Arc::new(move || *read.lock().unwrap()))
                .await
                .unwrap();
        Self {
            sandbox,
            clock,
            http: client(Duration::from_secs(20)),
        }
    }

    fn pass(&self, seconds: u64) {
        *self.clock.lock().unwrap() += Duration::from_secs(seconds);
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        ask(
            &self.http,
            method,
            &(self.sandbox.base_url() + path),
            token,
            body,
        )
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Some(self.sandbox.token()), None)
            .await
            .unwrap()
    }

    async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, Some(self.sandbox.token()), None)
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(self.sandbox.token()), Some(body))
            .await
            .unwrap()
    }

    /// Tries to create a job for a run.
    async fn try_create(&self, run: &str) -> reqwest::Result<Answer> {
        self.ask(
            Method::POST,
            JOB,
            Some(self.sandbox.token()),
            Some(creation(run)),
        )
        .await
    }

    /// Creates a job for a run and gives its id.
    async fn create(&self, run: &str) -> String {
        let answer = self.try_create(run).await.unwrap();
        answer.json()["externalId"].as_str().unwrap().to_owned()
    }

    async fn status(&self, id: &str) -> Value {
        self.get(&format!("{JOB}/{id}")).await.json()["status"].clone()
    }

    fn accepted(&self, run: &str) -> usize {
        self.sandbox.world().with(|world| world.accepted(run, 1))
    }
}

fn client(limit: Duration) -> Client {
    Client::builder()
        .no_proxy()
        .timeout(limit)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

async fn ask(
    http: &Client,
    method: Method,
    url: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> reqwest::Result<Answer> {
    let mut request = http.request(method, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let reply = request.send().await?;
    Ok(Answer {
        status: reply.status().as_u16(),
        headers: reply.headers().clone(),
        bytes: reply.bytes().await?.to_vec(),
    })
}

fn creation(run: &str) -> Value {
    json!({
        "query": CALL,
        "queryParameters": { "clusters": 2, "kind": run },
        "metadata": { "app": "test", "run": run, "attempt": 1 },
    })
}

fn known(script: Script) -> Scenario {
    let signature = "p.d.wf(clusters INT64 = 8, kind STRING)";
    Scenario::default().procedure(Procedure::new(signature, script).unwrap())
}

fn minute() -> Script {
    Script::running(Duration::from_secs(60))
}

#[tokio::test]
async fn a_creation_is_echoed_with_ids_time_place_and_token() {
    let vendor = Vendor::start(known(minute())).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["query"], CALL);
    assert_eq!(
        body["metadata"],
        json!({ "app": "test", "run": "r", "attempt": 1 })
    );
    assert_eq!(body["createdAt"], "2026-03-01T12:00:00.000Z");
    assert_eq!(body["jobMetadata"], json!({ "location": "US" }));
    assert_eq!(body["token"], vendor.sandbox.token());
    assert!(body["externalId"].as_str().unwrap().starts_with("job_"));
    for id in ["accountId", "userId", "connectionId"] {
        assert!(body[id].is_string(), "{id}");
    }
    assert!(body.get("status").is_none());
    assert_eq!(answer.header("date"), Some("Sun, 01 Mar 2026 12:00:00 GMT"));
}

#[tokio::test]
async fn the_creation_can_answer_201() {
    let mut scenario = known(minute());
    scenario.create.status = 201;
    let vendor = Vendor::start(scenario).await;
    assert_eq!(vendor.try_create("r").await.unwrap().status, 201);
}

#[tokio::test]
async fn a_creation_without_a_statement_is_refused() {
    let vendor = Vendor::start(known(minute())).await;
    for body in [
        json!({}),
        json!({ "q": CALL }),
        json!({ "query": " " }),
        json!({ "query": 7 }),
    ] {
        let answer = vendor.post(JOB, body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().contains("query"));
    }
    let answer = vendor
        .post(JOB, json!({ "query": CALL, "metadata": [1] }))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(vendor.sandbox.world().with(|w| w.jobs().count()), 0);
}

#[tokio::test]
async fn a_body_above_the_limit_is_answered_with_413() {
    let mut scenario = known(minute());
    scenario.create.body_limit = 1000;
    let vendor = Vendor::start(scenario).await;
    let answer = vendor
        .post(JOB, json!({ "query": "x".repeat(200_000) }))
        .await;
    assert_eq!(answer.status, 413);
    assert_eq!(vendor.try_create("r").await.unwrap().status, 200);
}

#[tokio::test]
async fn metadata_can_be_refused_by_name() {
    let mut scenario = known(minute());
    scenario.create.metadata = Metadata::Refused;
    let vendor = Vendor::start(scenario).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("metadata"));
}

#[tokio::test]
async fn credentials_are_told_apart() {
    let mut scenario = known(minute());
    scenario.auth.without_grant = vec!["poor".into()];
    let vendor = Vendor::start(scenario).await;
    let ask = async |token| {
        let answer = vendor.ask(Method::GET, JOBS, token, None).await.unwrap();
        (answer.status, answer.text())
    };
    let (status, text) = ask(None).await;
    assert!(
        status == 401 && text.contains("Token not defined"),
        "{text}"
    );
    let (status, text) = ask(Some("guess")).await;
    assert!(status == 401 && text.contains("invalid token"), "{text}");
    let (status, text) = ask(Some("poor")).await;
    assert!(status == 403 && text.contains("permissions"), "{text}");
    assert_eq!(ask(Some("sandbox-token")).await.0, 200);
    let in_url = format!("{JOBS}?access_token=sandbox-token");
    assert_eq!(
        vendor
            .ask(Method::GET, &in_url, None, None)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn tokens_are_handed_out_counted_and_expire() {
    let mut scenario = known(minute());
    scenario.auth.oauth.lifetime = Duration::from_secs(5);
    let vendor = Vendor::start(scenario).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "sandbox-client"),
        ("client_secret", "sandbox-secret"),
        ("audience", "carto-cloud-native-api"),
    ];
    let request = || {
        vendor
            .http
            .post(vendor.sandbox.oauth_url())
            .form(&form)
            .send()
    };
    let reply: Value = request().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&reply["expires_in"], &reply["token_type"]),
        (&json!(5), &json!("Bearer"))
    );
    let token = reply["access_token"].as_str().unwrap();
    let ask = async || {
        vendor
            .ask(Method::GET, JOBS, Some(token), None)
            .await
            .unwrap()
            .status
    };
    assert_eq!(ask().await, 200);
    vendor.pass(5);
    assert_eq!(ask().await, 401);
    assert_eq!(vendor.sandbox.world().with(|w| w.tokens_issued()), 1);
    vendor
        .sandbox
        .world()
        .with(|w| w.scenario.auth.oauth.refuse = true);
    let refused = request().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.text().await.unwrap().contains("access_denied"));
    let asked = vendor
        .sandbox
        .world()
        .with(|w| w.journal().count(Operation::Token));
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn unknown_paths_are_404_in_json_also_beside_the_base_path() {
    let mut scenario = known(minute());
    scenario.base_path = "/api".into();
    let vendor = Vendor::start(scenario).await;
    assert!(vendor.sandbox.base_url().ends_with("/api"));
    assert_eq!(vendor.get(JOBS).await.status, 200);
    let root = vendor.sandbox.base_url().replace("/api", "");
    for url in [
        format!("{root}{JOBS}"),
        format!("{root}/api/v3/sql"),
        format!("{root}/api/v3/sql/carto_dw/job/x/y"),
        format!("{root}/"),
    ] {
        let answer = ask(&vendor.http, Method::GET, &url, Some("sandbox-token"), None).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (404, &json!("Not Found")),
            "{url}"
        );
    }
    assert!(vendor.sandbox.oauth_url().starts_with(&root));
}

#[tokio::test]
async fn only_the_named_connections_exist() {
    let scenario = Scenario {
        connections: vec!["my dw".into()],
        ..known(minute())
    };
    let vendor = Vendor::start(scenario).await;
    assert_eq!(vendor.try_create("r").await.unwrap().status, 404);
    let answer = vendor.post("/v3/sql/my%20dw/job", creation("r")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(vendor.get(JOBS).await.status, 200);
}

#[tokio::test]
async fn a_job_is_read_through_its_life() {
    let script = Script {
        visible_after: Duration::from_secs(1).into(),
        pending: Duration::from_secs(2).into(),
        ..minute()
    };
    let vendor = Vendor::start(known(script)).await;
    let id = vendor.create("r").await;
    assert_eq!(vendor.get(&format!("{JOB}/{id}")).await.status, 404);
    vendor.pass(1);
    assert_eq!(vendor.status(&id).await, json!({ "state": "PENDING" }));
    vendor.pass(1);
    assert_eq!(vendor.status(&id).await, json!({ "state": "RUNNING" }));
    vendor.pass(60);
    assert_eq!(vendor.status(&id).await, json!({ "state": "DONE" }));
    assert_eq!(vendor.sandbox.world().with(|w| w.executions("r")), 1);
    assert_eq!(vendor.get(&format!("{JOB}/job_nobody")).await.status, 404);
}

#[tokio::test]
async fn a_wrong_type_ends_with_the_error_of_the_vendors_page() {
    let vendor = Vendor::start(known(minute())).await;
    let mut body = creation("r");
    body["queryParameters"]["clusters"] = json!("2");
    let id = vendor.post(JOB, body).await.json()["externalId"].clone();
    let status = vendor.status(id.as_str().unwrap()).await;
    assert_eq!(
        status,
        json!({
            "errorResult": {
                "reason": "invalidQuery",
                "location": "query",
                "message": "Query error: Cannot coerce expression @clusters to type INT64 at [1:158]",
            },
            "state": "DONE",
        })
    );
}

#[tokio::test]
async fn every_profile_answers_in_its_own_shape() {
    let ending = || Script::ending([Ending::fails("backendError")]);
    for (profile, state, error) in [
        (
            Profile::Bigquery,
            "/status/state",
            "/status/errorResult/reason",
        ),
        (Profile::Snowflake, "/status/state", "/status/error/code"),
        (Profile::SnowflakeFlat, "/status", "/error/code"),
        (Profile::Flat, "/status", "/error/code"),
    ] {
        let vendor = Vendor::start(known(ending()).profile(profile)).await;
        let id = vendor.create("r").await;
        let reply = vendor.get(&format!("{JOB}/{id}")).await.json();
        assert!(
            reply.pointer(state).is_some_and(Value::is_string),
            "{profile:?} {reply}"
        );
        assert!(
            reply.pointer(error).is_some_and(Value::is_string),
            "{profile:?} {reply}"
        );
    }
    let vendor = Vendor::start(known(ending()).profile(Profile::Weird)).await;
    let id = vendor.create("r").await;
    assert_eq!(vendor.get(&format!("{JOB}/{id}")).await.status, 200);
}

#[tokio::test]
async fn a_get_with_a_statement_creates_a_job_too() {
    let vendor = Vendor::start(known(Script::default())).await;
    let url = format!(
        "{JOB}?query=CALL%20%60p.d.wf%60(%40clusters,%40kind)\
         &queryParameters=%7B%22clusters%22:2,%22kind%22:%22x%22%7D&access_token=sandbox-token"
    );
    let answer = vendor.ask(Method::GET, &url, None, None).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["query"], CALL);
    vendor.sandbox.world().with(|w| {
        let job = w.jobs().next().unwrap();
        assert!(job.by_url && job.runs && job.marker.is_none());
    });
    assert_eq!(vendor.get(JOB).await.status, 400);
}

#[tokio::test]
async fn queries_execute_by_post_and_only_once_by_get() {
    let vendor = Vendor::start(known(minute())).await;
    let executed = || {
        vendor
            .sandbox
            .world()
            .with(|w| w.journal().executed_directly("SELECT 1"))
    };
    for n in 1..=2 {
        let answer = vendor.post(QUERY, json!({ "q": "SELECT 1" })).await;
        assert_eq!(answer.json()["rows"], json!([{ "f0_": 1 }]));
        assert_eq!(executed(), n);
    }
    for hit in [false, true, true] {
        let answer = vendor.get(&format!("{QUERY}?q=SELECT%201")).await;
        assert_eq!(answer.json()["meta"]["cacheHit"], hit);
        assert_eq!(executed(), 3);
    }
    assert_eq!(
        vendor
            .post(QUERY, json!({ "query": "SELECT 1" }))
            .await
            .status,
        400
    );
    let wrong = json!({ "q": "CALL p.d.wf(1.5, 'x')" });
    let answer = vendor.post(QUERY, wrong).await;
    assert!(
        answer.status == 400 && answer.text().contains("coerce"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn the_list_is_an_array_of_creations_since_a_time() {
    let vendor = Vendor::start(known(minute())).await;
    vendor.create("first").await;
    vendor.pass(120);
    vendor.create("second").await;
    let all = vendor.get(JOBS).await.json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["metadata"]["run"], "first");
    assert!(all[0].get("token").is_none() && all[0].get("status").is_none());
    let since = format!("{JOBS}?created_since=2026-03-01T12:01:00.000Z");
    let late = vendor.get(&since).await.json();
    assert_eq!(late.as_array().unwrap().len(), 1);
    assert_eq!(late[0]["metadata"]["run"], "second");
    assert_eq!(
        vendor
            .get(&format!("{JOBS}?created_since=yesterday"))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_list_has_a_switch_for_each_thing_nobody_knows() {
    let vendor = Vendor::start(known(minute())).await;
    vendor.create("r").await;
    let world = vendor.sandbox.world();
    for (wrapper, word) in [
        (Wrapper::Data, "data"),
        (Wrapper::Jobs, "jobs"),
        (Wrapper::Rows, "rows"),
        (Wrapper::Items, "items"),
        (Wrapper::Results, "results"),
    ] {
        world.with(|w| w.scenario.list.wrapper = Some(wrapper));
        assert_eq!(
            vendor.get(JOBS).await.json()[word]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    world.with(|w| {
        w.scenario.list.wrapper = None;
        w.scenario.list.metadata = false;
        w.scenario.list.query = false;
        w.scenario.list.status = true;
        w.scenario.list.others = 2;
    });
    let list = vendor.get(JOBS).await.json();
    let (ours, others) = (&list[0], &list[2]);
    assert!(ours.get("metadata").is_none() && ours.get("query").is_none());
    assert_eq!(ours["status"]["state"], "RUNNING");
    assert_ne!(ours["userId"], others["userId"]);
    world.with(|w| w.scenario.list.page = Some(1));
    assert_eq!(vendor.get(JOBS).await.json().as_array().unwrap().len(), 1);
    world.with(|w| w.scenario.list.ignores_created_since = true);
    let since = format!("{JOBS}?created_since=2027-01-01T00:00:00Z");
    assert_eq!(vendor.get(&since).await.json().as_array().unwrap().len(), 1);
    world.with(|w| w.scenario.list.forbidden = true);
    assert_eq!(vendor.get(JOBS).await.status, 403);
}

#[tokio::test]
async fn a_new_job_can_stay_out_of_the_list_for_a_while() {
    let mut scenario = known(minute());
    scenario.list.delay = Duration::from_secs(10).into();
    let vendor = Vendor::start(scenario).await;
    let id = vendor.create("r").await;
    assert_eq!(vendor.get(JOBS).await.json(), json!([]));
    assert_eq!(vendor.status(&id).await["state"], "RUNNING");
    vendor.pass(10);
    assert_eq!(vendor.get(JOBS).await.json()[0]["externalId"], id.as_str());
}

#[tokio::test]
async fn a_cancelled_job_ends_as_stopped() {
    let vendor = Vendor::start(known(minute())).await;
    let path = format!("{JOB}/{}", vendor.create("r").await);
    let answer = vendor.delete(&path).await;
    assert_eq!(answer.status, 200);
    let status = &vendor.get(&path).await.json()["status"];
    assert_eq!(status["errorResult"]["reason"], "stopped");
    assert_eq!(vendor.delete(&path).await.status, 400);
    assert_eq!(
        vendor.delete(&format!("{JOB}/job_nobody")).await.status,
        404
    );
}

#[tokio::test]
async fn a_cancellation_can_be_wordless_and_in_vain() {
    let mut scenario = known(minute());
    scenario.cancel.empty_reply = true;
    scenario.cancel.ignored = true;
    let vendor = Vendor::start(scenario).await;
    let path = format!("{JOB}/{}", vendor.create("r").await);
    let answer = vendor.delete(&path).await;
    assert_eq!((answer.status, answer.bytes.len()), (204, 0));
    vendor.pass(60);
    assert_eq!(
        vendor.get(&path).await.json()["status"],
        json!({ "state": "DONE" })
    );
}

#[tokio::test]
async fn the_firewall_counts_every_route_and_blocks_for_a_minute() {
    let limit = Limit {
        retry_after: true,
        ..Limit::per_minute(3)
    };
    let scenario = Scenario {
        limit: Some(limit),
        ..known(minute())
    };
    let vendor = Vendor::start(scenario).await;
    let id = vendor.create("r").await;
    vendor.get(JOBS).await;
    vendor.get("/nowhere").await;
    let blocked = vendor.get(&format!("{JOB}/{id}")).await;
    assert_eq!(
        (blocked.status, blocked.header("retry-after")),
        (429, Some("60"))
    );
    assert!(blocked.header("content-type").unwrap().contains("html"));
    vendor.pass(59);
    let blocked = vendor.get(JOBS).await;
    assert_eq!(
        (blocked.status, blocked.header("retry-after")),
        (429, Some("1"))
    );
    vendor.pass(1);
    assert_eq!(vendor.get(JOBS).await.status, 200);
}

#[tokio::test]
async fn a_skewed_clock_shows_in_date_and_created_at() {
    let scenario = Scenario {
        skew: SignedDuration::from_mins(-7),
        ..known(minute())
    };
    let vendor = Vendor::start(scenario).await;
    let answer = vendor.try_create("r").await.unwrap();
    assert_eq!(answer.header("date"), Some("Sun, 01 Mar 2026 11:53:00 GMT"));
    assert_eq!(answer.json()["createdAt"], "2026-03-01T11:53:00.000Z");
}

#[tokio::test]
async fn the_journal_keeps_what_was_asked() {
    let vendor = Vendor::start(known(minute())).await;
    let id = vendor.create("r").await;
    vendor.get(&format!("{JOB}/{id}")).await;
    vendor.sandbox.world().with(|world| {
        let entries: Vec<_> = world.journal().entries().collect();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].request.method, "POST");
        assert_eq!(
            entries[0].request.header("authorization"),
            Some("Bearer sandbox-token")
        );
        let body: Value = serde_json::from_slice(&entries[0].request.body).unwrap();
        assert_eq!(body, creation("r"));
        assert_eq!(entries[1].run.as_deref(), Some("r"));
        assert_eq!(
            (entries[1].operation, entries[1].status),
            (Operation::Read, Some(200))
        );
        assert_eq!(
            world.journal().count(Operation::Connect),
            1,
            "one connection served both"
        );
    });
}

#[tokio::test]
async fn only_the_loopback_is_listened_on() {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Sandbox::start_at(Scenario::default(), anywhere)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    let nonsense = Scenario {
        speed: 0.0,
        ..Scenario::default()
    };
    assert!(Sandbox::start(nonsense).await.is_err());
}

#[tokio::test]
async fn a_stopped_sandbox_is_gone() {
    let vendor = Vendor::start(known(minute())).await;
    assert_eq!(vendor.get(JOBS).await.status, 200);
    let url = vendor.sandbox.base_url() + JOBS;
    vendor.sandbox.stop().await;
    let gone = ask(&vendor.http, Method::GET, &url, None, None)
        .await
        .unwrap_err();
    assert!(gone.is_connect(), "{gone:?}");
}
