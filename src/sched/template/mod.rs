//! Templates: texts that say something of the occurrence that they are rendered for, such as `{{ date - 1d }}`.
//!
//! A template is read once, with the configuration. What was read cannot fail: rendering happens when an occurrence is
//! decided, at night, and there is nobody to ask. Where to read: `parse.rs` (the language), `date.rs` (what can be done
//! with a date), `format.rs` (how it is written).
//!
//! Invariant: whatever [`Template::parse`] took renders for every occurrence, to the same text each time. Dates are kept
//! within the years 1 to 9999; what lies outside is the first or the last day of them.

mod date;
mod format;
mod parse;

use std::ops::Range;

use self::date::{EDGES, Moment, Step, UNITS};
use self::format::Format;
use super::id::RunId;
use super::time::{TimeZone, civil};
use super::trigger::Fold;

/// The names that stand for something of an occurrence.
const NAMES: [&str; 5] = ["date", "nominal", "schedule", "set", "run"];

/// The most digits of a number that every reader of JSON keeps.
const DIGITS: usize = 15;

/// What a template is rendered for.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The run that is made, with its schedule and set.
    pub run: &'a RunId,
    /// The nominal wall time in the schedule's zone; inside a gap the missing time.
    pub civil: civil::DateTime,
    /// Which of two equal wall times.
    pub fold: Fold,
    /// The schedule's zone.
    pub zone: &'a TimeZone,
}

/// A text with places that an occurrence fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Name(Name),
    Dated(Dated),
}

/// What is text as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Schedule,
    Set,
    Run,
}

/// A date or a time, what is done with it, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dated {
    /// `nominal`, with a time of day; else `date`.
    timed: bool,
    steps: Box<[Step]>,
    format: Option<Format>,
}

/// Why a text is no template: the place, one sentence, and what to write instead. The sentence repeats nothing of the
/// text, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// The words that are known where an unknown one stands.
    pub known: Vec<&'static str>,
}

impl TemplateError {
    fn new(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: hint.into(),
            known: Vec::new(),
        }
    }
}

fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

/// Every word and letter of the language.
pub fn vocabulary() -> Vec<String> {
    let names = NAMES.into_iter().chain(["format"]);
    let words = names.chain(words(&EDGES)).chain(words(&UNITS));
    let words = words.map(str::to_owned);
    words.chain(format::letters()).collect()
}

/// Whether a text asks to be a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

impl Template {
    /// Reads a text. One without `{{` is itself.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::template(text).map(|pieces| Self(pieces.into()))
    }

    /// The text for an occurrence.
    pub fn render(&self, occasion: &Occasion<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            piece.render(occasion, &mut out);
        }
        out
    }

    /// The number for an occurrence; leading zeros are dropped. 0 of a template that is not
    /// [always one](Template::always_number).
    pub fn number(&self, occasion: &Occasion<'_>) -> i64 {
        let text = self.render(occasion);
        text.parse().unwrap_or_default()
    }

    /// Whether every occurrence gives a whole number that every reader of JSON keeps; else why not, and a remedy.
    pub fn always_number(&self) -> Result<(), (String, &'static str)> {
        const REMEDY: &str = "write { number = \"{{ date | format('%Y%m%d') }}\" }, or leave the text without number";
        let mut count = 0;
        for (index, piece) in self.0.iter().enumerate() {
            match piece.digits(index == 0) {
                Some(more) => count += more,
                None => {
                    let message = "does not always give a whole number: it takes digits alone";
                    return Err((message.to_owned(), REMEDY));
                }
            }
        }
        match count {
            0 => Err(("gives no number: it is empty".to_owned(), REMEDY)),
            1..=DIGITS => Ok(()),
            _ => {
                let message = format!(
                    "gives up to {count} digits, and many readers of JSON round beyond {DIGITS}"
                );
                Err((message, "send it as text: leave out number"))
            }
        }
    }

    /// Whether it follows the date of the occurrence.
    pub fn is_dated(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Dated(_)))
    }
}

impl Piece {
    fn render(&self, occasion: &Occasion<'_>, out: &mut String) {
        let series = &occasion.run.series;
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Name(Name::Schedule) => out.push_str(series.schedule.as_str()),
            Self::Name(Name::Set) => out.push_str(series.set.as_str()),
            Self::Name(Name::Run) => out.push_str(&occasion.run.to_string()),
            Self::Dated(dated) => dated.render(occasion, out),
        }
    }

    /// How many digits it gives at most; `None` when it may give anything else. The first may have a sign.
    fn digits(&self, first: bool) -> Option<usize> {
        match self {
            Self::Text(text) => format::all_digits(text),
            Self::Name(_) => None,
            Self::Dated(dated) => dated.format.as_ref()?.digits(first),
        }
    }
}

impl Dated {
    fn render(&self, occasion: &Occasion<'_>, out: &mut String) {
        let start = match self.timed {
            true => Moment::time(occasion.civil, occasion.fold, occasion.zone),
            false => Moment::day(occasion.civil.date()),
        };
        let moment = self
            .steps
            .iter()
            .fold(start, |moment, step| moment.moved(step, occasion.zone));
        match &self.format {
            Some(format) => format.write(moment, out),
            None => format::write_plain(moment, out),
        }
    }
}

#[cfg(test)]
mod tests;
