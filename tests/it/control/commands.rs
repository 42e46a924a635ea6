//! `fire` and `status` as the command line runs them.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use nightcall::cli::exit::{Exit, Outcome};
use nightcall::cli::fire::{self, FireArgs};
use nightcall::cli::status::{self, StatusArgs};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use super::world::{World, in_time};

#[derive(Parser)]
struct Fire {
    #[command(flatten)]
    args: FireArgs,
}

#[derive(Parser)]
struct Status {
    #[command(flatten)]
    args: StatusArgs,
}

async fn fire(world: &World, control: Option<&Path>, words: &[&str]) -> Outcome {
    let line = Fire::try_parse_from([&["fire"], words].concat()).unwrap();
    fire::fire(&world.context(control), line.args).await
}

async fn status(world: &World) -> Outcome {
    let line = Status::try_parse_from(["status"]).unwrap();
    status::status(&world.context(None), line.args).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_daemon_both_say_so_and_how_to_start_one() {
    let world = World::new().await;
    let socket = world.socket().display().to_string();
    for (command, failure) in [
        ("fire", fire(&world, None, &["quick"]).await.unwrap_err()),
        ("status", status(&world).await.unwrap_err()),
    ] {
        assert_eq!(failure.exit, Exit::Unavailable);
        let message = format!("no daemon is running (nobody listens on {socket})");
        assert_eq!(failure.message, message, "{command}");
        let hint = failure.hint.unwrap();
        assert!(
            hint.starts_with("next: nightcall daemon --config "),
            "{hint}"
        );
        assert_eq!(hint.contains("nightcall runs"), command == "status");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_as_the_run_does() {
    let world = World::new().await;
    let life = world.start().await;
    assert_eq!(fire(&world, None, &["quick", "--wait"]).await, Ok(Exit::Ok));
    let failure = fire(&world, None, &["broken", "--wait"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert!(
        failure.message.contains(" failed: invalidQuery"),
        "{}",
        failure.message
    );
    assert!(
        failure
            .hint
            .unwrap()
            .contains("next: nightcall why broken/default@")
    );
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_daemon_refuses_is_told_apart_from_a_run_that_fails() {
    let world = World::new().await;
    let life = world.start().await;
    for (words, message) in [
        (vec!["nobody"], "there is no schedule called nobody"),
        (vec!["off"], "schedule off is switched off"),
        (
            vec!["sets/c"],
            "schedule sets has no parameter set called c",
        ),
        (
            vec!["quick", "--param", "m=1"],
            "there is no parameter called m",
        ),
    ] {
        let failure = fire(&world, None, &words).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Refused, "{message}");
        assert_eq!(failure.message, message);
        assert!(failure.hint.is_some(), "{message}");
    }
    assert_eq!(world.jobs(), 0);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_refused_until_its_series_is_free() {
    let world = World::new().await;
    let life = world.start().await;
    assert_eq!(fire(&world, None, &["endless"]).await, Ok(Exit::Ok));
    let failure = fire(&world, None, &["endless"]).await.unwrap_err();
    assert_eq!(
        (failure.exit, failure.message.as_str()),
        (Exit::Refused, "the series is busy")
    );
    assert_eq!(
        fire(&world, None, &["endless", "--queue"]).await,
        Ok(Exit::Ok)
    );
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_a_healthy_daemon_is_0() {
    let world = World::new().await;
    let life = world.start().await;
    life.status_until(|status| status.complaints.is_empty())
        .await;
    assert_eq!(status(&world).await, Ok(Exit::Ok));
    world.sandbox.refuse_connections(None).await;
    life.fire("quick", "k").await;
    life.status_until(|status| !status.complaints.is_empty())
        .await;
    assert_eq!(status(&world).await, Ok(Exit::Failed));
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_outlives_a_restart_of_the_daemon() {
    let world = World::new().await;
    let life = world.start().await;
    let waiting = fire(&world, None, &["slow", "--wait"]);
    let restart = async {
        life.status_until(|status| status.live.get("running") == Some(&1))
            .await;
        life.stop().await;
        world.start().await
    };
    let (ended, life) = in_time(async { tokio::join!(waiting, restart) }).await;
    assert_eq!(ended, Ok(Exit::Ok));
    assert_eq!(world.jobs(), 1);
    life.stop().await;
}

/// Passes requests on, but drops the first answers.
async fn loses_answers(listener: UnixListener, daemon: &Path, mut lost: usize) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut behind = UnixStream::connect(daemon).await.unwrap();
        if lost == 0 {
            let _ = copy_bidirectional(&mut client, &mut behind).await;
            continue;
        }
        lost -= 1;
        let mut request = vec![0; 64 * 1024];
        let read = client.read(&mut request).await.unwrap();
        behind.write_all(&request[..read]).await.unwrap();
        let answered = behind.read(&mut request).await.unwrap();
        assert!(request[..answered].starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_asked_for_again_and_makes_no_second_run() {
    let world = World::new().await;
    let life = world.start().await;
    let path = world.folder.path().join("bad.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let words = ["quick", "--wait"];
    tokio::select! {
        fired = in_time(fire(&world, Some(&path), &words)) => assert_eq!(fired, Ok(Exit::Ok)),
        () = loses_answers(listener, world.socket(), 2) => unreachable!(),
    }
    assert_eq!(world.jobs(), 1);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_answer_is_lost_the_key_is_told() {
    let world = World::new().await;
    let life = world.start().await;
    let path = world.folder.path().join("bad.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let words = ["quick", "--key", "mine"];
    let failure = tokio::select! {
        fired = in_time(fire(&world, Some(&path), &words)) => fired.unwrap_err(),
        () = loses_answers(listener, world.socket(), 100) => unreachable!(),
    };
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(
        failure
            .message
            .contains("whether the run was made is not known")
    );
    assert!(
        failure
            .hint
            .unwrap()
            .contains("nightcall fire quick --key mine")
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.jobs(), 1);
    life.stop().await;
}

#[test]
fn a_wrong_line_is_refused_before_anything_is_asked() {
    for words in [
        vec!["fire"],
        vec!["fire", "a/b/c"],
        vec!["fire", "a", "--param", "n"],
        vec!["fire", "a", "--as-of", "yesterday"],
        vec!["fire", "a", "--queue", "--anyway"],
        vec!["fire", "a", "--key", "with space"],
    ] {
        assert!(Fire::try_parse_from(&words).is_err(), "{words:?}");
    }
}
