//! What the routes answer.

use nightcall::control::Code;
use nightcall::control::client::ClientError;
use nightcall::control::wire::{FireBody, FollowLine, RunView};
use serde_json::json;

use super::world::{Life, World, body, in_time, over_socket, over_tcp, without_token};

fn whats(lines: &[FollowLine]) -> Vec<String> {
    lines
        .iter()
        .map(|line| match line {
            FollowLine::Event(event) => event.what.clone(),
            FollowLine::Run(run) => format!("run {}", run.outcome.clone().unwrap()),
            FollowLine::Error(error) => format!("error {}", error.message),
        })
        .collect()
}

fn refusal(error: ClientError) -> (u16, String, String) {
    match error {
        ClientError::Refused { status, view } => (status, view.message, view.hint.unwrap()),
        other => panic!("{other:?}"),
    }
}

async fn refused(life: &Life, body: FireBody) -> (u16, String, String) {
    refusal(life.client.fire(&body).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_by_hand_is_made_once_and_followed_to_its_end() {
    let world = World::new().await;
    let life = world.start().await;
    let run = life.fire("quick", "k1").await;
    assert_eq!(run.to_string().split('@').next(), Some("quick/default"));
    let lines = life.lines(&run).await;
    let story = [
        "asked",
        "submitting",
        "accepted",
        "finished",
        "run succeeded",
    ];
    assert_eq!(whats(&lines), story);
    assert_eq!(
        life.fire("quick", "k1").await,
        run,
        "the same key, the same run"
    );
    assert_eq!(
        whats(&life.lines(&run).await),
        story,
        "told again from the store"
    );
    assert_eq!(world.jobs(), 1);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_known_after_a_restart() {
    let world = World::new().await;
    let life = world.start().await;
    let run = life.fire("quick", "k1").await;
    life.lines(&run).await;
    life.stop().await;
    let life = world.start().await;
    assert_eq!(life.fire("quick", "k1").await, run);
    assert_eq!(world.jobs(), 1);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_run_is_refused_with_a_remedy() {
    let world = World::new().await;
    let life = world.start().await;
    let (status, error, hint) = refused(&life, body("nobody", "k")).await;
    assert_eq!(
        (status, error.as_str()),
        (409, "there is no schedule called nobody")
    );
    assert!(hint.contains("nightcall next"));
    let (_, error, _) = refused(&life, body("off", "k")).await;
    assert_eq!(error, "schedule off is switched off");
    let (_, error, hint) = refused(&life, body("sets", "k")).await;
    assert!(error.contains("several parameter sets: a, b"), "{error}");
    assert_eq!(hint, "name one, as in sets/a");
    let mut wrong = body("quick", "k");
    wrong.parameters.insert("m".to_owned(), json!(1));
    let (_, error, _) = refused(&life, wrong).await;
    assert_eq!(error, "there is no parameter called m");
    assert_eq!(world.jobs(), 0);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_cannot_be_written_a_run_is_neither_made_nor_refused() {
    let world = World::new().await;
    let life = world.start().await;
    life.status_until(|status| status.complaints.is_empty())
        .await;
    let writer = rusqlite::Connection::open(&world.config.daemon.database).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, error, hint) = refused(&life, body("quick", "k")).await;
    assert_eq!(status, 503);
    assert!(error.starts_with("the store cannot be used: "), "{error}");
    assert!(hint.contains("nightcall status"), "{hint}");
    writer.execute_batch("COMMIT").unwrap();
    life.status_until(|status| status.complaints.is_empty())
        .await;
    life.fire("quick", "k").await;
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_good_for_one_schedule_only() {
    let world = World::new().await;
    let life = world.start().await;
    life.fire("quick", "k").await;
    let (status, error, _) = refused(&life, body("broken", "k")).await;
    assert_eq!(status, 409);
    assert!(error.contains("the key belongs to another run"), "{error}");
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_series_refuses_unless_told_otherwise() {
    let world = World::new().await;
    let life = world.start().await;
    life.fire("endless", "k1").await;
    let (status, error, hint) = refused(&life, body("endless", "k2")).await;
    assert_eq!((status, error.as_str()), (409, "the series is busy"));
    assert!(hint.contains("--queue") && hint.contains("--anyway"));
    let queued = FireBody {
        queue: true,
        ..body("endless", "k3")
    };
    life.client.fire(&queued).await.unwrap();
    let anyway = FireBody {
        anyway: true,
        ..body("endless", "k4")
    };
    life.client.fire(&anyway).await.unwrap();
    let status = life
        .status_until(|status| status.live.get("running") == Some(&2))
        .await;
    assert_eq!(status.live.get("pending"), Some(&1), "{:?}", status.live);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_and_the_date_of_a_run_by_hand_are_on_record() {
    let world = World::new().await;
    let life = world.start().await;
    let mut asked = body("sets", "k");
    asked.set = Some("b".to_owned());
    asked.as_of = Some("2026-07-03".to_owned());
    asked
        .parameters
        .insert("n".to_owned(), serde_json::from_str("2.0").unwrap());
    let run = life.client.fire(&asked).await.unwrap().run.parse().unwrap();
    let lines = life.lines(&run).await;
    let Some(FollowLine::Run(run)) = lines.last() else {
        panic!("{lines:?}");
    };
    assert_eq!(run.parameters.to_string(), r#"{"n":2.0}"#);
    assert!(run.nominal.starts_with("2026-07-03T") && run.nominal.ends_with("+02:00"));
    assert_eq!((run.set.as_str(), run.origin.as_str()), ("b", "manual"));
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_how_things_stand() {
    let world = World::new().await;
    let life = world.start().await;
    let status = life
        .status_until(|status| status.complaints.is_empty() && status.connections[0].swept)
        .await;
    assert_eq!((status.series, status.pid), (6, std::process::id()));
    assert_eq!(status.clock, "believed");
    assert_eq!(status.next.len(), 6);
    assert_eq!(status.connections[0].name, "dw");
    assert_eq!(status.connections[0].proven, None);
    life.fire("endless", "k").await;
    let status = life
        .status_until(|status| status.live.get("running") == Some(&1))
        .await;
    assert_eq!(status.connections[0].in_flight, 1);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_a_complaint() {
    let world = World::new().await;
    let life = world.start().await;
    life.status_until(|status| status.complaints.is_empty())
        .await;
    assert_eq!(
        over_tcp(life.http, "GET /healthz", "localhost")
            .await
            .status,
        200
    );
    world.sandbox.refuse_connections(None).await;
    life.fire("quick", "k").await;
    life.status_until(|status| !status.complaints.is_empty())
        .await;
    let health = over_tcp(life.http, "GET /healthz", "localhost").await;
    assert_eq!(
        (health.status, &health.json()["alive"]),
        (200, &json!(true))
    );
    assert_eq!(health.json()["healthy"], json!(false));
    let complaint = health.json()["complaints"][0].as_str().unwrap().to_owned();
    assert!(
        complaint.starts_with("connection dw does not work since"),
        "{complaint}"
    );
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_read_over_either_address() {
    let world = World::new().await;
    let life = world.start().await;
    for key in ["k1", "k2", "k3"] {
        let run = life.fire("quick", key).await;
        life.lines(&run).await;
    }
    let run = life.fire("broken", "k4").await;
    life.lines(&run).await;

    let runs = over_socket(world.socket(), "GET /v1/runs?schedule=quick&limit=2", b"").await;
    let views: Vec<RunView> = serde_json::from_str(&runs.body).unwrap();
    assert!(
        views
            .iter()
            .all(|view| view.outcome.as_deref() == Some("succeeded"))
    );
    assert_eq!(views.len(), 2);
    let runs = over_tcp(life.http, "GET /v1/runs?state=failed&set=", "127.0.0.1:1").await;
    assert_eq!(runs.json().as_array().unwrap().len(), 1);
    assert_eq!(runs.json()[0]["reason"], json!("invalidQuery"));
    let runs = over_tcp(
        life.http,
        "GET /v1/runs?until=2020-01-01T00:00:00Z",
        "[::1]",
    )
    .await;
    assert_eq!(runs.json(), json!([]));

    let asked = format!("GET /v1/run?id={run}");
    let story = over_tcp(life.http, &asked, "localhost").await.json();
    assert_eq!(story["run"], json!(run.to_string()));
    assert_eq!(story["events"].as_array().unwrap().len(), 4);
    assert_eq!(story["notices"][0]["kind"], json!("failed"));
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_says_why_and_what_to_do() {
    let world = World::new().await;
    let life = world.start().await;
    let long = vec![b'x'; 70 * 1024];
    let huge: &[(&str, &[u8], u16)] = &[
        ("GET /v1/nothing", b"", 404),
        ("GET /", b"", 404),
        ("GET /v1/fire", b"", 405),
        ("POST /v1/status", b"", 405),
        ("POST /v1/fire", b"", 400),
        ("POST /v1/fire", b"[]", 400),
        (
            "POST /v1/fire",
            b"{\"schedule\":\"quick\",\"key\":\"a b\"}",
            400,
        ),
        ("POST /v1/fire", &long, 413),
        ("GET /v1/runs?limit=0", b"", 400),
        ("GET /v1/runs?colour=red", b"", 400),
        ("GET /v1/runs?state=asleep", b"", 400),
        ("GET /v1/runs?since=yesterday", b"", 400),
        ("GET /v1/run", b"", 400),
        ("GET /v1/run?id=quick", b"", 400),
        (
            "GET /v1/run?id=quick/default@2020-01-01T00:00:00Z",
            b"",
            404,
        ),
        (
            "GET /v1/follow?run=quick/default@2020-01-01T00:00:00Z",
            b"",
            404,
        ),
    ];
    for (line, body, status) in huge {
        let answer = over_socket(world.socket(), line, body).await;
        assert_eq!(answer.status, *status, "{line}: {}", answer.body);
        let view = answer.json();
        let said = |key: &str| view[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(
            said("code") && said("message") && said("hint"),
            "{line}: {view}"
        );
        let known = Code::ALL.iter().find(|(_, word, _)| view["code"] == **word);
        assert_eq!(known.map(|(.., status)| status), Some(status), "{view}");
    }
    assert_eq!(world.jobs(), 0);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loopback_address_asks_for_the_token_and_for_its_own_name() {
    let world = World::new().await;
    let life = world.start().await;
    for line in [
        "GET /v1/status",
        "GET /metrics",
        "POST /v1/fire",
        "GET /v1/nothing",
    ] {
        let answer = without_token(life.http, line, "localhost").await;
        assert_eq!(answer.status, 401, "{line}: {}", answer.body);
        assert!(answer.body.contains("status --token"), "{}", answer.body);
        let wrong = "localhost\r\nauthorization: Bearer x";
        assert_eq!(without_token(life.http, line, wrong).await.status, 401);
    }
    life.status_until(|status| status.complaints.is_empty())
        .await;
    for open in ["GET /healthz", "GET /readyz"] {
        let answer = without_token(life.http, open, "localhost").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "0.0.0.0"] {
        let answer = over_tcp(life.http, "GET /v1/status", host).await;
        assert_eq!(answer.status, 403, "{host}: {}", answer.body);
        assert!(!answer.body.contains("pid"));
    }
    let answer = over_tcp(life.http, "GET /v1/status", "localhost:7070").await;
    assert_eq!(answer.status, 200);
    let answer = over_tcp(life.http, "POST /v1/pause", "localhost").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let status = over_tcp(life.http, "GET /v1/status", "localhost")
        .await
        .json();
    assert_eq!(status["pauses"][0]["who"], json!("the holder of the token"));
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_what_is_followed_and_takes_the_socket_away() {
    let world = World::new().await;
    let life = world.start().await;
    let run = life.fire("endless", "k").await;
    let mut following = life.client.follow(&run).await.unwrap();
    in_time(following.next()).await.unwrap();
    let (client, socket) = (life.client.clone(), world.socket().to_owned());
    life.stop().await;
    let ended = loop {
        match in_time(following.next()).await {
            Ok(FollowLine::Event(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(ended, Err(ClientError::Lost(_))), "{ended:?}");
    assert!(!socket.exists());
    let gone = client.status().await.unwrap_err();
    assert!(matches!(gone, ClientError::NoDaemon { .. }), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_follow_hear_the_same() {
    let world = World::new().await;
    let life = world.start().await;
    let run = life.fire("quick", "k").await;
    let mut all = Vec::new();
    for _ in 0..20 {
        let (client, run) = (life.client.clone(), run.clone());
        all.push(tokio::spawn(async move {
            let mut following = client.follow(&run).await.unwrap();
            let mut lines = Vec::new();
            while !matches!(lines.last(), Some(FollowLine::Run(_))) {
                lines.push(in_time(following.next()).await.unwrap());
            }
            lines
        }));
    }
    let last = life.lines(&run).await;
    for heard in all {
        assert_eq!(heard.await.unwrap(), last);
    }
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_ever_answered() {
    let world = World::new().await;
    let life = world.start().await;
    let run = life.fire("broken", "k").await;
    life.lines(&run).await;
    let token = world.sandbox.token().to_owned();
    for line in [
        "GET /v1/status".to_owned(),
        "GET /v1/runs".to_owned(),
        format!("GET /v1/run?id={run}"),
        format!("GET /v1/follow?run={run}"),
        "GET /healthz".to_owned(),
        "GET /readyz".to_owned(),
        "GET /metrics".to_owned(),
    ] {
        let answer = over_socket(world.socket(), &line, b"").await;
        assert_eq!(answer.status, 200, "{line}");
        assert!(!answer.body.contains(&token), "{line}");
    }
    life.stop().await;
}
