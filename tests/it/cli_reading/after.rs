//! Schedules that come after others, as the reading commands tell of them.

use std::sync::LazyLock;

use super::night::{MORNING, Night, at, without};
use super::{golden, typed};

/// A night in which one predecessor succeeds, one fails, one runs still, and one has no run.
const EVENING: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token    = { env = "CARTO_API_TOKEN" }

[defaults]
connection = "carto_dw"
timezone   = "Europe/Madrid"
timeout    = "30m"

[schedule.store-clusters]
cron       = "15 2 * * *"
procedure  = "p.d.clusters(store_type)"
set.supermarket = { store_type = "Supermarket" }
set.hyper       = { store_type = "Hypermarket" }

[schedule.ingest-sales]
cron       = "40 1 * * *"
procedure  = "p.d.ingest()"

[schedule.delivery-zones]
cron       = "30 3 * * WED-FRI"
procedure  = "p.d.delivery()"

[schedule.tiles]
cron       = "0 8 * * *"
procedure  = "p.d.tiles()"
timeout    = "3h"

[schedule.sales-report]
cron       = "42 1 * * *"
procedure  = "p.d.report()"
after      = "ingest-sales"

[schedule.zones-map]
cron       = "50 3 * * *"
procedure  = "p.d.zones()"
after      = ["delivery-zones"]

[schedule.zones-atlas]
cron       = "0 4 * * *"
procedure  = "p.d.zones_atlas()"
after      = ["zones-map"]

[schedule.morning-map]
cron       = "30 4 * * *"
procedure  = "p.d.map()"
after      = ["store-clusters", "sales-report"]

[schedule.early-map]
cron       = "30 2 * * *"
procedure  = "p.d.early()"
after      = ["store-clusters"]
start_deadline = "2h"

[schedule.no-map]
cron       = "40 3 * * *"
procedure  = "p.d.excuse()"
after      = { schedules = ["sales-report"], on = "failure" }

[schedule.atlas]
cron       = "50 8 * * *"
procedure  = "p.d.atlas()"
after      = { schedules = ["tiles"], on = "any" }
"#;

static NIGHT: LazyLock<Night> =
    LazyLock::new(|| Night::of(EVENING, "2026-02-02T16:04:00Z", "2026-02-03T08:00:20Z"));

fn seen(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let said = typed(&NIGHT.config(), line, at(MORNING));
        text.push_str(&format!("$ nightcall {line}\n{}", said.out));
        text.push_str(&format!("[{}]\n\n", said.code));
        assert_eq!(said.complaint, "", "{line}");
    }
    without(NIGHT.folder.path(), &text)
}

#[test]
fn why_tells_what_waits_for_others_and_how_they_stand() {
    golden(
        "after-why",
        &seen(&[
            "why sales-report",
            "why morning-map",
            "why early-map",
            "why zones-map",
            "why zones-atlas",
            "why no-map",
            "why atlas",
            "why morning-map tomorrow",
        ]),
    );
}

#[test]
fn check_lists_the_coming_times_without_a_predecessor_and_next_names_what_is_waited_for() {
    golden(
        "after-check",
        &seen(&[
            "check zones-map",
            "check zones-atlas",
            "check morning-map",
            "check --json",
            "next zones-map -n 2",
            "next zones-map -n 1 --json",
        ]),
    );
}
