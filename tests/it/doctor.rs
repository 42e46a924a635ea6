//! `nightcall doctor`: every finding with its remedy, told of the thing that is wrong and of no other, and the same
//! looks by the daemon. Nothing that is said holds a secret.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightcall::cli::doctor::{CHECKS, DoctorArgs, doctor};
use nightcall::cli::exit::Exit;
use nightcall::cli::output::Output;
use nightcall::cli::{Context, serve};
use nightcall::config;
use nightcall::sandbox::{Auth, Fault, Operation, Rule, Sandbox, Scenario, TOKEN};
use nightcall::sched::finding::{Finding, Severity};
use nightcall::sched::notice::NoticeKind;
use nightcall::sched::step::Change;
use nightcall::zones::Zones;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::network::certificates::{Authority, Kind};
use crate::support::world::World;

mod command;
mod daily;
mod files;
mod vendor;

/// Stands in every credential, and must never be seen.
const SECRET: &str = "c2VjcmV0LXNlc2FtZS1vcGVu";

/// A folder with a configuration, and a vendor that takes every token.
struct Desk {
    folder: tempfile::TempDir,
    vendor: Sandbox,
}

/// What the command said: the findings, the whole text, the exit code.
struct Said {
    findings: Vec<Value>,
    exit: Exit,
}

impl Desk {
    async fn new() -> Self {
        Self::with(any_token()).await
    }

    async fn with(scenario: Scenario) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            vendor: Sandbox::start(scenario).await.unwrap(),
        };
        desk.token(&format!("opaque-{SECRET}"));
        desk.one("");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn token(&self, token: &str) {
        let path = self.path("token");
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// One connection, whose base URL and credential these lines may say otherwise, with one schedule.
    fn one(&self, lines: &str) {
        self.write(&connection("dw", &self.vendor.base_url(), lines));
    }

    /// These connections, with one schedule of `dw` that is due each night at 02:15 and may take two hours.
    fn write(&self, connections: &str) {
        let text = format!(
            "{connections}\n[schedule.nightly]\ncron = \"15 2 * * *\"\nprocedure = \"p.d.f\"\n\
             connection = \"dw\"\ntimeout = \"2h\"\n"
        );
        fs::write(self.path("nightcall.toml"), text).unwrap();
    }

    async fn typed(&self, json: bool, deep: bool) -> (String, Exit) {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let context = Context {
            config: vec![self.path("nightcall.toml")],
            zones: Zones::load(),
            out: Output::plain(json, buffer.clone()),
        };
        let exit = doctor(&context, DoctorArgs { deep }).await.unwrap();
        let bytes = buffer.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains(TOKEN), "{text}");
        (text, exit)
    }

    async fn said(&self) -> Said {
        let (text, exit) = self.typed(true, false).await;
        let findings: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for finding in &findings {
            let known = CHECKS.iter().any(|(check, _)| finding["check"] == *check);
            let bad = finding["severity"] != "ok";
            assert!(known && bad == finding["remedy"].is_string(), "{finding}");
        }
        Said { findings, exit }
    }
}

impl Said {
    /// The one finding of a check about something.
    #[track_caller]
    fn of(&self, check: &str, subject: &str) -> &Value {
        let mut found = self
            .findings
            .iter()
            .filter(|f| f["check"] == check && f["subject"].as_str().unwrap().ends_with(subject));
        let finding = found
            .next()
            .unwrap_or_else(|| panic!("no {check} of {subject}: {:#?}", self.findings));
        assert!(found.next().is_none(), "{:#?}", self.findings);
        finding
    }

    /// A check found this.
    #[track_caller]
    fn shows(&self, check: &str, subject: &str, severity: &str, words: &str) {
        let finding = self.of(check, subject);
        let text = format!(
            "{} {}",
            finding["message"].as_str().unwrap(),
            finding["remedy"].as_str().unwrap_or_default()
        );
        assert_eq!(finding["severity"], severity, "{finding}");
        assert!(text.contains(words), "{words:?} in {finding}");
    }

    /// A check said nothing of this.
    #[track_caller]
    fn lacks(&self, check: &str, subject: &str) {
        let found = |f: &&Value| f["check"] == check && f["subject"] == subject;
        assert_eq!(self.findings.iter().find(found), None);
    }
}

fn any_token() -> Scenario {
    Scenario {
        auth: Auth {
            any_token: true,
            ..Auth::default()
        },
        ..Scenario::default()
    }
}

/// A connection; what the lines say goes before.
fn connection(name: &str, base_url: &str, lines: &str) -> String {
    let mut text = format!("[connection.{name}]\nprovider = \"bigquery\"\n{lines}\n");
    for (key, value) in [
        ("base_url", format!("\"{base_url}\"")),
        ("token", "{ file = \"token\" }".to_owned()),
        ("request_timeout", "\"5s\"".to_owned()),
    ] {
        let oauth = key == "token" && lines.contains("oauth");
        if !oauth && !lines.lines().any(|line| line.starts_with(key)) {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    text
}
