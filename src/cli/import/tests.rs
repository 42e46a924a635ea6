//! The command with a person at the terminal, and with a token in places where nobody expects one.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::cli::output::Output;
use crate::zones::Zones;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ImportArgs,
}

/// What was seen, and how it ended.
#[derive(Debug)]
struct Seen {
    out: String,
    err: String,
    code: u8,
}

/// Types `import` with these words, with the text at standard input.
fn typed(config: Option<&Path>, words: &[&str], input: &str, person: bool) -> Seen {
    let args = Line::try_parse_from([&["import"], words].concat())
        .unwrap()
        .args;
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let context = Context {
        config: config.into_iter().map(Path::to_owned).collect(),
        zones: Zones::load(),
        out: Output::plain(false, buffer.clone()),
    };
    let mut from = Terminal(input.split('\u{4}').map(str::as_bytes).collect());
    let mut to = Vec::new();
    let there = There {
        from: &mut from,
        to: &mut to,
        person,
        now: "2026-02-02T20:00:00Z".parse().unwrap(),
    };
    let outcome = import_at(&context, &args, there);
    let mut err = String::from_utf8(to).unwrap();
    let code = match outcome {
        Ok(exit) => exit.code(),
        Err(failure) => {
            err.push_str(&failure.to_string());
            failure.exit.code()
        }
    };
    let out = String::from_utf8(buffer.lock().unwrap().clone()).unwrap();
    Seen { out, err, code }
}

/// What is typed, with an end where Ctrl-D (4) is pressed, after which reading goes on.
struct Terminal<'a>(std::collections::VecDeque<&'a [u8]>);

impl io::Read for Terminal<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Terminal<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.0.front().is_some_and(|part| part.is_empty()) {
            self.0.pop_front();
            return Ok(&[]);
        }
        Ok(self.0.front().copied().unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        if let Some(part) = self.0.front_mut() {
            *part = &part[count..];
        }
    }
}

const COMMAND: &str = "curl --location 'https://gcp-us-east1.api.carto.com/v3/sql/carto_dw/job' \\\n\
    --header 'Content-Type: application/json' \\\n--header 'Authorization: Bearer TOKEN' \\\n--data '{\n\
    \"query\": \"CALL `p.d.workflow_1`(@b,@a)\",\n\"queryParameters\": {\"a\":2,\"b\":\"x\"}\n}'\n";

/// As CARTO's tokens look.
const CANARY: &str = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJ0d2VldCJ9.c4n4ryTw33t-S0ngS1gn4tur3";

#[test]
fn a_person_is_asked_for_a_name_and_a_time_until_they_are_right() {
    let input = format!("{COMMAND}\u{4}no name\nnight\n61 2 * * *\n15 2 * * *\n");
    let config = tempfile::tempdir().unwrap();
    let config = config.path().join("there.toml");
    std::fs::write(&config, "[defaults]\ntimezone = 'Europe/Madrid'\n").unwrap();
    let seen = typed(Some(&config), &[], &input, true);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert!(seen.out.contains("[schedule.night]\n"), "{}", seen.out);
    assert!(
        seen.out.contains("cron       = \"15 2 * * *\"\n"),
        "{}",
        seen.out
    );
    assert!(!seen.out.contains("timezone"), "{}", seen.out);
    for told in [
        "paste the curl command of CARTO",
        "name of the schedule [workflow_1]: ",
        "a name is 1 to 100 of A-Z a-z 0-9 _ -\n",
        "times are in Europe/Madrid",
        "61",
        "Europe/Madrid: Tue 3 Feb 02:15 +01:00, Wed 4 Feb 02:15 +01:00, Thu 5 Feb 02:15 +01:00",
    ] {
        assert!(seen.err.contains(told), "{told}: {}", seen.err);
    }
    assert!(!seen.out.contains("TOKEN'") && !seen.err.contains("TOKEN'"));
}

#[test]
fn nobody_is_asked_where_standard_input_is_the_command() {
    let seen = typed(Some(&empty()), &[], COMMAND, false);
    assert_eq!((seen.code, seen.out.as_str()), (64, ""));
    assert!(
        seen.err.contains("add --name NAME --cron \"15 2 * * *\""),
        "{}",
        seen.err
    );
    let seen = typed(Some(&empty()), &["--cron", "@daily"], COMMAND, false);
    assert!(seen.err.ends_with("add --name NAME"), "{}", seen.err);
    let seen = typed(Some(&empty()), &["--name", "x"], COMMAND, false);
    assert!(
        seen.err.ends_with("add --cron \"15 2 * * *\""),
        "{}",
        seen.err
    );
}

