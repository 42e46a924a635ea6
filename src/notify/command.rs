//! A program of the user's own: it is given the message as JSON on its standard input, and says by its exit code what
//! became of it. No shell is between.
//!
//! Invariants: the program sees none of the daemon's environment but what [`KEPT`] names; whatever it does or leaves
//! undone (reading, writing, ending), the sending ends; when it ends early, the whole process group is killed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::hidden::Hidden;
use super::http::{self, again};
use super::plain::{self, ID, LINE};
use super::setup::{SetupError, TIMEOUT};
use super::{Message, Notifier, Reply, SendError, Sent, render};
use crate::secret::SecretSource;

/// Exit codes: taken.
pub const TAKEN: i32 = 0;

/// Exit codes: the program will never take this message (`EX_DATAERR` of sysexits). Every other code is tried again.
pub const REFUSED: i32 = 65;

/// What a program keeps of the daemon's environment. Secrets are there too, and none of its business.
pub const KEPT: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR",
];

/// As much of what the program prints as is kept, in bytes: the end.
const TAIL: usize = 4 << 10;

/// How long the program's streams are read after it ended; whoever it left behind may hold them open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a command channel needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandSettings {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments, given as they are.
    pub arguments: Vec<String>,
    /// Variables with secrets that the program needs, by name.
    pub secrets: Vec<(String, SecretSource)>,
    /// The longest that it may take; then it is killed, with all that it started.
    pub timeout: Duration,
}

impl CommandSettings {
    /// Without arguments and secrets.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            secrets: Vec::new(),
            timeout: TIMEOUT,
        }
    }
}

/// A program that tells people.
pub struct Program {
    settings: CommandSettings,
}

impl Program {
    /// Fails when there is no program or no time, and when a variable has a name that no variable can have.
    pub fn new(settings: CommandSettings) -> Result<Self, SetupError> {
        if settings.timeout.is_zero() {
            return Err(SetupError::Timeout);
        }
        if settings.program.as_os_str().is_empty() {
            return Err(SetupError::setting("program", "it is empty"));
        }
        let is_path = settings.program.components().count() > 1;
        if is_path && !settings.program.is_absolute() {
            return Err(SetupError::setting(
                "program",
                "write the whole path, or a name alone",
            ));
        }
        if settings
            .arguments
            .iter()
            .any(|argument| argument.contains('\0'))
        {
            return Err(SetupError::setting(
                "arguments",
                "no argument can hold a NUL character",
            ));
        }
        for (name, _) in &settings.secrets {
            let fits =
                !name.is_empty() && !name.contains(['=', '\0']) && !name.starts_with("NIGHTCALL_");
            if !fits {
                let why = format!("no variable can be called this: {name}");
                return Err(SetupError::setting("secrets", why));
            }
        }
        Ok(Self { settings })
    }

    async fn tell(&self, message: &Message) -> Result<Sent, SendError> {
        let mut command = Command::new(&self.settings.program);
        let mut hidden = Hidden::new();
        command
            .args(&self.settings.arguments)
            .env_clear()
            .envs(kept())
            .envs(variables(message))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for (name, source) in &self.settings.secrets {
            let secret = http::read(source).await?;
            command.env(name, secret.expose());
            hidden = hidden.and(&secret);
        }
        let child = command.spawn().map_err(|error| {
            let program = self.settings.program.display();
            again(format!("{program} cannot be started: {error}"))
        })?;
        drop(command);
        let input = render::json(message).to_string();
        let (status, printed) = Group::of(child).run(input.as_bytes()).await?;
        verdict(status, &printed, &hidden)
    }
}

impl Notifier for Program {
    fn send<'a>(
        &'a self,
        message: &'a Message,
        _thread: Option<&'a str>,
    ) -> Reply<'a, Result<Sent, SendError>> {
        Box::pin(async {
            let limit = self.settings.timeout;
            match tokio::time::timeout(limit, self.tell(message)).await {
                Ok(told) => told,
                Err(_) => Err(again(format!(
                    "{} did not end within {} s and was killed",
                    self.settings.program.display(),
                    limit.as_secs_f32()
                ))),
            }
        })
    }
}

