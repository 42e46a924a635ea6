//! The language of templates.
//!
//! ```text
//! template   = { text | "{{" expression "}}" }
//! expression = quoted | "schedule" | "set" | "run" | ( "date" | "nominal" ) { step } [ "|" "format" "(" quoted ")" ]
//! step       = ( "+" | "-" ) number unit | "|" edge
//! ```
//!
//! Steps are done from left to right. White space between words does not matter; quotes are single or double.

use std::ops::Range;

use super::date::{EDGES, Step, UNITS, Unit};
use super::format::Format;
use super::{Dated, NAMES, Name, Piece, TemplateError, words};

/// The most expressions of one text.
const MOST_EXPRESSIONS: usize = 100;

/// The most steps of one expression.
const MOST_STEPS: usize = 20;

/// The largest number of an offset.
const LARGEST: u16 = 9_999;

/// Text and expressions in turn.
pub(super) fn template(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut at, mut expressions) = (0, 0);
    while let Some(found) = text[at..].find("{{") {
        push_text(&mut pieces, &text[at..at + found]);
        let open = at + found;
        expressions += 1;
        if expressions > MOST_EXPRESSIONS {
            let message = format!("there are more than {MOST_EXPRESSIONS} templates in one text");
            let hint = "make several values of it";
            return Err(TemplateError::new(open..open + 2, message, hint));
        }
        let mut reader = Reader {
            text,
            open,
            at: open + 2,
        };
        match reader.expression()? {
            Piece::Text(literal) => push_text(&mut pieces, &literal),
            piece => pieces.push(piece),
        }
        at = reader.at;
    }
    push_text(&mut pieces, &text[at..]);
    Ok(pieces)
}