/// A configuration that says nothing.
fn empty() -> PathBuf {
    PathBuf::from("/dev/null")
}

const SAID: [&str; 4] = ["--name", "x", "--cron", "@daily"];

#[test]
fn a_command_that_is_pasted_behind_import_is_set_apart() {
    let with = |line: &str| {
        let words = line.split(' ').map(OsString::from);
        let words = with_pasted(words).into_iter();
        words
            .map(|word| word.into_string().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let table = [
        (
            "n import curl -L x --json y",
            "n import -- curl -L x --json y",
        ),
        (
            "n import --cron @daily curl x curl",
            "n import --cron @daily -- curl x curl",
        ),
        ("n import --name curl x", "n import --name curl x"),
        (
            "n import --name curl curl x",
            "n import --name curl -- curl x",
        ),
        ("n import -- curl x", "n import -- curl x"),
        ("n import file", "n import file"),
        ("n check curl", "n check curl"),
    ];
    for (line, wanted) in table {
        assert_eq!(with(line), wanted);
    }
}

/// What must not be seen of a token: so many of its characters in a row.
const PIECE: usize = 8;

#[track_caller]
fn silent(given: &str, seen: &Seen) {
    let shown = format!("{}{}", seen.out, seen.err);
    for piece in CANARY.as_bytes().windows(PIECE) {
        let piece = std::str::from_utf8(piece).unwrap();
        assert!(
            !shown.contains(piece),
            "{given}\n---- shows {piece}:\n{shown}"
        );
    }
}

#[test]
fn a_token_is_not_shown_wherever_it_stands() {
    let url = "https://h.example/v3/sql/carto_dw/job";
    let body = "{\"query\":\"CALL `p.d.w`(@a)\",\"queryParameters\":{\"a\":1}}";
    let variants = [
        format!("curl '{url}' -H 'Authorization: Bearer {CANARY}' -d '{body}'"),
        format!("curl '{url}' -H 'Authorization: Bearer {CANARY} -d '{body}'"),
        format!("curl '{url}' -H Authorization: Bearer {CANARY} -d '{body}'"),
        format!("curl '{url}' -H \u{201c}Authorization: Bearer {CANARY}\u{201d} -d '{body}'"),
        format!("curl '{url}' -H 'Authorization Bearer {CANARY}' -d '{body}'"),
        format!("curl '{url}' -H 'authorization:{CANARY}' -d '{body}'"),
        format!("curl '{url}' -H 'Bearer {CANARY}' -d '{body}'"),
        format!("curl '{url}' -H '{CANARY}' -d '{body}'"),
        format!("curl '{url}' --header'Authorization: Bearer {CANARY}' -d '{body}'"),
        format!("curl '{url}' '--header=Authorization: Bearer {CANARY}' -d '{body}'"),
        format!("curl '{url}' --{CANARY} -d '{body}'"),
        format!("curl '{url}' -{CANARY} -d '{body}'"),
        format!("curl '{url}' {CANARY} -d '{body}'"),
        format!("curl {CANARY} -d '{body}'"),
        format!("curl 'https://{CANARY}' -d '{body}'"),
        format!("curl 'https://{CANARY}@h.example/v3/sql/carto_dw/job' -d '{body}'"),
        format!("curl 'https://me:{CANARY}@h.example/v3/sql/carto_dw/job' -d '{body}'"),
        format!("curl '{url}?access_token={CANARY}' -d '{body}'"),
        format!("curl '{url}?access_token={CANARY}&query=CALL+%60p.d.w%60()'"),
        format!("curl '{url}?query=CALL+%60p.d.w%60()#{CANARY}'"),
        format!("curl '{url}?query={CANARY}&access_token={CANARY}'"),
        format!("curl '{url}' -d '{body}' -u :{CANARY}"),
        format!("curl '{url}' -d '{body}' --oauth2-bearer {CANARY}"),
        format!("curl '{url}' -d '{body}' --oauth2-bearer \"${CANARY}\""),
        format!("curl '{url}' -d '{body}' -b 'token={CANARY}' -A {CANARY} -e {CANARY}"),
        format!("curl '{url}' -d '{body}' -x http://me:{CANARY}@proxy"),
        format!("curl '{url}' -X {CANARY} -d '{body}'"),
        format!("curl '{url}' -H 'Authorization: Bearer {CANARY}' -d '{CANARY}'"),
        format!("curl '{url}' -H 'Authorization: Bearer {CANARY}' -d '@{CANARY}'"),
        format!("curl '{url}' -d '{{\"query\":\"CALL x(1)\",\"token\":\"{CANARY}\"}}'"),
        format!("curl '{url}' -d '{{\"query\":\"CALL x(1)\",\"{CANARY}\":\"1\",\"{CANARY}\":2}}'"),
        format!("curl '{url}' -d '{{\"query\":\"CALL x(1)\" \"{CANARY}\"}}'"),
        format!(
            "curl '{url}' -H 'Authorization: Bearer {CANARY}' -d '{{\"query\":\"CALL `p.d.w`(@t)\",\
             \"queryParameters\":{{\"t\":\"{CANARY}\"}}}}'"
        ),
        format!(
            "curl '{url}' -H 'Authorization: Bearer {CANARY}' -d '{{\"query\":\"CALL `p.d.w`(@t)\",\
             \"queryParameters\":{{\"{CANARY}\":\"{{{{\"}}}}'"
        ),
        format!("curl '{url}' -H \"Authorization: Bearer ${{X:-{CANARY}}}\" -d '{body}'"),
        format!("curl '{url}' -H \"Authorization: Bearer $(echo {CANARY})\" -d '{body}'"),
        format!("curl '{url}' -H \"Authorization: Bearer `echo {CANARY}`\" -d '{body}'"),
        format!("TOKEN={CANARY} curl '{url}' -H \"Authorization: Bearer $TOKEN\" -d '{body}'"),
        format!(
            "export TOKEN={CANARY}\ncurl '{url}' -H \"Authorization: Bearer $TOKEN\" -d '{body}'"
        ),
        CANARY.to_owned(),
        format!("wget {CANARY}"),
        format!("# {CANARY}\ncurl '{url}' -d '{body}' > {CANARY}"),
        format!("curl '{url}' -d '{body}' | {CANARY}"),
        format!("curl '{url}' -d @- <<{CANARY}"),
        format!("({CANARY}"),
        format!("'{CANARY}"),
        format!("\"$({CANARY}"),
    ];
    let config = empty();
    let mut taken = 0;
    for given in &variants {
        let seen = typed(Some(&config), &SAID, given, false);
        silent(given, &seen);
        taken += usize::from(seen.code == 0);
        let seen = typed(
            Some(&config),
            &[&SAID[..], &["--", given]].concat(),
            "",
            false,
        );
        silent(given, &seen);
        let words: Vec<&str> = given.split(' ').collect();
        let seen = typed(
            Some(&config),
            &[&SAID[..], &["--"], &words].concat(),
            "",
            false,
        );
        silent(given, &seen);
    }
    // that most are refused is no proof of anything
    assert!(taken >= 15, "{taken} of {} are taken", variants.len());
}

#[test]
fn a_token_is_not_written_under_the_name_of_something_else() {
    let text = COMMAND.replace("TOKEN", CANARY);
    for words in [
        ["--token-env", CANARY],
        ["--token-file", CANARY],
        ["--timezone", CANARY],
    ] {
        let seen = typed(Some(&empty()), &[&SAID[..], &words].concat(), &text, false);
        assert_ne!(seen.code, 0, "{words:?}");
        silent(&text, &seen);
    }
}

/// A good command whose parts come in any order, and a few changes of it.
fn malformed() -> impl Strategy<Value = String> {
    let parts = vec![
        "'https://h.example/v3/sql/carto_dw/job'".to_owned(),
        format!("--header 'Authorization: Bearer {CANARY}'"),
        "-H \"Content-Type: application/json\"".to_owned(),
        "--data '{\"query\": \"CALL `p.d.w`(@a)\", \"queryParameters\": {\"a\": \"b\"}}'"
            .to_owned(),
    ];
    let sign = "['\"`$\\\\\n #;&|<>(){}:=-]";
    let change = (any::<prop::sample::Index>(), 0usize..12, sign);
    let changes = proptest::collection::vec(change, 0..5);
    (Just(parts).prop_shuffle(), changes).prop_map(|(parts, changes)| {
        let mut text = format!("curl {}", parts.join(" \\\n"));
        for (at, length, sign) in changes {
            let at = at.index(text.len());
            let end = text.len().min(at + length);
            text.replace_range(at..end, &sign);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_malformed_command_shows_its_token(given in malformed()) {
        let seen = typed(Some(&empty()), &SAID, &given, false);
        silent(&given, &seen);
    }
}
