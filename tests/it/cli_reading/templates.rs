//! What the reading commands say of parameters that follow the date.

use super::night::{MORNING, Night, at, without};
use super::{fields, fresh, golden, typed};
use serde_json::Value;

const CONFIG: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token    = { env = "CARTO_API_TOKEN" }

[defaults]
connection = "carto_dw"
timezone   = "Europe/Madrid"
misfire    = "all"

[schedule.ingest]
cron       = "15 2 * * *"
procedure  = "p.d.ingest(day, month, source)"
parameters = { day = "{{ date - 1d }}", month = { number = "{{ date | format('%Y%m') }}" }, source = "a {{ '{{' }}" }

[schedule.stores]
cron       = "15 2 * * *"
procedure  = "p.d.stores(table, kind)"
parameters = { table = "stores_{{ set }}_{{ date | format('%Y%m%d') }}" }
set.north      = { kind = "N" }
set.south-west = { kind = "SW", table = "plain" }
set.west       = { kind = "W" }

[schedule.positional]
cron       = "0 0 1 * *"
call       = "CALL p.d.report($1, $2)"
parameters = ["{{ date - 1d | month_start }}", 7]

[schedule.off]
enabled    = false
cron       = "15 2 * * *"
procedure  = "p.d.off(day)"
parameters = { day = "{{ date }}" }
"#;

fn seen(config: &std::path::Path, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let said = typed(config, line, at(MORNING));
        text.push_str(&format!("$ nightcall {line}\n{}", said.out));
        assert_eq!(said.complaint, "", "{line}");
        text.push('\n');
    }
    text
}

#[test]
fn templates_are_shown_as_written_and_filled_in_for_what_comes_next() {
    let (folder, config) = fresh(CONFIG);
    let lines = [
        "check",
        "check stores/west",
        "next ingest -n 2",
        "next ingest --from 2026-03-29 --until 2026-03-30",
        "next stores -n 3",
        "next positional -n 2",
        "why ingest 2026-02-05",
    ];
    golden("templates", &without(folder.path(), &seen(&config, &lines)));
}

#[test]
fn next_as_json_has_the_values_that_will_be_sent() {
    let (_folder, config) = fresh(CONFIG);
    let said = typed(&config, "next ingest -n 2 --json", at(MORNING));
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let sent: Vec<String> = lines
        .iter()
        .map(|line| line["parameters"].to_string())
        .collect();
    assert_eq!(
        sent,
        [
            r#"{"day":"2026-02-03","month":202602,"source":"a {{"}"#,
            r#"{"day":"2026-02-04","month":202602,"source":"a {{"}"#,
        ]
    );
    assert!(fields(&lines[0]).contains(&"parameters"));
}

#[test]
fn why_compares_what_was_sent_with_the_present_template_for_the_same_date() {
    let head = CONFIG.split("[schedule").next().unwrap();
    // the vendor of the night refuses this series
    let fails = "[schedule.store-clusters]\ncron = \"15 2 * * *\"\nprocedure = \"p.d.f(day)\"\n";
    let with = |day: &str| format!("{head}{fails}set.hyper = {{ day = \"{day}\" }}\n");
    // 3 February is a Tuesday: both give the 2nd
    let same = Night::with(&with("{{ date - 1d }}"), &with("{{ date | week_start }}"));
    let other = Night::with(&with("{{ date - 1d }}"), &with("{{ date }}"));
    let said = |night: &Night| {
        let lines = ["why store-clusters"];
        without(night.folder.path(), &seen(&night.config(), &lines))
    };
    let (same, other) = (said(&same), said(&other));
    let as_now = "sent day = \"2026-02-02\", as the configuration has it";
    assert!(same.contains(as_now), "{same}");
    let since = "sent day = \"2026-02-02\"\nthe configuration has day = \"2026-02-03\" now";
    assert!(other.contains(since), "{other}");
}
