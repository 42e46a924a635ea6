//! What is wrong with a file: place, key path, message, remedy; and how it is shown.
//!
//! Shown as plain text, so that it reads the same in a terminal, a log and a pull request:
//!
//! ```text
//! schedules.toml:14:9  schedule.nightly.cron
//!   hour 25 is out of range, hours go from 0 to 23
//!   14 | cron = "0 25 * * *"
//!      |           ^^
//! ```

use std::fmt;
use std::path::PathBuf;

/// How many problems are shown; the rest is counted.
const SHOWN: usize = 100;

/// The most characters of a source line that are shown; a longer line is shown around the caret.
const WIDEST: usize = 120;

/// How many characters before the caret are kept of a line that is too long.
const BEFORE: usize = 40;

/// One thing that is wrong, or worth a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the current directory when it is inside; `None` when it concerns none in particular.
    pub file: Option<PathBuf>,
    /// Line from 1; 0 when it concerns no line.
    pub line: usize,
    /// Column from 1, in characters; 0 when it concerns no line.
    pub column: usize,
    /// How many characters the caret underlines; at least 1.
    pub width: usize,
    /// The line as it stands in the file; a line that may hold a secret, or is longer than 4 KiB, is not shown.
    pub source: Option<String>,
    /// The key path: `schedule.nightly.cron`.
    pub key: String,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that no line is to blame for.
    pub(super) fn of_file(file: Option<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file,
            line: 0,
            column: 0,
            width: 1,
            source: None,
            key: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with a remedy.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", printable(&file.display().to_string()))?,
            None => write!(f, "configuration")?,
        }
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "  {}", printable(&self.key))?;
        }
        Ok(())
    }

    /// The source line and the caret under it.
    fn caret(&self, f: &mut fmt::Formatter<'_>, source: &str) -> fmt::Result {
        let line: Vec<char> = source.chars().collect();
        let at = self.column.saturating_sub(1).min(line.len());
        let (from, to) = window(line.len(), at);
        let mut shown = String::new();
        let mut blank = String::new();
        if from > 0 {
            shown.push('…');
            blank.push(' ');
        }
        for (i, c) in line.iter().enumerate().take(to).skip(from) {
            shown.push(if c.is_control() && *c != '\t' {
                '\u{fffd}'
            } else {
                *c
            });
            if i < at {
                blank.push(if *c == '\t' { '\t' } else { ' ' });
            }
        }
        if to < line.len() {
            shown.push('…');
        }
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let carets = "^".repeat(self.width.clamp(1, (to - at).max(1)));
        writeln!(f)?;
        writeln!(f, "  {number} | {}", shown.trim_end())?;
        write!(f, "  {gutter} | {blank}{carets}")
    }
}

/// Which characters of a line of `len` are shown when the caret is at `at`.
fn window(len: usize, at: usize) -> (usize, usize) {
    if len <= WIDEST {
        return (0, len);
    }
    let from = at.saturating_sub(BEFORE).min(len - WIDEST);
    (from, from + WIDEST)
}

/// The text without control characters, which could move the cursor of a terminal.
fn printable(text: &str) -> String {
    let swap = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(swap).collect()
}

impl fmt::Display for Problem {
    /// Several lines, the last one without a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place(f)?;
        write!(f, "\n  {}", printable(&self.message))?;
        // a guess belongs to the message, a remedy stands by itself under the line that it mends
        let (guess, remedy) = match self.hint.as_deref() {
            Some(hint) if hint.starts_with("did you mean") => (Some(hint), None),
            hint => (None, hint),
        };
        if let Some(guess) = guess {
            write!(f, "; {}", printable(guess))?;
        }
        if let Some(source) = &self.source {
            self.caret(f, source)?;
        }
        if let Some(remedy) = remedy {
            write!(f, "\n  hint: {}", printable(remedy))?;
        }
        Ok(())
    }
}

/// At least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// The first hundred problems and how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.0.iter().take(SHOWN) {
            writeln!(f, "{problem}")?;
        }
        let count = self.0.len();
        if count > SHOWN {
            writeln!(f, "and {} more", count - SHOWN)?;
        }
        let plural = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {plural}, nothing was changed")
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        Problem {
            file: Some(PathBuf::from("schedules.toml")),
            line: 14,
            column: 11,
            width: 2,
            source: Some("cron = \"0 25 * * *\"".into()),
            key: "schedule.nightly.cron".into(),
            message: "hour 25 is out of range, hours go from 0 to 23".into(),
            hint: None,
        }
    }

    #[test]
    fn problems_are_shown_with_place_key_line_and_caret() {
        let mut other = problem();
        other.line = 22;
        other.source = None;
        other.column = 1;
        other.key = "schedule.nightly.timout".into();
        other.message = "unknown key".into();
        other.hint = Some("did you mean `timeout`?".into());
        insta::assert_snapshot!(Problems(vec![problem(), other]), @r#"
        schedules.toml:14:11  schedule.nightly.cron
          hour 25 is out of range, hours go from 0 to 23
          14 | cron = "0 25 * * *"
             |           ^^
        schedules.toml:22:1  schedule.nightly.timout
          unknown key; did you mean `timeout`?
        2 problems, nothing was changed
        "#);
    }

    #[test]
    fn only_a_hundred_are_shown_and_the_rest_is_counted() {
        let text = Problems(vec![problem(); 250]).to_string();
        assert_eq!(text.matches("hour 25").count(), 100);
        assert!(text.ends_with("and 150 more\n250 problems, nothing was changed"));
    }

    #[test]
    fn a_long_line_is_shown_around_its_caret() {
        let mut long = problem();
        long.source = Some(format!("{}WRONG{}", "a".repeat(300), "b".repeat(300)));
        long.column = 301;
        long.width = 5;
        let text = long.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[2].chars().position(|c| c == 'W');
        assert_eq!(lines[3].chars().position(|c| c == '^'), at);
        assert_eq!(lines[3].matches('^').count(), 5);
        assert!(lines.iter().all(|l| l.chars().count() < 140));
    }

    #[test]
    fn carets_stand_under_tabs_and_letters_beyond_ascii() {
        let mut tabbed = problem();
        tabbed.source = Some("\tná = 1".into());
        tabbed.column = 7;
        tabbed.width = 1;
        assert!(tabbed.to_string().ends_with("| \tná = 1\n     | \t     ^"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut wild = problem();
        wild.source = Some("a\u{1b}[2J = 1".into());
        wild.key = "a\u{1b}".into();
        wild.message = "x\u{7}".into();
        assert!(!wild.to_string().contains(['\u{1b}', '\u{7}']));
    }
}
