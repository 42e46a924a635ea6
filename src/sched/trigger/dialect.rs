//! The cron dialect: a whole expression, checked and made plain.
//!
//! Five fields, six with leading seconds, or a nickname. Whatever other parsers let through without a meaning is a
//! mistake here, with what to write instead: a lone comma, `JAN` in the middle of a word, a weekday `L`.

use super::field::Field;
use super::kind::Kind;
use super::piece::{Fault, Piece};

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 500;

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A checked expression.
#[derive(Clone, Debug)]
pub(super) struct Expression<'a> {
    pub(super) second: Field<'a>,
    pub(super) minute: Field<'a>,
    pub(super) hour: Field<'a>,
    pub(super) day: Field<'a>,
    pub(super) month: Field<'a>,
    pub(super) weekday: Field<'a>,
    /// Whether the seconds were written.
    pub(super) seconds: bool,
}

/// How day of month and weekday decide together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// Every day.
    Open,
    /// One of the two fields is `*`: the other decides.
    One,
    /// Both are restricted: either is enough.
    Either,
    /// Both are restricted, one of them by a step over `*`: as in Vixie cron, both must match.
    Both,
}

impl<'a> Expression<'a> {
    /// Checks an expression; `seed` is the name of the schedule, for `H`.
    pub(super) fn parse(text: &'a str, seed: &str) -> Result<Self, Fault> {
        let whole = Piece { text, at: 0 };
        if text.len() > MAX_LENGTH {
            return Err(Fault {
                span: None,
                message: format!("the expression is longer than {MAX_LENGTH} bytes"),
                hint: Some("split it into several expressions".to_owned()),
            });
        }
        if let Some((at, strange)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            let piece = Piece {
                text: &text[at..at + strange.len_utf8()],
                at,
            };
            return Err(piece.fault(
                format!("`{strange}` has no meaning in a cron expression"),
                None,
            ));
        }
        let mut fields = words(whole);
        if let Some(zone) = fields.first().and_then(|first| named_zone(*first)) {
            return Err(zone);
        }
        if let [only] = fields[..]
            && only.text.starts_with('@')
        {
            fields = words(Piece {
                text: nickname(only)?,
                at: 0,
            });
        }
        let seconds = fields.len() == 6;
        if fields.len() == 5 {
            fields.insert(0, Piece { text: "0", at: 0 });
        }
        let &[second, minute, hour, day, month, weekday] = &fields[..] else {
            return Err(miscounted(whole, &fields));
        };
        Ok(Self {
            second: Field::parse(Kind::Second, second, seed)?,
            minute: Field::parse(Kind::Minute, minute, seed)?,
            hour: Field::parse(Kind::Hour, hour, seed)?,
            day: Field::parse(Kind::Day, day, seed)?,
            month: Field::parse(Kind::Month, month, seed)?,
            weekday: Field::parse(Kind::Weekday, weekday, seed)?,
            seconds,
        })
    }

    /// How day of month and weekday decide together.
    pub(super) fn days(&self) -> Days {
        match (self.day.is_open(), self.weekday.is_open()) {
            (true, true) => Days::Open,
            (true, false) | (false, true) => Days::One,
            (false, false) if self.day.starred || self.weekday.starred => Days::Both,
            (false, false) => Days::Either,
        }
    }

    /// The fields in order.
    pub(super) fn fields(&self) -> [&Field<'a>; 6] {
        [
            &self.second,
            &self.minute,
            &self.hour,
            &self.day,
            &self.month,
            &self.weekday,
        ]
    }

    /// The expression with some fields replaced, for hints.
    pub(super) fn with(&self, better: &[(Kind, &str)]) -> String {
        let text = |field: &Field<'a>| {
            let replaced = better.iter().find(|(kind, _)| *kind == field.kind);
            replaced
                .map_or(field.piece.text, |(_, text)| text)
                .to_owned()
        };
        let written = self.fields().into_iter().skip(usize::from(!self.seconds));
        let parts: Vec<String> = written.map(text).collect();
        parts.join(" ")
    }
}

/// The parts between spaces.
fn words(whole: Piece<'_>) -> Vec<Piece<'_>> {
    let start = whole.text.as_ptr().addr();
    let parts = whole.text.split_ascii_whitespace();
    parts
        .map(|text| Piece {
            text,
            at: text.as_ptr().addr() - start,
        })
        .collect()
}

/// Other daemons take a zone in front of the fields.
fn named_zone(first: Piece<'_>) -> Option<Fault> {
    let (name, zone) = first.text.split_once('=')?;
    if !["TZ", "CRON_TZ"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let zone = if zone.is_empty() {
        "Europe/Madrid"
    } else {
        zone
    };
    Some(first.fault(
        "a cron expression names no zone here".to_owned(),
        Some(format!(
            "leave it out and write timezone = \"{zone}\" in the schedule or in [defaults]"
        )),
    ))
}

fn nickname(piece: Piece<'_>) -> Result<&'static str, Fault> {
    let same = |(name, _): &&(&str, &str)| piece.text.eq_ignore_ascii_case(name);
    if let Some((_, fields)) = NICKNAMES.iter().find(same) {
        return Ok(fields);
    }
    let names: Vec<&str> = NICKNAMES.iter().map(|(name, _)| *name).collect();
    Err(piece.fault(
        format!("`{}` is not a time", piece.text),
        Some(format!("write five fields, or one of {}", names.join(" "))),
    ))
}

fn miscounted(whole: Piece<'_>, fields: &[Piece<'_>]) -> Fault {
    let order = "minute hour day month weekday";
    match fields {
        [] => whole.fault(
            "the expression is empty".to_owned(),
            Some(format!("write five fields: {order}, as in `15 2 * * *`")),
        ),
        [_, _, _, _, _, _, rest @ ..] => rest[0].fault(
            format!(
                "the expression has {} fields, it takes 5, or 6 with leading seconds",
                fields.len()
            ),
            Some("years are not part of it: write from and until".to_owned()),
        ),
        _ => whole.fault(
            format!("the expression has {} of 5 fields", fields.len()),
            Some(format!("write five fields: {order}, as in `15 2 * * *`")),
        ),
    }
}
