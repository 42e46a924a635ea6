//! The walk-through of `docs/first-night.md`, command by command, in an empty folder against the sandbox.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nightcall::sandbox::{Sandbox, Scenario, Script};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const PAGE: &str = include_str!("../../docs/first-night.md");
/// The host of the page, in whose place the sandbox answers.
const HOST: &str = "https://gcp-us-east1.api.carto.com";
/// Longer than any block of the page takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A block of the page that is run: what its mark says, and its text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut blocks = Vec::new();
    for part in PAGE.split("<!-- first-night").skip(1) {
        let (mark, rest) = part.split_once("-->").unwrap();
        let (_, rest) = rest.split_once("```sh\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        blocks.push((mark.trim_start_matches(':').trim(), text));
    }
    blocks
}

struct Desk {
    folder: TempDir,
    sandbox: Sandbox,
}

impl Desk {
    fn shell(&self, text: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_nightcall")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let text = text
            .replace(HOST, &self.sandbox.base_url())
            .replace("export CARTO_API_TOKEN=\"…\"", ":");
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-c", &text])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", program.display()))
            .env("CARTO_API_TOKEN", self.sandbox.token())
            .env_remove("NIGHTCALL_CONFIG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        shell
    }

    async fn run(&self, text: &str, codes: &[i32]) -> String {
        let ended = tokio::time::timeout(LIMIT, self.shell(text).output());
        let output = ended.await.expect("the block ends").unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let code = output.status.code().unwrap();
        assert!(codes.contains(&code), "{text}\nends with {code}: {said}");
        said
    }

    /// Starts the daemon and waits until it answers.
    async fn start(&self, text: &str) -> Child {
        let text = text.replace("nightcall daemon", "exec nightcall daemon");
        let daemon = self.shell(&text).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..200 {
            let status = self.shell("nightcall status").output().await.unwrap();
            if status.status.code() != Some(69) {
                return daemon;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the daemon does not answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_page_does_what_it_says() {
    let scenario = Scenario {
        script: Script::running(Duration::from_millis(50)),
        ..Scenario::default()
    };
    let desk = Desk {
        folder: tempfile::tempdir().unwrap(),
        sandbox: Sandbox::start(scenario).await.unwrap(),
    };
    let mut daemon = None;
    let mut said = String::new();
    for (mark, text) in blocks() {
        match mark {
            "daemon" => daemon = Some(desk.start(text).await),
            "" => said += &desk.run(text, &[0]).await,
            _ => {
                let codes = mark.strip_prefix("ends with ").unwrap().split(" or ");
                let codes: Vec<i32> = codes.map(|code| code.parse().unwrap()).collect();
                said += &desk.run(text, &codes).await;
            }
        }
    }
    let mut daemon = daemon.expect("the page starts a daemon");
    let pid = daemon.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.await.unwrap().success());
    let ended = tokio::time::timeout(LIMIT, daemon.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    for word in [
        "number_of_clusters",
        "succeeded",
        "45 2 * * *",
        "1 with other times",
        "schedule store-clusters is paused until",
    ] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!said.contains("a-token-that-nobody-may-see"), "{said}");
    assert!(
        desk.sandbox
            .world()
            .with(|world| world.doubled())
            .is_empty()
    );
}
