//! A configuration file: refused with readable problems or taken whole, and silent about secrets either way.

use nightcall::config::{Config, Problems, Schedule};
use nightcall::sched::time::Timestamp;
use nightcall::sched::trigger::Shape;

use super::parameters;
use super::reading::{load, number_of, rendered, well_formed};

/// A credential as people have them: long, and not made by chance.
const SECRET: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// How people write a secret into a file where only its place belongs. `SECRET` stands for it.
const SLIPS: [&str; 19] = [
    "[connection.slip]\ntoken = \"SECRET\"\n",
    "[connection.slip]\ntoken = 'SECRET\n",
    "[connection.slip]\ntoken = \"SECRET\n",
    "[connection.slip]\ntoken = SECRET\n",
    "[connection.slip]\ntoken: SECRET\n",
    "[connection.slip]\ntoken = { value = \"SECRET\" }\n",
    "[connection.slip]\ntoken = { env = \"SECRET SECRET\" }\n",
    "[connection.slip]\ntoken = [\"SECRET\"]\n",
    "[connection.slip]\ntoken = \"\"\"\nSECRET\n\"\"\"\n",
    "[connection.slip]\ntokn = \"SECRET\"\n",
    "[connection.slip]\noauth = { client_id = \"a\", client_secret = \"SECRET\" }\n",
    "[connection.slip.oauth]\nclient_id = \"a\"\nclient_secret = \"SECRET\"\naudience = 5\n",
    "[connection.slip]\nproxy = \"http://me:SECRET@proxy:3128\"\n",
    "[connection.slip]\nbase_url = \"https://me:SECRET@api.example.com\"\n",
    "[connection.slip]\nprovider = \"bigquery\"\nmax_in_flight = 0 # token SECRET\n",
    "# the old token was SECRET\n",
    "[connection]\ntoken = \"SECRET\"\n",
    "[defaults]\napi_key = \"SECRET\"\n",
    "[schedule.slip.parameters]\npassword = \"SECRET\"\n",
];

/// Loads the text as it is, and once more with a secret written into it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match load(text) {
        Ok(config) => holds(text, &config),
        Err(problems) => {
            rendered(&problems);
        }
    }
    if !text.contains(SECRET) {
        no_secret_is_echoed(text);
    }
}

/// What is taken is right: it can be run without a further look.
fn holds(text: &str, config: &Config) {
    config.warnings.iter().for_each(well_formed);
    for schedule in &config.schedules {
        assert!(!schedule.definitions.is_empty(), "{}", schedule.name);
        assert!(!schedule.trigger.words().is_empty(), "{}", schedule.name);
        goes_forward(schedule);
        for definition in &schedule.definitions {
            assert_eq!(definition.series.schedule, schedule.name);
            assert!(!definition.target.base_url.ends_with('/'));
            let known = config.connections.iter().any(|connection| {
                *connection.name() == definition.connection
                    && connection.limits.target == definition.target
            });
            assert!(known, "{} goes to no connection", definition.series);
            parameters::are_bound(definition);
        }
    }
    parameters::agree(text, config);
    same_again(text, config);
}

fn goes_forward(schedule: &Schedule) {
    let mut t: Timestamp = "2026-03-28T12:34:56.789Z".parse().expect("it is a time");
    for _ in 0..4 {
        let Some(next) = schedule.trigger.after(t) else {
            return;
        };
        assert!(
            next.instant > t,
            "{}: {next:?} is not after {t}",
            schedule.name
        );
        if next.shape != Shape::NoSuchDay {
            assert_eq!(next.instant.subsec_nanosecond(), 0, "{next:?}");
        }
        t = next.instant;
    }
}

/// Reading is not a matter of luck: the same text gives the same configuration.
fn same_again(text: &str, config: &Config) {
    let again = load(text).unwrap_or_else(|problems| panic!("refused the second time: {problems}"));
    assert_eq!(again.hash, config.hash);
    assert_eq!(again.daemon, config.daemon);
    assert_eq!(again.connections, config.connections);
    assert_eq!(again.classify, config.classify);
    assert_eq!(again.schedules.len(), config.schedules.len());
    for (one, other) in again.schedules.iter().zip(&config.schedules) {
        assert_eq!(one.definitions, other.definitions);
        assert_eq!(one.enabled, other.enabled);
    }
}

/// A secret that somebody wrote between two lines is in no message, no warning and no `Debug`.
fn no_secret_is_echoed(text: &str) {
    let number = number_of(text.as_bytes());
    let pick = |of: usize| usize::try_from(number % of as u64).unwrap_or(0);
    let slip = SLIPS[pick(SLIPS.len())].replace("SECRET", SECRET);
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    // In front, behind, or after one of the lines.
    let at = match pick(ends.len() + 2) {
        0 => 0,
        n => ends.get(n - 1).copied().unwrap_or(text.len()),
    };
    let (before, after) = text.split_at(at);
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let with = format!("{before}{gap}{slip}{after}");
    let shown = match load(&with) {
        Ok(config) => format!("{config:?}"),
        Err(problems) => rendered(&problems) + &all_words(&problems),
    };
    assert!(
        !shown.contains(SECRET),
        "{with}\n---- shows the secret:\n{shown}"
    );
}

/// Every text of every problem, also of those that `check` only counts.
fn all_words(problems: &Problems) -> String {
    format!("{problems:?}")
}
