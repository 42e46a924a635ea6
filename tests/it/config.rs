//! What the configuration makes of good and of bad files: the messages as people see them, and the values.
//!
//! `tests/golden/config` holds a bad file or folder for each topic and, beside it, what is said of it. After a change
//! of a message run with `INSTA_UPDATE=always` and read the difference.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nightcall::config::{self, Config, Credential, Problem, Problems};
use nightcall::sched::call::{Parameters, Provider};
use nightcall::sched::policy::{CatchUp, DoubtPolicy, OverlapPolicy};
use nightcall::sched::schedule::Definition;
use nightcall::sched::trigger::{DstGap, DstOverlap, Rhythm};
use nightcall::secret::SecretSource;
use nightcall::zones::Zones;
use proptest::prelude::*;

const GOLDEN: &str = "tests/golden/config";

/// A connection and defaults, to which tests add schedules.
const BASE: &str = r#"
[connection.carto_dw]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "bigquery"
token = { env = "CARTO_API_TOKEN" }
[connection.pg]
base_url = "https://gcp-us-east1.api.carto.com"
provider = "postgres"
token = { env = "CARTO_API_TOKEN" }
[defaults]
connection = "carto_dw"
"#;

static ZONES: LazyLock<Zones> = LazyLock::new(Zones::load);

fn load(paths: &[&Path]) -> Result<Config, Problems> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
    config::load(&paths, &ZONES)
}

/// Reads a text as if it were a file.
fn read(text: &str) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightcall.toml");
    std::fs::write(&path, text).unwrap();
    load(&[&path])
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The one definition of the one schedule of `BASE` and the text.
fn definition(text: &str) -> Definition {
    let config = good(&format!("{BASE}{text}"));
    let schedule = config.schedules.first().unwrap();
    Definition::clone(schedule.definitions.first().unwrap())
}

fn messages(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| problem.message.clone())
        .collect()
}

fn golden_names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(GOLDEN)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".snap"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_bad_file_is_explained() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/config");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let names = golden_names();
    assert!(names.len() >= 20);
    for name in names {
        let said = match load(&[&Path::new(GOLDEN).join(&name)]) {
            Err(problems) => problems.to_string(),
            Ok(config) => {
                let warnings: Vec<String> =
                    config.warnings.iter().map(Problem::to_string).collect();
                warnings.join("\n")
            }
        };
        let name = name.trim_end_matches(".toml");
        settings.bind(|| insta::assert_snapshot!(name, said));
    }
}

#[test]
fn every_caret_stands_under_what_it_means() {
    for name in golden_names() {
        let path = Path::new(GOLDEN).join(&name);
        let problems = match load(&[&path]) {
            Err(Problems(problems)) => problems,
            Ok(config) => config.warnings,
        };
        assert!(!problems.is_empty(), "{name}");
        for problem in problems {
            let file = problem.file.clone().unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            let line = text.lines().nth(problem.line - 1).unwrap();
            let end = problem.column + problem.width - 1;
            assert!(end <= line.chars().count().max(problem.column), "{problem}");
            if let Some(source) = &problem.source {
                assert_eq!(source, line, "{problem}");
            }
        }
    }
}

#[test]
fn no_secret_of_a_file_is_ever_shown() {
    for name in golden_names() {
        let shown = match load(&[&Path::new(GOLDEN).join(&name)]) {
            Err(problems) => format!("{problems}\n{problems:?}"),
            Ok(config) => format!("{config:?}"),
        };
        assert!(!shown.contains("hush"), "{name}: {shown}");
    }
}

