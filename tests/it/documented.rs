//! The documentation says what the program does: the example file is right, and every key is explained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nightcall::config::raw::{DEFAULTS, Keys, SCHEDULE, TABLES};
use nightcall::config::{self, Problem, Problems};
use nightcall::sched::template::{Occasion, Template, vocabulary};
use nightcall::sched::trigger::Fold;
use nightcall::zones::Zones;

use crate::metrics::Metric;

const PAGE: &str = include_str!("../../docs/configuration.md");

/// The sections of the page: heading without marks, and the text below it.
fn sections() -> Vec<(&'static str, &'static str)> {
    let mut sections = Vec::new();
    let mut rest = PAGE;
    while let Some(at) = rest.find("\n#") {
        let section = &rest[at + 1..];
        let end = section.find("\n#").unwrap_or(section.len());
        let (heading, body) = section[..end].split_once('\n').unwrap_or((section, ""));
        sections.push((heading.trim_start_matches('#').trim(), body));
        rest = &section[end.saturating_sub(1)..];
    }
    sections
}

/// The keys in the first column of the tables below a heading.
fn documented(heading: &str) -> Vec<&'static str> {
    let (_, body) = sections()
        .into_iter()
        .find(|(name, _)| *name == heading)
        .unwrap_or_else(|| panic!("docs/configuration.md has no heading {heading:?}"));
    body.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

/// Where the page explains the keys of a table.
fn heading(table: &Keys) -> &'static str {
    match table.table {
        "the top of the file" => "Files",
        name => name,
    }
}

#[test]
fn every_key_is_explained_under_the_heading_of_its_table() {
    for table in TABLES {
        let found = documented(heading(table));
        for key in table.keys {
            let shared = *table == SCHEDULE && DEFAULTS.keys.contains(key);
            let there = match shared {
                true => documented(heading(&DEFAULTS)).contains(key),
                false => found.contains(key),
            };
            assert!(
                there,
                "docs/configuration.md: {} lacks `{key}`",
                table.table
            );
        }
    }
}

#[test]
fn no_key_is_explained_that_does_not_exist() {
    for table in TABLES {
        for key in documented(heading(table)) {
            assert!(
                table.keys.contains(&key),
                "{} has no key {key}",
                table.table
            );
        }
    }
}

#[test]
fn the_pieces_of_toml_on_the_page_are_right() {
    let zones = Zones::load();
    let folder = tempfile::tempdir().unwrap();
    let pieces: Vec<&str> = PAGE
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(pieces.len() >= 6);
    // one connection that the pieces name stands in a file that cannot be read, so only the pieces are judged
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "=").unwrap();
    for piece in pieces {
        let path = folder.path().join("piece.toml");
        std::fs::write(&path, piece).unwrap();
        let Problems(problems) = config::load(&[broken.clone(), path], &zones).unwrap_err();
        let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(said.len(), 1, "{piece}\n{}", said.join("\n"));
    }
}

fn templates() -> &'static str {
    let found = sections()
        .into_iter()
        .find(|(name, _)| *name == "Templates");
    found.expect("the page explains templates").1
}

#[test]
fn templates_give_what_the_page_says() {
    let run = "store-clusters/hyper@2026-02-03T01:15:00Z".parse().unwrap();
    let occasion = Occasion {
        run: &run,
        civil: "2026-02-03T02:15:00".parse().unwrap(),
        fold: Fold::First,
        zone: &Zones::load().get("Europe/Madrid").unwrap(),
    };
    let table = templates().split("| template | gives |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| `"));
    let mut shown = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [template, gives] = cells.as_slice() else {
            panic!("{row}");
        };
        let code = |cell: &str| {
            cell.trim_matches(&['|', ' '][..])
                .trim_matches('`')
                .replace("\\|", "|")
        };
        let template = code(template);
        let read = Template::parse(&template).unwrap_or_else(|e| panic!("{template}: {e}"));
        assert_eq!(read.render(&occasion), code(gives), "{template}");
        shown += 1;
    }
    assert!(shown >= 20, "{shown} rows");
}

#[test]
fn every_word_and_letter_of_templates_is_on_the_page() {
    let page = templates();
    for word in vocabulary() {
        let there = [format!("`{word}`"), format!("`{word}(")];
        assert!(
            there.iter().any(|w| page.contains(w)),
            "Templates lacks {word}"
        );
    }
}

