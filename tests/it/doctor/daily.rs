//! The daemon looks at the same things, and tells what it found once.

use nightcall::cli::status::{StatusArgs, status};
use nightcall::daemon::DaemonHandle;
use nightcall::sched::scheduler::ConnectionStatus;

use super::*;

const NIGHTLY: &str = "[schedule.nightly]\ncron = \"15 2 * * *\"\nprocedure = \"p.d.f\"\n";

/// What is found must not depend on how full the disk of this machine is, nor on who keeps its clock.
fn of_the_world(findings: &[Finding]) -> Vec<&Finding> {
    let machine = ["clock", "disk", "zone-data"];
    findings
        .iter()
        .filter(|f| !machine.contains(&f.check))
        .collect()
}

/// Waits until the daemon has read the job list and says so.
async fn until_ready(handle: &DaemonHandle) {
    let ready = async {
        loop {
            let status = handle.status();
            let swept = |c: &ConnectionStatus| c.swept && c.list_readable == Some(true);
            if status.scheduler.connections.iter().any(swept) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), ready).await;
    waited.unwrap_or_else(|_| panic!("{:#?}", handle.status()));
}

fn closed(world: &World) {
    fs::set_permissions(world.file("token"), Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn the_daemon_makes_the_checks_of_the_command_and_all_is_well_while_it_runs() {
    let world = World::new(Scenario::default(), NIGHTLY).await;
    closed(&world);
    let night = world.start().await;
    until_ready(&night.handle).await;
    let (plan, _) = world.replacement();
    let findings = (plan.checks)().await;
    let bad = |f: &&&Finding| f.severity > Severity::Well;
    let of_world = of_the_world(&findings);
    assert_eq!(of_world.iter().find(bad), None);
    let mut checks: Vec<&str> = findings.iter().map(|f| f.check).collect();
    let mut all: Vec<&str> = CHECKS.iter().map(|(check, _)| *check).collect();
    checks.sort_unstable();
    all.sort_unstable();
    assert_eq!(checks, all);
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let context = Context {
        config: vec![world.file("nightcall.toml")],
        zones: Zones::load(),
        out: Output::plain(true, buffer.clone()),
    };
    doctor(&context, DoctorArgs { deep: false }).await.unwrap();
    let text = String::from_utf8(buffer.lock().unwrap().clone()).unwrap();
    for finding in of_world {
        let line = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["check"] == finding.check)
            .unwrap();
        assert_eq!(line["message"], finding.message, "{text}");
    }
    night.stop().await;
}

#[tokio::test]
async fn a_credential_that_only_the_daemon_has_is_no_problem_while_the_daemon_is_let_in() {
    let world = World::new(Scenario::default(), NIGHTLY).await;
    let night = world.start().await;
    until_ready(&night.handle).await;
    let text = fs::read_to_string(world.file("nightcall.toml")).unwrap();
    let elsewhere = text.replace(
        "{ file = \"token\" }",
        "{ env = \"NIGHTCALL_TEST_NOT_SET\" }",
    );
    fs::write(world.file("elsewhere.toml"), elsewhere).unwrap();
    let said = async || {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let context = Context {
            config: vec![world.file("elsewhere.toml")],
            zones: Zones::load(),
            out: Output::plain(false, buffer.clone()),
        };
        let exit = doctor(&context, DoctorArgs { deep: false }).await.unwrap();
        (
            String::from_utf8(buffer.lock().unwrap().clone()).unwrap(),
            exit,
        )
    };
    let (text, exit) = said().await;
    assert!(text.contains("but the running daemon has it"), "{text}");
    assert_ne!(exit, Exit::Failed, "{text}");
    night.stop().await;
    let (text, exit) = said().await;
    assert!(text.contains("NIGHTCALL_TEST_NOT_SET is not set"), "{text}");
    assert_eq!(exit, Exit::Failed, "{text}");
}

#[tokio::test]
async fn a_look_whose_time_passed_while_the_daemon_was_down_is_made_up_for_once_and_told() {
    // An hour ago, by the clock of the test.
    let zone = jiff::tz::TimeZone::UTC;
    let ago = jiff::Timestamp::now() - Duration::from_secs(3600);
    let at = ago.to_zoned(zone).strftime("%H:%M").to_string();
    let tables = format!("[daemon]\ndoctor_at = \"{at}\"\n{NIGHTLY}");
    let world = World::new(Scenario::default(), &tables).await;
    // A file that everybody may read: a warning.
    fs::set_permissions(world.file("token"), Permissions::from_mode(0o644)).unwrap();
    let database = world.config().daemon.database;
    let count = || {
        let conn = rusqlite::Connection::open(&database).unwrap();
        let sql = "SELECT count(*) FROM notices WHERE kind = 'doctor'";
        conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    // A new database has missed nothing, and neither has one that was in use when it was time.
    for _ in 0..2 {
        let night = world.start().await;
        until_ready(&night.handle).await;
        assert_eq!(night.handle.status().scheduler.examined, None);
        night.stop().await;
    }
    assert_eq!(count(), 0);
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute("UPDATE meta SET mark = mark - 7200000000000", [])
        .unwrap();
    let night = world.start().await;
    let mut feed = night.handle.feed();
    let told = async {
        loop {
            if let Change::Notice(notice) = &*feed.recv().await.unwrap()
                && notice.kind == NoticeKind::Doctor
            {
                return notice.clone();
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    let notice = told.expect("it is told within 30 s");
    assert!(
        notice.subject.starts_with("before the night: "),
        "{notice:?}"
    );
    assert!(
        notice.body.contains("warning: credential-file of ") && notice.body.contains("chmod 600"),
        "{notice:?}"
    );
    assert!(!notice.body.contains(TOKEN), "{notice:?}");
    let shown = async {
        loop {
            if let Some(examined) = night.handle.status().scheduler.examined {
                return examined;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let examined = tokio::time::timeout(Duration::from_secs(10), shown)
        .await
        .unwrap();
    assert!(examined.tally.warnings >= 1, "{examined:?}");
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let context = Context {
        config: vec![world.file("nightcall.toml")],
        zones: Zones::load(),
        out: Output::plain(false, buffer.clone()),
    };
    // A warning before the night is not that something is wrong now.
    assert_eq!(
        status(&context, StatusArgs { token: false }).await.unwrap(),
        Exit::Ok
    );
    let text = String::from_utf8(buffer.lock().unwrap().clone()).unwrap();
    let complaint = examined.tally.complaint().unwrap();
    let line = text.lines().find(|line| line.starts_with("doctor "));
    assert!(line.unwrap().ends_with(&format!(": {complaint}")), "{text}");
    night.stop().await;
    assert_eq!(count(), 1);
}

#[tokio::test]
async fn another_configuration_brings_its_own_checks() {
    let world = World::new(Scenario::default(), NIGHTLY).await;
    closed(&world);
    let load = || config::load(&[world.file("nightcall.toml")], &Zones::load()).unwrap();
    let before = serve::replacement(&load(), &Zones::load()).unwrap_or_else(|f| panic!("{f}"));
    let text = fs::read_to_string(world.file("nightcall.toml")).unwrap();
    let other = text.replace("file = \"token\"", "file = \"nowhere\"");
    fs::write(world.file("nightcall.toml"), other).unwrap();
    let after = serve::replacement(&load(), &Zones::load()).unwrap_or_else(|f| panic!("{f}"));
    let credential = async |checks: &nightcall::daemon::Checks| {
        let findings = checks().await;
        let found = findings.iter().find(|f| f.check == "credential").unwrap();
        found.severity
    };
    assert_eq!(credential(&before.0.checks).await, Severity::Well);
    assert_eq!(credential(&after.0.checks).await, Severity::Problem);
}
