//! One field of a cron expression: its values, checked one by one, so that a mistake is shown at its place and with
//! the text to write instead. What comes out is plain (numbers, no names, `H` resolved) and cannot be misread later.

use super::hash;
use super::kind::{Kind, MONTHS, WEEKDAYS};
use super::piece::{Fault, Piece};

/// A day rule that depends on the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// `L`: the last day of the month.
    LastDay,
    /// `LW`: the last of Monday to Friday.
    LastWorkday,
    /// `15W`: the day of Monday to Friday that is nearest to this one.
    Nearest(u32),
    /// `5L`: the last such weekday of the month.
    Last(u32),
    /// `5#2`: the second such weekday of the month.
    Nth(u32, u32),
}

/// One field, checked.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) piece: Piece<'a>,
    /// The plain values, as bits; Sunday is 0.
    pub(super) values: u64,
    /// The rules that depend on the month.
    pub(super) specials: Vec<Special>,
    /// It starts with `*` or `?`: for Vixie cron it does not restrict by itself.
    pub(super) starred: bool,
    /// The steps over the whole field: `*/7`, `H/7`.
    pub(super) steps: Vec<u32>,
    /// The numbers that stand alone in the list.
    pub(super) numbers: Vec<u32>,
}

impl<'a> Field<'a> {
    /// Checks a field. `seed` is the name of the schedule, for `H`.
    pub(super) fn parse(kind: Kind, piece: Piece<'a>, seed: &str) -> Result<Self, Fault> {
        let mut field = Self {
            kind,
            piece,
            values: 0,
            specials: Vec::new(),
            starred: piece.text.starts_with(['*', '?']),
            steps: Vec::new(),
            numbers: Vec::new(),
        };
        let several = piece.text.contains(',');
        for item in piece.items() {
            if item.text.is_empty() {
                return Err(piece.fault(
                    format!("the list of {}s has an empty item", kind.name()),
                    Some("write a value on both sides of each comma, without spaces".to_owned()),
                ));
            }
            if several && matches!(item.text, "*" | "?") {
                return Err(item.fault(
                    format!("`{}` in a list makes the rest of it meaningless", item.text),
                    Some(format!(
                        "write `{}` alone, or only the other items",
                        item.text
                    )),
                ));
            }
            field.item(item, seed)?;
        }
        let both = [Special::LastDay, Special::LastWorkday];
        if both.iter().all(|s| field.specials.contains(s)) {
            return Err(piece.fault(
                "`L` and `LW` cannot stand in one list".to_owned(),
                Some("write two expressions: cron = [\"…\", \"…\"]".to_owned()),
            ));
        }
        Ok(field)
    }

    /// Every value, and no more to say: `*`, `?`, `*/1`.
    pub(super) fn is_open(&self) -> bool {
        self.starred && self.values == self.kind.all() && self.specials.is_empty()
    }

    /// Whether every value of its kind is plainly in it.
    pub(super) fn is_full(&self) -> bool {
        self.values == self.kind.all()
    }

    /// Whether steps of this size come out even over all its values.
    pub(super) fn size_is_multiple_of(&self, step: u32) -> bool {
        self.kind.size().is_multiple_of(step)
    }

    /// Its plain values in ascending order.
    pub(super) fn list(&self) -> Vec<u32> {
        (0..64).filter(|n| self.values & (1 << n) != 0).collect()
    }

    /// The field written out: `*`, or numbers and day rules.
    pub(super) fn plain(&self) -> String {
        let by_day = matches!(self.kind, Kind::Day | Kind::Weekday);
        if self.is_open() || (self.is_full() && !by_day) {
            return "*".to_owned();
        }
        let special = |s: &Special| match s {
            Special::LastDay => "L".to_owned(),
            Special::LastWorkday => "LW".to_owned(),
            Special::Nearest(day) => format!("{day}W"),
            Special::Last(day) => format!("{day}L"),
            Special::Nth(day, nth) => format!("{day}#{nth}"),
        };
        let numbers = self.list().into_iter().map(|n| n.to_string());
        let items: Vec<String> = numbers.chain(self.specials.iter().map(special)).collect();
        items.join(",")
    }

