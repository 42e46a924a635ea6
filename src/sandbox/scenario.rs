//! A scenario: everything that can be said about a stand-in before it starts, in code or in a TOML file.
//! `docs/scenario.example.toml` shows every key.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::auth::Auth;
use super::ending::Ending;
use super::fault::{Fault, Operation, Rule};
use super::limiter::Limit;
use super::procedure::Procedure;
use super::profile::{Profile, Quirk};
use super::script::{Script, Sometimes};
use super::span::{self, Span};

/// How the stand-in behaves. The default is a calm BigQuery on which every job ends well at once.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Scenario {
    /// Chance falls the same way for the same seed.
    pub seed: u64,
    /// Jobs live this many times faster than their scripts say. Clocks, limits and delayed replies do not.
    pub speed: f64,
    /// What stands before `/v3` in every path, for example `/api`.
    pub base_path: String,
    /// Whose answers are imitated.
    pub profile: Profile,
    /// The one quirk of the weird profile; each job has its own when there is none.
    pub quirk: Option<Quirk>,
    /// Names of the connections that exist; every name when there is none.
    pub connections: Vec<String>,
    /// Whether a call to a procedure that is not listed fails as not found; it is taken for a good one otherwise.
    pub strict: bool,
    /// Whether one of two overlapping jobs that write the same result table ends as `duplicate`.
    pub collide: bool,
    /// How far the vendor's clock is ahead (`Date`, `createdAt`, `created_since`); may be negative.
    #[serde(deserialize_with = "span::signed")]
    pub skew: SignedDuration,
    /// Who may ask.
    pub auth: Auth,
    /// How jobs are created.
    pub create: Create,
    /// How jobs are listed.
    pub list: List,
    /// How jobs are cancelled.
    pub cancel: Cancel,
    /// The firewall; none when it is not set.
    pub limit: Option<Limit>,
    /// What jobs of procedures that are not listed do, and other statements.
    pub script: Script,
    /// The procedures that are known.
    #[serde(rename = "procedure")]
    pub procedures: Vec<Procedure>,
    /// Scripts for single runs; the first that fits goes before that of the procedure.
    #[serde(rename = "run")]
    pub runs: Vec<RunScript>,
    /// What goes wrong on the way, the first rule first. Read once, at the start.
    #[serde(rename = "fault")]
    pub faults: Vec<Rule>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 0,
            speed: 1.0,
            base_path: String::new(),
            profile: Profile::default(),
            quirk: None,
            connections: Vec::new(),
            strict: false,
            collide: true,
            skew: SignedDuration::ZERO,
            auth: Auth::default(),
            create: Create::default(),
            list: List::default(),
            cancel: Cancel::default(),
            limit: None,
            script: Script::default(),
            procedures: Vec::new(),
            runs: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// A script for runs whose id contains a text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunScript {
    /// What the run's id contains.
    pub contains: String,
    /// What its jobs do.
    pub script: Script,
}

/// How jobs are created.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Create {
    /// 200 or 201; nobody knows which of the two CARTO gives.
    pub status: u16,
    /// The largest body that is taken, in bytes; 413 beyond. Read once, at the start.
    pub body_limit: usize,
    /// What becomes of `metadata`.
    pub metadata: Metadata,
    /// Whether a wrong call is refused with 400 at once, instead of ending as a failed job.
    pub refuse_wrong_calls: bool,
}

impl Default for Create {
    fn default() -> Self {
        Self {
            status: 200,
            body_limit: 10 << 20,
            metadata: Metadata::Kept,
            refuse_wrong_calls: false,
        }
    }
}

/// What becomes of `metadata`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// It is kept and shown.
    #[default]
    Kept,
    /// It is taken and forgotten.
    Dropped,
    /// A request with it is refused with 400.
    Refused,
}

