//! Secret values: read from where they are kept, shown nowhere.
//!
//! Invariant: nothing here shows a value. [`Secret`] has no content in `Debug`, no `Display` and no serialisation;
//! errors name the place and the remedy; what a command says on its error stream is cut, and cleaned of its output.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// The longest secret that is believed, in bytes.
pub const MAX_SECRET: usize = 64 * 1024;

/// How long a command may take to print a secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How much of a command's error stream is shown, in bytes.
const STDERR_TAIL: usize = 200;

/// What stands where a secret stood.
const HIDDEN: &str = "[secret]";

/// The shortest secret that is looked for in texts; a shorter one would match by chance.
const SHORTEST_HIDDEN: usize = 8;

/// A secret value: one line of visible ASCII, fit for a header. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

/// Why a text is not believed to be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Nothing, or only white space.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_SECRET`] bytes.
    #[error("is longer than 64 KiB")]
    TooLong,
    /// More than one line.
    #[error("has more than one line")]
    ManyLines,
    /// Characters that cannot stand in a header.
    #[error("holds characters other than visible ASCII")]
    NotPlain,
}

impl BadSecret {
    fn remedy(self) -> &'static str {
        match self {
            Self::Empty => "put the secret there",
            Self::TooLong | Self::ManyLines => "leave there nothing but the secret, on one line",
            Self::NotPlain => {
                "copy the secret again, whole; an ellipsis, a typographic quote or a byte order mark is \
                 a sign that it was copied from a formatted text"
            }
        }
    }
}

impl Secret {
    /// Takes a value after checking its form; white space at the end is dropped.
    pub fn new(text: String) -> Result<Self, BadSecret> {
        let whole = Zeroizing::new(text);
        let value = whole.trim_end();
        if value.trim_start().is_empty() {
            return Err(BadSecret::Empty);
        }
        if value.len() > MAX_SECRET {
            return Err(BadSecret::TooLong);
        }
        if value.contains(['\n', '\r']) {
            return Err(BadSecret::ManyLines);
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(BadSecret::NotPlain);
        }
        Ok(Self(SecretString::from(value)))
    }

