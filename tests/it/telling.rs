//! From a run that fails to the people who hear of it: the real daemon, the sandbox, and receivers on loopback.

use std::time::Duration;

use nightcall::sandbox::{Ending, Scenario, Script};
use nightcall::sched::outcome::Outcome;
use tokio::time::{sleep, timeout};

use crate::support::receiver::{Answer, Heard, Receiver, status};
use crate::support::world::World;

const BROKEN: &str = "
[schedule.broken]
every = \"365d\"
procedure = \"p.d.broken()\"
tags = [\"map\"]
";

/// Every run fails.
async fn world(tables: &str) -> World {
    let scenario = Scenario {
        script: Script::ending(vec![Ending::fails("invalidQuery")]),
        ..Scenario::default()
    };
    World::new(scenario, &format!("{tables}{BROKEN}")).await
}

fn hook(name: &str, more: &str) -> String {
    format!("[notify.{name}]\ntype = \"webhook\"\nurl = {{ file = \"{name}.url\" }}\n{more}\n")
}

/// Waits until so many requests have come.
async fn heard(receiver: &Receiver, count: usize) -> Vec<Heard> {
    let so = async {
        while receiver.heard().len() < count {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let so = timeout(Duration::from_secs(60), so).await;
    so.unwrap_or_else(|_| panic!("{} of {count} came", receiver.heard().len()));
    receiver.heard()
}

#[tokio::test]
async fn a_run_that_fails_is_told_once_to_those_who_want_to_hear_of_it() {
    let (all, others) = (
        Receiver::always(status(200)).await,
        Receiver::always(status(200)).await,
    );
    let tables = hook("all", "") + &hook("others", "tags = [\"elsewhere\"]");
    let world = world(&tables).await;
    std::fs::write(world.file("all.url"), all.url("/hook?key=abcdefgh")).unwrap();
    std::fs::write(world.file("others.url"), others.url("/hook")).unwrap();
    let night = world.start().await;
    let run = night.run("broken").await.run;
    assert_eq!(run.outcome(), Some(Outcome::Failed));
    let told = heard(&all, 1).await[0].json();
    assert_eq!(
        (&told["severity"], &told["thread"]),
        (&"error".into(), &"series:broken/default".into())
    );
    let item = &told["items"][0];
    assert_eq!(item["run"].as_str(), Some(run.id.to_string().as_str()));
    assert_eq!(item["kind"], "failed");
    // A stop and a start later it is not told again.
    night.stop().await;
    let night = world.start().await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!((all.heard().len(), others.heard().len()), (1, 0));
    let channels = night.handle.channels();
    assert!(
        channels.iter().all(|channel| channel.trouble.is_none()),
        "{channels:?}"
    );
    night.stop().await;
}

#[tokio::test]
async fn what_was_not_taken_before_the_end_of_a_daemon_is_told_by_the_next_under_the_same_id() {
    let hangs = Receiver::always(Answer::Hang).await;
    let world = world(&hook("ops", "")).await;
    std::fs::write(world.file("ops.url"), hangs.url("/hook")).unwrap();
    let night = world.start().await;
    night.run("broken").await;
    let first = heard(&hangs, 1).await;
    night.stop().await;
    let takes = Receiver::always(status(204)).await;
    std::fs::write(world.file("ops.url"), takes.url("/hook")).unwrap();
    let night = world.start().await;
    let again = heard(&takes, 1).await;
    let id = |heard: &Heard| heard.header("x-nightcall-id").map(str::to_owned);
    assert!(id(&first[0]).is_some());
    assert_eq!(id(&again[0]), id(&first[0]));
    assert_eq!(again[0].body, first[0].body);
    night.stop().await;
}

#[tokio::test]
async fn a_reload_brings_another_channel_and_an_observing_daemon_tells_nobody() {
    let receiver = Receiver::always(status(200)).await;
    let world = world("").await;
    let night = world.start().await;
    assert_eq!(night.handle.channels().len(), 0);
    world.write(&format!("{}{BROKEN}", hook("ops", "")));
    std::fs::write(world.file("ops.url"), receiver.url("/hook")).unwrap();
    world.reload(&night).await;
    let so = async {
        while night.handle.channels().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), so).await.unwrap();
    night.run("broken").await;
    heard(&receiver, 1).await;
    night.stop().await;
    let observing = world.observing().await;
    world.reload(&observing).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(observing.handle.channels().len(), 0);
    observing.stop().await;
}

#[tokio::test]
async fn a_sample_shows_whether_a_channel_works() {
    let (takes, refuses) = (
        Receiver::always(status(200)).await,
        Receiver::always(status(403)).await,
    );
    let world = world(&(hook("good", "") + &hook("bad", "") + &hook("missing", ""))).await;
    std::fs::write(world.file("good.url"), takes.url("/hook/abcdefgh")).unwrap();
    std::fs::write(world.file("bad.url"), refuses.url("/hook/abcdefgh")).unwrap();
    let test = |words: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command.args(["notify", "test"]).args(words).arg("--config");
        command.arg(world.file("nightcall.toml"));
        async move {
            let ended = command.output().await.unwrap();
            let text = String::from_utf8(ended.stdout).unwrap();
            let errors = String::from_utf8(ended.stderr).unwrap();
            (ended.status.code().unwrap(), text + &errors)
        }
    };
    let (code, said) = test(&["good"]).await;
    assert_eq!((code, said.as_str()), (0, "good: the sample was taken\n"));
    assert_eq!(
        takes.heard()[0].json()["subject"],
        "a sample: nothing is wrong"
    );
    let (code, said) = test(&["--all"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("bad: not taken: ") && said.contains("403"),
        "{said}"
    );
    assert!(
        said.contains("missing: not taken: ") && said.contains("missing.url"),
        "{said}"
    );
    assert!(!said.contains("abcdefgh"), "{said}");
    let (code, said) = test(&["godo"]).await;
    assert!(
        code == 1 && said.contains("there are: good bad missing"),
        "{said}"
    );
}
