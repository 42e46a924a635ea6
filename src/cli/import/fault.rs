//! What is wrong with a command. By construction it can say only what is written here and a line number: a command holds
//! a token, and nobody knows where when it is malformed.

use std::fmt;

/// Why a command cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the command, from 1.
    pub(super) line: Option<usize>,
    /// What is wrong: a lower-case fragment.
    pub(super) message: &'static str,
    /// What to do about it.
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(super) const fn new(message: &'static str, hint: &'static str) -> Self {
        Self {
            line: None,
            message,
            hint: Some(hint),
        }
    }

    /// A quote or the like that is open at the end of the text.
    pub(super) const fn open(message: &'static str) -> Self {
        Self::new(message, "copy the command again, whole")
    }

    /// The same at this line, unless it has one.
    pub(super) fn at(self, line: usize) -> Self {
        Self {
            line: self.line.or(Some(line)),
            ..self
        }
    }

    /// The same with another remedy.
    pub(super) fn with_hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(self.message)?;
        match self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
