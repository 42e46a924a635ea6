//! The morning report: of a night in which much went wrong, of one in which all is well, and of none at all.

use std::collections::BTreeMap;

use nightcall::config;
use nightcall::sched::time::Timestamp;
use nightcall::zones::Zones;
use serde_json::Value;

use super::night::{EVENING, MORNING, Night, at, without};
use super::{Said, fields, fresh, golden, objects, seen, typed};

/// A quiet evening: everything of it ends well.
const QUIET: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token    = { env = "CARTO_API_TOKEN" }

[defaults]
connection = "carto_dw"
timezone   = "Europe/Madrid"

[schedule.ingest-sales]
cron       = "40 1 * * *"
procedure  = "p.d.ingest(day)"
parameters = { day = "latest" }

[schedule.five-oclock]
cron       = "0 1 * * *"
procedure  = "p.d.five()"

[schedule.hourly]
cron       = "10 * * * *"
procedure  = "p.d.hourly()"
"#;

/// When people look after a quiet night: the daemon is alive, and its last change is three minutes old.
const DAWN: &str = "2026-02-03T01:15:00Z";

fn quiet() -> Night {
    Night::with(QUIET, QUIET)
}

fn said(night: &Night, line: &str, now: &str) -> Said {
    typed(&night.config(), line, at(now))
}

/// As it is seen, with the exit code.
fn whole(night: &Night, line: &str, now: &str) -> String {
    let said = said(night, line, now);
    let text = format!("$ nightcall {line}\n{}[{}]\n\n", said.out, said.code);
    without(night.folder.path(), &text)
}

fn object(night: &Night, line: &str, now: &str) -> Value {
    let said = said(night, line, now);
    assert_eq!(said.complaint, "", "{line}");
    serde_json::from_str(&said.out).unwrap()
}

/// The sum of how everything ended.
fn sum(counts: &Value) -> u64 {
    let one = |name: &str| counts[name].as_u64().unwrap();
    let skipped = counts["skipped"].as_object().unwrap().values();
    let ends = [
        "succeeded",
        "failed",
        "timed_out",
        "cancelled",
        "lost",
        "missed",
        "live",
        "unexplained",
    ];
    ends.into_iter().map(one).sum::<u64>() + skipped.map(|n| n.as_u64().unwrap()).sum::<u64>()
}

/// How many occurrences the triggers of a configuration have from one time to another, the last not included.
fn by_triggers(text: &str, since: Timestamp, until: Timestamp) -> u64 {
    let (_folder, path) = fresh(text);
    let config = config::load(&[path], &Zones::load()).unwrap();
    let mut count = 0;
    for schedule in config.schedules.iter().filter(|s| s.enabled) {
        let mut next = schedule.trigger.after(since);
        while let Some(occurrence) = next.filter(|o| o.instant < until) {
            count += schedule.definitions.len() as u64;
            next = schedule.trigger.after(occurrence.instant);
        }
    }
    count
}

#[test]
fn the_report_tells_what_went_wrong_in_the_night_and_what_to_type() {
    golden(
        "report",
        &seen(&[
            "report",
            "report --week",
            "report --handover",
            "report --since 2026-02-03T01:00 --until 2026-02-03T02:12",
            "report --since tomorrow",
            "report --since noon",
        ]),
    );
}

#[test]
fn the_report_of_a_quiet_night_is_short_and_ends_with_0() {
    let night = quiet();
    let now = DAWN;
    assert_eq!(said(&night, "report", now).code, 0);
    golden("report-quiet", &whole(&night, "report", now));
}

#[test]
fn a_daemon_that_does_not_run_is_told_although_nothing_is_missing_yet() {
    let night = quiet();
    // nothing was due since the daemon went
    let early = said(&night, "report", "2026-02-03T02:05:00Z");
    assert_eq!(early.code, 1);
    let hourly = said(&night, "report", "2026-02-03T07:00:00Z");
    let asks = "the daemon last decided at Tue 3 Feb 02:12:06 +01:00. Is it running?";
    assert!(early.out.contains(asks), "{}", early.out);
    // 03:10 to 07:10 have passed: due, and no hole in the record
    assert!(
        hourly.out.contains("5 times are due and not decided"),
        "{}",
        hourly.out
    );
    assert!(hourly.out.contains("unexplained 0"), "{}", hourly.out);
    assert!(
        hourly.out.contains("next: nightcall status"),
        "{}",
        hourly.out
    );
}

#[test]
fn the_sums_of_a_night_add_up_and_nothing_is_unexplained() {
    let [report] = objects("report").try_into().unwrap();
    let counts = &report["counts"];
    assert_eq!(counts["unexplained"], 0);
    assert_eq!(counts["expected"].as_u64(), Some(sum(counts)), "{counts}");
    // the daemon began at 17:04 and decided up to 09:00:20
    let expected = by_triggers(
        EVENING,
        at("2026-02-02T16:04:00Z"),
        at("2026-02-03T08:00:30Z"),
    );
    assert_eq!(counts["expected"].as_u64(), Some(expected), "{counts}");
    let [week] = objects("report --week").try_into().unwrap();
    assert_eq!(week["counts"], report["counts"]);
    let days = week["days"].as_array().unwrap();
    let by_day: u64 = days.iter().map(|day| sum(&day["counts"])).sum();
    assert_eq!(by_day, expected);
}

