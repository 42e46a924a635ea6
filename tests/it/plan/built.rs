//! The built program, with the database of a daemon that ran a moment ago.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder, and how commands are typed in it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(schedules: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("nightcall.toml", schedules);
        desk
    }

    fn write(&self, name: &str, schedules: &str) -> PathBuf {
        // Nobody listens there, and nothing is due while the test runs.
        let connection = "[connection.c]\nbase_url = \"http://127.0.0.1:1\"\nprovider = \"bigquery\"\n\
                          token = { env = \"TOKEN\" }\n[defaults]\nconnection = \"c\"\n";
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("{connection}{schedules}")).unwrap();
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command
            .args(words)
            .current_dir(self.0.path())
            .env_remove("NIGHTCALL_CONFIG")
            .env_remove("NOTIFY_SOCKET")
            .env("TOKEN", "a-token")
            .stdin(Stdio::null());
        command
    }

    fn typed(&self, words: &[&str]) -> (i32, String) {
        let Output { status, stdout, .. } = self.command(words).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap())
    }

    /// A daemon runs until it has stored what it plans, then stops.
    fn run_a_daemon(&self) {
        let mut daemon = self.command(&["daemon"]);
        let mut daemon = daemon
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(30);
        while self.typed(&["plan"]).0 != 0 {
            assert!(Instant::now() < patience, "{:?}", self.typed(&["plan"]));
            std::thread::sleep(Duration::from_millis(50));
        }
        let pid = daemon.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        assert!(daemon.wait().unwrap().success());
    }
}

const YEARLY: &str = "[schedule.a]\ncron = \"0 3 1 1 *\"\nprocedure = \"p.d.a()\"\n";

#[test]
fn the_exit_code_is_0_without_and_2_with_changes_and_78_with_problems_and_64_for_a_wrong_line() {
    let desk = Desk::new(YEARLY);
    assert_eq!(desk.typed(&["plan"]).0, 2, "there is no database yet");
    desk.run_a_daemon();
    let (code, said) = desk.typed(&["plan"]);
    assert_eq!(
        (code, said.as_str()),
        (0, "nothing changes: 1 series stay as they are planned\n")
    );
    let edited = YEARLY.replace("p.d.a()", "p.d.b()");
    desk.write("new.toml", &edited);
    let (code, said) = desk.typed(&["plan", "new.toml"]);
    assert_eq!(code, 2);
    assert!(
        said.starts_with("1 series changes: 1 edited; as many occurrences as before"),
        "{said}"
    );
    assert!(
        said.contains("\"CALL `p.d.a`()\" -> \"CALL `p.d.b`()\""),
        "{said}"
    );
    assert_eq!(desk.typed(&["plan"]).0, 0, "looking changes nothing");
    // As it stands: what a reload would read.
    desk.write("nightcall.toml", &edited);
    assert_eq!(desk.typed(&["plan"]).0, 2);
    desk.write("wrong.toml", "[schedule.b]\ncron = \"0 25 * * *\"\n");
    assert_eq!(desk.typed(&["plan", "wrong.toml"]), (78, String::new()));
    for line in [
        ["plan", "--days", "0"],
        ["plan", "--days", "367"],
        ["plan", "--dayz", "1"],
    ] {
        assert_eq!(desk.typed(&line).0, 64, "{line:?}");
    }
    let (code, help) = desk.typed(&["plan", "--help"]);
    assert!(code == 0 && help.contains("Examples:"), "{help}");
}

#[test]
fn the_present_configuration_names_the_database_and_without_one_the_new_file_does() {
    let desk = Desk::new(YEARLY);
    desk.run_a_daemon();
    let folder = desk.0.path().join("new");
    std::fs::create_dir(&folder).unwrap();
    // Beside the new file there is no database, and none is looked for there.
    desk.write("new/new.toml", YEARLY);
    assert_eq!(desk.typed(&["plan", "new/new.toml"]).0, 0);
    assert_eq!(desk.typed(&["plan", "new"]).0, 0, "a folder is read as one");
    std::fs::rename(desk.0.path().join("nightcall.toml"), folder.join("old")).unwrap();
    let named = ["plan", "new/new.toml"];
    let mut command = desk.command(&named);
    let output = command
        .current_dir(&folder)
        .args(["../wrong.toml"])
        .output();
    assert_eq!(
        output.unwrap().status.code(),
        Some(78),
        "both are read, and one is not there"
    );
    assert_eq!(desk.typed(&named).0, 2, "beside it no daemon has run");
    desk.write("nightcall.toml", "[schedule.a]\n");
    let output = desk.command(&named).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert!(
        said.starts_with("the present configuration, which names the database, has problems:"),
        "{said}"
    );
}
