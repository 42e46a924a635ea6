//! Two definitions of one series, key by key, in the words of the configuration.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::words;
use crate::config::duration;
use crate::sched::call::Parameters;
use crate::sched::policy::{DoubtPolicy, MisfirePolicy, OverlapPolicy, Policies, RetryPolicy};
use crate::sched::schedule::Definition;
use crate::sched::trigger::{DstGap, DstOverlap, Rhythm, TriggerSpec};

/// One key that says something else, as the configuration would say it; `None` where it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The key below the schedule: `timeout`, `retry.attempts`, `parameters.store_type`, `connection.base_url`.
    pub key: String,
    /// What it was.
    pub from: Option<Value>,
    /// What it will be.
    pub to: Option<Value>,
}

/// The key of a difference that no other key names.
const ELSE: &str = "definition";

/// Everything in which two definitions differ; empty when they are equal.
pub fn compare(before: &Definition, after: &Definition) -> Vec<Edit> {
    let mut edits = Edits(Vec::new());
    if before.trigger != after.trigger {
        edits.trigger(&before.trigger, &after.trigger);
    }
    for (key, of) in WHOLE {
        edits.add(key, Some(of(before)), Some(of(after)));
    }
    edits.parameters(before.parameters.values(), after.parameters.values());
    let waits = |d: &Definition| d.after.as_deref().map(|after| json!(words::after(after)));
    edits.add("after", waits(before), waits(after));
    edits.policies(&before.policies, &after.policies);
    if edits.0.is_empty() && before != after {
        // Something that has no key here: told all the same.
        edits.0.push(Edit {
            key: ELSE.to_owned(),
            from: None,
            to: None,
        });
    }
    edits.0
}

/// What two definitions that are the same work under different names have in common: the times and the call.
pub(super) fn work(definition: &Definition) -> Work {
    Work {
        trigger: Arc::clone(&definition.trigger),
        connection: definition.connection.as_str().to_owned(),
        query: Arc::clone(&definition.query),
        parameters: definition.parameters.to_json().to_string(),
    }
}

/// See [`work`].
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Work {
    trigger: Arc<TriggerSpec>,
    connection: String,
    query: Arc<str>,
    parameters: String,
}

struct Edits(Vec<Edit>);

impl Edits {
    fn add(&mut self, key: &str, from: Option<Value>, to: Option<Value>) {
        if from != to {
            let key = key.to_owned();
            self.0.push(Edit { key, from, to });
        }
    }

    fn trigger(&mut self, before: &TriggerSpec, after: &TriggerSpec) {
        for (key, of) in RHYTHM {
            self.add(key, of(&before.rhythm), of(&after.rhythm));
        }
        for (key, of) in TIMES {
            self.add(key, of(before), of(after));
        }
    }

    fn parameters(&mut self, before: &Parameters, after: &Parameters) {
        match (before, after) {
            (Parameters::Named(before), Parameters::Named(after)) => {
                for (name, from) in before {
                    let to = after.get(name).cloned();
                    self.add(&format!("parameters.{name}"), Some(from.clone()), to);
                }
                for (name, to) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                    self.add(&format!("parameters.{name}"), None, Some(to.clone()));
                }
            }
            (Parameters::Positional(before), Parameters::Positional(after)) => {
                for index in 0..before.len().max(after.len()) {
                    let (from, to) = (before.get(index).cloned(), after.get(index).cloned());
                    self.add(&format!("parameters[{index}]"), from, to);
                }
            }
            _ => self.add("parameters", Some(before.to_json()), Some(after.to_json())),
        }
    }

    fn policies(&mut self, before: &Policies, after: &Policies) {
        for (key, of) in MISFIRE {
            self.add(key, Some(of(&before.misfire)), Some(of(&after.misfire)));
        }
        let overlap = |policy: OverlapPolicy| Some(json!(policy.word()));
        self.add("overlap", overlap(before.overlap), overlap(after.overlap));
        for (key, of) in RETRY {
            self.add(key, Some(of(&before.retry)), Some(of(&after.retry)));
        }
        let doubt = |policy: DoubtPolicy| Some(json!(policy.word()));
        self.add("doubt", doubt(before.doubt), doubt(after.doubt));
    }
}

