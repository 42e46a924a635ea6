//! Why an attempt did not succeed, in classes that decide something.

use std::fmt;
use std::time::Duration;

/// The longest stored message of a fault, in bytes; some warehouses quote the whole statement.
pub const MAX_MESSAGE: usize = 2048;

/// What a fault means for the run. `docs/vendor/carto.md` holds the tables by which the vendor's words are classed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// It would fail the same way every time: no retry, told at once.
    Permanent,
    /// It may pass: exponential backoff.
    Transient,
    /// It may pass, slowly: as transient, with at least a minute between attempts (rate limits in the warehouse).
    Slow,
    /// Worth one more attempt, then stop.
    Once,
    /// The connection is at fault, not the run: no attempt is used up, the connection's circuit opens.
    Connection(ConnectionFault),
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionFault {
    /// No connection could be made: name, route, TLS.
    Unreachable,
    /// The credential is missing or was refused (401).
    Unauthorized,
    /// Too many requests (429): the whole host pauses.
    TooMany,
    /// The vendor says that it is out of service (503).
    Unavailable,
}

const CLASSES: [(FaultClass, &str); 8] = [
    (FaultClass::Permanent, "permanent"),
    (FaultClass::Transient, "transient"),
    (FaultClass::Slow, "slow"),
    (FaultClass::Once, "once"),
    (
        FaultClass::Connection(ConnectionFault::Unreachable),
        "unreachable",
    ),
    (
        FaultClass::Connection(ConnectionFault::Unauthorized),
        "unauthorized",
    ),
    (
        FaultClass::Connection(ConnectionFault::TooMany),
        "too_many_requests",
    ),
    (
        FaultClass::Connection(ConnectionFault::Unavailable),
        "unavailable",
    ),
];

impl FaultClass {
    /// The word used in the store and in JSON.
    pub fn word(self) -> &'static str {
        CLASSES
            .iter()
            .find(|(class, _)| *class == self)
            .map_or("permanent", |(_, word)| word)
    }

    /// Reads [`word`](Self::word) back.
    pub fn from_word(word: &str) -> Option<Self> {
        CLASSES
            .iter()
            .find(|(_, w)| *w == word)
            .map(|(class, _)| *class)
    }
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it means for the run.
    pub class: FaultClass,
    /// The vendor's reason or code (`invalidQuery`, `42883`), or ours (`connect`, `http 502`).
    pub reason: String,
    /// Where, when the vendor says it (`query`).
    pub location: Option<String>,
    /// The vendor's words, bounded, never with a secret.
    pub message: String,
    /// How long the vendor asks us to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// One sentence that says what a person should do, when it is known.
    pub remedy: Option<String>,
}

impl Fault {
    /// A fault with nothing but its class, reason and message; the message is cut to [`MAX_MESSAGE`].
    pub fn new(class: FaultClass, reason: impl Into<String>, message: &str) -> Self {
        Self {
            class,
            reason: reason.into(),
            location: None,
            message: bounded(message, MAX_MESSAGE),
            retry_after: None,
            remedy: None,
        }
    }

    /// The same fault with a remedy.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What is wrong with the connection, when that is what is wrong.
    pub fn connection(&self) -> Option<ConnectionFault> {
        match self.class {
            FaultClass::Connection(fault) => Some(fault),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// The text cut to at most `max` bytes at a character boundary; a cut is shown by an ellipsis.
pub fn bounded(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_at_a_character_boundary() {
        let fault = Fault::new(FaultClass::Permanent, "x", &"é".repeat(5000));
        assert!(fault.message.len() <= MAX_MESSAGE && fault.message.ends_with('…'));
    }

    #[test]
    fn class_words_read_back() {
        for (class, word) in CLASSES {
            assert_eq!(
                (FaultClass::from_word(word), class.word()),
                (Some(class), word)
            );
        }
    }
}
