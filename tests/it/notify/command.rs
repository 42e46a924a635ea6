//! A program of the user's own.

use std::path::Path;
use std::time::Duration;

use nightcall::notify::Notifier;
use nightcall::notify::command::{CommandSettings, Program};

use super::{SHORT, TELLING, given_up, golden, huge, missing, one, retried, secret, told};

/// A script as an argument of `sh`: in these tests the shell is the program.
fn settings(script: &str) -> CommandSettings {
    CommandSettings {
        arguments: vec!["-c".into(), script.into()],
        ..CommandSettings::new("sh")
    }
}

fn program(script: &str) -> Program {
    Program::new(settings(script)).unwrap()
}

fn impatient(script: &str) -> Program {
    let timeout = SHORT;
    Program::new(CommandSettings {
        timeout,
        ..settings(script)
    })
    .unwrap()
}

/// Whether the process is there, and not only to be buried.
fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

async fn dies(pid: &str) -> bool {
    for _ in 0..200 {
        if !lives(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Waits until the script has written there.
async fn written(path: &Path) -> String {
    for _ in 0..500 {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("{} is not written", path.display());
}

#[tokio::test]
async fn what_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    let script = format!(
        "env | grep ^NIGHTCALL_ | sort > {place}/env; cat > {place}/input; pwd > {place}/pwd"
    );
    told(&program(&script), &one()).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let input: serde_json::Value = serde_json::from_str(&read("input")).unwrap();
    assert_eq!(input, nightcall::notify::render::json(&one()));
    assert_eq!(read("pwd"), "/\n");
    golden("command", &read("env"));
}

#[tokio::test]
async fn the_environment_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("env | cut -d= -f1 > {}/names", folder.path().display());
    told(&program(&script), &one()).await.unwrap();
    let names = std::fs::read_to_string(folder.path().join("names")).unwrap();
    // Cargo and the shell have others, which must not be there or are the shell's own.
    let own = ["PWD", "OLDPWD", "SHLVL", "_"];
    for name in names.lines() {
        let known = nightcall::notify::command::KEPT.contains(&name) || own.contains(&name);
        assert!(known || name.starts_with("NIGHTCALL_"), "{name}");
    }
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
}

#[tokio::test]
async fn arguments_go_through_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    let words = format!("$(touch {0}); touch {0}", file.display());
    let settings = CommandSettings {
        arguments: vec![words],
        ..CommandSettings::new("echo")
    };
    told(&Program::new(settings).unwrap(), &one())
        .await
        .unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn the_exit_code_says_what_became_of_it() {
    let why = given_up(told(&program("echo no such pager >&2; exit 65"), &one()).await);
    assert_eq!(
        why,
        "the program refuses this message (exit code 65): no such pager"
    );
    for code in [1, 2, 64, 66, 75, 126, 127] {
        let script = format!("echo on stdout; exit {code}");
        let (why, _) = retried(told(&program(&script), &one()).await);
        assert_eq!(
            why,
            format!("the program ended with exit code {code}: on stdout")
        );
    }
    let (why, _) = retried(told(&program("kill -9 $$"), &one()).await);
    assert!(why.contains("signal: 9"), "{why}");
}

#[tokio::test]
async fn a_program_that_is_not_there_can_be_installed() {
    let program = Program::new(CommandSettings::new("/nowhere/pager")).unwrap();
    let (why, _) = retried(told(&program, &one()).await);
    assert!(why.starts_with("/nowhere/pager cannot be started"), "{why}");
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_nothing_up() {
    told(&program("exit 0"), &huge()).await.unwrap();
    told(&program("exec <&-; exit 0"), &huge()).await.unwrap();
    // Longer than a pipe, and never read.
    let (why, _) = retried(told(&impatient("exec sleep 60"), &huge()).await);
    assert_eq!(why, "sh did not end within 0.4 s and was killed");
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_killed_and_not_remembered() {
    retried(told(&impatient("yes"), &one()).await);
    let (why, _) = retried(told(&program("yes | head -c 3000000; exit 1"), &one()).await);
    assert!(why.len() < 300, "{why}");
}

#[tokio::test]
async fn whom_the_program_started_dies_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let (why, _) = retried(told(&impatient(&script), &one()).await);
    assert!(why.ends_with("was killed"), "{why}");
    assert!(dies(&written(&file).await).await);
}

#[tokio::test]
async fn a_sending_that_is_given_up_leaves_nobody_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let program = program(&format!("sleep 600 & echo $! > {}; wait", file.display()));
    let message = one();
    let pid = tokio::select! {
        sent = program.send(&message, None) => panic!("{sent:?}"),
        pid = written(&file) => pid,
    };
    assert!(dies(&pid).await);
}

#[tokio::test]
async fn somebody_who_stays_behind_with_the_streams_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 20 & echo $! > {}; exit 0", file.display());
    told(&program(&script), &one()).await.unwrap();
    let pid = written(&file).await;
    assert!(
        std::process::Command::new("kill")
            .arg(&pid)
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn a_secret_for_the_program_is_not_shown() {
    let with = |source| CommandSettings {
        secrets: vec![("PAGER_KEY".into(), source)],
        ..settings("echo key $PAGER_KEY is wrong >&2; exit 1")
    };
    let key = secret(&format!("key-{TELLING}"));
    let (why, _) = retried(told(&Program::new(with(key)).unwrap(), &one()).await);
    assert_eq!(
        why,
        "the program ended with exit code 1: key [secret] is wrong"
    );
    let (why, _) = retried(told(&Program::new(with(missing())).unwrap(), &one()).await);
    assert!(why.contains("/nowhere/secret"), "{why}");
}
