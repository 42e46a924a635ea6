//! The dashboard and the alerts name nothing that is not there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::exposed;

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join("docs").join(name)).unwrap()
}

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word)
        .filter(|name| name.starts_with("nightcall_"))
        .collect()
}

/// The queries of a dashboard, wherever they are.
fn queries(of: &Value, found: &mut Vec<String>) {
    match of {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(query) if key == "expr" || key == "query" => found.push(query.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_that_is_drawn_or_watched_is_exposed() {
    let (_, exposed) = exposed().await;
    let dashboard: Value = serde_json::from_str(&file("monitoring/dashboard.json")).unwrap();
    let mut drawn = Vec::new();
    queries(&dashboard, &mut drawn);
    assert!(drawn.len() >= 12, "{} queries", drawn.len());
    let alerts = file("monitoring/alerts.yml");
    let texts = drawn.iter().map(String::as_str).chain([alerts.as_str()]);
    let used: BTreeSet<&str> = texts.flat_map(names).collect();
    assert!(used.len() >= 20, "{used:?}");
    let unknown: Vec<&&str> = used
        .iter()
        .filter(|name| !exposed.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "not exposed: {unknown:?}");
}

#[test]
fn every_alert_says_what_it_means_and_where_to_read_on() {
    let (alerts, page) = (file("monitoring/alerts.yml"), file("operations.md"));
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| heading.trim_start_matches('#').trim())
        .map(|heading| {
            let plain = heading.to_lowercase().replace(' ', "-");
            plain.replace([':', '`', '/', ',', '.'], "")
        })
        .collect();
    let rules: Vec<&str> = alerts.split("\n      - alert: ").skip(1).collect();
    assert!(rules.len() >= 12, "{} alerts", rules.len());
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for key in ["expr: ", "severity: ", "summary: "] {
            assert!(rule.contains(key), "{name} lacks {key}");
        }
        let (_, link) = rule.split_once("runbook_url: ").unwrap();
        let (place, anchor) = link.lines().next().unwrap().split_once('#').unwrap();
        assert_eq!(place, "docs/operations.md", "{name}");
        assert!(anchors.contains(anchor), "{name}: no heading for #{anchor}");
    }
}