    /// The value itself, for the one line that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both hold the same value.
    pub fn same_as(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// The text without this secret in it, also where JSON writes some of its signs as escapes: `\/`, `\u003d`.
    pub fn hide_in(&self, text: String) -> String {
        let value = self.expose();
        if value.len() < SHORTEST_HIDDEN {
            return text;
        }
        let text = match text.contains(value) {
            true => text.replace(value, HIDDEN),
            false => text,
        };
        if !text.contains('\\') {
            return text;
        }
        let mut shown = String::new();
        let mut from = 0;
        for place in escaped_places(&text, value.as_bytes()) {
            shown.push_str(&text[from..place.start]);
            shown.push_str(HIDDEN);
            from = place.end;
        }
        match from {
            0 => text,
            _ => shown + &text[from..],
        }
    }
}

/// Where a value stands in a text of JSON, whichever of its signs are escapes. One pass, however much of the text looks
/// like the value (Knuth, Morris and Pratt): the text is the vendor's, and long.
fn escaped_places(text: &str, value: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let shorter = borders(value);
    // Where each of the latest signs begins: as many as the value has.
    let mut begins = vec![0; value.len()];
    let (mut at, mut matched) = (0, 0);
    for count in 1.. {
        let Some((sign, length)) = sign(text.as_bytes(), at) else {
            break;
        };
        begins[count % value.len()] = at;
        at += length;
        while matched > 0 && value[matched] != sign {
            matched = shorter[matched - 1];
        }
        matched += usize::from(value[matched] == sign);
        if matched == value.len() {
            found.push(begins[(count + 1) % value.len()]..at);
            matched = 0;
        }
    }
    found
}

/// For each beginning of the value: how long the longest other beginning is that it ends with.
fn borders(value: &[u8]) -> Vec<usize> {
    let mut lengths = vec![0; value.len()];
    for end in 1..value.len() {
        let mut length = lengths[end - 1];
        while length > 0 && value[length] != value[end] {
            length = lengths[length - 1];
        }
        lengths[end] = length + usize::from(value[length] == value[end]);
    }
    lengths
}

/// The sign of JSON at this byte, and how many bytes it is written with. Beyond ASCII, which no secret has, a byte.
fn sign(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = text.get(at..)?;
    Some(match *rest {
        [] => return None,
        [b'\\', b'u', b'0', b'0', high, low, ..] => match (hex(high), hex(low)) {
            (Some(high @ 0..8), Some(low)) => (high * 16 + low, 6),
            _ => (b'\\', 1),
        },
        [b'\\', sign @ (b'"' | b'\\' | b'/'), ..] => (sign, 2),
        [byte, ..] => (byte, 1),
    })
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret is kept. Only the place is ever shown, logged or stored.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; its text without trailing white space.
    File(PathBuf),
    /// A systemd credential: `$CREDENTIALS_DIRECTORY/<name>`.
    Credential(String),
    /// The standard output of a command without trailing white space; ended after 30 s.
    Command(Vec<String>),
}

/// A secret could not be read. Holds the place and what to do, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} {problem}: {remedy}")]
pub struct SecretError {
    /// Where it should be.
    pub place: String,
    /// What is wrong, to be read after the place: `is not set`.
    pub problem: String,
    /// What a person should do.
    pub remedy: String,
}

/// What is wrong and what to do, before the place is known.
struct Trouble {
    problem: String,
    remedy: String,
}

impl Trouble {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

type Bytes = Zeroizing<Vec<u8>>;

impl SecretSource {
    /// The place in words: `environment variable CARTO_API_TOKEN`. Of a command only the program is shown, since its
    /// arguments may be telling.
    pub fn place(&self) -> String {
        match self {
            Self::Env(name) => format!("environment variable {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::Credential(name) => format!("systemd credential {name}"),
            Self::Command(argv) => {
                format!("command {}", argv.first().map_or("(none)", String::as_str))
            }
        }
    }

    /// Reads the value now. Nothing is remembered: a secret that was changed is seen at the next reading.
    ///
    /// Fails when the place is missing or not readable, and when the value is empty, has several lines, is longer than
    /// [`MAX_SECRET`] or holds characters that cannot stand in a header.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        let bytes = match self {
            Self::Env(name) => from_env(name),
            Self::File(path) => from_file(path).await,
            Self::Credential(name) => {
                from_credential(std::env::var_os("CREDENTIALS_DIRECTORY"), name).await
            }
            Self::Command(argv) => from_command(argv, COMMAND_LIMIT).await,
        };
        bytes
            .and_then(|bytes| checked(&bytes))
            .map_err(|trouble| SecretError {
                place: self.place(),
                problem: trouble.problem,
                remedy: trouble.remedy,
            })
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({})", self.place())
    }
}

fn checked(bytes: &[u8]) -> Result<Secret, Trouble> {
    let bad = |bad: BadSecret| Trouble::new(bad.to_string(), bad.remedy());
    let text = std::str::from_utf8(bytes).map_err(|_| bad(BadSecret::NotPlain))?;
    Secret::new(text.to_owned()).map_err(bad)
}

fn from_env(name: &str) -> Result<Bytes, Trouble> {
    match std::env::var_os(name) {
        Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
        None => Err(Trouble::new(
            "is not set",
            "set it in the environment of the daemon (under systemd: `EnvironmentFile=` of the unit)",
        )),
    }
}

async fn from_file(path: &Path) -> Result<Bytes, Trouble> {
    let trouble = |error: std::io::Error| {
        Trouble::new(
            format!("cannot be read ({error})"),
            "make the file, readable for the user that the daemon runs as",
        )
    };
    // A pipe would block for ever, and could not be read a second time after the vendor refused the value.
    let meta = tokio::fs::metadata(path).await.map_err(trouble)?;
    if !meta.is_file() {
        return Err(Trouble::new(
            "is not a plain file",
            "name a plain file, or use `command`",
        ));
    }
    let file = tokio::fs::File::open(path).await.map_err(trouble)?;
    bounded_bytes(file).await.map_err(trouble)
}

async fn from_credential(directory: Option<OsString>, name: &str) -> Result<Bytes, Trouble> {
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Trouble::new(
            "is not a name",
            "name a credential of the unit, without a path",
        ));
    }
    let remedy = || {
        format!(
            "give it to the service with `LoadCredential={name}:/path/to/the/secret` and start it again"
        )
    };
    let Some(directory) = directory else {
        return Err(Trouble::new(
            "is not there: the process was started without credentials",
            remedy(),
        ));
    };
    from_file(&Path::new(&directory).join(name))
        .await
        .map_err(|trouble| Trouble::new(trouble.problem, remedy()))
}