    fn item(&mut self, item: Piece<'a>, seed: &str) -> Result<(), Fault> {
        let (range, step) = match item.split('/') {
            Some((range, step)) => (range, Some(self.step(item, step)?)),
            None => (item, None),
        };
        if let Some(rest) = range.text.strip_prefix(['H', 'h'])
            && (rest.is_empty() || rest.starts_with('('))
        {
            return self.hashed(range, step, seed);
        }
        match (range.text, step) {
            ("?", _) if !matches!(self.kind, Kind::Day | Kind::Weekday) => Err(item.fault(
                format!("`?` has no meaning in the {} field", self.kind.name()),
                Some("write `*`".to_owned()),
            )),
            ("*" | "?", step) => {
                self.steps.extend(step);
                self.add(self.kind.low(), self.top(), step.unwrap_or(1));
                Ok(())
            }
            ("", Some(step)) => Err(item.fault(
                "a step needs a range before it".to_owned(),
                Some(format!("write `*/{step}`")),
            )),
            (_, Some(step)) if !range.text.contains('-') => {
                let first = self.value(range)?;
                let better = if first == self.kind.low() {
                    format!("*/{step}")
                } else {
                    format!("{first}-{}/{step}", self.top())
                };
                Err(item.fault(
                    format!(
                        "a step needs a range before it, not the single value {}",
                        range.text
                    ),
                    Some(format!("write `{better}`")),
                ))
            }
            (_, step) => {
                if step.is_none() && self.special(range)? {
                    return Ok(());
                }
                let (first, last) = self.range(range)?;
                if first == last && step.is_none() {
                    self.numbers.push(first);
                }
                self.add(first, last, step.unwrap_or(1));
                Ok(())
            }
        }
    }

    /// The highest value that a range over the whole field ends with.
    fn top(&self) -> u32 {
        self.kind.low() + self.kind.size() - 1
    }

    fn add(&mut self, first: u32, last: u32, step: u32) {
        let mut value = first;
        while value <= last {
            let bit = if self.kind == Kind::Weekday {
                value % 7
            } else {
                value
            };
            self.values |= 1 << bit;
            value += step;
        }
    }

    fn step(&self, item: Piece<'a>, step: Piece<'a>) -> Result<u32, Fault> {
        match number(step.text) {
            Some(0) => Err(item.fault(
                "a step of 0 never gets anywhere".to_owned(),
                Some("write a step of 1 or more".to_owned()),
            )),
            Some(n) => Ok(n),
            None => Err(item.fault(
                format!("`{}` is not a step", step.text),
                Some("write a number after the `/`, as in `*/15`".to_owned()),
            )),
        }
    }

    fn range(&self, range: Piece<'a>) -> Result<(u32, u32), Fault> {
        let Some((first, last)) = range.split('-') else {
            let value = self.value(range)?;
            return Ok((value, value));
        };
        if first.text.is_empty() || last.text.is_empty() {
            return Err(range.fault(
                format!("the range `{}` lacks an end", range.text),
                Some("write both ends, as in `1-5`".to_owned()),
            ));
        }
        let start = self.value(first)?;
        let mut end = self.value(last)?;
        // A week may be written to end with Sunday, by name too.
        if self.kind == Kind::Weekday && end == 0 && start > 0 {
            end = 7;
        }
        if start > end {
            let part = |from: u32, to: u32| match from == to {
                true => from.to_string(),
                false => format!("{from}-{to}"),
            };
            let better = [part(start, self.top()), part(self.kind.low(), end)].join(",");
            return Err(range.fault(
                format!("the range {} runs backwards", range.text),
                Some(format!("write `{better}`")),
            ));
        }
        Ok((start, end))
    }

    fn value(&self, piece: Piece<'a>) -> Result<u32, Fault> {
        let name = self.kind.name();
        let Some(value) = number(piece.text) else {
            return self.named(piece);
        };
        let (low, high) = (self.kind.low(), self.kind.high());
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        let sunday = if self.kind == Kind::Weekday {
            " (0 and 7 are Sunday)"
        } else {
            ""
        };
        Err(piece.fault(
            format!(
                "{name} {} is out of range, {name}s go from {low} to {high}{sunday}",
                piece.text
            ),
            None,
        ))
    }

    /// A month or weekday by its three letters.
    fn named(&self, piece: Piece<'a>) -> Result<u32, Fault> {
        let upper = piece.text.to_ascii_uppercase();
        if let Some(place) = self.kind.names().iter().position(|full| full[..3] == upper) {
            return Ok(self.kind.low() + u32::try_from(place).unwrap_or(0));
        }
        let name = self.kind.name();
        let long = upper.len() > 3 && upper.is_ascii();
        let start = |full: &&&str| long && full[..3] == upper[..3];
        let hint = if let Some(full) = self.kind.names().iter().find(start) {
            Some(format!("write `{}`", &full[..3]))
        } else if self.kind == Kind::Day && (upper.contains('#') || upper.ends_with('L')) {
            Some("rules like `5L` and `5#2` belong in the weekday field".to_owned())
        } else if WEEKDAYS
            .iter()
            .chain(&MONTHS)
            .any(|full| full[..3] == upper)
        {
            Some("the order is: minute hour day month weekday".to_owned())
        } else if self.kind.names().is_empty() {
            Some(format!(
                "{name}s are numbers from {} to {}",
                self.kind.low(),
                self.kind.high()
            ))
        } else {
            Some(format!(
                "write a number or one of {}",
                short(self.kind.names())
            ))
        };
        let message = format!("`{}` is not a {name}", piece.text);
        Err(piece.fault(message, hint))
    }

