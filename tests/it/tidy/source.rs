//! A source file as the tidy rules see it: words without comments and texts, the paths that it names, and which part
//! of it is test code. Much less than a parser of Rust, and enough: it knows `use` trees, `self`, `super` and `crate`.

use std::ops::Range;

/// A word or a sign with its line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path as it is written, a `use` tree spelled out, with the index of its first token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) token: usize,
}

/// One file below `src`.
pub(crate) struct Source {
    /// Relative to `src`, with `/`: `store/sqlite/read.rs`.
    pub(crate) place: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) paths: Vec<Path>,
    /// The tokens of `mod tests`; all tokens in a file of that name or below it.
    tests: Range<usize>,
    /// The modules that it declares.
    children: Vec<String>,
}

impl Source {
    pub(crate) fn new(place: &str, text: &str) -> Self {
        let tokens = tokens(text);
        Self {
            place: place.to_owned(),
            text: text.to_owned(),
            paths: paths(&tokens),
            tests: tests(place, &tokens),
            children: children(&tokens),
            tokens,
        }
    }

    /// The part of the crate that it belongs to: `store` for `store/sqlite/read.rs`, `zones` for `zones.rs`.
    pub(crate) fn layer(&self) -> &str {
        let end = self.place.find(['/', '.']).unwrap_or(self.place.len());
        &self.place[..end]
    }

    pub(crate) fn line(&self, token: usize) -> usize {
        self.tokens[token].line
    }

    pub(crate) fn is_test(&self, token: usize) -> bool {
        self.tests.contains(&token)
    }

    /// The path from the root of the crate; `None` when it does not lead into the crate.
    pub(crate) fn inside(&self, path: &Path) -> Option<Vec<String>> {
        let mut module = self.module();
        if self.is_test(path.token) && !is_test_file(&self.place) {
            module.push("tests".to_owned());
        }
        let mut rest = path.segments.as_slice();
        match rest.first()?.as_str() {
            "crate" | "nightcall" => return Some(rest[1..].to_vec()),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            first if self.children.iter().any(|child| child == first) => {
                module = self.module();
            }
            _ => return None,
        }
        module.extend_from_slice(rest);
        Some(module)
    }

    /// Its own module from the root of the crate: `store::sqlite` for `store/sqlite/mod.rs`.
    fn module(&self) -> Vec<String> {
        let stem = self.place.trim_end_matches(".rs");
        let mut module: Vec<String> = stem.split('/').map(String::from).collect();
        if matches!(
            module.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            module.pop();
        }
        module
    }
}

/// Whether the words come one after another among the segments.
pub(crate) fn names(segments: &[String], words: &str) -> bool {
    let words: Vec<&str> = words.split("::").collect();
    segments.windows(words.len()).any(|window| window == words)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        let piece: String = chars[at..end].iter().collect();
        let starts = chars[at];
        let hidden = starts.is_whitespace()
            || starts == '\''
            || piece.starts_with("//")
            || piece.starts_with("/*")
            || piece.contains('"');
        if !hidden {
            found.push(Token {
                text: piece.clone(),
                line,
            });
        }
        line += piece.matches('\n').count();
        at = end;
    }
    found
}

/// Where the token that begins at `at` ends: a space, a comment, a text, a word, `::` or one sign.
fn end_of_token(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next == '/' => until(chars, at, |c| c == '\n'),
        '/' if next == '*' => end_of_comment(chars, at),
        '"' => end_of_text(chars, at + 1),
        '\'' => end_of_quote(chars, at),
        ':' if next == ':' => at + 2,
        c if c.is_alphanumeric() || c == '_' => {
            let end = until(chars, at, |c| !(c.is_alphanumeric() || c == '_'));
            let word: String = chars[at..end].iter().collect();
            match (word.as_str(), chars.get(end)) {
                ("b" | "c", Some('"')) => end_of_text(chars, end + 1),
                ("r" | "br" | "cr", Some('"' | '#')) => end_of_raw(chars, end).unwrap_or(end),
                _ => end,
            }
        }
        _ => at + 1,
    }
}

fn until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    let length = chars[from..].iter().position(|c| stop(*c));
    length.map_or(chars.len(), |length| from + length)
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from + 2, 1);
    while at < chars.len() && depth > 0 {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn end_of_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// After `r`: the signs `#`, the text, and as many signs again; `None` for a raw identifier.
fn end_of_raw(chars: &[char], from: usize) -> Option<usize> {
    let open = until(chars, from, |c| c != '#');
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', open - from))
        .collect();
    let rest = chars[open + 1..].windows(close.len());
    let length = rest.into_iter().position(|window| window == close);
    Some(length.map_or(chars.len(), |length| open + 1 + length + close.len()))
}

/// A character or a lifetime.
fn end_of_quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => until(chars, at + 3, |c| c == '\'') + 1,
        (_, Some('\'')) => at + 3,
        _ => until(chars, at + 1, |c| !(c.is_alphanumeric() || c == '_')),
    }
    .min(chars.len())
}