#[test]
fn whatever_part_of_a_night_is_looked_at_its_sums_add_up() {
    let end = at(MORNING);
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    let mut since = at("2026-02-02T16:04:00Z");
    while since < end {
        let until = end.min(since + jiff::SignedDuration::from_mins(37));
        let line = format!("report --since {since} --until {until}");
        let [report] = objects(&line).try_into().unwrap();
        let counts = &report["counts"];
        assert_eq!(counts["expected"].as_u64(), Some(sum(counts)), "{line}");
        let expected = by_triggers(EVENING, since - jiff::SignedDuration::from_nanos(1), until);
        assert_eq!(
            counts["expected"].as_u64(),
            Some(expected),
            "{line}: {counts}"
        );
        for name in ["expected", "succeeded", "missed", "lost"] {
            *total.entry(name.to_owned()).or_default() += counts[name].as_u64().unwrap();
        }
        since = until;
    }
    let [night] = objects("report").try_into().unwrap();
    for (name, sum) in total {
        assert_eq!(night["counts"][&name].as_u64(), Some(sum), "{name}");
    }
}

/// Takes something away behind the back of the daemon.
fn delete(night: &Night, statement: &str) {
    let conn = rusqlite::Connection::open(night.folder.path().join("nightcall.db")).unwrap();
    assert!(conn.execute(statement, []).unwrap() > 0, "{statement}");
}

#[test]
fn what_is_gone_from_the_record_is_unexplained_and_the_loudest_line() {
    let night = quiet();
    delete(&night, "DELETE FROM runs WHERE schedule = 'five-oclock'");
    let now = DAWN;
    let text = whole(&night, "report", now);
    assert!(text.contains("\nUNEXPLAINED: 1 of "), "{text}");
    golden("report-unexplained", &text);
    let report = object(&night, "report --json", now);
    assert_eq!(report["counts"]["unexplained"], 1);
    assert_eq!(
        report["counts"]["expected"].as_u64(),
        Some(sum(&report["counts"]))
    );
    assert_eq!(report["wrong"][0]["end"], "unexplained");
    assert_eq!(report["next"], "why five-oclock 2026-02-03T00:00:00Z");
    assert_eq!(report["fine"], false);
    let next = report["next"].as_str().unwrap();
    assert_eq!(said(&night, next, now).code, 0, "what is to be typed works");
}

#[test]
fn what_retention_may_have_deleted_is_not_unexplained() {
    let kept = format!("[daemon]\nretention = {{ runs_per_series = 3 }}\n{QUIET}");
    let night = Night::with(&kept, &kept);
    delete(
        &night,
        "DELETE FROM runs WHERE schedule = 'hourly' AND instant <= (
            SELECT max(instant) FROM runs WHERE schedule = 'hourly') - 3 * 3600000000000",
    );
    let report = object(&night, "report --json", DAWN);
    assert_eq!(report["counts"]["unexplained"], 0, "{report}");
    assert_eq!(report["not_counted"]["deleted"], 7, "{report}");
    assert_eq!(report["fine"], true);
}

#[test]
fn without_a_database_nothing_is_fine_and_nothing_is_made() {
    let (folder, path) = fresh(QUIET);
    let said = typed(&path, "report", at(MORNING));
    assert_eq!((said.code, said.complaint.as_str()), (1, ""));
    assert!(said.out.contains("no daemon has run here"), "{}", said.out);
    assert!(said.out.contains("next: nightcall daemon"), "{}", said.out);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn the_report_as_json_has_the_documented_fields() {
    let [report] = objects("report --handover").try_into().unwrap();
    let page = include_str!("../../../docs/operations.md");
    let (_, section) = page.split_once("\n## The morning report\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut unknown = Vec::new();
    let mut known = |name: &str| {
        if !section.contains(&format!("`{name}`")) {
            unknown.push(name.to_owned());
        }
    };
    fields(&report).into_iter().for_each(&mut known);
    for inner in ["counts", "not_counted", "coming"] {
        fields(&report[inner]).into_iter().for_each(&mut known);
    }
    for list in ["wrong", "live", "slow"] {
        fields(&report[list][0]).into_iter().for_each(&mut known);
    }
    assert!(unknown.is_empty(), "docs/operations.md lacks {unknown:?}");
}

#[test]
fn the_page_for_a_mail_is_whole_and_escapes_what_others_wrote() {
    let night = quiet();
    let hostile = r#"<script>alert("x")</script><img src=x onerror=y> & 'z'"#;
    let conn = rusqlite::Connection::open(night.folder.path().join("nightcall.db")).unwrap();
    let fault = serde_json::json!({
        "class": "permanent", "reason": hostile, "message": hostile
    });
    let changed = conn.execute(
        "UPDATE runs SET outcome = 'failed', fault = ?1 WHERE schedule = 'five-oclock'",
        [fault.to_string()],
    );
    assert_eq!(changed.unwrap(), 1);
    conn.execute(
        "INSERT INTO pauses (scope, since, until, who, note) VALUES ('hourly', 0, NULL, ?1, ?1)",
        [hostile],
    )
    .unwrap();
    drop(conn);
    let said = said(&night, "report --html", DAWN);
    assert_eq!(said.code, 1);
    let page = said.out;
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    for bad in ["<script", "<img", "onerror=y>", "src=\"", "href=", "url("] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
    assert!(page.matches("&lt;script&gt;").count() >= 3, "{page}");
    assert!(page.contains("&amp; 'z'"), "{page}");
    golden("report-html", &without(night.folder.path(), &page));
}