/// Places in which somebody may write a secret by mistake; `%` is the secret.
const SECRET_PLACES: [&str; 16] = [
    "[connection.c]\ntoken = \"%\"",
    "[connection.c]\ntoken = '''%'''",
    "[connection.c]\ntoken = \"%",
    "[connection.c]\ntoken = %",
    "[connection.c]\ntoken = [\"%\"]",
    "[connection.c]\ntoken = { env = \"% %\" }",
    "[connection.c]\ntoken = { value = \"%\" }",
    "[connection.c]\ntoken = { env = \"A\", env = \"%\" }",
    "[connection.c]\napi_token = \"%\"",
    "[connection.c]\nkey = \"%\"",
    "[connection.c]\noauth = { client_secret = \"%\" }",
    "[connection.c]\noauth = { client_secret = { secret = \"%\" }, audience = 1 }",
    "[connection]\ntoken = \"%\"",
    "token = \"%\"",
    "[defaults]\ntoken = \"%\"",
    "[connection.c]\nbase_url = \"https://me:%@example.com\"\nproxy = \"http://%@proxy:1\"",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_secret_written_anywhere_is_never_shown(
        secret in "[a-z0-9]{12,24}",
        place in 0..SECRET_PLACES.len(),
        rest in prop_oneof!["", "\nmax_in_flight = 0", "\nrpm = 1", "\n]]", "\nprovider = \"x\""],
    ) {
        let text = format!("{}{rest}\n", SECRET_PLACES[place].replace('%', &secret));
        let problems = read(&text).unwrap_err();
        let shown = format!("{problems}\n{problems:?}");
        prop_assert!(!shown.contains(&secret), "{}\n{}", text, shown);
    }
}

/// A piece of a configuration, right or wrong.
fn piece() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "[a-z_]{1,12}",
        Just("cron".to_owned()),
        Just("parameters".to_owned()),
        Just("retry.attempts".to_owned()),
        Just("set.x.y".to_owned()),
        Just("token".to_owned()),
        Just("procedure".to_owned()),
        Just("call".to_owned()),
        Just("from".to_owned()),
        Just("timezone".to_owned()),
        "\"[^\"\\\\\\n]{0,8}\"",
    ];
    let value = prop_oneof![
        "[0-9_.e+-]{1,8}",
        "\"[^\"\\\\\\n]{0,20}\"",
        "'[0-9*/, -]{0,14}'",
        "\"\\\\u00[0-7][0-9] [0-9*]{1,3} [0-9]{1,2} \\* \\* \\*\"",
        Just("{ a = [1, { b = 2 }] }".to_owned()),
        Just("{ env = 'X' }".to_owned()),
        Just("[1, '2', 2026-01-01]".to_owned()),
        Just("2026-01-01T00:00:00Z".to_owned()),
        Just("true".to_owned()),
    ];
    let header = prop_oneof![
        Just("[daemon]".to_owned()),
        Just("[connection.c]".to_owned()),
        Just("[defaults]".to_owned()),
        Just("[classify]".to_owned()),
        Just("[schedule.x]".to_owned()),
        Just("[schedule.x.parameters]".to_owned()),
        Just("[[schedule]]".to_owned()),
        "\\[[a-z.]{1,12}\\]",
    ];
    prop_oneof![
        1 => "[\\PC\\t]{0,20}",
        3 => header,
        8 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..20)) {
        if let Err(problems) = read(&pieces.join("\n")) {
            prop_assert!(!problems.0.is_empty());
            prop_assert!(problems.to_string().ends_with("nothing was changed"));
        }
    }
}

