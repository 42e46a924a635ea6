//! The built program as a person uses it, from an empty folder to a stop in order.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// What must never be seen.
const SECRET: &str = "a-token-that-nobody-may-see";

/// A folder, and how commands are typed in it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_remove("NIGHTCALL_CONFIG")
            .env_remove("NIGHTCALL_LOG")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env("CARTO_API_TOKEN", SECRET)
            .stdin(Stdio::null());
        command
    }

    /// Types a line and waits for its end.
    fn typed(&self, line: &str) -> Said {
        let words: Vec<&str> = line.split_whitespace().collect();
        Said::of(&self.command(&words).output().unwrap())
    }

    /// Starts what does not end by itself; both outputs go to a file.
    fn start(&self, command: &mut Command, log: &str) -> Program {
        let file = std::fs::File::create(self.path(log)).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Program(command.spawn().unwrap())
    }

    /// Waits until a line of a log says this.
    fn until(&self, log: &str, words: &str) {
        until(&format!("{words:?} in {log}"), || {
            self.read(log).contains(words)
        });
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let said = Self {
            code: output.status.code().unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
        said
    }

    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

/// A process that does not outlive its test.
struct Program(Child);

impl Program {
    /// SIGTERM, and how it ended.
    fn stop(mut self) -> i32 {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
        let mut code = None;
        until("the program ends", || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Dead already, or dies now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits in real time, since the programs are processes of their own.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "it takes too long: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The sandbox on a free port, and what it says of itself.
fn sandbox(desk: &Desk, options: &[&str]) -> (Program, Value) {
    let words = [&["sandbox", "--port", "0", "--json"], options].concat();
    let mut command = desk.command(&words);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let program = Program(child);
    said.read_line(&mut line).unwrap();
    (program, serde_json::from_str(&line).unwrap())
}

/// The file of "A first schedule" in the README, for another address.
fn first_schedule(base_url: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("\n## A first schedule").unwrap();
    let (_, block) = section.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let address = "https://gcp-us-east1.api.carto.com";
    assert!(block.contains(address));
    block
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n")
        .collect::<String>()
        .replace(address, base_url)
}

#[test]
fn from_an_empty_folder_to_a_run_that_succeeded() {
    let desk = Desk::new();
    let said = desk.typed("check").ends(78);
    assert!(said.err.contains("no configuration was found"), "{said:?}");
    let (_vendor, vendor) = sandbox(&desk, &[]);
    let base_url = vendor["base_url"].as_str().unwrap();
    desk.write("nightcall.toml", &first_schedule(base_url));

    let said = desk.typed("check").ends(0);
    assert!(said.out.contains("\nread nightcall.toml\n"), "{said:?}");
    assert!(said.out.contains("1 schedule, 2 series: no problems"));
    let said = desk.typed("next -n 2").ends(0);
    assert!(said.out.contains("store-clusters/hyper"), "{said:?}");
    let said = desk.typed("fire store-clusters/supermarket").ends(69);
    assert!(said.err.contains("no daemon is running"), "{said:?}");
    assert!(said.err.ends_with("next: nightcall daemon\n"), "{said:?}");
    let said = desk.typed("why store-clusters/hyper").ends(0);
    assert!(said.out.contains("nothing is on record yet"), "{said:?}");

    let daemon = desk.start(&mut desk.command(&["daemon"]), "daemon.log");
    desk.until("daemon.log", "ready");
    let said = desk.typed("fire store-clusters/supermarket --wait").ends(0);
    assert!(said.out.contains("succeeded after "), "{said:?}");
    until("the status is up to date", || {
        desk.typed("status").ends(0).out.contains("no live runs")
    });
    for (line, seen) in [
        ("runs", "store-clusters/supermarket"),
        ("show store-clusters/supermarket", "Supermarket"),
        ("why store-clusters/supermarket", "ran once, succeeded"),
        ("status", "no live runs"),
    ] {
        let said = desk.typed(line).ends(0);
        assert!(said.out.contains(seen), "{line}: {said:?}");
        let json = desk.typed(&format!("{line} --json")).ends(0).out;
        for line in json.lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
        }
    }
    let said = desk.typed("fire store-clusters").ends(2);
    assert!(said.err.contains("several parameter sets"), "{said:?}");

    let pid = daemon.0.id();
    let said = desk.typed("daemon").ends(75);
    assert!(said.err.contains(&format!("{pid}")), "{said:?}");
    assert!(said.err.ends_with("next: nightcall status\n"), "{said:?}");

    assert_eq!(daemon.stop(), 0);
    assert!(
        desk.read("daemon.log")
            .contains("stopped; jobs at the vendor go on")
    );
    for entry in std::fs::read_dir(desk.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let seen = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
        assert!(!seen, "{}", path.display());
    }
    assert_eq!(desk.typed("status").code, 69);
    desk.typed("runs").ends(0);
}

#[test]
fn a_daemon_whose_socket_is_taken_gives_the_database_back_and_buries_nothing() {
    let desk = Desk::new();
    let (_vendor, vendor) = sandbox(&desk, &[]);
    let base_url = vendor["base_url"].as_str().unwrap();
    let schedule = first_schedule(base_url) + "timeout = \"30h\"\n";
    let on = |database: &str| {
        format!("[daemon]\ndatabase = \"{database}\"\ncontrol = \"n.sock\"\n\n{schedule}")
    };
    desk.write("one.toml", &on("one.db"));
    desk.write("two.toml", &on("two.db"));
    let warned = desk.typed("check --config two.toml").ends(0);
    assert!(warned.out.contains("\nwarning: "), "{warned:?}");

    let first = desk.start(
        &mut desk.command(&["daemon", "--config", "one.toml"]),
        "one.log",
    );
    desk.until("one.log", "ready");
    assert!(
        desk.read("one.log")
            .contains("reaches into the next occurrence")
    );
    let said = desk.typed("daemon --config two.toml").ends(75);
    assert!(said.err.contains("another daemon listens on "), "{said:?}");
    assert!(!(said.out + &said.err).contains("timeout"));
    assert_eq!(first.stop(), 0);
    let second = desk.start(
        &mut desk.command(&["daemon", "--config", "two.toml"]),
        "two.log",
    );
    desk.until("two.log", "ready");
    assert_eq!(second.stop(), 0);
}

#[test]
fn a_run_that_waits_for_its_connection_says_what_is_wrong_with_it() {
    let desk = Desk::new();
    desk.write("scenario.toml", "[auth]\ntoken = \"another\"\n");
    let (_vendor, vendor) = sandbox(&desk, &["--scenario", "scenario.toml"]);
    let base_url = vendor["base_url"].as_str().unwrap();
    desk.write("night.toml", &first_schedule(base_url));
    let daemon = desk.start(
        &mut desk.command(&["daemon", "--config", "night.toml"]),
        "daemon.log",
    );
    desk.until("daemon.log", "ready");
    let said = desk
        .typed("fire store-clusters/hyper -c night.toml")
        .ends(0);
    let next = said.out.lines().last().unwrap();
    let typed = next.strip_prefix("next: nightcall ").unwrap();
    assert!(typed.ends_with(" --config night.toml"), "{next}");
    desk.typed(typed).ends(0);
    desk.until("daemon.log", "connection carto_dw does not work");
    let said = desk.typed("why store-clusters/hyper -c night.toml").ends(0);
    let wrong = "\nconnection carto_dw has not worked since ";
    assert!(said.out.contains(wrong), "{}", said.out);
    assert!(said.out.contains("401"), "{}", said.out);
    let said = desk.typed("runs -c night.toml").ends(0);
    assert!(
        said.out.contains("waits, carto_dw does not work"),
        "{said:?}"
    );
    until("the status complains", || {
        desk.typed("status -c night.toml").code == 1
    });
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn systemd_hears_of_the_start_of_the_life_and_of_the_stop() {
    let desk = Desk::new();
    let (_vendor, vendor) = sandbox(&desk, &[]);
    let base_url = vendor["base_url"].as_str().unwrap();
    desk.write("nightcall.toml", &first_schedule(base_url));
    let systemd = UnixDatagram::bind(desk.path("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let length = systemd.recv(&mut buffer).unwrap();
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            let found = message.lines().any(|line| line.starts_with(wanted));
            heard.push(message);
            if found {
                return heard;
            }
        }
    };
    let mut command = desk.command(&["daemon"]);
    command.env("NOTIFY_SOCKET", desk.path("notify"));
    let daemon = desk.start(&mut command, "daemon.log");
    let first = hear("READY=1");
    let ready = first.last().unwrap();
    assert!(ready.contains("\nSTATUS=2 series are planned"), "{ready}");
    hear("WATCHDOG=1");
    hear("STATUS=2 series, 0 live runs, next store-clusters/");
    let stopping = std::thread::spawn(move || daemon.stop());
    let last = hear("STOPPING=1");
    assert!(last.last().unwrap().contains("\nSTATUS=stopping: "));
    assert_eq!(stopping.join().unwrap(), 0);
}

#[test]
fn whoever_may_not_use_the_socket_is_told_which_group_may() {
    let desk = Desk::new();
    let (_vendor, vendor) = sandbox(&desk, &[]);
    let base_url = vendor["base_url"].as_str().unwrap();
    desk.write("nightcall.toml", &first_schedule(base_url));
    let daemon = desk.start(&mut desk.command(&["daemon"]), "daemon.log");
    desk.until("daemon.log", "ready");
    let socket = desk.path("nightcall.sock");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut command = desk.command(&["fire", "store-clusters/hyper"]);
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0 {
        // Nothing is denied to root, so somebody else asks.
        mode(desk.folder.path(), 0o755);
        let program = desk.path("program");
        std::fs::copy(env!("CARGO_BIN_EXE_nightcall"), &program).unwrap();
        command = Command::new(program);
        command.args(["fire", "store-clusters/hyper"]);
        command
            .current_dir(desk.folder.path())
            .uid(65_534)
            .gid(65_534);
    } else {
        mode(&socket, 0o000);
    }
    let said = Said::of(&command.output().unwrap()).ends(69);
    let denied = "nightcall.sock may not be used: Permission denied";
    assert!(said.err.contains(denied), "{said:?}");
    assert!(
        said.err
            .contains("\nit is for the daemon's user and for the group ")
    );
    assert!(said.err.contains("\nnext: sudo usermod -aG "), "{said:?}");
    mode(&socket, 0o660);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_sandbox_plays_the_example_scenario_and_names_what_is_wrong_in_another() {
    let desk = Desk::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let example = format!("{root}/docs/scenario.example.toml");
    let (vendor, said) = sandbox(&desk, &["--scenario", &example]);
    let base_url = said["base_url"].as_str().unwrap();
    assert!(base_url.ends_with("/api"), "{base_url}");
    let address = base_url
        .trim_start_matches("http://")
        .trim_end_matches("/api");
    let (_, port) = address.split_once(':').unwrap();
    let said = desk.typed(&format!("sandbox --port {port}")).ends(69);
    let taken = format!("cannot listen on {address}: another program listens there");
    assert!(said.err.starts_with(&taken), "{said:?}");
    assert_eq!(vendor.stop(), 0);

    let table = [
        ("[script]\nrunnig = \"2s\"\n", "line 2", "runnig"),
        (
            "\n[script]\nrunning = \"2x\"\n",
            "line 3",
            "running = \"2x\"",
        ),
        (
            "[[fault]]\non = [\"reed\"]\ndoes = \"reset\"\n",
            "line 2",
            "reed",
        ),
        ("speed = [\n", "line 1", "speed"),
        (
            "[[procedure]]\nsignature = \"bad\"\n",
            "line 2",
            "signature",
        ),
    ];
    for (text, line, key) in table {
        desk.write("wrong.toml", text);
        let said = desk.typed("sandbox --scenario wrong.toml").ends(78);
        assert!(said.err.starts_with("wrong.toml: "), "{said:?}");
        assert!(
            said.err.contains(line) && said.err.contains(key),
            "{said:?}"
        );
    }
    let said = desk.typed("sandbox --scenario missing.toml").ends(78);
    assert!(said.err.contains("missing.toml: No such file"), "{said:?}");
}

#[test]
fn a_configuration_that_is_not_there_is_a_wrong_configuration() {
    let desk = Desk::new();
    for command in [
        "check", "daemon", "next", "runs", "status", "fire x", "why x",
    ] {
        let said = desk
            .typed(&format!("{command} --config missing.toml"))
            .ends(78);
        assert!(
            said.err
                .starts_with("missing.toml\n  there is no such file\n")
        );
        assert!(
            said.err
                .contains("hint: name the file or its folder with --config")
        );
    }
}

#[test]
fn the_help_of_every_command_has_examples_and_fits_80_columns() {
    let desk = Desk::new();
    let commands = [
        "daemon",
        "check",
        "next",
        "fire",
        "runs",
        "show",
        "why",
        "status",
        "sandbox",
        "demo",
        "pause",
        "resume",
        "skip",
        "unskip",
        "cancel",
        "retry",
        "rerun",
        "backfill",
        "resolve",
        "reload",
        "completions",
        "man",
        "import",
        "plan",
        "doctor",
        "report",
    ];
    let listed = desk.typed("--help").ends(0).out;
    for name in commands {
        assert!(listed.contains(&format!("\n  {name} ")), "{listed}");
        let mut command = desk.command(&[name, "--help"]);
        let help = Said::of(&command.env("COLUMNS", "80").output().unwrap())
            .ends(0)
            .out;
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
        let (_, examples) = help.split_once("\nExamples:\n").expect(name);
        let examples: Vec<&str> = examples
            .lines()
            .take_while(|line| !line.is_empty())
            .collect();
        assert!(examples.len() >= 2, "{help}");
        for example in examples {
            let start = format!("  nightcall {name}");
            assert!(example.starts_with(&start), "{name}: {example}");
        }
    }
}

#[test]
fn the_sums_of_the_demo_add_up() {
    let desk = Desk::new();
    let said = desk.typed("demo --runs 2 --json").ends(0);
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, events) = lines.split_last().unwrap();
    let sums = &last["summary"];
    let submitting = events
        .iter()
        .filter(|line| line["event"]["what"] == "submitting");
    assert_eq!(sums["submissions"], submitting.count());
    let ended = sums["ended"].as_object().unwrap().values();
    assert!(ended.map(|n| n.as_u64().unwrap()).sum::<u64>() >= 2);
    assert_eq!(sums["doubled"], 0);
    assert!(
        sums["jobs"].as_u64() <= sums["submissions"].as_u64(),
        "{sums}"
    );
    let left: Vec<_> = std::fs::read_dir(desk.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
