//! The unit file: systemd's own verifier takes it, and it says what the daemon relies on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn unit_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/nightcall.service")
}

/// The settings in order; a key may come more than once.
fn settings(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn the_unit_says_what_the_daemon_relies_on() {
    let text = std::fs::read_to_string(unit_file()).unwrap();
    let unit = settings(&text);
    let relied_on = [
        ("Type", "notify", "`ready` is awaited"),
        (
            "NotifyAccess",
            "main",
            "credential commands inherit the socket",
        ),
        (
            "StateDirectory",
            "nightcall",
            "where the database is by default",
        ),
        (
            "RuntimeDirectory",
            "nightcall",
            "where the control socket is by default",
        ),
        (
            "ConfigurationDirectory",
            "nightcall",
            "where --config points",
        ),
        (
            "RestartPreventExitStatus",
            "64 78",
            "usage and configuration need a person",
        ),
        (
            "StartLimitIntervalSec",
            "0",
            "a store that is away must not end the restarts",
        ),
    ];
    for (key, value, why) in relied_on {
        assert!(
            unit.contains(&(key, value)),
            "{key}={value} is missing: {why}"
        );
    }
    let watchdog = unit.iter().find(|(key, _)| *key == "WatchdogSec");
    let seconds: u64 = watchdog.unwrap().1.parse().unwrap();
    assert!(
        seconds >= 30,
        "a commit on a slow disk must not look like a hang: {seconds} s"
    );
}

#[test]
fn systemd_accepts_the_unit_where_there_is_a_verifier() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("left out: there is no systemd-analyze here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("nightcall.service");
    let installed = "ExecStart=/usr/bin/nightcall ";
    let text = std::fs::read_to_string(unit_file()).unwrap();
    assert!(text.contains(installed));
    let built = text.replace(
        "=/usr/bin/nightcall ",
        &format!("={} ", env!("CARGO_BIN_EXE_nightcall")),
    );
    std::fs::write(&copy, built).unwrap();
    let seen = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&copy)
        .output()
        .unwrap();
    // an unknown key is a remark on standard error and no failure, so the remarks are read, but only ours
    let remarks = String::from_utf8_lossy(&seen.stderr);
    let ours: Vec<&str> = remarks
        .lines()
        .filter(|line| line.contains("nightcall"))
        .collect();
    assert!(ours.is_empty(), "{}", ours.join("\n"));
    if !seen.status.success() {
        eprintln!("left out: the verifier does not run here: {remarks}");
    }
}