type Keys<T, V> = [(&'static str, fn(&T) -> V)];

const WHOLE: &Keys<Definition, Value> = &[
    ("connection", |d| json!(d.connection.as_str())),
    ("connection.base_url", |d| json!(&*d.target.base_url)),
    ("connection.name", |d| json!(&*d.target.connection)),
    ("call", |d| json!(&*d.query)),
    ("timeout", |d| length(d.timeout)),
    ("start_deadline", |d| length(d.start_deadline)),
    ("cancel_grace", |d| length(d.cancel_grace)),
    ("priority", |d| json!(d.priority)),
];

const RHYTHM: &Keys<Rhythm, Option<Value>> = &[
    ("cron", |rhythm| match rhythm {
        Rhythm::Cron(lines) => Some(match lines.as_slice() {
            [one] => json!(one),
            several => json!(several),
        }),
        Rhythm::Every(_) => None,
    }),
    ("every", |rhythm| match rhythm {
        Rhythm::Cron(_) => None,
        Rhythm::Every(period) => Some(length(*period)),
    }),
];

const TIMES: &Keys<TriggerSpec, Option<Value>> = &[
    ("timezone", |t| Some(json!(t.zone))),
    ("from", |t| t.from.map(|at| json!(at.to_string()))),
    ("until", |t| t.until.map(|at| json!(at.to_string()))),
    ("exclude", |t| {
        let dates = t.exclude.iter().map(ToString::to_string);
        let dates: Vec<String> = dates.collect();
        (!dates.is_empty()).then(|| json!(dates))
    }),
    ("jitter", |t| {
        (!t.jitter.is_zero()).then(|| length(t.jitter))
    }),
    ("dst_gap", |t| {
        Some(json!(match t.dst_gap {
            DstGap::Run => "run",
            DstGap::Skip => "skip",
        }))
    }),
    ("dst_overlap", |t| {
        Some(json!(match t.dst_overlap {
            DstOverlap::First => "first",
            DstOverlap::Last => "last",
            DstOverlap::Both => "both",
        }))
    }),
];

const MISFIRE: &Keys<MisfirePolicy, Value> = &[
    ("misfire.catch_up", |m| json!(m.catch_up.word())),
    ("misfire.window", |m| length(m.window)),
    ("misfire.tolerance", |m| length(m.tolerance)),
    ("misfire.max", |m| json!(m.max)),
];

const RETRY: &Keys<RetryPolicy, Value> = &[
    ("retry.attempts", |r| json!(r.attempts)),
    ("retry.backoff", |r| length(r.backoff)),
    ("retry.factor", |r| json!(r.factor)),
    ("retry.max_backoff", |r| length(r.max_backoff)),
    ("retry.jitter", |r| json!(r.jitter)),
    ("retry.on_timeout", |r| json!(r.on_timeout)),
];

fn length(duration: Duration) -> Value {
    json!(duration::show(duration))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config;
    use crate::zones::Zones;

    const LINES: &str =
        "cron = \"0 2 * * *\"\nprocedure = \"p.d.a(n, m)\"\nparameters = { n = 2, m = \"x\" }";

    /// The definition of one schedule with these lines.
    fn definition(lines: &str) -> Arc<Definition> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nightcall.toml");
        let connections = ["one", "two"].map(|name| {
            format!(
                "[connection.{name}]\nbase_url = \"https://{name}.example.com\"\nprovider = \"bigquery\"\n\
                 token = {{ env = \"T\" }}\n"
            )
        });
        let text = format!(
            "{}[defaults]\nconnection = \"one\"\n[schedule.a]\n{lines}\n",
            connections.concat()
        );
        std::fs::write(&path, text).unwrap();
        let config = config::load(&[path], &Zones::load()).unwrap_or_else(|p| panic!("{p}"));
        Arc::clone(&config.schedules[0].definitions[0])
    }

    /// What changes when these words take the place of others, as `key: from -> to`.
    fn told(old: &str, new: &str) -> Vec<String> {
        let (before, after) = (LINES.to_owned(), LINES.replace(old, new));
        let edits = compare(&definition(&before), &definition(&after));
        let value = |value: &Option<Value>| match value {
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        edits
            .iter()
            .map(|e| format!("{}: {} -> {}", e.key, value(&e.from), value(&e.to)))
            .collect()
    }

    #[test]
    fn every_key_of_a_schedule_is_compared() {
        let table = [
            (
                "timezone = \"Europe/Madrid\"",
                "timezone: \"UTC\" -> \"Europe/Madrid\"",
            ),
            ("from = 2026-03-01", "from: - -> \"2026-03-01T00:00:00\""),
            ("until = 2027-03-01", "until: - -> \"2027-03-01T00:00:00\""),
            ("exclude = [2026-12-25]", "exclude: - -> [\"2026-12-25\"]"),
            ("jitter = \"90s\"", "jitter: - -> \"1m 30s\""),
            ("dst_gap = \"skip\"", "dst_gap: \"run\" -> \"skip\""),
            (
                "dst_overlap = \"both\"",
                "dst_overlap: \"first\" -> \"both\"",
            ),
            ("timeout = \"1h\"", "timeout: \"6h\" -> \"1h\""),
            (
                "start_deadline = \"1h\"",
                "start_deadline: \"6h\" -> \"1h\"",
            ),
            ("cancel_grace = \"1m\"", "cancel_grace: \"5m\" -> \"1m\""),
            ("priority = 7", "priority: 0 -> 7"),
            (
                "overlap = \"allow_all\"",
                "overlap: \"skip\" -> \"allow_all\"",
            ),
            ("doubt = \"hold\"", "doubt: \"verify\" -> \"hold\""),
            (
                "misfire = { window = \"1h\" }",
                "misfire.window: \"12h\" -> \"1h\"",
            ),
            (
                "misfire = { tolerance = \"5s\" }",
                "misfire.tolerance: \"1m\" -> \"5s\"",
            ),
            ("misfire = { max = 3 }", "misfire.max: 10 -> 3"),
            (
                "misfire = \"none\"",
                "misfire.catch_up: \"latest\" -> \"none\"",
            ),
            ("retry = { attempts = 5 }", "retry.attempts: 3 -> 5"),
            (
                "retry = { backoff = \"1m\" }",
                "retry.backoff: \"30s\" -> \"1m\"",
            ),
            ("retry = { factor = 3.0 }", "retry.factor: 2.0 -> 3.0"),
            (
                "retry = { max_backoff = \"1h\" }",
                "retry.max_backoff: \"15m\" -> \"1h\"",
            ),
            ("retry = { jitter = 0.5 }", "retry.jitter: 0.2 -> 0.5"),
            (
                "retry = { on_timeout = true }",
                "retry.on_timeout: false -> true",
            ),
        ];
        for (line, wanted) in table {
            let said = told("procedure", &format!("{line}\nprocedure"));
            assert_eq!(said, [wanted], "{line}");
        }
    }

    #[test]
    fn a_connection_is_its_name_its_address_and_its_name_at_the_vendor() {
        assert_eq!(
            told("procedure", "connection = \"two\"\nprocedure"),
            [
                "connection: \"one\" -> \"two\"",
                "connection.base_url: \"https://one.example.com\" -> \"https://two.example.com\"",
                "connection.name: \"one\" -> \"two\"",
            ]
        );
    }

    #[test]
    fn parameters_are_compared_by_key_to_the_form_of_a_number() {
        assert_eq!(told("n = 2", "n = 2.0"), ["parameters.n: 2 -> 2.0"]);
        assert_eq!(told("n = 2", "n = \"2\""), ["parameters.n: 2 -> \"2\""]);
        assert_eq!(
            told("(n, m)\"\nparameters = { n = 2,", "(m)\"\nparameters = {"),
            [
                "call: \"CALL `p.d.a`(@n,@m)\" -> \"CALL `p.d.a`(@m)\"",
                "parameters.n: 2 -> -",
            ]
        );
        // Their order is the signature's business.
        assert_eq!(told("n = 2, m = \"x\"", "m = \"x\", n = 2"), [""; 0]);
    }

    #[test]
    fn positions_are_compared_one_by_one_and_names_with_positions_as_a_whole() {
        let list =
            |list: &str| format!("cron = \"0 2 * * *\"\ncall = \"CALL p()\"\nparameters = {list}");
        let keys = |before: &str, after: &str| -> Vec<String> {
            let edits = compare(&definition(before), &definition(after));
            edits.into_iter().map(|e| e.key).collect()
        };
        let before = list("[\"north\", 750]");
        assert_eq!(keys(&before, &list("[\"north\", 800]")), ["parameters[1]"]);
        assert_eq!(keys(&before, &list("[\"north\"]")), ["parameters[1]"]);
        assert_eq!(keys(&before, LINES), ["call", "parameters"]);
    }

    #[test]
    fn a_period_in_place_of_an_expression_is_two_keys() {
        assert_eq!(
            told("cron = \"0 2 * * *\"", "every = \"1d\""),
            ["cron: \"0 2 * * *\" -> -", "every: - -> \"1d\""]
        );
    }
}
