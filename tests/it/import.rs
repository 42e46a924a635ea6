//! `nightcall import` as the built program: the command in every form that people have, and what becomes of it.
//!
//! `tests/golden/import/forms` holds one and the same command in the forms in which dialogs, browsers, scripts and
//! people write it; the tables that are made of it stand in `tests/golden/import`. After a change that is meant:
//! `INSTA_UPDATE=always cargo test --test it import`, then read the difference.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What stands in every command as its token.
const SECRET: &str = "a-token-that-nobody-may-see";

const FORMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/import/forms");

/// A folder, and how the command is typed in it.
struct Desk(tempfile::TempDir);

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Types these words with a text at standard input, and waits for the end.
    fn typed(&self, words: &[&str], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command.args(words).current_dir(self.0.path());
        command.env_remove("NIGHTCALL_CONFIG");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // who does not read it is done before
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(
            !said.out.contains(SECRET) && !said.err.contains(SECRET),
            "{said:?}"
        );
        said
    }
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/import");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn form(name: &str) -> String {
    std::fs::read_to_string(Path::new(FORMS).join(name)).unwrap()
}

const SAID: [&str; 4] = ["--name", "store-clusters", "--cron", "15 2 * * *"];

/// A command with this body.
fn command(connection: &str, body: &str) -> String {
    format!(
        "curl --location 'https://gcp-us-east1.api.carto.com/v3/sql/{connection}/job' \\\n--header \
         'Authorization: Bearer {SECRET}' \\\n--data '{}'\n",
        body.replace('\'', "'\\''")
    )
}

#[test]
fn every_form_of_the_command_becomes_the_same_tables_and_check_takes_them() {
    let mut forms: Vec<PathBuf> = std::fs::read_dir(FORMS)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    forms.sort();
    assert!(forms.len() >= 9);
    for file in forms {
        let desk = Desk::new();
        let file = file.to_str().unwrap();
        let from_file = desk
            .typed(&[&["import", file], &SAID[..]].concat(), "")
            .ends(0);
        golden("tables", &from_file.out);
        let text = std::fs::read_to_string(file).unwrap();
        let from_stdin = desk
            .typed(&[&["import"], &SAID[..]].concat(), &text)
            .ends(0);
        assert_eq!(from_stdin.out, from_file.out, "{file}");
        desk.write("nightcall.toml", &from_file.out);
        let checked = desk.typed(&["check"], "").ends(0);
        assert!(
            checked.out.contains("no problems, no warnings"),
            "{}",
            checked.out
        );
        assert!(checked.out.contains(
            "with  number_of_clusters = 2, buffer_radius = 500.0, store_type = \"Supermarket\""
        ));
    }
}