fn example() -> config::Config {
    let path = PathBuf::from("schedules.example.toml");
    config::load(&[path], &Zones::load()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_is_a_configuration_without_problems_or_warnings() {
    let config = example();
    let warnings: Vec<String> = config.warnings.iter().map(Problem::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    let series: usize = config.schedules.iter().map(|s| s.definitions.len()).sum();
    assert_eq!((config.schedules.len(), series), (5, 7));
    let disabled: Vec<&str> = config
        .schedules
        .iter()
        .filter(|schedule| !schedule.enabled)
        .map(|schedule| schedule.name.as_str())
        .collect();
    assert_eq!(disabled, ["pg-territories"]);
}

#[test]
fn the_example_makes_the_vendors_own_call() {
    let config = example();
    let definitions = config.schedules.iter().flat_map(|s| &s.definitions);
    let found = definitions
        .into_iter()
        .find(|d| d.series.to_string() == "store-clusters/supermarket")
        .unwrap();
    assert_eq!(
        found.query,
        "CALL `carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.\
         workflow_procedure_09cc2e19ad5bbc6f`(@number_of_clusters,@buffer_radius,@store_type)"
            .into()
    );
    assert_eq!(
        found.parameters.to_json().to_string(),
        r#"{"number_of_clusters":2,"buffer_radius":500,"store_type":"Supermarket"}"#
    );
}

#[test]
fn the_example_keeps_to_toml_1_0() {
    // newlines inside an inline table came with 1.1, and editors of today stumble over them
    let text = std::fs::read_to_string(Path::new("schedules.example.toml")).unwrap();
    for (number, line) in text.lines().enumerate() {
        let code = line.split(" #").next().unwrap_or(line);
        let open = code.matches('{').count();
        assert_eq!(open, code.matches('}').count(), "line {}", number + 1);
        assert!(
            !code.contains(",}") && !code.contains(", }"),
            "line {}",
            number + 1
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `docs/api.md` says.
fn api_page() -> String {
    std::fs::read_to_string(root().join("docs/api.md")).unwrap()
}

#[test]
fn every_route_of_the_local_api_is_documented() {
    let page = api_page();
    let mut routes = 0;
    for file in ["api.rs", "acting.rs"] {
        let source = std::fs::read_to_string(root().join("src/control").join(file)).unwrap();
        for line in source
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".route(\""))
        {
            let (path, rest) = line.split_once('"').unwrap();
            let method = if rest.contains("post(") {
                "POST"
            } else {
                "GET"
            };
            let heading = format!("### {method} {path}\n");
            assert!(
                page.contains(&heading),
                "docs/api.md has no heading {heading:?}"
            );
            routes += 1;
        }
    }
    assert!(
        routes >= 18,
        "only {routes} routes were found: is the form of the source another?"
    );
}

#[test]
fn every_field_and_code_of_the_local_api_is_documented() {
    let page = api_page();
    for file in ["wire.rs", "wire/acts.rs", "wire/status.rs"] {
        let source = std::fs::read_to_string(root().join("src/control").join(file)).unwrap();
        let fields = source
            .lines()
            .filter_map(|line| line.strip_prefix("    pub "))
            .filter(|line| !line.starts_with("fn "));
        let mut seen = 0;
        for field in fields.filter_map(|line| line.split_once(": ").map(|(name, _)| name)) {
            let flattened = file == "wire.rs" && field == "run";
            assert!(
                flattened || page.contains(&format!("`{field}`")),
                "{file}: `{field}` is not in docs/api.md"
            );
            seen += 1;
        }
        assert!(seen > 5, "{file}: only {seen} fields were found");
    }
    for (_, word, status) in nightcall::control::Code::ALL {
        assert!(page.contains(&format!("| `{word}` | {status} |")), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_every_documented_one_is_exposed() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, after) = page.split_once("\n## Metrics\n").unwrap();
    let section = after.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| `nightcall_"));
    let told: BTreeMap<String, Metric> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let labels = cells[3].split(", ").filter(|label| !label.is_empty());
            let metric = Metric {
                kind: cells[2].to_owned(),
                labels: labels.map(|l| l.trim_matches('`').to_owned()).collect(),
            };
            assert!(!cells[4].is_empty(), "{row}");
            (cells[1].trim_matches('`').to_owned(), metric)
        })
        .collect();
    let (exposed, _) = crate::metrics::exposed().await;
    for (name, metric) in &exposed {
        assert_eq!(told.get(name), Some(metric), "{name}");
    }
    let gone: Vec<&String> = told
        .keys()
        .filter(|name| !exposed.contains_key(*name))
        .collect();
    assert!(gone.is_empty(), "documented and not exposed: {gone:?}");
}
