//! The one problem of a file that is not TOML.

use super::problem::Problem;
use super::read::short;
use super::secrets;
use super::source::{Place, Source};

/// The one problem of a file that is not TOML.
pub(super) fn syntax_error(source: &Source, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let place = Place::new(source, span.clone());
    let mut problem = match error.message() {
        text if text.starts_with("string values must be quoted") => place
            .problem("", "not valid TOML: this is no value without quotes")
            .with_hint("put it into quotes"),
        text => place.problem("", format!("not valid TOML: {text}")),
    };
    if secrets::near(&source.text, span.start) {
        problem.source = None;
    }
    if error.message() == "duplicate key" {
        let (line, column) = (problem.line - 1, problem.column - 1);
        problem.message = format!("`{}` is said twice", short(place.text()));
        problem.hint = said_before(source, line, column)
            .map(|first| format!("it is said before in line {first}: keep one of them"));
    }
    problem
}

/// The line, from 1, that says the key of this line (from 0) before: the same header, or the same key under it.
fn said_before(source: &Source, line: usize, column: usize) -> Option<usize> {
    let text = |line: usize| source.text[source.line_span(line)].trim();
    let this = text(line);
    let wanted: String = if this.starts_with('[') {
        this.split_inclusive(']').next()?.to_owned()
    } else {
        this.split(['=', '.']).next()?.trim_end().to_owned()
    };
    // inside an inline table both stand on this line
    if column > 0 && !this.starts_with(['[', '"', '\'']) && !this.starts_with(&wanted) {
        return None;
    }
    for earlier in (0..line).rev() {
        let here = text(earlier);
        let rest = here.strip_prefix(&wanted).map(str::trim_start);
        let same = match rest {
            Some(rest) if this.starts_with('[') => rest.is_empty() || rest.starts_with('#'),
            Some(rest) => rest.starts_with(['=', '.']),
            None => false,
        };
        if same {
            return Some(earlier + 1);
        }
        if !this.starts_with('[') && here.starts_with('[') {
            return None;
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn a_second_saying_names_the_line_of_the_first() {
        let line = |text: &str| {
            let source = Source::new("/a".into(), "a".into(), text.to_owned());
            let error = DeTable::parse(text).unwrap_err();
            let problem = syntax_error(&source, &error);
            (problem.line, problem.hint)
        };
        let first = |n: usize| Some(format!("it is said before in line {n}: keep one of them"));
        assert_eq!(line("a = 1\nb = 2\na = 3"), (3, first(1)));
        assert_eq!(line("[x]\na = 1\n[y]\n[x]"), (4, first(1)));
        assert_eq!(line("[x]\na.b = 1\na.b = 2"), (3, first(2)));
        assert_eq!(line("a = 1\n[x]\nb = 1\nb = 2"), (4, first(3)));
        assert_eq!(line("a = { b = 1, b = 2 }"), (1, None));
    }
}
