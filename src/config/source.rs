//! The files of a configuration: found, read within limits, and asked for the place of a byte.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::problem::Problem;
use super::secrets;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The longest line that is kept with a problem, in bytes.
const LONGEST_LINE: usize = 4096;

/// One file of the configuration.
#[derive(Debug)]
pub(super) struct Source {
    /// Where it is; relative paths in it are relative to its folder.
    pub(super) path: PathBuf,
    /// How it is called in messages.
    pub(super) shown: PathBuf,
    /// What it says.
    pub(super) text: String,
    /// Where each line begins.
    starts: Vec<usize>,
    /// The bytes that must not be shown; known after the file was parsed.
    secrets: OnceLock<Vec<Range<usize>>>,
}

impl Source {
    pub(super) fn new(path: PathBuf, shown: PathBuf, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let starts = std::iter::once(0)
            .chain(breaks.map(|(i, _)| i + 1))
            .collect();
        Self {
            path,
            shown,
            text,
            starts,
            secrets: OnceLock::new(),
        }
    }

    /// Declares the bytes that must not be shown. Said once.
    pub(super) fn hide(&self, spans: Vec<Range<usize>>) {
        // a second call would mean that the file was parsed twice, to the same spans
        let _ = self.secrets.set(spans);
    }

    /// A path that this file says, made absolute.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        }
    }

    /// The line, from 0, that holds the byte.
    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) - 1
    }

    /// The bytes of a line, from 0, without its line end.
    pub(super) fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.starts[line];
        let end = self
            .starts
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        let text = self.text[start..end].trim_end_matches('\r');
        start..start + text.len()
    }

    /// Whether a line may be shown.
    fn may_show(&self, line: &Range<usize>) -> bool {
        let spans = self.secrets.get().map_or(&[][..], Vec::as_slice);
        let hidden = |span: &Range<usize>| span.start <= line.end && line.start <= span.end;
        let text = &self.text[line.clone()];
        line.len() <= LONGEST_LINE
            && !spans.iter().any(hidden)
            && !secrets::looks_secret(text)
            && !secrets::comment_sounds_secret(text)
    }
}

/// Some bytes of a file: what a problem points at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) source: &'a Source,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Place<'a> {
    pub(super) fn new(source: &'a Source, span: Range<usize>) -> Self {
        Self {
            source,
            start: span.start,
            end: span.end,
        }
    }

    /// The bytes as they stand in the file.
    pub(super) fn text(self) -> &'a str {
        self.source.text.get(self.start..self.end).unwrap_or("")
    }

    /// `schedules.toml:14`, for messages about another place.
    pub(super) fn words(self) -> String {
        let line = self.source.line_of(self.start) + 1;
        format!("{}:{line}", self.source.shown.display())
    }

    /// The problem that is shown here.
    pub(super) fn problem(self, key: impl Display, message: impl Into<String>) -> Problem {
        let text = &self.source.text;
        let mut start = self.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let line = self.source.line_of(start);
        let span = self.source.line_span(line);
        let start = start.min(span.end);
        let mut end = self.end.clamp(start, span.end);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        Problem {
            file: Some(self.source.shown.clone()),
            line: line + 1,
            column: text[span.start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            source: self.source.may_show(&span).then(|| text[span].to_owned()),
            key: key.to_string(),
            message: message.into(),
            hint: None,
        }
    }
}

/// Reads every path: a file, or a folder whose `*.toml` are read in name order. What cannot be read is a problem each;
/// a file that is named twice is read once.
pub(super) fn read_all(paths: &[PathBuf], folder: &Path) -> (Vec<Source>, Vec<Problem>) {
    let mut sources: Vec<Source> = Vec::new();
    let mut problems = Vec::new();
    let mut known = Vec::new();
    for path in paths {
        for file in files_of(&folder.join(path), folder, &mut problems) {
            let real = file.canonicalize().unwrap_or_else(|_| file.clone());
            if !known.contains(&real) {
                known.push(real);
                sources.extend(read(&file, folder, &mut problems));
            }
        }
    }
    (sources, problems)
}

/// The path relative to the current directory when it is inside.
pub(super) fn shown(path: &Path, folder: &Path) -> PathBuf {
    match path.strip_prefix(folder) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.to_owned(),
        _ => path.to_owned(),
    }
}