fn paths(tokens: &[Token]) -> Vec<Path> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", &text);
        let starts = match before {
            "." => false,
            // `::tokio::spawn` starts a path, `a::b` does not start one at `b`
            "::" => at
                .checked_sub(2)
                .is_none_or(|at| !is_word(text(at)) && text(at) != ">"),
            _ => true,
        };
        if text(at) == "use" {
            at = tree(tokens, at + 1, &[], &mut found);
        } else if starts && is_word(text(at)) && text(at + 1) == "::" {
            at = tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads a path or a `use` tree that begins at `at`; gives back where it ends.
fn tree(tokens: &[Token], mut at: usize, before: &[String], found: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let start = at;
    let mut segments = before.to_vec();
    if text(at) == "::" {
        at += 1;
    }
    while is_word(text(at)) {
        segments.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            found.push(Path {
                segments,
                token: start,
            });
            return at;
        }
        at += 1;
    }
    if text(at) != "{" {
        // `*`, or the angle bracket of a generic argument
        found.push(Path {
            segments,
            token: start,
        });
        return at;
    }
    at += 1;
    while at < tokens.len() && text(at) != "}" {
        at = tree(tokens, at, &segments, found);
        while !matches!(text(at), "," | "}" | "") {
            at += 1;
        }
        if text(at) == "," {
            at += 1;
        }
    }
    at + 1
}

/// A file behind `#[cfg(test)] mod tests;`.
fn is_test_file(place: &str) -> bool {
    place.ends_with("/tests.rs") || place.contains("/tests/")
}

/// The tokens of `#[cfg(test)] mod tests { … }`.
fn tests(place: &str, tokens: &[Token]) -> Range<usize> {
    if is_test_file(place) {
        return 0..tokens.len();
    }
    let opens = |window: &[Token]| {
        let words = window.iter().map(|token| token.text.as_str());
        words.eq(["mod", "tests", "{"])
    };
    let Some(start) = tokens.windows(3).position(opens) else {
        return 0..0;
    };
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return start..at,
            "}" => depth -= 1,
            _ => {}
        }
    }
    start..tokens.len()
}

fn children(tokens: &[Token]) -> Vec<String> {
    tokens
        .windows(3)
        .filter(|w| w[0].text == "mod" && matches!(w[2].text.as_str(), ";" | "{"))
        .map(|w| w[1].text.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<String> {
        let paths = Source::new("store/sqlite/read.rs", text).paths;
        paths.iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_spelled_out() {
        let text = "use crate::{sched::{Step, id::*}, secret as s}; use tokio; fn f() { ::a::b(); c.d::<e::F>() }";
        assert_eq!(
            written(text),
            [
                "crate::sched::Step",
                "crate::sched::id",
                "crate::secret",
                "tokio",
                "a::b",
                "e::F"
            ]
        );
    }

    #[test]
    fn comments_texts_and_characters_hide_what_they_hold() {
        let text = r##"// a::b
            /* c::d /* e::f */ g::h */ "i::j \" k::l" r#"m::n " o::p"# '"' b"q::r" '\'' s::t 'u: v::w"##;
        assert_eq!(written(text), ["s::t", "v::w"]);
    }

    #[test]
    fn paths_lead_to_the_root_of_the_crate() {
        let text = "mod rows; use super::super::super::warehouse::X; use self::rows::Y; use rows::Z; use super::commit::W;
            #[cfg(test)] mod tests { use super::super::super::notify::V; }";
        let source = Source::new("store/sqlite/read.rs", text);
        let inside: Vec<String> = source
            .paths
            .iter()
            .filter_map(|path| source.inside(path))
            .map(|path| path.join("::"))
            .collect();
        assert_eq!(
            inside,
            [
                "warehouse::X",
                "store::sqlite::read::rows::Y",
                "store::sqlite::read::rows::Z",
                "store::sqlite::commit::W",
                "store::notify::V",
            ]
        );
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let source = Source::new("zones.rs", "//! x\n/* \n */\nuse \"\n\" crate::sched;");
        assert_eq!(source.line(source.paths[0].token), 5);
    }
}
