//! Hostile input without a fuzzer: the seeds of `tests/fuzz`, and as many mutations of them as a test run has time for,
//! the same ones each time. What must hold is said there, once.
//!
//! `NIGHTCALL_MUTATIONS` asks for more of each kind than usual.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[allow(unreachable_pub)] // it is the library of the fuzz targets, too
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Mutations of each kind unless the environment says how many.
const MUTATIONS: usize = 500;

/// No input is worth more than this, however slow the build and busy the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest mutation, in bytes.
const LONGEST: usize = 16 * 1024;

fn folder(name: &str) -> PathBuf {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    fuzz.join(name)
}

/// The files of a folder in name order, with their content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The words of a dictionary in libFuzzer's form: a quoted text a line, `\xAB` for a byte.
fn dictionary(target: &str) -> Vec<Vec<u8>> {
    let file = folder("dictionaries").join(format!("{target}.dict"));
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let word = |line: &str| {
        let mut bytes = Vec::new();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            let escaped = rest.strip_prefix('\\').unwrap_or(rest);
            let hex = escaped.strip_prefix('x').filter(|_| c == '\\');
            if let Some(hex) = hex {
                bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
                rest = &hex[2..];
            } else {
                let c = escaped.chars().next().unwrap();
                bytes.extend(c.to_string().bytes());
                rest = &escaped[c.len_utf8()..];
            }
        }
        bytes
    };
    lines.map(word).collect()
}

/// Chance that falls the same way each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.0 % end).unwrap()
    }

    /// Some bytes of one of the texts.
    fn piece<'t>(&mut self, texts: &'t [Vec<u8>]) -> &'t [u8] {
        let text = &texts[self.below(texts.len())];
        let start = self.below(text.len());
        let length = self.below(64);
        &text[start..text.len().min(start + length)]
    }

    /// One change of a text: bytes go, come, or become others.
    fn change(&mut self, text: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
        let at = self.below(text.len() + 1);
        let end = text.len().min(at + self.below(16));
        let new: Vec<u8> = match self.below(8) {
            0 => Vec::new(),
            1 => vec![u8::try_from(self.below(256)).unwrap()],
            2 => self.piece(seeds).to_owned(),
            3 | 4 if !words.is_empty() => words[self.below(words.len())].clone(),
            5 => text[at..end].repeat(1 + self.below(40)),
            6 => self.below(usize::MAX).to_string().into_bytes(),
            _ => {
                text.iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << self.below(8));
                return;
            }
        };
        let end = if self.below(2) == 0 { at } else { end };
        text.splice(at..end, new);
        text.truncate(LONGEST);
    }
}

/// Tells the input when it does not hold.
struct Told<'i>(&'i str, &'i [u8]);

impl Drop for Told<'_> {
    #[allow(clippy::print_stderr)] // what a failing test prints is shown with it
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = String::from_utf8_lossy(self.1);
            eprintln!(
                "---- {} does not hold for:\n{text}\n---- as bytes: {:?}",
                self.0, self.1
            );
        }
    }
}

fn try_one(target: &str, holds: fn(&[u8]), input: &[u8]) {
    let _told = Told(target, input);
    let began = Instant::now();
    holds(input);
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
}

fn try_all(target: &str, holds: fn(&[u8])) {
    let mut seeds = files(&folder("seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seed");
    if target == "config" {
        seeds.extend(files(&folder("../golden/config")));
        let example = folder("../../schedules.example.toml");
        seeds.push((example.clone(), std::fs::read(example).unwrap()));
    }
    for (_, seed) in &seeds {
        try_one(target, holds, seed);
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, seed)| seed).collect();
    let words = dictionary(target);
    let asked = std::env::var("NIGHTCALL_MUTATIONS").ok();
    let count = asked.map_or(MUTATIONS, |count| count.parse().unwrap());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..count {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            dice.change(&mut input, &seeds, &words);
        }
        try_one(target, holds, &input);
    }
}

#[test]
fn configurations_are_taken_whole_or_refused_and_show_no_secret() {
    try_all("config", fuzz::config);
}

#[test]
fn requests_to_the_local_api_are_answered() {
    try_all("control", fuzz::control);
}

#[test]
fn triggers_go_forward_in_bounded_time() {
    try_all("cron", fuzz::cron);
}

#[test]
fn ids_are_written_as_they_are_read() {
    try_all("ids", fuzz::ids);
}

#[test]
fn curl_commands_become_tables_or_are_refused_and_show_no_token() {
    try_all("import", fuzz::import);
}

#[test]
fn answers_of_the_vendor_are_never_believed_too_much() {
    try_all("job", fuzz::job);
}

#[test]
fn parameters_are_bound_and_never_become_part_of_a_statement() {
    try_all("parameters", fuzz::parameters);
}

#[test]
fn scenarios_are_read_or_refused() {
    try_all("scenario", fuzz::scenario);
}

#[test]
fn templates_that_are_taken_render_for_every_date() {
    try_all("template", fuzz::template);
}

/// So many lines, each with its number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// A connection, and `[defaults]` that is still open.
const HEAD: &str = "[connection.c]\nbase_url = \"https://api.example.com\"\n\
    provider = \"bigquery\"\ntoken = { env = \"T\" }\n[defaults]\nconnection = \"c\"\n";

