//! A pasted text as the commands and words that a shell would make of it.
//!
//! The crates that split words (`shlex`, `shell-words`) know neither `$'…'`, which browsers and CARTO's users write, nor
//! variables, nor the end of a command; and they hand out the token as they hand out every other word. So this is our
//! own reader, held against `shlex` by a property test. Nothing is expanded and nothing is run.
//!
//! Invariant: the value of an `Authorization` header leaves this file as a [`Secret`] or not at all.

use super::fault::Fault;
use crate::secret::Secret;

mod quotes;

use quotes::{Part, Reader};

/// The commands of a text, and the secrets that were in it.
#[derive(Default)]
pub(super) struct Script {
    /// In order; what stands behind a pipe is left out, but for `curl`.
    pub(super) commands: Vec<Command>,
    /// So that it can be shown that none of them goes out again.
    pub(super) secrets: Vec<Secret>,
    /// What the text seems to have suffered on its way here, as a remedy.
    pub(super) suffered: Option<&'static str>,
}

/// One command.
pub(super) struct Command {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Its words; at least one.
    pub(super) words: Vec<Word>,
}

/// One word without its quotes.
#[derive(Clone)]
pub(super) struct Word {
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Of an `Authorization` header: how the token was given.
    pub(super) credential: Option<Credential>,
    parts: Vec<Part>,
}

/// How the token was given. Not the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// As it is.
    Literal,
    /// In an environment variable of this name.
    Variable(String),
    /// As the output of a command, or otherwise by the shell.
    Shell,
}

const NEEDS_A_SHELL: Fault = Fault::new(
    "a shell would put something else here: a variable or the output of a command",
    "write the value itself, or put the text between single quotes if the $ or ` belongs to it",
);

impl Word {
    /// The text; a fault when a shell would make something of it.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        match self.parts.as_slice() {
            [] => Ok(""),
            [Part::Text(text)] => Ok(text),
            _ => Err(NEEDS_A_SHELL.at(self.line)),
        }
    }

    /// What it begins with.
    pub(super) fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The word without so many bytes of its beginning; `None` when nothing is left.
    pub(super) fn tail(&self, bytes: usize) -> Option<Self> {
        let mut tail = self.clone();
        if let Some(Part::Text(text)) = tail.parts.first_mut() {
            *text = text.get(bytes..).unwrap_or_default().to_owned();
            if text.is_empty() {
                tail.parts.remove(0);
            }
        }
        let left = !tail.parts.is_empty() || tail.credential.is_some();
        left.then_some(tail)
    }

    /// How the token is given by a word that is nothing but the token.
    pub(super) fn as_credential(&self) -> Credential {
        credential(&self.parts)
    }

    /// Cuts the value of an `Authorization` header off.
    fn cut_credential(&mut self, secrets: &mut Vec<Secret>) {
        let head = self.head();
        let lower = head.to_ascii_lowercase();
        keep_bearer(head, &lower, secrets);
        let Some(name) = lower.find("authorization") else {
            return;
        };
        // `-H`, `--header=` and `Proxy-` may stand before it; a body in which the word occurs is no header
        let before = |c: char| c.is_ascii_alphabetic() || "-= \"'".contains(c);
        if !lower[..name].chars().all(before) {
            return;
        }
        let end = name + "authorization".len();
        let end = head[end..].find(':').map_or(head.len(), |at| end + at + 1);
        let mut value = self.parts.split_off(0);
        if let Some(Part::Text(text)) = value.first_mut() {
            let rest = text.split_off(end);
            let name = std::mem::replace(text, rest);
            self.parts.push(Part::Text(name));
        }
        for part in &value {
            if let Part::Text(text) = part {
                keep(text, secrets);
            }
        }
        self.credential = Some(credential(&value));
    }
}

/// How the value of a header gives its token.
fn credential(value: &[Part]) -> Credential {
    let mut found = Credential::Literal;
    for part in value {
        match (part, &found) {
            (Part::Variable(name), Credential::Literal) => {
                found = Credential::Variable(name.clone());
            }
            (Part::Variable(_) | Part::Shell, _) => found = Credential::Shell,
            (Part::Text(_), _) => {}
        }
    }
    found
}

/// Remembers the words of a credential, so that it is noticed when one of them would be shown.
fn keep(value: &str, secrets: &mut Vec<Secret>) {
    let words = value.split([' ', '\t', '"', '\'', ',']);
    for word in words.filter(|word| !word.eq_ignore_ascii_case("bearer")) {
        secrets.extend(Secret::new(word.to_owned()));
    }
}

/// A header without its name.
fn keep_bearer(text: &str, lower: &str, secrets: &mut Vec<Secret>) {
    if lower.starts_with("bearer ") {
        keep(&text["bearer ".len()..], secrets);
    }
}

/// What is seen of a text that a word processor or another system has had in its hands.
fn suffered(text: &str) -> Option<&'static str> {
    if text.contains(['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{a0}']) {
        return Some(
            "the text has typographic quotes or blanks: copy the command from CARTO's dialog itself",
        );
    }
    let caret = text.contains("^\n") || text.contains("^\r\n");
    caret.then_some("this is the form for the Windows prompt: copy it as cURL for bash")
}

/// The commands of a text.
pub(super) fn script(text: &str) -> Result<Script, Fault> {
    let suffered = suffered(text);
    let mended = |fault: Fault| suffered.map_or(fault, |hint| fault.with_hint(hint));
    let script = read(text).map_err(mended)?;
    Ok(Script { suffered, ..script })
}

fn read(text: &str) -> Result<Script, Fault> {
    let mut reader = Reader::new(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut script = Script::default();
    let mut words: Vec<Word> = Vec::new();
    let mut behind_pipe = false;
    loop {
        let token = reader.token().map_err(|fault| fault.at(reader.line))?;
        match token {
            Token::Word { line, parts } => {
                let mut word = Word {
                    line,
                    parts,
                    credential: None,
                };
                word.cut_credential(&mut script.secrets);
                words.push(word);
                continue;
            }
            // behind a pipe the command may begin on the next line
            Token::End if behind_pipe && words.is_empty() => continue,
            Token::End | Token::Pipe | Token::Nothing => {}
        }
        let whole = std::mem::take(&mut words);
        // what a pipe leads to is no concern of ours, unless it sends the request
        let curl = |word: &Word| word.text() == Ok("curl");
        if !behind_pipe || whole.first().is_some_and(curl) {
            script.commands.extend(command(whole));
        }
        behind_pipe = matches!(token, Token::Pipe);
        if matches!(token, Token::Nothing) {
            return Ok(script);
        }
    }
}

/// A command whose words a shell has split already.
pub(super) fn given(words: &[String]) -> Script {
    let mut script = Script::default();
    let mut made = Vec::new();
    for text in words {
        let mut word = Word {
            line: 1,
            parts: vec![Part::Text(text.clone())],
            credential: None,
        };
        word.cut_credential(&mut script.secrets);
        made.push(word);
    }
    script.commands.extend(command(made));
    script
}

/// Without the prompt that was copied along.
fn command(mut words: Vec<Word>) -> Option<Command> {
    if words.first().is_some_and(|word| word.text() == Ok("$")) {
        words.remove(0);
    }
    let line = words.first()?.line;
    Some(Command { line, words })
}

/// What the reader finds next.
enum Token {
    Word {
        line: usize,
        parts: Vec<Part>,
    },
    /// The end of a command.
    End,
    /// What follows gets what this command prints.
    Pipe,
    /// The end of the text.
    Nothing,
}

#[cfg(test)]
mod tests;