/// How jobs are listed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct List {
    /// How long a new job stays out of the list.
    pub delay: Span,
    /// The member that holds the array; a bare array when there is none.
    pub wrapper: Option<Wrapper>,
    /// Only so many entries are given.
    pub page: Option<usize>,
    /// Whether the newest come first, and so survive a page that is cut.
    pub newest_first: bool,
    /// Whether entries show `metadata`.
    pub metadata: bool,
    /// Whether entries show `query`.
    pub query: bool,
    /// Whether entries show `status`.
    pub status: bool,
    /// Entries of other people's jobs, one for each ten seconds before now.
    pub others: u32,
    /// Whether listing answers 403.
    pub forbidden: bool,
    /// Whether `created_since` is ignored.
    pub ignores_created_since: bool,
}

impl Default for List {
    fn default() -> Self {
        Self {
            delay: Span::default(),
            wrapper: None,
            page: None,
            newest_first: false,
            metadata: true,
            query: true,
            status: false,
            others: 0,
            forbidden: false,
            ignores_created_since: false,
        }
    }
}

/// The member that holds a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Wrapper {
    Data,
    Jobs,
    Rows,
    Items,
    Results,
}

impl Wrapper {
    /// The member's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Jobs => "jobs",
            Self::Rows => "rows",
            Self::Items => "items",
            Self::Results => "results",
        }
    }
}