/// At most one byte more than [`MAX_SECRET`], in one allocation, so that no copies are left behind by growing.
async fn bounded_bytes(source: impl AsyncRead + Unpin) -> std::io::Result<Bytes> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
    let mut source = source.take(MAX_SECRET as u64 + 1);
    while bytes.len() <= MAX_SECRET && source.read_buf(&mut *bytes).await? > 0 {}
    Ok(bytes)
}

async fn from_command(argv: &[String], limit: Duration) -> Result<Bytes, Trouble> {
    const REMEDY: &str =
        "run it as the user that the daemon runs as; it must print the secret and end";
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Trouble::new("is empty", "name a program and its arguments"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Trouble::new(format!("cannot be started ({error})"), REMEDY))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(limit, async {
        let (output, tail) = tokio::join!(whole(stdout), tail(stderr));
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((output?, tail, status))
    })
    .await;
    match ended {
        Ok(Ok((output, _, status))) if status.success() => Ok(output),
        Ok(Ok((output, tail, status))) => Err(Trouble::new(
            format!("ended with {status}{}", shown(&tail, &output)),
            REMEDY,
        )),
        Ok(Err(error)) => Err(Trouble::new(format!("cannot be read ({error})"), REMEDY)),
        Err(_) => {
            // Not waited for without end: a process in uninterruptible sleep is the system's to bury.
            let _ = tokio::time::timeout(Duration::from_secs(1), child.kill()).await;
            Err(Trouble::new(
                format!(
                    "did not end within {} s and was killed",
                    limit.as_secs_f32()
                ),
                REMEDY,
            ))
        }
    }
}

async fn whole(stdout: Option<impl AsyncRead + Unpin>) -> std::io::Result<Bytes> {
    match stdout {
        Some(stdout) => bounded_bytes(stdout).await,
        None => Ok(Zeroizing::new(Vec::new())),
    }
}

/// Reads to the end, so that the command is never stopped by a full pipe, and keeps the last bytes.
async fn tail(stderr: Option<impl AsyncRead + Unpin>) -> Bytes {
    let mut kept = Zeroizing::new(Vec::new());
    let Some(mut stderr) = stderr else {
        return kept;
    };
    let mut chunk = Zeroizing::new([0_u8; 4096]);
    while let Ok(n @ 1..) = stderr.read(&mut *chunk).await {
        kept.extend_from_slice(&chunk[..n]);
        let excess = kept.len().saturating_sub(8 * STDERR_TAIL);
        kept.drain(..excess);
    }
    kept
}

/// The last line of the error stream, in a form that can be shown: without anything that the command printed as its
/// result, without long words that look like a key, and short.
fn shown(tail: &[u8], output: &[u8]) -> String {
    let text = Zeroizing::new(String::from_utf8_lossy(tail).into_owned());
    let Some(line) = text.lines().map(str::trim).rfind(|l| !l.is_empty()) else {
        return String::new();
    };
    let mut line = line.to_owned();
    for printed in String::from_utf8_lossy(output).split_whitespace() {
        line = line.replace(printed, "[…]");
    }
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| {
            if looks_like_a_key(word) {
                "[…]"
            } else {
                word
            }
        })
        .collect();
    format!(": {}", last_bytes(&words.join(" "), STDERR_TAIL))
}

