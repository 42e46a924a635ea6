//! Blanks, operators, quotes and escapes, byte by byte, as the shell's grammar has them.

use super::Token;
use crate::cli::import::fault::Fault;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As it is.
    Text(String),
    /// `$NAME` or `${NAME}`.
    Variable(String),
    /// What only a shell can work out.
    Shell,
}

const HERE_DOCUMENT: Fault = Fault::new(
    "the command reads from a here-document or a file (<), which needs a shell",
    "write the body behind --data, between single quotes",
);
const PARENTHESES: Fault = Fault::new(
    "parentheses without quotes need a shell",
    "put the text with them between single quotes",
);
const NOT_UTF8: Fault = Fault::new(
    "the escapes of $'…' make bytes that are no UTF-8",
    "copy the command again",
);
const NUL: Fault = Fault::new(
    "an escape of $'…' makes a zero byte, where a shell ends the word",
    "take the escape out",
);
const NO_TARGET: Fault = Fault::new(
    "a redirection (>) names no file",
    "take the redirection out",
);

/// Goes through a text.
pub(super) struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Where it is, from 1.
    pub(super) line: usize,
}

/// A word in the making.
#[derive(Default)]
struct Made {
    parts: Vec<Part>,
    bytes: Vec<u8>,
    quoted: bool,
}

