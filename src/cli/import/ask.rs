//! Questions to a person at a terminal.

use std::io::{BufRead, Write};

use crate::cli::exit::{Exit, Failure};

/// A terminal hands a line on in one piece, and cuts it here.
const LONGEST_LINE: usize = 4095;

/// How often a question is asked again.
const TRIES: usize = 20;

/// Somebody who can be asked.
pub(super) struct Person<'a> {
    from: &'a mut dyn BufRead,
    to: &'a mut dyn Write,
}

impl<'a> Person<'a> {
    pub(super) fn new(from: &'a mut dyn BufRead, to: &'a mut dyn Write) -> Self {
        Self { from, to }
    }

    /// Tells something.
    pub(super) fn tell(&mut self, text: &str) {
        // Whoever cannot be told anything will not answer either.
        let _ = writeln!(self.to, "{text}");
    }

    /// What is pasted, to its end (Ctrl-D): a text may have empty lines, and whatever was left of it would be typed into
    /// the shell afterwards.
    pub(super) fn paste(&mut self, most: usize) -> Result<String, Failure> {
        self.tell("paste the curl command of CARTO's dialog, then press Enter and Ctrl-D:");
        let mut text = String::new();
        let mut wrong = None;
        loop {
            let read = self.from.read_line(&mut text).map_err(|_| unreadable())?;
            if read >= LONGEST_LINE {
                wrong.get_or_insert_with(cut);
            }
            if text.len() > most {
                wrong.get_or_insert_with(super::source::too_large);
                text.clear();
            }
            if read == 0 {
                return wrong.map_or(Ok(text), Err);
            }
        }
    }

    /// An answer that `check` takes; what it says against one is told, and asked again.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        proposal: Option<&str>,
        mut check: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        for _ in 0..TRIES {
            let shown = proposal
                .map(|text| format!(" [{text}]"))
                .unwrap_or_default();
            let _ = write!(self.to, "{question}{shown}: ");
            let _ = self.to.flush();
            let mut line = String::new();
            let read = self.from.read_line(&mut line).map_err(|_| unreadable())?;
            if read == 0 {
                break;
            }
            let answer = match (line.trim(), proposal) {
                ("", Some(proposal)) => proposal,
                (answer, _) => answer,
            };
            match check(answer) {
                Ok(value) => return Ok(value),
                Err(why) => self.tell(&format!("  {why}")),
            }
        }
        Err(Failure::new(
            Exit::Usage,
            "there was no answer, and nothing was written",
            "say it on the command line: --name NAME --cron \"15 2 * * *\"",
        ))
    }
}

fn cut() -> Failure {
    Failure::new(
        Exit::Usage,
        "a line of the command is longer than a terminal takes (4095 bytes)",
        "save the command in a file: nightcall import FILE",
    )
}

fn unreadable() -> Failure {
    Failure::plain(Exit::Usage, "the terminal cannot be read")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a person who types this makes of it, and what is seen.
    fn with<T>(typed: &str, what: impl FnOnce(&mut Person<'_>) -> T) -> (T, String) {
        let mut seen = Vec::new();
        let mut from = typed.as_bytes();
        let made = what(&mut Person::new(&mut from, &mut seen));
        (made, String::from_utf8(seen).unwrap())
    }

    #[test]
    fn a_paste_is_read_to_its_end() {
        let typed = "\ncurl -d '{\n\n\"a\":1}' \\\n\ncurl x";
        let (text, seen) = with(typed, |person| person.paste(1000).unwrap());
        assert_eq!(text, typed);
        assert!(seen.contains("Ctrl-D"), "{seen}");
    }

    #[test]
    fn a_line_that_the_terminal_cut_is_not_believed() {
        let (told, _) = with(&"x".repeat(5000), |person| person.paste(10_000));
        assert!(told.unwrap_err().message.contains("longer than a terminal"));
        let (told, _) = with(&"x\n".repeat(500), |person| person.paste(600));
        assert!(told.unwrap_err().message.contains("larger than"));
    }

    #[test]
    fn a_wrong_answer_is_asked_again_and_an_empty_one_is_the_proposal() {
        let check = |text: &str| text.parse::<u32>().map_err(|_| "no number".to_owned());
        let (answer, seen) = with("x\n7\n", |p| p.ask("how many", None, check).unwrap());
        assert_eq!(answer, 7);
        assert_eq!(seen, "how many:   no number\nhow many: ");
        let (answer, _) = with("\n", |p| p.ask("how many", Some("3"), check).unwrap());
        assert_eq!(answer, 3);
        let (failure, _) = with("x\n", |p| p.ask("how many", None, check).unwrap_err());
        assert_eq!(failure.exit, Exit::Usage);
    }
}