    /// `L`, `LW`, `15W`, `5L`, `5#2`. False when the text is none of them.
    fn special(&mut self, piece: Piece<'a>) -> Result<bool, Fault> {
        let upper = piece.text.to_ascii_uppercase();
        let special = match self.kind {
            Kind::Day => self.day_rule(piece, &upper)?,
            Kind::Weekday => self.weekday_rule(piece, &upper)?,
            _ => None,
        };
        if let Some(special) = special
            && !self.specials.contains(&special)
        {
            self.specials.push(special);
        }
        Ok(special.is_some())
    }

    fn day_rule(&self, piece: Piece<'a>, upper: &str) -> Result<Option<Special>, Fault> {
        match upper {
            "L" => return Ok(Some(Special::LastDay)),
            "LW" | "WL" => return Ok(Some(Special::LastWorkday)),
            _ => {}
        }
        if upper.starts_with("L-") {
            return Err(piece.fault(
                "days counted back from the end of the month are not supported".to_owned(),
                Some("write `L` for the last day, or the day's number".to_owned()),
            ));
        }
        match upper.strip_suffix('W') {
            Some("") => Err(piece.fault(
                "`W` needs a day before it".to_owned(),
                Some("write `15W` for the workday nearest to the 15th, or `LW`".to_owned()),
            )),
            Some(_) => {
                let day = self.value(piece.head(piece.text.len() - 1))?;
                Ok(Some(Special::Nearest(day)))
            }
            None => Ok(None),
        }
    }

    fn weekday_rule(&self, piece: Piece<'a>, upper: &str) -> Result<Option<Special>, Fault> {
        if upper == "L" {
            return Err(piece.fault(
                "`L` alone is not a weekday".to_owned(),
                Some("write `5L` for the last Friday of the month, or `6` for Saturday".to_owned()),
            ));
        }
        if let Some((day, nth)) = piece.split('#') {
            let day = self.value(day)? % 7;
            return match number(nth.text) {
                Some(n @ 1..=5) => Ok(Some(Special::Nth(day, n))),
                _ => Err(piece.fault(
                    format!(
                        "`{}` does not count weekdays of a month: they go from #1 to #5",
                        piece.text
                    ),
                    Some(format!("write `{day}L` for the last one")),
                )),
            };
        }
        match upper.strip_suffix('L') {
            // No name of a day ends with L.
            Some(_) => {
                let day = self.value(piece.head(piece.text.len() - 1))? % 7;
                Ok(Some(Special::Last(day)))
            }
            None => Ok(None),
        }
    }

    /// `H`, `H/15`, `H(0-29)`, `H(0-29)/10`: a value that the schedule's name decides.
    fn hashed(&mut self, range: Piece<'a>, step: Option<u32>, seed: &str) -> Result<(), Fault> {
        let (first, last) = if range.text.len() == 1 {
            self.steps.extend(step);
            self.kind.hashed()
        } else {
            let inner = range.tail(2);
            let Some(inner) = inner.text.strip_suffix(')').map(|t| inner.head(t.len())) else {
                return Err(range.fault(
                    format!("`{}` lacks its closing parenthesis", range.text),
                    Some("write `H(0-29)`".to_owned()),
                ));
            };
            self.range(inner)?
        };
        let size = last - first + 1;
        let room = step.map_or(size, |step| step.min(size));
        let hash = hash::stable(&[seed.as_bytes(), self.kind.name().as_bytes()]);
        let start = first + u32::try_from(hash::below(hash, u64::from(room))).unwrap_or(0);
        self.add(start, step.map_or(start, |_| last), step.unwrap_or(1));
        Ok(())
    }
}

/// A number of up to four digits and nothing else.
fn number(text: &str) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn short(names: &[&str]) -> String {
    let short: Vec<&str> = names.iter().map(|full| &full[..3]).collect();
    short.join(" ")
}
