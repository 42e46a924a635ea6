//! Every exit code with its meaning, in one table; `docs/operations.md` says what to do about each.

use std::fmt;
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// The run that was waited for did not succeed, or what was asked for does not exist.
    Failed,
    /// The daemon refused what was asked, and nothing was started; or `plan` found changes.
    Refused,
    /// Nothing is wrong, but somebody should look.
    Warned,
    /// The command line cannot be understood (as in `sysexits.h`).
    Usage,
    /// No daemon is running, or it cannot answer now.
    Unavailable,
    /// A bug in nightcall.
    Software,
    /// The database cannot be read or written.
    Store,
    /// Another daemon holds the database or the control socket.
    Held,
    /// The configuration is wrong; nothing was started.
    Config,
}

impl Exit {
    /// Every code with its number and meaning.
    pub const ALL: [(Self, u8, &'static str); 10] = [
        (Self::Ok, 0, "all is well"),
        (
            Self::Failed,
            1,
            "the run that was waited for did not succeed, what was asked for does not exist, or `status`, \
             `report` or `doctor` found something wrong",
        ),
        (
            Self::Refused,
            2,
            "the daemon refused what was asked, and nothing was started; or `plan` found changes",
        ),
        (
            Self::Warned,
            3,
            "`doctor` found nothing worse than a warning",
        ),
        (Self::Usage, 64, "the command line cannot be understood"),
        (
            Self::Unavailable,
            69,
            "no daemon is running, or it cannot answer now",
        ),
        (Self::Software, 70, "a bug in nightcall"),
        (
            Self::Store,
            74,
            "the database cannot be read or written, or the local API cannot be opened",
        ),
        (
            Self::Held,
            75,
            "another daemon holds the database or the control socket",
        ),
        (
            Self::Config,
            78,
            "the configuration is wrong; nothing was started",
        ),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(exit, ..)| *exit == self)
            .map_or(70, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command could not do what it was asked: what is said, what to do, and how the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// One sentence, or all the problems of a configuration.
    pub message: String,
    /// The next command to type, or another remedy.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a remedy.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// A failure whose message says all.
    pub fn plain(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }
}

impl Failure {
    /// The same failure with this remedy.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n{hint}")?;
        }
        Ok(())
    }
}

/// What a command gives back.
pub type Outcome = Result<Exit, Failure>;