#[test]
fn what_would_fill_the_memory_is_refused() {
    let schedule = |inside: String| format!("[schedule.s]\ncron = \"0 3 * * *\"\n{inside}");
    let procedure = |inside: String| schedule(format!("procedure = \"p.d.f\"\n{inside}"));
    let sets = lines(100, |n| format!("s{n} = {{}}\n"));
    let wide = "x".repeat(1_000_000);
    let table = [
        (format!("owner = \"{wide}\""), "longer than 1000 bytes"),
        (format!("tags = [\"{wide}\"]"), "longer than 1000 bytes"),
        (
            format!("tags = [{}]", "\"x\", ".repeat(101)),
            "more than 100 tags",
        ),
        (
            format!("exclude = [{}]", "2026-12-25, ".repeat(2_001)),
            "more than 2000 dates",
        ),
        (
            procedure(format!("parameters = [{}]", "1, ".repeat(501))),
            "more than 500 values",
        ),
        (
            procedure(format!(
                "[schedule.s.set.x]\n{}",
                lines(501, |n| format!("a{n} = 1\n"))
            )),
            "more than 500 values",
        ),
        (
            schedule(format!(
                "call = \"CALL f({})\"",
                lines(501, |n| format!("@a{n}, "))
            )),
            "mentions more than 500 values",
        ),
        (
            schedule(format!(
                "call = \"CALL f('{wide}')\"\n[schedule.s.set]\n{sets}"
            )),
            "100 sets repeat 976 KiB each",
        ),
        (
            procedure(format!(
                "parameters = {{ a = \"{wide}\" }}\n[schedule.s.set]\n{sets}"
            )),
            "100 sets repeat 976 KiB each",
        ),
    ];
    for (text, message) in table {
        let refusal = fuzz::load_once(&format!("{HEAD}{text}"));
        assert!(refusal.contains(message), "{message}: {refusal}");
    }
}

/// Fuzzers try short inputs; the cost of a long one is what these show.
#[test]
fn the_time_for_a_configuration_grows_with_its_length_and_not_faster() {
    const TIMES: &str = "cron = \"0 3 * * *\"\nprocedure = \"p.d.f\"\n";
    let one = |inside: String| format!("{HEAD}[schedule.s]\ncron = \"0 3 * * *\"\n{inside}");
    let each = |inside: &dyn Fn(usize) -> String| {
        lines(3_000, |n| {
            format!("[schedule.s{n}]\n{TIMES}{}\n", inside(n))
        })
    };
    let table = [
        (
            "zones",
            each(&|n| format!("timezone = \"Europe/Madri{n}\"")),
        ),
        (
            "connections",
            lines(3_000, |n| format!("[connection.conn{n}]\nprovider = 1\n"))
                + &each(&|n| format!("connection = \"con{n}\"")),
        ),
        ("keys", lines(20_000, |n| format!("conection{n} = 1\n"))),
        (
            "placeholders",
            one(format!(
                "call = \"CALL f({})\"",
                lines(150_000, |n| format!("@a{n},"))
            )),
        ),
        (
            "arguments",
            one(format!(
                "procedure = \"p.d.f\"\n[schedule.s.parameters]\n{}",
                lines(20_000, |n| format!("a{n} = {n}\n"))
            )),
        ),
        (
            "names of sets",
            one(format!(
                "procedure = \"p.d.f\"\n[schedule.s.set]\n{}",
                lines(10_000, |n| format!("s{n} = {{ a{n} = {n} }}\n"))
            )),
        ),
        (
            "texts of sets",
            one(format!(
                "procedure = \"p.d.f(a)\"\n[schedule.s.set]\n{}",
                lines(10_000, |n| format!("s{n} = {{ a = \"{n}\" }}\n"))
            )),
        ),
        (
            "lists of sets",
            one(format!(
                "call = \"CALL f({})\"\n[schedule.s.set]\n{}",
                "$1, ".repeat(50_000),
                lines(5_000, |n| format!("s{n} = [{n}]\n"))
            )),
        ),
    ];
    for (name, text) in &table {
        let began = Instant::now();
        fuzz::load_once(text);
        let took = began.elapsed();
        assert!(
            took < PATIENCE,
            "{name}: {} bytes took {took:?}",
            text.len()
        );
    }
}

/// What a fuzz target runs is what is released.
#[test]
fn the_fuzz_targets_are_built_with_the_versions_of_the_lock_file() {
    const OWN: [&str; 3] = ["nightcall-fuzz", "libfuzzer-sys", "arbitrary"];
    let packages = |lock: &Path| -> Vec<(String, String)> {
        let lock: toml::Table = std::fs::read_to_string(lock).unwrap().parse().unwrap();
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        let packages = lock["package"].as_array().unwrap().iter();
        packages
            .map(|p| (text(p, "name"), text(p, "version")))
            .collect()
    };
    let ours = packages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    let strange: Vec<(String, String)> = packages(&folder("Cargo.lock"))
        .into_iter()
        .filter(|package| !OWN.contains(&package.0.as_str()) && !ours.contains(package))
        .collect();
    assert!(
        strange.is_empty(),
        "copy Cargo.lock to tests/fuzz, then `cargo check` there: {strange:?}"
    );
}