#[test]
fn the_vendors_own_call_is_made_from_a_procedure_and_its_sets() {
    let config = good(&format!(
        "{BASE}\n[schedule.store-clusters]\ncron = \"15 2 * * *\"\n\
         procedure = \"`carto-dw-ac-jfjjof5m.workflows_temp.workflow_procedure_09cc2e19ad5bbc6f`\
         (number_of_clusters, buffer_radius, store_type)\"\n\
         set.hyper = {{ store_type = \"Hypermarket\", buffer_radius = 250.0 }}\n\
         set.super = {{ store_type = \"Supermarket\" }}\n\
         parameters = {{ buffer_radius = 500, number_of_clusters = 2 }}\n"
    ));
    let [schedule] = config.schedules.as_slice() else {
        panic!("one schedule");
    };
    let said: Vec<(String, String)> = schedule
        .definitions
        .iter()
        .map(|d| (d.series.to_string(), d.parameters.to_json().to_string()))
        .collect();
    let expected = [
        (
            "store-clusters/hyper",
            r#"{"number_of_clusters":2,"buffer_radius":250.0,"store_type":"Hypermarket"}"#,
        ),
        (
            "store-clusters/super",
            r#"{"number_of_clusters":2,"buffer_radius":500,"store_type":"Supermarket"}"#,
        ),
    ];
    assert_eq!(said, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    for definition in &schedule.definitions {
        assert_eq!(
            definition.query,
            "CALL `carto-dw-ac-jfjjof5m.workflows_temp.workflow_procedure_09cc2e19ad5bbc6f`\
             (@number_of_clusters,@buffer_radius,@store_type)"
                .into()
        );
    }
}

#[test]
fn without_a_signature_the_written_order_is_the_order_of_the_arguments() {
    let found = definition(
        "[schedule.x]\nevery = \"6h\"\nprocedure = \"a.b.c\"\nparameters = { z = 1, a = 2 }\n",
    );
    assert_eq!(&*found.query, "CALL `a.b.c`(@z,@a)");
    assert_eq!(found.parameters.to_json().to_string(), r#"{"z":1,"a":2}"#);
    assert_eq!(found.series.to_string(), "x/default");
}

#[test]
fn the_signature_that_is_recommended_makes_the_call_that_is_made_without_it() {
    let schedule = |procedure: &str| {
        format!(
            "{BASE}[schedule.x]\nevery = \"6h\"\nprocedure = \"{procedure}\"\n\
             parameters = {{ a = 1, timeout = \"5m\" }}\n"
        )
    };
    let unsigned = good(&schedule("p.d.x"));
    let query = &unsigned.schedules[0].definitions[0].query;
    assert_eq!(&**query, "CALL `p.d.x`(@a,@timeout)");
    let hints: Vec<&str> = unsigned
        .warnings
        .iter()
        .filter_map(|warning| warning.hint.as_deref())
        .collect();
    assert!(
        hints.contains(
            &"write procedure = \"p.d.x(a, timeout)\"; when `timeout` is meant for the schedule, \
              \"p.d.x(a)\""
        ),
        "{hints:?}"
    );
    let signed = good(&schedule("p.d.x(a, timeout)"));
    assert_eq!(&signed.schedules[0].definitions[0].query, query);
}

#[test]
fn a_call_is_passed_through_as_it_was_pasted() {
    let found = definition(
        "[schedule.x]\nevery = \"6h\"\nconnection = \"pg\"\n\
         call = \"\"\"\n  CALL carto.proc($1, $2)\n\"\"\"\nparameters = [\"north\", 750]\n",
    );
    assert_eq!(&*found.query, "CALL carto.proc($1, $2)");
    assert_eq!(found.parameters.to_json().to_string(), r#"["north",750]"#);
    assert_eq!(found.connection.as_str(), "pg");
    let none = definition("[schedule.x]\nevery = \"6h\"\ncall = \"CALL a.b()\"\n");
    assert!(none.parameters.is_empty());
}

#[test]
fn a_list_of_parameters_is_replaced_whole_by_a_set() {
    let config = good(&format!(
        "{BASE}[schedule.x]\nevery = \"6h\"\ncall = \"CALL a.b(:1, :2)\"\n\
         parameters = [1, 2]\nset.a = [3, 4]\nset.b = {{}}\n"
    ));
    let values: Vec<String> = config.schedules[0]
        .definitions
        .iter()
        .map(|d| format!("{} {}", d.series.set, d.parameters.to_json()))
        .collect();
    assert_eq!(values, ["a [3,4]", "b [1,2]"]);
}

#[test]
fn what_nobody_says_has_the_documented_value() {
    let config = good(&format!(
        "{BASE}[schedule.x]\ncron = \"0 2 * * *\"\nprocedure = \"a.b.c()\"\n"
    ));
    let limits = &config.connections[0].limits;
    assert_eq!(config.connections[0].provider, Provider::BigQuery);
    assert_eq!(&*limits.target.connection, "carto_dw");
    assert_eq!((limits.requests_per_minute, limits.max_in_flight), (60, 50));
    let seconds = Duration::from_secs;
    assert_eq!(limits.poll.first, seconds(2));
    assert_eq!(limits.poll.factor, 1.5);
    assert_eq!(limits.poll.max, seconds(30));
    assert_eq!(limits.request_timeout, seconds(30));
    assert_eq!(limits.list_lag, seconds(60));
    assert_eq!(limits.give_up, seconds(1800));
    let d = &config.schedules[0].definitions[0];
    assert_eq!(d.trigger.zone, "UTC");
    assert_eq!(
        (d.trigger.dst_gap, d.trigger.dst_overlap),
        (DstGap::Run, DstOverlap::First)
    );
    assert_eq!(d.timeout, seconds(6 * 3600));
    assert_eq!(d.start_deadline, seconds(6 * 3600));
    assert_eq!(d.cancel_grace, seconds(300));
    assert_eq!(d.priority, 0);
    let policies = &d.policies;
    assert_eq!(policies.overlap, OverlapPolicy::Skip);
    assert_eq!(policies.doubt, DoubtPolicy::Verify);
    assert_eq!(policies.retry.attempts, 3);
    assert_eq!(policies.misfire.catch_up, CatchUp::Latest);
    assert_eq!(config.daemon.retention.days, 400);
    assert_eq!(config.daemon.doctor_at.to_string(), "17:00:00");
    assert!(config.schedules[0].enabled && config.warnings.is_empty());
}

#[test]
fn tables_of_defaults_and_schedules_merge_by_key() {
    let text = format!(
        "{BASE}timezone = \"europe/madrid\"\nretry = {{ attempts = 5, factor = 3 }}\n\
         misfire = {{ window = \"1h\" }}\ntags = [\"a\"]\npriority = 3\n\
         [schedule.x]\ncron = [\"0 2 * * *\"]\nprocedure = \"a.b.c()\"\n\
         retry = {{ backoff = \"1m\" }}\nmisfire = \"all\"\npriority = -3\n\
         [schedule.y]\nevery = \"6h\"\nprocedure = \"a.b.d()\"\nretry = \"none\"\n"
    );
    let config = good(&text);
    let x = &config.schedules[0].definitions[0];
    assert_eq!(x.policies.retry.attempts, 5);
    assert_eq!(x.policies.retry.factor, 3.0);
    assert_eq!(x.policies.retry.backoff, Duration::from_secs(60));
    assert_eq!(x.policies.misfire.catch_up, CatchUp::All);
    assert_eq!(x.policies.misfire.window, Duration::from_secs(3600));
    assert_eq!((x.priority, x.trigger.zone.as_str()), (-3, "Europe/Madrid"));
    let y = &config.schedules[1].definitions[0];
    assert_eq!(y.policies.retry.attempts, 1);
    assert_eq!(y.policies.retry.factor, 3.0);
    assert_eq!(y.priority, 3);
    assert_eq!(
        y.trigger.rhythm,
        Rhythm::Every(Duration::from_secs(6 * 3600))
    );
    assert_eq!(config.schedules[1].tags, ["a"]);
}

#[test]
fn several_files_are_read_as_one_and_each_has_its_own_paths() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["common", "prod"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let common = "[defaults]\nconnection = \"carto_dw\"\ntimeout = \"1h\"\n\
                  [schedule.x]\nevery = \"6h\"\nprocedure = \"a.b.c(area)\"\n\
                  parameters = { area = { file = \"area.geojson\" } }\n";
    std::fs::write(root.join("common/schedules.toml"), common).unwrap();
    std::fs::write(root.join("common/area.geojson"), "{}").unwrap();
    let prod = "[defaults]\ntimezone = \"Europe/Madrid\"\n[daemon]\ndatabase = \"data/n.db\"\n\
                [connection.carto_dw]\nbase_url = \"https://x.example.com/api/\"\n\
                provider = \"bigquery\"\ntoken = { file = \"token\" }\nname = \"the dw\"\n";
    std::fs::write(root.join("prod/connection.toml"), prod).unwrap();
    let paths = [root.join("common"), root.join("prod")];
    let config = load(&[&paths[0], &paths[1]]).unwrap();
    assert_eq!(
        config.files,
        [
            root.join("common/schedules.toml"),
            root.join("prod/connection.toml")
        ]
    );
    assert_eq!(config.daemon.database, root.join("prod/data/n.db"));
    let connection = &config.connections[0];
    let token = SecretSource::File(root.join("prod/token"));
    assert_eq!(connection.credential, Credential::Token(token));
    assert_eq!(
        connection.limits.target.base_url,
        "https://x.example.com/api".into()
    );
    assert_eq!(&*connection.limits.target.connection, "the dw");
    let definition = &config.schedules[0].definitions[0];
    assert_eq!(definition.trigger.zone, "Europe/Madrid");
    let Parameters::Named(values) = &**definition.parameters.values() else {
        panic!("by name");
    };
    assert_eq!(values["area"], "{}");
    assert_eq!(load(&[&paths[0], &paths[1]]).unwrap().hash, config.hash);
    std::fs::write(root.join("common/area.geojson"), "{ }").unwrap();
    assert_ne!(load(&[&paths[0], &paths[1]]).unwrap().hash, config.hash);
}

#[test]
fn what_cannot_be_read_is_a_problem_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::write(root.join("latin.toml"), [b'#', 0xe9]).unwrap();
    let large = std::fs::File::create(root.join("large.toml")).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    let names = ["none.toml", "empty", "latin.toml", "large.toml"];
    let paths: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    let Problems(problems) = config::load(&paths, &ZONES).unwrap_err();
    assert_eq!(
        messages(&problems),
        [
            "there is no such file",
            "the folder has no *.toml file",
            "not UTF-8: byte 2 is no part of a character",
            "larger than 16384 KiB, the most that is read",
        ]
    );
    let Problems(none) = config::load(&[], &ZONES).unwrap_err();
    assert_eq!(messages(&none), ["there is none"]);
}

#[test]
fn an_empty_file_is_a_configuration_with_a_warning() {
    let config = good("");
    assert_eq!(messages(&config.warnings), ["there is no schedule"]);
    assert!(config.connections.is_empty());
}

#[test]
fn ten_thousand_schedules_are_read_quickly() {
    let mut text = BASE.to_owned();
    for n in 0..10_000 {
        let (hour, minute) = (n / 60 % 24, n % 60);
        text.push_str(&format!(
            "[schedule.s{n}]\ncron = \"{minute} {hour} * * *\"\ntimezone = \"Europe/Madrid\"\n\
             procedure = \"project.dataset.proc_{n}(a, b)\"\nparameters = {{ a = {n}, b = \"x\" }}\n"
        ));
    }
    LazyLock::force(&ZONES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.toml");
    std::fs::write(&path, text).unwrap();
    let begun = Instant::now();
    let config = config::load(&[path], &ZONES).unwrap();
    let took = begun.elapsed();
    assert_eq!(config.schedules.len(), 10_000);
    // a build without optimisation on a busy machine; with optimisation it is a fraction of a second
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// What is told, and to whom.
mod channels {
    use nightcall::config::{ChannelKind, Tls};
    use nightcall::sched::notice::NoticeKind;

    use super::*;

    const CHANNELS: &str = r##"
[notify.hook]
type = "webhook"
url = { env = "HOOK_URL" }
secret = { file = "hook.secret" }
[notify.slack]
type = "slack"
url = { env = "SLACK_URL" }
on = ["failed", "recovered"]
[notify.bot]
type = "slack"
token = { env = "SLACK_BOT_TOKEN" }
channel = "#nightly"
tags = ["morning-map"]
[notify.mail]
type = "email"
host = "smtp.example.com"
username = "nightcall"
password = { credential = "smtp" }
from = "nightcall@example.com"
to = "ops@example.com"
owners = ["geo@example.com"]
[notify.page]
type = "command"
command = ["/usr/local/bin/page", "ops"]
timeout = "10s"
"##;

    const SCHEDULES: &str = r#"
[schedule.map]
cron = "15 2 * * *"
procedure = "p.d.map()"
tags = ["morning-map"]
owner = "geo@example.com"
[schedule.quiet]
cron = "15 3 * * *"
procedure = "p.d.quiet()"
notify = ["slack"]
"#;

    #[test]
    fn every_way_to_tell_people_is_read() {
        let config = good(&format!("{BASE}{CHANNELS}{SCHEDULES}"));
        let kind = |name: &str| {
            let channel = config.channels.iter().find(|c| c.name == name).unwrap();
            channel.kind.clone()
        };
        let env = |name: &str| SecretSource::Env(name.to_owned());
        let ChannelKind::Webhook { url, secret, .. } = kind("hook") else {
            panic!("no webhook");
        };
        assert_eq!(url, env("HOOK_URL"));
        assert!(matches!(secret, Some(SecretSource::File(_))));
        assert_eq!(
            kind("slack"),
            ChannelKind::SlackWebhook {
                url: env("SLACK_URL")
            }
        );
        let ChannelKind::SlackBot { channel, .. } = kind("bot") else {
            panic!("no bot");
        };
        assert_eq!(channel, "#nightly");
        let ChannelKind::Email {
            port,
            tls,
            login,
            to,
            ..
        } = kind("mail")
        else {
            panic!("no mail");
        };
        assert_eq!(
            (port, tls, to),
            (587, Tls::StartTls, vec!["ops@example.com".to_owned()])
        );
        assert_eq!(login.unwrap().0, "nightcall");
        let words = ["/usr/local/bin/page".to_owned(), "ops".to_owned()];
        assert_eq!(kind("page"), ChannelKind::Command(words.to_vec()));
        let page = config.channels.iter().find(|c| c.name == "page").unwrap();
        assert_eq!(page.timeout, Duration::from_secs(10));
    }

    #[test]
    fn a_schedule_is_heard_of_by_those_it_names_or_who_look_for_it() {
        let config = good(&format!("{BASE}{CHANNELS}{SCHEDULES}"));
        let who = |name: &str| -> Vec<&str> {
            let is = |s: &&nightcall::config::Schedule| s.name.as_str() == name;
            let schedule = config.schedules.iter().find(is).unwrap();
            let told = config.channels.iter().filter(|c| c.hears(schedule));
            sorted(told.map(|channel| channel.name.as_str()).collect())
        };
        assert_eq!(who("map"), ["bot", "hook", "mail", "page", "slack"]);
        // What a schedule names goes nowhere else.
        assert_eq!(who("quiet"), ["slack"]);
        // What concerns no schedule is for those who look at everything.
        let all = config.channels.iter().filter(|c| c.hears_all());
        let all = sorted(all.map(|c| c.name.as_str()).collect());
        assert_eq!(all, ["hook", "page", "slack"]);
        let slack = config.channels.iter().find(|c| c.name == "slack").unwrap();
        assert_eq!(
            slack.on,
            Some(vec![NoticeKind::Failed, NoticeKind::Recovered])
        );
    }

    fn sorted(mut names: Vec<&str>) -> Vec<&str> {
        names.sort_unstable();
        names
    }

    #[test]
    fn the_address_of_a_channel_is_never_shown() {
        for text in [
            "[notify.x]\ntype = 'slack'\nurl = 'https://hooks.slack.com/services/T0/B0/abcdefgh'\n",
            "[notify.x]\ntype = 'webhook'\nulr = 'https://example.com/hook/abcdefgh'\n",
            "[notify.x]\nurl = 'https://example.com/hook/abcdefgh\n",
            "[notify]\nurl = 'https://example.com/hook/abcdefgh'\n",
        ] {
            let problems = read(&format!("{BASE}{SCHEDULES}{text}")).unwrap_err();
            let told = problems.to_string();
            assert!(!told.contains("abcdefgh"), "{told}");
        }
    }
}