/// The shell itself splits the words here, and hands them on in the name of curl.
#[test]
fn a_real_shell_makes_the_same_of_a_command() {
    let desk = Desk::new();
    let program = env!("CARGO_BIN_EXE_nightcall");
    let script = format!(
        "#!/bin/sh\nexec '{program}' import --name store-clusters --cron '15 2 * * *' -- curl \"$@\"\n"
    );
    desk.write("curl", &script);
    std::fs::set_permissions(desk.path("curl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        desk.0.path().display(),
        std::env::var("PATH").unwrap()
    );
    for name in [
        "dialog",
        "browser",
        "json-option",
        "get-job",
        "get-query",
        "query-route",
    ] {
        let file = Path::new(FORMS).join(format!("{name}.txt"));
        let mut shell = Command::new("bash");
        shell
            .arg(&file)
            .env("PATH", &path)
            .env_remove("NIGHTCALL_CONFIG");
        let by_shell = shell.current_dir(desk.0.path()).output().unwrap();
        let words = [&["import", file.to_str().unwrap()], &SAID[..]].concat();
        let by_us = desk.typed(&words, "").ends(0);
        assert_eq!(
            String::from_utf8(by_shell.stdout).unwrap(),
            by_us.out,
            "{name}"
        );
    }
}

#[test]
fn a_command_that_is_pasted_behind_import_is_taken() {
    let desk = Desk::new();
    let url = "https://gcp-us-east1.api.carto.com/v3/sql/carto_dw/job";
    let header = format!("Authorization: Bearer {SECRET}");
    let body = r#"{"query": "CALL `p.d.w`()"}"#;
    let curl = [
        "curl",
        "--location",
        url,
        "--header",
        &header,
        "--json",
        body,
    ];
    let said = desk
        .typed(&[&["import"], &SAID[..], &curl].concat(), "")
        .ends(0);
    assert!(
        said.out.contains("procedure  = \"p.d.w()\"\n"),
        "{}",
        said.out
    );
    let whole = format!("curl '{url}' -H '{header}' -d '{body}'");
    let again = desk
        .typed(&[&["import", &whole], &SAID[..]].concat(), "")
        .ends(0);
    assert_eq!(again.out, said.out);
}

#[test]
fn what_a_person_is_told_stands_on_standard_error() {
    let desk = Desk::new();
    desk.write("command.txt", &form("dialog.txt"));
    let words = ["import", "command.txt", "--timezone", "Europe/Madrid"];
    let said = desk.typed(&[&words, &SAID[..]].concat(), "").ends(0);
    for told in [
        "provider bigquery is a guess from the backticks of the statement; --provider says otherwise",
        "the token was not copied: the daemon will read it from the environment variable CARTO_API_TOKEN",
        "store-clusters: at 02:15 every day, Europe/Madrid; next ",
        "next: save this in a file of the configuration, then\n  nightcall check\n  nightcall fire store-clusters",
    ] {
        assert!(said.err.contains(told), "{told}\n{}", said.err);
    }
    assert!(
        said.out.contains("timezone   = \"Europe/Madrid\"\n"),
        "{}",
        said.out
    );
}

#[test]
fn every_warehouse_and_every_kind_of_value_keeps_its_form() {
    let table = [
        (
            "values",
            "carto_dw",
            r#"{"query":"CALL `p.d.w`(@i,@f,@big,@t,@n,@l,@o,@q)","queryParameters":{"q":"it's \"so\" \\ \u00e9\n","o":{"a b":null,"c":[1.50]},"l":[1,"x",[true]],"n":null,"t":false,"big":123456789012345678901234567890,"f":2.0,"i":2}}"#,
        ),
        (
            "literals",
            "carto_dw",
            r#"{"query":" CALL `p.d.w`(1, 'x'); "}"#,
        ),
        (
            "unequal",
            "carto_dw",
            r#"{"query":"CALL `p.d.w`(@a)","queryParameters":{"b":1}}"#,
        ),
        (
            "postgres",
            "pg",
            r#"{"query":"CALL carto.w($1, $2)","queryParameters":["north",750]}"#,
        ),
        (
            "snowflake",
            "My Snow/flake",
            r#"{"query":"CALL DB.S.W(:1, :2)","queryParameters":[1e3,null]}"#,
        ),
        (
            "no-values",
            "carto_dw",
            r#"{"query":"CALL `p.d.w`()","queryParameters":{}}"#,
        ),
    ];
    let mut all = String::new();
    for (name, connection, body) in table {
        let desk = Desk::new();
        let connection = connection.replace(' ', "%20").replace('/', "%2F");
        let text = command(&connection, body);
        let said = desk
            .typed(&["import", "--name", name, "--cron", "@daily"], &text)
            .ends(0);
        desk.write("nightcall.toml", &said.out);
        desk.typed(&["check"], "").ends(0);
        all.push_str(&said.out);
        all.push('\n');
    }
    golden("values", &all);
}

#[test]
fn what_the_configuration_cannot_say_is_refused_and_not_written_otherwise() {
    let desk = Desk::new();
    let table = [
        (
            r#"{"x":{"null":true}}"#,
            64,
            "the parameter x is an object with the one key null",
        ),
        (r#"{"x":1e999}"#, 78, "the number is too large"),
        (r#"{"x":1,"x":2}"#, 64, "says one name twice"),
    ];
    for (values, code, wanted) in table {
        let body = format!("{{\"query\":\"CALL `p.d.w`(@x)\",\"queryParameters\":{values}}}");
        let text = command("carto_dw", &body);
        let words = [&["import", "--append", "new.toml"], &SAID[..]].concat();
        let said = desk.typed(&words, &text).ends(code);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert_eq!(said.out, "");
        assert!(!desk.path("new.toml").exists());
    }
}

#[test]
fn two_braces_in_a_value_stay_two_braces() {
    let desk = Desk::new();
    let body = "{\"query\":\"CALL `p.d.w`(@x)\",\"queryParameters\":{\"x\":[\"a {{ date }}\"]}}";
    let words = [&["import", "--append", "new.toml"], &SAID[..]].concat();
    desk.typed(&words, &command("carto_dw", body)).ends(0);
    let next = ["next", "--json", "-n", "1", "--config", "new.toml"];
    let next: Value = serde_json::from_str(&desk.typed(&next, "").ends(0).out).unwrap();
    assert_eq!(next["parameters"]["x"][0], "a {{ date }}");
}

#[test]
fn flags_that_are_wrong_or_missing_are_told_with_what_to_add() {
    let desk = Desk::new();
    let table: [(&[&str], &str); 9] = [
        (&[], "add --name NAME --cron \"15 2 * * *\""),
        (&["--name", "x"], "add --cron \"15 2 * * *\""),
        (&["--cron", "@daily"], "add --name NAME"),
        (&["--name", "x", "--cron", "61 2 * * *"], "--cron: "),
        (
            &["--name", "a b", "--cron", "@daily"],
            "--name: a name is 1 to 100 of",
        ),
        (
            &["--name", "x", "--cron", "@daily", "--timezone", "Mars/Base"],
            "no such zone: Mars/Base",
        ),
        (
            &["--name", "x", "--name", "y", "--cron", "@daily"],
            "1 commands start a workflow, and --name is said 2",
        ),
        (&["--provider", "sqlite"], "one of bigquery, snowflake"),
        (
            &["--token-env", "A", "--token-file", "b"],
            "cannot be used with",
        ),
    ];
    for (flags, wanted) in table {
        let words = [&["import"], flags].concat();
        let said = desk.typed(&words, &form("dialog.txt")).ends(64);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert_eq!(said.out, "");
    }
    let nothing = desk.typed(&[&["import"], &SAID[..]].concat(), "").ends(64);
    assert!(
        nothing.err.contains("there is no curl command in it"),
        "{}",
        nothing.err
    );
    let missing = desk
        .typed(&[&["import", "no.txt"], &SAID[..]].concat(), "")
        .ends(64);
    assert!(
        missing
            .err
            .contains("there is no such file or folder: no.txt"),
        "{}",
        missing.err
    );
    let untold = desk.typed(
        &[&["import"], &SAID[..]].concat(),
        &command("x", r#"{"query":"CALL d.w()"}"#),
    );
    assert!(untold.ends(64).err.contains("add --provider bigquery"));
}

const CONFIG: &str = "# our nights\n[defaults] # of all\ntimezone   = 'Europe/Madrid'\n\n[connection.warehouse]\nname = \
    \"carto_dw\"\nbase_url = \"https://gcp-us-east1.api.carto.com/\"\nprovider='bigquery'\ntoken = { env = \"OURS\" } \
    # asked for by Ana\nrequests_per_minute = 120\n\n[schedule.other]\nconnection = \"warehouse\"\ncron = \"0 5 * * *\"\n\
    call = \"CALL `a.b.c`(1)\" # no line end follows";

#[test]
fn appending_keeps_every_byte_and_uses_the_connection_that_is_there() {
    let desk = Desk::new();
    desk.write("real.toml", CONFIG);
    std::fs::set_permissions(
        desk.path("real.toml"),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    std::os::unix::fs::symlink("real.toml", desk.path("night.toml")).unwrap();
    let words = [&["import", "--append", "night.toml"], &SAID[..]].concat();
    let said = desk.typed(&words, &form("dialog.txt")).ends(0);
    let after = desk.read("real.toml");
    let added = after.strip_prefix(CONFIG).unwrap();
    assert_eq!(added, format!("\n\n{}", said.out));
    assert!(!said.out.contains("[connection"), "{}", said.out);
    assert!(
        said.out.contains("connection = \"warehouse\"\n"),
        "{}",
        said.out
    );
    for told in [
        "[connection.warehouse] is there already and is used",
        "store-clusters: at 02:15 every day, Europe/Madrid",
        "added 1 schedule to night.toml",
        "next: nightcall check --config night.toml",
        "then: nightcall fire store-clusters --config night.toml",
    ] {
        assert!(said.err.contains(told), "{told}: {}", said.err);
    }
    assert!(desk.path("night.toml").is_symlink());
    let mode = std::fs::metadata(desk.path("real.toml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
    desk.typed(&["check", "--config", "night.toml"], "").ends(0);
    // again under the same name, and for another connection of the same host
    let again = desk.typed(&words, &form("dialog.txt")).ends(64);
    assert!(
        again
            .err
            .contains("there is a schedule of this name already: store-clusters")
    );
    assert_eq!(desk.read("real.toml"), after);
    let other = command("warehouse", r#"{"query":"CALL `p.d.w`()"}"#);
    let words = [
        "import",
        "--append",
        "night.toml",
        "--name",
        "x",
        "--cron",
        "@daily",
    ];
    let said = desk.typed(&words, &other).ends(0);
    assert!(
        said.out
            .starts_with("[connection.warehouse-2]\nname       = \"warehouse\"\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("requests_per_minute = 120\n"),
        "{}",
        said.out
    );
    desk.typed(&["check", "--config", "night.toml"], "").ends(0);
}

#[test]
fn a_file_that_is_not_there_is_made_and_a_folder_is_read_with_it() {
    let desk = Desk::new();
    let words = [&["import", "--append", "nightcall.toml"], &SAID[..]].concat();
    let said = desk.typed(&words, &form("dialog.txt")).ends(0);
    assert_eq!(desk.read("nightcall.toml"), said.out);
    assert!(said.err.contains("next: nightcall check\n"), "{}", said.err);
    desk.typed(&["check"], "").ends(0);
    // the connection of another file of the folder is used
    std::fs::create_dir(desk.path("conf")).unwrap();
    desk.write("conf/a.toml", CONFIG);
    let words = [
        "import",
        "--config",
        "conf",
        "--append",
        "conf/b.toml",
        "--name",
        "x",
        "--cron",
        "@daily",
    ];
    let said = desk.typed(&words, &form("dialog.txt")).ends(0);
    assert!(
        said.out
            .starts_with("[schedule.x]\nconnection = \"warehouse\"\n"),
        "{}",
        said.out
    );
    assert!(
        said.err.contains("next: nightcall check --config conf\n"),
        "{}",
        said.err
    );
    desk.typed(&["check", "--config", "conf"], "").ends(0);
    let there = std::fs::read_dir(desk.path("conf")).unwrap().count();
    assert_eq!(there, 2);
}

#[test]
fn nothing_is_added_to_a_configuration_that_is_wrong_or_would_be() {
    let desk = Desk::new();
    let table = [
        ("[schedule.x]\ncron = 5\n", "mend the configuration first"),
        (
            "schedule = { y = { connection = 'c', cron = '@daily', call = 'CALL x()' } }\n[connection.c]\nbase_url = \
             'https://h'\nprovider = 'bigquery'\ntoken = { env = 'X' }\n",
            "cannot be added",
        ),
    ];
    for (text, wanted) in table {
        desk.write("night.toml", text);
        let words = [&["import", "--append", "night.toml"], &SAID[..]].concat();
        let said = desk.typed(&words, &form("dialog.txt")).ends(78);
        assert!(said.err.contains(wanted), "{wanted}: {}", said.err);
        assert_eq!(desk.read("night.toml"), text);
        assert_eq!(said.out, "");
    }
}

#[test]
fn a_folder_becomes_a_schedule_for_each_file_all_or_none() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("commands/inner")).unwrap();
    desk.write("commands/.hidden", "nothing");
    desk.write(
        "commands/morning map.sh",
        &command("carto_dw", r#"{"query":"CALL `p.d.w`()"}"#),
    );
    desk.write(
        "commands/b.txt",
        &command("pg", r#"{"query":"CALL c.w($1)","queryParameters":[1]}"#),
    );
    desk.write("commands/a.txt", &form("dialog.txt"));
    let words = [
        "import",
        "commands",
        "--cron",
        "0 3 * * *",
        "--append",
        "nightcall.toml",
    ];
    let said = desk.typed(&words, "").ends(0);
    golden("folder", &said.out);
    assert!(
        said.err.contains("added 3 schedules to nightcall.toml"),
        "{}",
        said.err
    );
    assert_eq!(desk.read("nightcall.toml"), said.out);
    desk.typed(&["check"], "").ends(0);

    desk.write("commands/a.txt", "curl 'https://h/x");
    desk.write(
        "commands/c.txt",
        &format!("{}{}", form("dialog.txt"), form("dialog.txt")),
    );
    desk.write("commands/b.sh", &form("get-job.txt"));
    let words = [
        "import",
        "commands",
        "--cron",
        "0 3 * * *",
        "--append",
        "other.toml",
    ];
    let said = desk.typed(&words, "").ends(64);
    assert!(
        said.err
            .contains("commands/a.txt: line 1: a single quote is never closed"),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("commands/c.txt: it starts 2 workflows"),
        "{}",
        said.err
    );
    assert!(
        said.err.ends_with("2 problems, nothing was written\n"),
        "{}",
        said.err
    );
    assert!(!desk.path("other.toml").exists());

    desk.write("commands/a.txt", &form("dialog.txt"));
    desk.write("commands/c.txt", &form("dialog.txt"));
    let said = desk.typed(&words, "").ends(64);
    assert!(
        said.err
            .contains("commands/b.txt: two commands would have this name: b"),
        "{}",
        said.err
    );
    let said = desk.typed(&["import", "commands"], "").ends(64);
    assert!(
        said.err.contains("add --cron") || said.err.contains("problem"),
        "{}",
        said.err
    );
    let said = desk
        .typed(&["import", "commands/inner", "--cron", "@daily"], "")
        .ends(64);
    assert!(
        said.err.contains("the folder has no file: commands/inner"),
        "{}",
        said.err
    );
}

#[test]
fn several_commands_of_one_file_are_named_in_their_order() {
    let desk = Desk::new();
    let text = format!(
        "{}\n{}",
        form("dialog.txt"),
        command("carto_dw", r#"{"query":"CALL `p.d.w`()"}"#)
    );
    let said = desk
        .typed(
            &["import", "--name", "a", "--name", "b", "--cron", "@daily"],
            &text,
        )
        .ends(0);
    assert_eq!(said.out.matches("[connection.carto_dw]").count(), 1);
    let (a, b) = (said.out.find("[schedule.a]"), said.out.find("[schedule.b]"));
    assert!(a.is_some() && a < b, "{}", said.out);
    let said = desk.typed(&["import", "--cron", "@daily"], &text).ends(64);
    assert!(
        said.err.contains("add --name NAME --name NAME"),
        "{}",
        said.err
    );
    let said = desk
        .typed(
            &["import", "--name", "a", "--name", "a", "--cron", "@daily"],
            &text,
        )
        .ends(64);
    assert!(
        said.err.contains("two commands would have this name: a"),
        "{}",
        said.err
    );
}

#[test]
fn programs_get_one_object_for_each_schedule() {
    let desk = Desk::new();
    let words = [&["import", "--json"], &SAID[..]].concat();
    let said = desk.typed(&words, &form("dialog.txt")).ends(0);
    let object: Value = serde_json::from_str(&said.out).unwrap();
    let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["connection", "schedule", "toml"]);
    assert_eq!(object["connection"], "carto_dw");
    assert_eq!(object["schedule"], "store-clusters");
    let plain = desk
        .typed(&[&["import"], &SAID[..]].concat(), &form("dialog.txt"))
        .ends(0);
    assert_eq!(object["toml"].as_str().unwrap(), plain.out);
    let words = [&["import", "--json", "--append", "n.toml"], &SAID[..]].concat();
    let said = desk.typed(&words, &form("dialog.txt")).ends(0);
    let object: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(object["appended_to"], "n.toml");
    assert_eq!(desk.read("n.toml"), plain.out);
}

#[test]
fn the_token_is_referred_to_as_it_is_asked_for() {
    let desk = Desk::new();
    let token = |flags: &[&str], text: &str| {
        let said = desk
            .typed(&[&["import"], &SAID[..], flags].concat(), text)
            .ends(0);
        let mut lines = said.out.lines();
        lines
            .find(|line| line.starts_with("token "))
            .unwrap()
            .to_owned()
    };
    let text = form("dialog.txt");
    assert_eq!(
        token(&[], &text),
        "token      = { env = \"CARTO_API_TOKEN\" }"
    );
    assert_eq!(
        token(&["--token-env", "MINE"], &text),
        "token      = { env = \"MINE\" }"
    );
    assert_eq!(
        token(&["--token-file", "/run/token"], &text),
        "token      = { file = \"/run/token\" }"
    );
    let variable = text.replace(
        &format!("'Authorization: Bearer {SECRET}'"),
        "\"Authorization: Bearer ${CARTO_TOKEN}\"",
    );
    assert_eq!(
        token(&[], &variable),
        "token      = { env = \"CARTO_TOKEN\" }"
    );
    let command = text.replace(
        &format!("'Authorization: Bearer {SECRET}'"),
        "\"Authorization: Bearer $(pass carto)\"",
    );
    assert_eq!(
        token(&[], &command),
        "token      = { env = \"CARTO_API_TOKEN\" }"
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let desk = Desk::new();
    let text = format!("{}{}", form("dialog.txt"), "#".repeat(1024 * 1024));
    let said = desk
        .typed(&[&["import"], &SAID[..]].concat(), &text)
        .ends(64);
    assert!(said.err.contains("larger than 1024 KiB"), "{}", said.err);
}
