//! A part of an expression that knows where it stands, so that a mistake is shown at its place.

/// A part of the expression and where it begins, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Piece<'a> {
    pub(super) fn fault(self, message: String, hint: Option<String>) -> Fault {
        Fault {
            span: Some((self.at, self.at + self.text.len())),
            message,
            hint,
        }
    }

    /// The part from this byte on.
    pub(super) fn tail(self, start: usize) -> Self {
        Self {
            text: &self.text[start..],
            at: self.at + start,
        }
    }

    pub(super) fn head(self, end: usize) -> Self {
        Self {
            text: &self.text[..end],
            at: self.at,
        }
    }

    /// The parts before and after the first such character.
    pub(super) fn split(self, by: char) -> Option<(Self, Self)> {
        let place = self.text.find(by)?;
        Some((self.head(place), self.tail(place + by.len_utf8())))
    }

    /// The parts between commas.
    pub(super) fn items(self) -> impl Iterator<Item = Piece<'a>> {
        let mut at = self.at;
        self.text.split(',').map(move |text| {
            let piece = Piece { text, at };
            at += text.len() + 1;
            piece
        })
    }
}

/// What is wrong with an expression.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) span: Option<(usize, usize)>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}