/// How jobs are cancelled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Cancel {
    /// 200 with the job, or 204 without a body.
    pub empty_reply: bool,
    /// Whether the wish is taken and then forgotten: the job goes on and ends as it would have.
    pub ignored: bool,
    /// How long a job takes to stop. One that ends before, ends as it would have.
    pub takes: Span,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// What is wrong with it, with the line where that is known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        scenario.problem().map_or(Ok(scenario), Err)
    }

    /// The first thing that does not make sense, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Some(format!("speed = {} is not above zero", self.speed));
        }
        if !(self.base_path.is_empty() || self.base_path.starts_with('/'))
            || self.base_path.ends_with('/')
        {
            return Some(format!(
                "base_path = {:?} must be empty, or begin with a slash and not end with one",
                self.base_path
            ));
        }
        if !matches!(self.create.status, 200 | 201) {
            return Some(format!(
                "create.status = {} is not 200 or 201",
                self.create.status
            ));
        }
        let names: Vec<&str> = self
            .procedures
            .iter()
            .map(|p| p.signature.name.as_str())
            .collect();
        for (at, name) in names.iter().enumerate() {
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Some(format!("the procedure {name} is there twice"));
            }
        }
        self.faults.iter().find_map(Rule::problem)
    }

    /// With this procedure. Builder style, as the next ones.
    pub fn procedure(mut self, procedure: Procedure) -> Self {
        self.procedures.push(procedure);
        self
    }

    /// With this script for procedures that are not listed.
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// With this script for runs whose id contains a text.
    pub fn run(mut self, contains: impl Into<String>, script: Script) -> Self {
        self.runs.push(RunScript {
            contains: contains.into(),
            script,
        });
        self
    }

    /// With this fault.
    pub fn fault(mut self, rule: Rule) -> Self {
        self.faults.push(rule);
        self
    }

    /// With this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With this profile.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// What `demo` shows. Jobs take 1 to 4 seconds; now and then one of any procedure meets a backend error.
    ///
    /// - The procedure of the vendor's page works, and fails with the page's coercion error when `number_of_clusters`
    ///   is sent as text.
    /// - `carto-demo.carto_temp.wfproc_api_2222222222222222(day)` fails twice with `backendError` in every run and then
    ///   ends well.
    /// - `carto-demo.carto_temp.wfproc_api_3333333333333333(region STRING, radius_m INT64)` always fails for good.
    /// - Every other procedure works, whatever its parameters.
    /// - The reply to each fifth creation is dropped after the job was made; each fortieth reading meets a 429.
    pub fn demo() -> Self {
        let steady = Script {
            pending: Span::between(Duration::from_millis(100), Duration::from_millis(400)),
            running: Span::between(Duration::from_secs(1), Duration::from_secs(4)),
            sometimes: vec![Sometimes {
                ending: Ending::fails("backendError"),
                probability: 0.03,
            }],
            ..Script::default()
        };
        let with = |endings: Vec<Ending>| Script {
            endings,
            sometimes: Vec::new(),
            ..steady.clone()
        };
        let flaky = with(vec![
            Ending::fails("backendError"),
            Ending::fails("backendError"),
            Ending::Success,
        ]);
        let signatures = [
            (
                "carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f\
                 (number_of_clusters INT64 = 2, buffer_radius, store_type STRING)",
                with(Vec::new()),
            ),
            (
                "carto-demo.carto_temp.wfproc_api_2222222222222222(day)",
                flaky,
            ),
            (
                "carto-demo.carto_temp.wfproc_api_3333333333333333(region STRING, radius_m INT64)",
                with(vec![Ending::fails("accessDenied")]),
            ),
        ];
        let procedures = signatures
            .into_iter()
            .filter_map(|(signature, script)| Procedure::new(signature, script).ok())
            .collect();
        Self {
            procedures,
            script: steady,
            ..Self::default()
        }
        .fault(
            Rule::on(Operation::Create, Fault::DropReply)
                .nth(3)
                .every(5),
        )
        .fault(
            Rule::on(
                Operation::Read,
                Fault::too_many(Some(Duration::from_secs(2))),
            )
            .every(40),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Scenario::parse(text).unwrap_err()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Scenario::parse(""), Ok(Scenario::default()));
    }

    #[test]
    fn the_example_of_the_documentation_is_read_in_full() {
        let text = include_str!("../../docs/scenario.example.toml");
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.skew, SignedDuration::from_secs(-90));
        assert_eq!(scenario.procedures.len(), 2);
        assert_eq!(scenario.runs.len(), 1);
        assert!(scenario.limit.is_some());
        let words: std::collections::BTreeSet<&str> = scenario
            .faults
            .iter()
            .map(|rule| rule.fault.word())
            .collect();
        assert_eq!(words.len(), 14, "the example shows every fault: {words:?}");
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let error = problem("seed = 1\nsped = 60.0\n");
        assert!(
            error.contains("sped") && error.contains("line 2"),
            "{error}"
        );
        let error = problem("[[fault]]\ndoes = \"dropreply\"\n");
        assert!(
            error.contains("dropreply") && error.contains("drop_reply"),
            "{error}"
        );
        let error = problem("[[procedure]]\nsignature = \"a.b()\"\nscript = { runing = \"2s\" }\n");
        assert!(
            error.contains("runing") && error.contains("running"),
            "{error}"
        );
    }

    #[test]
    fn values_without_sense_are_refused() {
        assert!(Scenario::parse("speed = 60").is_ok_and(|s| s.speed == 60.0));
        assert!(problem("speed = 0.0").contains("speed"));
        assert!(problem("base_path = \"api/\"").contains("base_path"));
        assert!(problem("[create]\nstatus = 204").contains("204"));
        assert!(
            problem("[[fault]]\non = [\"connect\"]\ndoes = \"drop_reply\"").contains("connect")
        );
        assert!(problem("[script]\nrunning = \"a while\"").contains("a while"));
        assert!(problem("[script]\nendings = [\"sucess\"]").contains("sucess"));
        let twice = "[[procedure]]\nsignature = \"a.b()\"\n[[procedure]]\nsignature = \"a.b(x)\"\n";
        assert!(problem(twice).contains("twice"));
    }

    #[test]
    fn the_demo_makes_sense() {
        let demo = Scenario::demo();
        assert_eq!(demo.problem(), None);
        assert_eq!(demo.procedures.len(), 3);
        let first = demo.procedures.first().unwrap();
        assert_eq!(first.signature.parameters.len(), 3);
    }
}