impl Made {
    fn flush(&mut self) -> Result<(), Fault> {
        if !self.bytes.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            let text = String::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
            self.parts.push(Part::Text(text));
        }
        Ok(())
    }

    fn part(&mut self, part: Part) -> Result<(), Fault> {
        self.flush()?;
        self.parts.push(part);
        Ok(())
    }

    /// A number before `>`, as in `2>errors`.
    fn is_descriptor(&self) -> bool {
        let plain = !self.quoted && self.parts.is_empty() && !self.bytes.is_empty();
        plain && self.bytes.iter().all(u8::is_ascii_digit)
    }

    fn whole(mut self) -> Result<Vec<Part>, Fault> {
        self.flush()?;
        Ok(self.parts)
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn take(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    /// The length of a backslash with the end of its line, or of the text, when one is here.
    fn continuation(&self) -> Option<usize> {
        match (self.peek(0), self.peek(1), self.peek(2)) {
            (Some(b'\\'), Some(b'\n'), _) => Some(2),
            (Some(b'\\'), Some(b'\r'), Some(b'\n')) => Some(3),
            (Some(b'\\'), None, _) => Some(1),
            _ => None,
        }
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Result<Token, Fault> {
        loop {
            if let Some(length) = self.continuation() {
                self.take(length);
                continue;
            }
            let Some(byte) = self.peek(0) else {
                return Ok(Token::Nothing);
            };
            match byte {
                b' ' | b'\t' | b'\r' => self.take(1),
                b'#' => self.comment(),
                b'\n' | b';' => {
                    self.take(1);
                    return Ok(Token::End);
                }
                b'&' if self.peek(1) == Some(b'>') => self.redirection()?,
                b'&' => {
                    self.take(1 + usize::from(self.peek(1) == Some(b'&')));
                    return Ok(Token::End);
                }
                b'|' if self.peek(1) == Some(b'|') => {
                    self.take(2);
                    return Ok(Token::End);
                }
                b'|' => {
                    self.take(1 + usize::from(self.peek(1) == Some(b'&')));
                    return Ok(Token::Pipe);
                }
                b'>' => self.redirection()?,
                b'<' => return Err(HERE_DOCUMENT),
                b'(' | b')' => return Err(PARENTHESES),
                _ => {
                    let line = self.line;
                    let made = self.word()?;
                    let descriptor = made.is_descriptor();
                    let parts = made.whole()?;
                    if !(descriptor && self.peek(0) == Some(b'>')) {
                        return Ok(Token::Word { line, parts });
                    }
                }
            }
        }
    }

    fn comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.take(1);
        }
    }

    /// Where the output goes is nothing to us.
    fn redirection(&mut self) -> Result<(), Fault> {
        while self.peek(0).is_some_and(|byte| b"&>|".contains(&byte)) {
            self.take(1);
        }
        while self.peek(0).is_some_and(|byte| b" \t".contains(&byte)) {
            self.take(1);
        }
        let before = self.at;
        self.word()?;
        match self.at > before {
            true => Ok(()),
            false => Err(NO_TARGET),
        }
    }

    fn word(&mut self) -> Result<Made, Fault> {
        let mut made = Made::default();
        while let Some(byte) = self.peek(0) {
            if let Some(length) = self.continuation() {
                self.take(length);
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                    break;
                }
                b'\\' => {
                    self.take(1);
                    made.quoted = true;
                    made.bytes.extend(self.next());
                }
                b'\'' => self.single(&mut made)?,
                b'"' => self.double(&mut made)?,
                b'$' => self.dollar(&mut made, false)?,
                b'`' => self.backtick(&mut made)?,
                _ => made.bytes.extend(self.next()),
            }
        }
        Ok(made)
    }

    fn single(&mut self, made: &mut Made) -> Result<(), Fault> {
        let began = self.line;
        self.take(1);
        made.quoted = true;
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(byte) => made.bytes.push(byte),
                None => return Err(Fault::open("a single quote is never closed").at(began)),
            }
        }
    }

    fn double(&mut self, made: &mut Made) -> Result<(), Fault> {
        const OPEN: Fault = Fault::open("a double quote is never closed");
        let began = self.line;
        self.take(1);
        made.quoted = true;
        loop {
            if let Some(length) = self.continuation() {
                self.take(length);
                continue;
            }
            match self.peek(0).ok_or(OPEN.at(began))? {
                b'"' => {
                    self.take(1);
                    return Ok(());
                }
                b'\\' => {
                    self.take(1);
                    let escaped = self.next().ok_or(OPEN.at(began))?;
                    if !b"$`\"\\".contains(&escaped) {
                        made.bytes.push(b'\\');
                    }
                    made.bytes.push(escaped);
                }
                b'$' => self.dollar(made, true)?,
                b'`' => self.backtick(made)?,
                _ => made.bytes.extend(self.next()),
            }
        }
    }

    /// `$'…'`, `$"…"`, a variable, or a dollar that means itself.
    fn dollar(&mut self, made: &mut Made, in_quotes: bool) -> Result<(), Fault> {
        self.take(1);
        match self.peek(0) {
            Some(b'\'') if !in_quotes => self.ansi(made),
            Some(b'"') if !in_quotes => self.double(made),
            Some(b'(') => {
                self.take(1);
                self.pass(b'(', b')')?;
                made.part(Part::Shell)
            }
            Some(b'{') => {
                self.take(1);
                let name = self.name();
                if self.peek(0) == Some(b'}') && !name.is_empty() {
                    self.take(1);
                    return made.part(Part::Variable(name));
                }
                self.pass(b'{', b'}')?;
                made.part(Part::Shell)
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let name = self.name();
                made.part(Part::Variable(name))
            }
            Some(byte) if byte.is_ascii_digit() || b"@*#?$!-".contains(&byte) => {
                self.take(1);
                made.part(Part::Shell)
            }
            _ => {
                made.bytes.push(b'$');
                Ok(())
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(byte) = self.peek(0) {
            if !byte.is_ascii_alphanumeric() && byte != b'_' {
                break;
            }
            name.push(char::from(byte));
            self.take(1);
        }
        name
    }

    /// Passes over what stands in braces or parentheses, of which one is open.
    fn pass(&mut self, open: u8, close: u8) -> Result<(), Fault> {
        const OPEN: Fault = Fault::open("a $( or ${ is never closed");
        let began = self.line;
        let mut depth = 1usize;
        let mut quote = None;
        while depth > 0 {
            let byte = self.next().ok_or(OPEN.at(began))?;
            match (quote, byte) {
                (Some(b'\''), b'\'') | (Some(b'"'), b'"') => quote = None,
                (Some(b'\''), _) => {}
                (_, b'\\') => self.take(1),
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, _) if byte == open => depth += 1,
                (None, _) if byte == close => depth -= 1,
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn backtick(&mut self, made: &mut Made) -> Result<(), Fault> {
        const OPEN: Fault = Fault::open("a backtick (`) is never closed");
        let began = self.line;
        self.take(1);
        loop {
            match self.next().ok_or(OPEN.at(began))? {
                b'`' => return made.part(Part::Shell),
                b'\\' => self.take(1),
                _ => {}
            }
        }
    }

    /// `$'…'` with the escapes of C.
    fn ansi(&mut self, made: &mut Made) -> Result<(), Fault> {
        const OPEN: Fault = Fault::open("a quote that begins with $' is never closed");
        let began = self.line;
        self.take(1);
        made.quoted = true;
        loop {
            match self.next().ok_or(OPEN.at(began))? {
                b'\'' => return Ok(()),
                b'\\' => {
                    let kind = self.next().ok_or(OPEN.at(began))?;
                    self.escape(kind, made)?;
                }
                byte => made.bytes.push(byte),
            }
        }
    }

    fn escape(&mut self, kind: u8, made: &mut Made) -> Result<(), Fault> {
        let byte = match kind {
            b'a' => 0x07,
            b'b' => 0x08,
            b'e' | b'E' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => kind,
            b'0'..=b'7' => {
                self.at -= 1;
                // as the shell does: three octal digits may be more than a byte
                low_byte(self.digits(8, 3).unwrap_or_default())
            }
            b'x' => match self.digits(16, 2) {
                Some(value) => low_byte(value),
                None => return self.unknown(kind, made),
            },
            b'u' | b'U' => {
                let most = if kind == b'u' { 4 } else { 8 };
                let Some(value) = self.digits(16, most) else {
                    return self.unknown(kind, made);
                };
                let sign = char::from_u32(value).ok_or(NOT_UTF8)?;
                if sign == '\0' {
                    return Err(NUL);
                }
                made.bytes.extend(sign.to_string().bytes());
                return Ok(());
            }
            b'c' => match self.next() {
                Some(sign) => sign.to_ascii_uppercase() & 0x1f,
                None => return Ok(()),
            },
            _ => return self.unknown(kind, made),
        };
        if byte == 0 {
            return Err(NUL);
        }
        made.bytes.push(byte);
        Ok(())
    }

    /// An escape that is none stands for itself.
    fn unknown(&mut self, kind: u8, made: &mut Made) -> Result<(), Fault> {
        made.bytes.extend([b'\\', kind]);
        Ok(())
    }

    /// A number of at most so many digits; `None` when there is no digit.
    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let byte = self.peek(0).map(char::from);
            let Some(digit) = byte.and_then(|byte| byte.to_digit(radix)) else {
                break;
            };
            value = Some(value.unwrap_or(0) * radix + digit);
            self.take(1);
        }
        value
    }
}

fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}
