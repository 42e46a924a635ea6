//! The rules, each over one file. What they allow stands in the tables of `tidy.rs`.

use super::source::{Source, names};
use super::{CRATES, DOORS, EMPTY_NAMES, IMPURE, LAYERS, UNFINISHED};

/// What is wrong where.
pub(super) struct Finding {
    pub(super) line: usize,
    pub(super) rule: String,
}

fn find(line: usize, rule: impl Into<String>) -> Finding {
    let rule = rule.into();
    Finding { line, rule }
}

pub(super) fn row<'t>(table: &'t [(&str, &'t [&'t str])], name: &str) -> Option<&'t [&'t str]> {
    table.iter().find(|(n, _)| *n == name).map(|(_, row)| *row)
}

/// Whether a file lies in one of the places: a file, a folder, or everywhere.
fn lies_in(place: &str, places: &[&str]) -> bool {
    places.iter().any(|p| {
        let rest = place.strip_prefix(p);
        p.is_empty() || rest.is_some_and(|r| r.is_empty() || r.starts_with(['/', '.']))
    })
}

fn direction(source: &Source, found: &mut Vec<Finding>) {
    let layer = source.layer();
    let Some(allowed) = row(LAYERS, layer) else {
        found.push(find(1, format!("`{layer}` has no row in LAYERS")));
        return;
    };
    for path in &source.paths {
        let Some(target) = source.inside(path) else {
            continue;
        };
        let line = source.line(path.token);
        let named = target.join("::");
        let other = target.first().map_or("", String::as_str);
        let known = row(LAYERS, other).is_some();
        if known && other != layer && !allowed.contains(&other) {
            found.push(find(line, format!("`{layer}` may not use `{named}`")));
        }
        for (door, places) in DOORS {
            let leads = format!("{named}::").starts_with(&format!("{door}::"));
            if leads && !lies_in(&source.place, places) {
                let places = places.join(", ");
                found.push(find(line, format!("`{door}` is named only in {places}")));
            }
        }
    }
}

fn outside_crates(source: &Source, found: &mut Vec<Finding>) {
    for path in &source.paths {
        if source.is_test(path.token) || source.inside(path).is_some() {
            continue;
        }
        let name = path.segments.first().map_or("", String::as_str);
        if let Some(places) = row(CRATES, name)
            && !lies_in(&source.place, places)
        {
            let rule = format!("`{name}` may be named only in {}", places.join(", "));
            found.push(find(source.line(path.token), rule));
        }
    }
}

fn purity(source: &Source, found: &mut Vec<Finding>) {
    if source.layer() != "sched" {
        return;
    }
    for path in &source.paths {
        let named = IMPURE.iter().find(|words| names(&path.segments, words));
        // tests of the heart may load a zone; they may not look at a clock either
        let excused = source.is_test(path.token)
            && named.is_some_and(|words| words.starts_with("TimeZone") || *words == "std::fs");
        if let Some(words) = named
            && !excused
        {
            let rule = format!("`sched` is pure: it may not name `{words}`");
            found.push(find(source.line(path.token), rule));
        }
    }
    for token in &source.tokens {
        if matches!(token.text.as_str(), "async" | "await") {
            let rule = format!("`sched` is pure: it may not name `{}`", token.text);
            found.push(find(token.line, rule));
        }
    }
}

pub(super) fn head(source: &Source, found: &mut Vec<Finding>) {
    if !source.text.starts_with("//!") {
        let rule = "a file begins with a `//!` comment that says what it is for";
        found.push(find(1, rule));
    }
}

fn module_names(source: &Source, found: &mut Vec<Finding>) {
    let stem = source.place.trim_end_matches(".rs");
    for part in stem.split('/').filter(|part| EMPTY_NAMES.contains(part)) {
        found.push(find(1, format!("no module is called `{part}`")));
    }
    for pair in source.tokens.windows(2) {
        if pair[0].text == "mod" && EMPTY_NAMES.contains(&pair[1].text.as_str()) {
            let rule = format!("no module is called `{}`", pair[1].text);
            found.push(find(pair[0].line, rule));
        }
    }
}

pub(super) fn left_behind(source: &Source, found: &mut Vec<Finding>) {
    for pair in source.tokens.windows(2) {
        let word = pair[0].text.as_str();
        if UNFINISHED.contains(&word) && pair[1].text == "!" {
            found.push(find(pair[0].line, format!("`{word}!` is left behind")));
        }
        if word == "[" && pair[1].text == "ignore" {
            found.push(find(
                pair[0].line,
                "no test is ignored: mend it or take it out",
            ));
        }
    }
}

fn exits(source: &Source, found: &mut Vec<Finding>) {
    for path in &source.paths {
        if names(&path.segments, "process::exit") && source.place != "main.rs" {
            let rule = "`process::exit` is called only in main.rs";
            found.push(find(source.line(path.token), rule));
        }
    }
}

/// Production code does not know that it is tested: `cfg(test)` stands only before `mod tests`.
fn test_code(source: &Source, found: &mut Vec<Finding>) {
    let texts: Vec<&str> = source
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    for (at, word) in texts.iter().enumerate() {
        if !matches!(*word, "cfg" | "cfg_attr") {
            continue;
        }
        let end = texts[at..].iter().position(|text| *text == "]");
        let end = end.map_or(texts.len(), |length| at + length);
        if !texts[at..end].contains(&"test") {
            continue;
        }
        let attribute = &texts[at..end];
        // for one system only is as good: `cfg(all(test, target_os = "linux"))`
        let plain = attribute == ["cfg", "(", "test", ")"]
            || attribute.starts_with(&["cfg", "(", "all", "(", "test"]);
        if !plain || !stands_before_tests(&texts[end..]) {
            let rule = "`cfg(test)` stands only before `mod tests`";
            found.push(find(source.line(at), rule));
        }
    }
}