/// Neighbouring texts are one.
fn push_text(pieces: &mut Vec<Piece>, more: &str) {
    match pieces.last_mut() {
        _ if more.is_empty() => {}
        Some(Piece::Text(text)) => *text = format!("{text}{more}").into(),
        _ => pieces.push(Piece::Text(more.into())),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    Number(&'t str),
    Quoted(&'t str),
    Sign(char),
    Close,
}

/// Reads one expression, from behind its `{{`.
struct Reader<'t> {
    text: &'t str,
    open: usize,
    at: usize,
}

type Read<T> = Result<T, TemplateError>;

impl<'t> Reader<'t> {
    /// The next token and where it stands.
    fn token(&mut self) -> Read<(Token<'t>, Range<usize>)> {
        let text = self.text;
        let blank = text[self.at..].len() - text[self.at..].trim_start().len();
        let start = self.at + blank;
        let rest = &text[start..];
        let Some(first) = rest.chars().next() else {
            let hint = "close it with }}; a {{ that is meant as text is written {{ '{{' }}";
            return Err(TemplateError::new(
                self.open..self.open + 2,
                "this {{ is not closed",
                hint,
            ));
        };
        let while_in = |is: fn(char) -> bool| rest.find(|c: char| !is(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let end = while_in(|c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Word(&rest[..end]), end)
            }
            '0'..='9' => {
                let end = while_in(|c| c.is_ascii_digit());
                (Token::Number(&rest[..end]), end)
            }
            '\'' | '"' => {
                let Some(end) = rest[1..].find(first) else {
                    let hint = "close it with the quote that opens it";
                    return Err(TemplateError::new(
                        start..start + 1,
                        "this quote is not closed",
                        hint,
                    ));
                };
                (Token::Quoted(&rest[1..=end]), end + 2)
            }
            '}' if rest.starts_with("}}") => (Token::Close, 2),
            sign => (Token::Sign(sign), sign.len_utf8()),
        };
        self.at = start + length;
        Ok((token, start..start + length))
    }

    /// Only `}}` may follow.
    fn close(&mut self, message: &str, hint: &str) -> Read<()> {
        match self.token()? {
            (Token::Close, _) => Ok(()),
            (_, span) => Err(TemplateError::new(span, message, hint)),
        }
    }

    fn expression(&mut self) -> Read<Piece> {
        let (token, span) = self.token()?;
        let word = match token {
            Token::Word(word) => word,
            Token::Quoted(literal) => {
                let hint = "write {{ '{{' }} for the text {{";
                self.close("nothing may follow a quoted text", hint)?;
                return Ok(Piece::Text(literal.into()));
            }
            Token::Close => {
                let span = self.open..self.at;
                let hint = format!("write {{{{ date }}}}; there are: {}", NAMES.join(", "));
                return Err(TemplateError::new(span, "names nothing", hint));
            }
            Token::Number(_) | Token::Sign(_) => {
                let hint = format!(
                    "begin with one of {}; a {{{{ that is meant as text is written {{{{ '{{{{' }}}}",
                    NAMES.join(", ")
                );
                return Err(TemplateError::new(span, "a name must stand here", hint));
            }
        };
        let name = match word {
            "date" => return self.dated(false),
            "nominal" => return self.dated(true),
            "schedule" => Name::Schedule,
            "set" => Name::Set,
            "run" => Name::Run,
            word => return Err(no_name(span, word)),
        };
        self.close(
            "this is a name and no date, so nothing may follow it",
            "close it with }}",
        )?;
        Ok(Piece::Name(name))
    }

    /// What follows `date` or `nominal`.
    fn dated(&mut self, timed: bool) -> Read<Piece> {
        let mut steps = Vec::new();
        // whether what has been made so far has a time of day
        let mut has_time = timed;
        let format = loop {
            let (token, span) = self.token()?;
            if steps.len() >= MOST_STEPS && token != Token::Close {
                let message = format!("there are more than {MOST_STEPS} steps");
                return Err(TemplateError::new(span, message, "make fewer of them"));
            }
            match token {
                Token::Close => break None,
                Token::Sign(sign @ ('+' | '-')) => {
                    steps.push(self.shift(sign == '-', span, has_time)?);
                }
                Token::Sign('|') => match self.filter(has_time)? {
                    Filter::To(step) => {
                        steps.push(step);
                        has_time = false;
                    }
                    Filter::Format(format) => break Some(format),
                },
                _ => {
                    let hint = "write {{ date - 1d }} or {{ date | month_start }}";
                    let message = "one of + - | }} must stand here";
                    return Err(TemplateError::new(span, message, hint));
                }
            }
        };
        let steps = steps.into();
        Ok(Piece::Dated(Dated {
            timed,
            steps,
            format,
        }))
    }

    /// A number and its unit, behind a sign.
    fn shift(&mut self, back: bool, sign: Range<usize>, has_time: bool) -> Read<Step> {
        let (token, span) = self.token()?;
        let Token::Number(digits) = token else {
            let hint = "write a number with its unit, as in {{ date - 1d }}";
            let behind = sign.start..span.end;
            return Err(TemplateError::new(
                behind,
                "a number must follow the sign",
                hint,
            ));
        };
        let count = match digits.parse() {
            Ok(count) if count <= LARGEST => count,
            _ => {
                let message = format!("an offset is at most {LARGEST}");
                return Err(TemplateError::new(span, message, "take a larger unit"));
            }
        };
        let (token, at) = self.token()?;
        let Token::Word(word) = token else {
            let message = "the number has no unit";
            return Err(TemplateError::new(span, message, unit_hint("")));
        };
        let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == word) else {
            let message = "there is no such unit";
            return Err(TemplateError::new(at, message, unit_hint(word)));
        };
        if unit.is_timed() && !has_time {
            let message = "a date has no hours and minutes";
            let hint = "write {{ nominal - 1h }}, which has a time of day";
            return Err(TemplateError::new(span.start..at.end, message, hint));
        }
        let unit: Unit = *unit;
        Ok(Step::Shift { back, count, unit })
    }

    /// What follows `|`.
    fn filter(&mut self, has_time: bool) -> Read<Filter> {
        let (token, span) = self.token()?;
        let Token::Word(word) = token else {
            let hint = format!(
                "write format('%Y%m%d'), or one of {}",
                words(&EDGES).join(", ")
            );
            return Err(TemplateError::new(span, "a word must follow the |", hint));
        };
        if let Some((_, edge)) = EDGES.iter().find(|(known, _)| *known == word) {
            return Ok(Filter::To(Step::To(*edge)));
        }
        if word != "format" {
            let mut known = words(&EDGES);
            known.push("format");
            return Err(unknown(span, "there is no such step", &known));
        }
        let form = "a format is written format('%Y%m%d')";
        let wrong = |span| Err(TemplateError::new(span, form, "write format('%Y%m%d')"));
        let (open, at) = self.token()?;
        if open != Token::Sign('(') {
            return wrong(at);
        }
        let (quoted, at) = self.token()?;
        let Token::Quoted(text) = quoted else {
            return wrong(at);
        };
        let format = Format::parse(text, at.start + 1, has_time)?;
        let (end, at) = self.token()?;
        if end != Token::Sign(')') {
            return wrong(at);
        }
        self.close("format comes last", "move it to the end")?;
        Ok(Filter::Format(format))
    }
}

enum Filter {
    To(Step),
    Format(Format),
}

fn unknown(span: Range<usize>, message: &str, known: &[&'static str]) -> TemplateError {
    TemplateError {
        known: known.to_vec(),
        ..TemplateError::new(span, message, format!("there are: {}", known.join(", ")))
    }
}

/// A name that there is not; some are those of other languages.
fn no_name(span: Range<usize>, word: &str) -> TemplateError {
    let message = "there is no such name";
    let meant = match word.to_ascii_lowercase().as_str() {
        "today" | "ds" | "day" => "date",
        "yesterday" => "date - 1d",
        "tomorrow" => "date + 1d",
        "now" | "time" | "datetime" | "timestamp" | "instant" | "ts" => "nominal",
        "month" => "date | format('%m')",
        "year" => "date | format('%Y')",
        "id" | "run_id" => "run",
        _ => return unknown(span, message, &NAMES),
    };
    TemplateError::new(span, message, format!("write {{{{ {meant} }}}}"))
}

/// The unit that was meant.
fn unit_hint(word: &str) -> String {
    let unit = match word.to_ascii_lowercase().as_str() {
        "day" | "days" => "d",
        "workday" | "workdays" | "working" | "bd" | "weekday" | "weekdays" => "wd",
        "week" | "weeks" => "w",
        "m" | "mon" | "month" | "months" => "mo",
        "year" | "years" | "yr" => "y",
        "hour" | "hours" | "hr" => "h",
        "mins" | "minute" | "minutes" => "min",
        _ => "",
    };
    match unit {
        "" => "write d (days), wd (working days), w (weeks), mo (months), y (years), h (hours) or \
               min (minutes)"
            .to_owned(),
        unit if word == "m" => format!("write {unit} for months, min for minutes"),
        unit => format!("write {unit}, as in {{{{ date - 1{unit} }}}}"),
    }
}
