//! The dead man's switch.

use std::time::Duration;

use nightcall::notify::heartbeat::{HeartbeatSettings, Switch};
use nightcall::notify::setup::Reach;
use nightcall::notify::{Beat, Heartbeat};
use nightcall::sched::id::RunId;

use super::{TELLING, golden, missing, presentable, retried, secret, short};
use crate::support::receiver::{Answer, Receiver, status};

fn switch(receiver: &Receiver, reach: Reach) -> Switch {
    let url = secret(&receiver.url(&format!("/ping/{TELLING}")));
    Switch::new(HeartbeatSettings { url, reach }).unwrap()
}

fn run() -> RunId {
    "store-clusters/hyper@2026-11-30T02:15:00Z".parse().unwrap()
}

#[tokio::test]
async fn what_arrives() {
    let receiver = Receiver::always(Answer::Say(200, &[], "OK".into())).await;
    let switch = switch(&receiver, Reach::default());
    for beat in [
        Beat::Alive,
        Beat::Started(run()),
        Beat::Succeeded(run()),
        Beat::Failed(run(), "timed_out".into()),
    ] {
        switch.beat(&beat).await.unwrap();
    }
    let heard: Vec<String> = receiver
        .heard()
        .iter()
        .map(|heard| format!("{} {}\n  {}\n", heard.method, heard.path, heard.body))
        .collect();
    golden("heartbeat", &heard.concat().replace(TELLING, "…"));
}

#[tokio::test]
async fn a_refusal_that_looks_like_success_is_one() {
    let known = |words: &str| Answer::Say(200, &[], words.to_owned());
    let receiver = Receiver::always(known("OK (not found)")).await;
    let (why, _) = retried(switch(&receiver, Reach::default()).beat(&Beat::Alive).await);
    assert!(why.contains("does not know this check"), "{why}");
    let receiver = Receiver::always(known("OK (rate limited)")).await;
    let (_, after) = retried(switch(&receiver, Reach::default()).beat(&Beat::Alive).await);
    assert_eq!(after, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn trouble_is_plain_bounded_and_shows_no_address() {
    for answer in [
        status(400),
        status(404),
        status(409),
        status(500),
        Answer::Echo(503),
        Answer::Endless(500),
        Answer::Hang,
        Answer::Drop,
    ] {
        let receiver = Receiver::always(answer).await;
        let error = switch(&receiver, short())
            .beat(&Beat::Alive)
            .await
            .unwrap_err();
        presentable(&error);
        retried(Err::<(), _>(error));
    }
    let nowhere = Switch::new(HeartbeatSettings {
        url: missing(),
        reach: short(),
    });
    let (why, _) = retried(nowhere.unwrap().beat(&Beat::Alive).await);
    assert!(why.contains("/nowhere/secret"), "{why}");
}
