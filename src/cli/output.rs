//! How commands speak: tables and sentences for people, one JSON object a line for programs.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{Exit, Failure};

/// The blanks between two columns.
const GAP: u16 = 2;

/// The columns of a line where there is no terminal.
const ELSEWHERE: usize = 100;

/// The last column of a table is not broken when less room than this is left for it.
const NARROW: u16 = 24;

/// Where the words of a command go. Colour, and lines broken to the width, only on a terminal; a reader that has seen
/// enough (`| head`) ends the command quietly. Clones write to the same place.
#[derive(Clone)]
pub struct Output {
    /// One JSON object a line.
    pub json: bool,
    terminal: bool,
    to: Arc<Mutex<dyn Write + Send>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Standard output.
    pub fn stdout(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            to: Arc::new(Mutex::new(anstream::stdout())),
        }
    }

    /// Any other place (a file, a buffer), as plain text.
    pub fn plain(json: bool, to: Arc<Mutex<dyn Write + Send>>) -> Self {
        Self {
            json,
            terminal: false,
            to,
        }
    }

    /// A line for people, or for programs that read text.
    pub fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        written(writeln!(to, "{}", text.as_ref()))
    }

    /// One JSON object on a line of its own.
    pub fn object(&self, object: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(object)
            .map_err(|error| Failure::plain(Exit::Software, error.to_string()))?;
        self.line(text)
    }

    /// How many columns a line has at most: those of the terminal, 100 elsewhere.
    pub fn width(&self) -> usize {
        let terminal = Table::new().width().filter(|_| self.terminal);
        terminal.map_or(ELSEWHERE, usize::from)
    }

    /// A text in the colour of an outcome, where there are colours.
    pub fn coloured(&self, text: &str, outcome: &str) -> String {
        let code = match colour(outcome) {
            Color::Green => 32,
            Color::Red => 31,
            Color::Yellow => 33,
            _ => 36,
        };
        match self.terminal {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    /// A table with a head line. Columns are as wide as they must be; on a terminal the last one is broken to fit.
    pub fn table<C: Into<Cell>>(&self, head: &[&str], rows: Vec<Vec<C>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if !self.terminal {
            table.force_no_tty();
        }
        table.set_header(head.to_vec());
        table.add_rows(rows);
        let last = head.len().saturating_sub(1);
        let widths = table.column_max_content_widths();
        let before_last: u16 = widths.iter().take(last).map(|width| width + GAP).sum();
        let room = table.width().unwrap_or(0).saturating_sub(before_last);
        table.set_content_arrangement(match self.terminal && room >= NARROW {
            true => ContentArrangement::Dynamic,
            false => ContentArrangement::Disabled,
        });
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            if index < last {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        self.line(table.trim_fmt())
    }
}

/// How a run ended, or where it stands, in its colour.
pub fn outcome_cell(word: &str) -> Cell {
    Cell::new(word).fg(colour(word))
}

/// The colour of an outcome, of a state, or of an attempt that is followed by another.
fn colour(word: &str) -> Color {
    match word {
        "succeeded" => Color::Green,
        "failed" | "timed_out" | "lost" => Color::Red,
        "skipped" | "cancelled" | "retries" => Color::Yellow,
        _ => Color::Cyan,
    }
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        // Whoever read this has seen enough: no fault of the command.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::plain(Exit::Ok, String::new()))
        }
        Err(error) => Err(Failure::plain(
            Exit::Software,
            format!("cannot write the output: {error}"),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn captured(write: impl FnOnce(&Output)) -> String {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        write(&Output::plain(false, buffer.clone()));
        let bytes = buffer.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be_without_trailing_blanks() {
        let text = captured(|out| {
            let rows = vec![
                vec![
                    "a",
                    "long text that no terminal breaks".repeat(5).as_str(),
                    "",
                ],
                vec!["  b", "c", "d"],
            ]
            .into_iter()
            .map(|row| row.into_iter().map(str::to_owned).collect())
            .collect::<Vec<Vec<String>>>();
            out.table(&["ONE", "TWO", "THREE"], rows).unwrap();
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[2].starts_with("  b  c "), "{text}");
        assert!(lines.iter().all(|line| line.trim_end() == *line));
    }

    #[test]
    fn no_colour_leaves_for_anything_but_a_terminal() {
        let text = captured(|out| {
            out.table(&["OUTCOME"], vec![vec![outcome_cell("failed")]])
                .unwrap();
        });
        assert_eq!(text, "OUTCOME\nfailed\n");
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let out = Output::plain(false, Arc::new(Mutex::new(Closed)));
        let failure = out.line("x").unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Ok, ""));
    }
}