fn looks_like_a_key(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && !"_-+=.".contains(c))
        .any(|run| run.len() > 20 && run.bytes().any(|b| b.is_ascii_digit()))
}

fn last_bytes(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn command(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(String::from).to_vec()
    }

    async fn file_with(content: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, content).unwrap();
        (dir, SecretSource::File(path))
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("sesame-open-up".into()).unwrap();
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret Secret");
    }

    #[test]
    fn a_secret_is_found_and_hidden_in_texts() {
        let secret = Secret::new("ab/cd/efgh".into()).unwrap();
        let text = r#"{"a":"ab/cd/efgh","b":"ab\/cd\/efgh"}"#.to_owned();
        assert_eq!(secret.hide_in(text), r#"{"a":"[secret]","b":"[secret]"}"#);
    }

    #[test]
    fn a_secret_is_hidden_however_json_writes_it() {
        let hide = |value: &str, text: &str| {
            let secret = Secret::new(value.into()).unwrap();
            secret.hide_in(text.into())
        };
        let value = "ab+cd/ef==<&";
        for text in [
            r"ab+cd/ef==<&",
            r"ab+cd\/ef==<&",
            r"ab\u002bcd/ef\u003d\u003D\u003c\u0026",
            r"\u0061b\u002Bcd\/ef=\u003d<\u0026",
        ] {
            let shown = hide(value, &format!("é\\n{text}\\u0041{text}.\\"));
            assert_eq!(shown, "é\\n[secret]\\u0041[secret].\\", "{text}");
        }
        for other in [
            r"ab\u012bcd/ef==<&",
            r"ab\\u002bcd/ef==<&",
            r"ab+cd/ef==<\u00",
        ] {
            assert_eq!(hide(value, other), other);
        }
        assert_eq!(hide("aabaabaac", r"\u0061abaabaabaac"), "\\u0061ab[secret]");
        assert_eq!(hide(r"ab\/cd/efgh", r"ab\/cd/efgh"), "[secret]");
        assert_eq!(hide(r"ab\/cd/efgh", r"ab\\\/cd\/efgh"), "[secret]");
    }

    #[test]
    fn hiding_takes_one_pass_whatever_the_text() {
        let secret = Secret::new("a".repeat(40_000) + "b").unwrap();
        let text = format!("\\{}", "a".repeat(1 << 20));
        let began = std::time::Instant::now();
        assert_eq!(secret.hide_in(text.clone()), text);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn a_very_short_secret_does_not_chop_texts_up() {
        let secret = Secret::new("e".into()).unwrap();
        assert_eq!(secret.hide_in("theme".into()), "theme");
    }

    #[test]
    fn values_that_cannot_be_sent_are_refused() {
        for (text, bad) in [
            ("", BadSecret::Empty),
            (" \n ", BadSecret::Empty),
            ("a\nb", BadSecret::ManyLines),
            ("a\r\nb", BadSecret::ManyLines),
            ("eyJhbGc…", BadSecret::NotPlain),
            ("\u{feff}eyJ", BadSecret::NotPlain),
            ("a\tb", BadSecret::NotPlain),
            ("a\0b", BadSecret::NotPlain),
        ] {
            assert_eq!(Secret::new(text.into()).err(), Some(bad), "{text:?}");
        }
        assert_eq!(
            Secret::new("x".repeat(MAX_SECRET + 1)).err(),
            Some(BadSecret::TooLong)
        );
        assert!(Secret::new("x".repeat(MAX_SECRET)).is_ok());
    }

    #[tokio::test]
    async fn a_variable_that_is_set_is_read() {
        // Cargo sets it for every test.
        let source = SecretSource::Env("CARGO_PKG_NAME".into());
        assert_eq!(source.read().await.unwrap().expose(), "nightcall");
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_named_with_a_remedy() {
        let source = SecretSource::Env("NIGHTCALL_TEST_NOT_SET".into());
        let error = source.read().await.unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable NIGHTCALL_TEST_NOT_SET is not set: set it in the environment of \
             the daemon (under systemd: `EnvironmentFile=` of the unit)"
        );
    }

    #[tokio::test]
    async fn a_file_is_read_without_its_last_line_end() {
        let (_dir, source) = file_with(b"sesame\r\n").await;
        assert_eq!(source.read().await.unwrap().expose(), "sesame");
    }

    #[tokio::test]
    async fn errors_about_a_file_never_hold_its_text() {
        for content in [
            "sesame-1\nsesame-2\n".as_bytes(),
            "sesame-\u{e4}".as_bytes(),
            b"sesame\xff",
            &[b's'; MAX_SECRET + 10],
            b"\n",
        ] {
            let (_dir, source) = file_with(content).await;
            let error = source.read().await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(told.contains(&source.place()), "{told}");
            assert!(!told.contains("sesame") && !told.contains("ssss"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_and_a_folder_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let missing = SecretSource::File(dir.path().join("none"));
        let told = missing.read().await.unwrap_err().to_string();
        assert!(told.contains("No such file"), "{told}");
        let folder = SecretSource::File(dir.path().to_owned());
        let told = folder.read().await.unwrap_err().to_string();
        assert!(told.contains("is not a plain file"), "{told}");
    }

    #[tokio::test]
    async fn a_systemd_credential_is_a_file_of_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("carto-token"), "sesame\n").unwrap();
        let directory = || Some(dir.path().as_os_str().to_owned());
        let bytes = from_credential(directory(), "carto-token")
            .await
            .ok()
            .unwrap();
        assert_eq!(bytes.as_slice(), b"sesame\n");
        for (directory, name) in [
            (directory(), "other"),
            (directory(), "../carto-token"),
            (None, "carto-token"),
        ] {
            assert!(from_credential(directory, name).await.is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_command_prints_the_secret() {
        let source = SecretSource::Command(command("echo chatter >&2; echo sesame"));
        assert_eq!(source.read().await.unwrap().expose(), "sesame");
    }

    #[tokio::test]
    async fn the_arguments_of_a_command_are_not_shown() {
        let source = SecretSource::Command(command("echo sesame; exit 3"));
        let error = source.read().await.unwrap_err();
        let told = format!("{source} {source:?} {error} {error:?}");
        assert!(told.contains("exit status: 3"), "{told}");
        assert!(!told.contains("sesame"), "{told}");
    }

    #[tokio::test]
    async fn what_a_failed_command_says_is_shown_without_the_secret() {
        let script = "echo sesame; echo 'first' >&2; \
             echo 'permission denied for sesame with key eyJhbGciOiJIUzI1NiJ9.x1' >&2; exit 1";
        let source = SecretSource::Command(command(script));
        let told = source.read().await.unwrap_err().to_string();
        assert!(
            told.contains(": permission denied for […] with key […]: run it"),
            "{told}"
        );
        assert!(!told.contains("first"), "{told}");
    }

    #[tokio::test]
    async fn a_chatty_command_is_neither_blocked_nor_believed_without_bound() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' e >&2; echo sesame";
        let source = SecretSource::Command(command(script));
        assert_eq!(source.read().await.unwrap().expose(), "sesame");
        let script = "head -c 1000000 /dev/zero | tr '\\0' e; exit 0";
        let source = SecretSource::Command(command(script));
        assert!(source.read().await.is_err());
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 60", pid_file.display());
        let trouble = from_command(&command(&script), Duration::from_millis(300))
            .await
            .err()
            .unwrap();
        assert!(
            trouble.problem.contains("was killed"),
            "{}",
            trouble.problem
        );
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        assert!(
            !Path::new("/proc").join(pid.trim()).exists(),
            "process {pid} still lives"
        );
    }

    #[tokio::test]
    async fn commands_that_cannot_be_started_are_told() {
        for argv in [vec![], vec!["/nonexistent/vault".to_owned()]] {
            assert!(SecretSource::Command(argv).read().await.is_err());
        }
    }
}