fn kept() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT.iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// What a short script needs without reading JSON.
fn variables(message: &Message) -> [(&'static str, String); 7] {
    [
        ("NIGHTCALL_ID", plain::line(&message.id, ID)),
        ("NIGHTCALL_THREAD", plain::line(&message.thread, ID)),
        ("NIGHTCALL_SEVERITY", message.severity.word().to_owned()),
        ("NIGHTCALL_AT", message.at.to_string()),
        ("NIGHTCALL_INSTANCE", plain::line(&message.instance, LINE)),
        ("NIGHTCALL_SUBJECT", plain::line(&message.subject, LINE)),
        ("NIGHTCALL_ITEMS", message.items.len().to_string()),
    ]
}

fn verdict(status: ExitStatus, printed: &[u8], hidden: &Hidden) -> Result<Sent, SendError> {
    let said = || hidden.said(last_line(printed).as_bytes());
    match status.code() {
        Some(TAKEN) => Ok(Sent::default()),
        Some(REFUSED) => Err(SendError::GiveUp(format!(
            "the program refuses this message (exit code {REFUSED}){}",
            said()
        ))),
        Some(code) => Err(again(format!(
            "the program ended with exit code {code}{}",
            said()
        ))),
        None => Err(again(format!("the program ended with {status}{}", said()))),
    }
}

fn last_line(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed).into_owned();
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or_default().to_owned()
}

/// A program and whatever it starts: killed together when nobody waits for it any more.
struct Group {
    child: Child,
    /// As long as the program was not seen to end: its process id is the group's.
    leader: Option<u32>,
}

impl Group {
    fn of(child: Child) -> Self {
        let leader = child.id();
        Self { child, leader }
    }

    /// Gives it the input, and waits. Of what it prints the end is kept, of both streams together.
    async fn run(mut self, input: &[u8]) -> Result<(ExitStatus, Vec<u8>), SendError> {
        let (stdin, out, err) = (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        );
        let printed = Mutex::new(Vec::new());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not care for its input closes it: that is its affair.
                let _ = stdin.write_all(input).await;
            }
        };
        let mut streams = std::pin::pin!(async {
            tokio::join!(feed, tail(out, &printed), tail(err, &printed));
        });
        let mut read = false;
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                () = &mut streams, if !read => read = true,
            }
        };
        self.leader = None;
        if !read {
            let _ = tokio::time::timeout(LAST_WORDS, streams).await;
        }
        let status = status.map_err(|error| again(format!("the program was lost: {error}")))?;
        let printed = std::mem::take(&mut *printed.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((status, printed))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            kill(leader);
        }
    }
}

/// Kills every process of the group.
#[cfg(target_os = "linux")]
fn kill(leader: u32) {
    let leader = i32::try_from(leader)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}

/// Elsewhere the program alone is killed, as it is let go.
#[cfg(not(target_os = "linux"))]
fn kill(_leader: u32) {}

/// Reads to the end, so that the program is never stopped by a full pipe, and keeps the last bytes.
async fn tail(stream: Option<impl AsyncRead + Unpin>, kept: &Mutex<Vec<u8>>) {
    let Some(mut stream) = stream else {
        return;
    };
    let mut chunk = [0_u8; 4096];
    while let Ok(n @ 1..) = stream.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&chunk[..n]);
        let excess = kept.len().saturating_sub(TAIL);
        kept.drain(..excess);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_said_at_once() {
        let secret = |name: &str| (name.to_owned(), SecretSource::Env("X".into()));
        let cases: [(CommandSettings, &str); 5] = [
            (CommandSettings::new(""), "`program`"),
            (CommandSettings::new("bin/pager"), "whole path"),
            (
                CommandSettings {
                    timeout: Duration::ZERO,
                    ..CommandSettings::new("true")
                },
                "`timeout`",
            ),
            (
                CommandSettings {
                    secrets: vec![secret("A=B")],
                    ..CommandSettings::new("true")
                },
                "`secrets`",
            ),
            (
                CommandSettings {
                    secrets: vec![secret("NIGHTCALL_ID")],
                    ..CommandSettings::new("true")
                },
                "`secrets`",
            ),
        ];
        for (settings, part) in cases {
            let error = Program::new(settings).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn settings_show_places_only() {
        let settings = CommandSettings {
            secrets: vec![(
                "PAGER_KEY".into(),
                SecretSource::Command(vec!["echo".into(), "t0ken".into()]),
            )],
            ..CommandSettings::new("pager")
        };
        assert!(!format!("{settings:?}").contains("t0ken"));
    }
}