/// The file itself, or the files of a folder.
fn files_of(path: &Path, folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let about = |message: String| Problem::of_file(Some(shown(path, folder)), message);
    match toml_files(path) {
        Ok(files) if files.is_empty() => {
            let hint = "put the configuration there, or name a file with --config";
            problems.push(about("the folder has no *.toml file".into()).with_hint(hint));
            files
        }
        Ok(files) => files,
        Err(error) => {
            problems.push(about(format!("the folder cannot be read: {error}")));
            Vec::new()
        }
    }
}

/// In name order; what an editor hides with a dot is no part of the configuration.
fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let toml = Path::new(&name).extension().is_some_and(|e| e == "toml");
        if toml && !hidden && !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, folder: &Path, problems: &mut Vec<Problem>) -> Option<Source> {
    let shown = shown(path, folder);
    match read_text(path, LARGEST) {
        Ok(text) => Some(Source::new(path.to_owned(), shown, text)),
        Err(why) => {
            let mut problem = Problem::of_file(Some(shown), why.to_string());
            if let Unreadable::Missing = why {
                let hint = "name the file or its folder with --config or $NIGHTCALL_CONFIG";
                problem = problem.with_hint(hint);
            }
            problems.push(problem);
            None
        }
    }
}

/// Why a text cannot be had from a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("there is no such file")]
    Missing,
    #[error("cannot be read: {0}")]
    Io(io::Error),
    #[error("larger than {} KiB, the most that is read", .0 / 1024)]
    TooLarge(u64),
    #[error("not UTF-8: byte {0} is no part of a character")]
    NotUtf8(usize),
}

/// The text of a file of at most `largest` bytes, without a byte order mark.
pub(super) fn read_text(path: &Path, largest: u64) -> Result<String, Unreadable> {
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Io(e),
    })?;
    let mut bytes = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(Unreadable::Io)?;
    if bytes.len() as u64 > largest {
        return Err(Unreadable::TooLarge(largest));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| Unreadable::NotUtf8(e.utf8_error().valid_up_to() + 1))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("/x/a.toml".into(), "a.toml".into(), text.into())
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let source = source("a = 1\r\nüb = \"é\"\n");
        let at = source.text.find("\"é\"").unwrap();
        let problem = Place::new(&source, at..at + 4).problem("üb", "x");
        assert_eq!((problem.line, problem.column, problem.width), (2, 6, 3));
        assert_eq!(problem.source.as_deref(), Some("üb = \"é\""));
        let first = Place::new(&source, 0..1).problem("a", "x");
        assert_eq!(first.source.as_deref(), Some("a = 1"));
    }

    #[test]
    fn a_place_at_or_after_the_end_is_still_a_place() {
        for text in ["", "a", "a\n", "é"] {
            let source = source(text);
            for start in 0..6 {
                let problem = Place::new(&source, start..start + 3).problem("", "x");
                assert!(problem.line >= 1 && problem.column >= 1 && problem.width >= 1);
            }
        }
    }

    #[test]
    fn lines_with_secrets_are_not_shown() {
        let source = source("a = 1\nb = \"hush\"\nc = 2\n");
        source.hide(vec![10..16, 100..100]);
        let shown = |at: usize| Place::new(&source, at..at + 1).problem("", "x").source;
        assert_eq!(shown(0).as_deref(), Some("a = 1"));
        assert_eq!(shown(6), None);
        assert_eq!(shown(17).as_deref(), Some("c = 2"));
    }

    #[test]
    fn lines_with_a_comment_about_a_secret_are_not_shown() {
        let source = source("a = 1 # the old token: hush\nb = 2 # an hour\n");
        let shown = |at: usize| Place::new(&source, at..at + 1).problem("", "x").source;
        assert_eq!(shown(0), None);
        assert_eq!(shown(28).as_deref(), Some("b = 2 # an hour"));
    }

    #[test]
    fn folders_are_read_in_name_order_and_files_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", ".hidden.toml", "c.txt"] {
            std::fs::write(folder.path().join(name), "\u{feff}x = 1").unwrap();
        }
        let paths = ["".into(), "b.toml".into()];
        let (sources, problems) = read_all(&paths, folder.path());
        let names: Vec<_> = sources.iter().map(|s| s.shown.to_str().unwrap()).collect();
        assert_eq!(names, ["a.toml", "b.toml"]);
        assert_eq!(sources[0].text, "x = 1");
        assert!(problems.is_empty(), "{problems:?}");
    }
}