/// Whether `] #[other] … mod tests` follows.
fn stands_before_tests(mut texts: &[&str]) -> bool {
    while let ["]", "#", "[", rest @ ..] = texts {
        let end = rest.iter().position(|text| *text == "]");
        texts = end.map_or(&[], |end| &rest[end..]);
    }
    matches!(texts, ["]", "mod", "tests", ..])
}

/// All rules for a file below `src`.
pub(super) fn findings(place: &str, text: &str) -> Vec<Finding> {
    let source = Source::new(place, text);
    let mut found = Vec::new();
    let rules = [
        direction,
        outside_crates,
        purity,
        head,
        module_names,
        left_behind,
        exits,
        test_code,
    ];
    for rule in rules {
        rule(&source, &mut found);
    }
    found.sort_by_key(|finding| finding.line);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rule finds what it is for; otherwise a slip in this file would make everything tidy.
    #[test]
    fn every_rule_finds_its_offence() {
        let table = [
            (
                "sched/run.rs",
                "use crate::store::Store;",
                "may not use `store::Store`",
            ),
            (
                "sched/run.rs",
                "use super::super::config;",
                "may not use `config`",
            ),
            (
                "store/sqlite/mod.rs",
                "fn f() { crate::warehouse::g() }",
                "may not use `warehouse::g`",
            ),
            (
                "store/mod.rs",
                "pub mod sqlite; pub use sqlite::Sqlite;",
                "`store::sqlite` is named only",
            ),
            (
                "daemon/driver.rs",
                "use crate::{store::{sqlite, X}};",
                "`store::sqlite` is named only",
            ),
            (
                "main.rs",
                "fn main() { nightcall::daemon::run() }",
                "may not use `daemon::run`",
            ),
            ("elsewhere/mod.rs", "", "no row in LAYERS"),
            (
                "warehouse/mod.rs",
                "use reqwest::Client;",
                "`reqwest` may be named only",
            ),
            (
                "daemon/driver.rs",
                "use tokio_cron_scheduler as t;",
                "only in daemon/chores.rs",
            ),
            (
                "sched/plan.rs",
                "#[derive(serde::Serialize)] struct A;",
                "`serde` may be named only",
            ),
            (
                "sched/plan.rs",
                "fn f() { jiff::Timestamp::now() }",
                "pure: it may not name `Timestamp::now`",
            ),
            (
                "sched/plan.rs",
                "use std::{fmt, env};",
                "pure: it may not name `std::env`",
            ),
            (
                "sched/plan.rs",
                "fn f() { tracing::info!() }",
                "pure: it may not name `tracing`",
            ),
            (
                "sched/plan.rs",
                "async fn f() {}",
                "pure: it may not name `async`",
            ),
            (
                "sched/plan.rs",
                "fn f() { TimeZone::get() }",
                "pure: it may not name `TimeZone::get`",
            ),
            ("store/common.rs", "", "no module is called `common`"),
            (
                "store/mod.rs",
                "mod helpers {}",
                "no module is called `helpers`",
            ),
            ("zones.rs", "fn f() { todo!() }", "`todo!` is left behind"),
            (
                "zones.rs",
                "#[cfg(test)] mod tests { #[test] #[ignore = \"\"] fn f() {} }",
                "no test is ignored",
            ),
            (
                "cli/mod.rs",
                "fn f() { std::process::exit(1) }",
                "only in main.rs",
            ),
            (
                "zones.rs",
                "#[cfg(test)] fn f() {}",
                "only before `mod tests`",
            ),
            (
                "zones.rs",
                "#[cfg(not(test))] mod tests {}",
                "only before `mod tests`",
            ),
        ];
        for (place, text, rule) in table {
            let found = findings(place, &format!("//! A file.\n{text}"));
            let rules: Vec<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
            let hit = rules.iter().any(|found| found.contains(rule));
            assert!(hit, "{place}: {text}\nfinds {rules:?}, not {rule:?}");
        }
        assert!(findings("zones.rs", "fn f() {}")[0].rule.contains("`//!`"));
    }

    #[test]
    fn what_is_allowed_is_found_by_no_rule() {
        let table = [
            (
                "cli/serve.rs",
                "use crate::{store::sqlite::Sqlite, warehouse::carto::Carto};",
            ),
            (
                "store/sqlite/read.rs",
                "use super::rows; use crate::store::sqlite::commit; use rusqlite::X;",
            ),
            (
                "daemon/chores.rs",
                "use tokio_cron_scheduler::Job; use crate::store::Store;",
            ),
            (
                "sched/trigger/cron.rs",
                "use jiff::tz::TimeZone; use std::fmt;",
            ),
            (
                "sched/run.rs",
                "// crate::store\n/* tokio::spawn */ const A: &str = \"std::env\";",
            ),
            (
                "zones.rs",
                "#[cfg(test)]\n#[allow(clippy::panic)]\nmod tests { use tempfile::tempdir; }",
            ),
            (
                "main.rs",
                "fn main() { std::process::exit(nightcall::cli::main()) }",
            ),
        ];
        for (place, text) in table {
            let found = findings(place, &format!("//! A file.\n{text}"));
            let rules: Vec<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
            assert!(rules.is_empty(), "{place}: {text}\nfinds {rules:?}");
        }
    }
}
