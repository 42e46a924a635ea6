//! What a schedule calls: a procedure with its signature, from which the CALL is made, or the whole statement.

use super::read::{Found, Item, Table, short};
use super::suggest;
use crate::sched::call::{Procedure, Provider};
use crate::sched::template::is_template;

/// The longest name of a procedure and the longest statement, in bytes.
const LONGEST_NAME: usize = 1024;
const LONGEST_STATEMENT: usize = 1024 * 1024;

/// The most arguments of a procedure, and so the most values of a schedule.
pub(super) const MOST_ARGUMENTS: usize = 500;

/// What a schedule calls.
#[derive(Clone, Debug)]
pub(super) enum Statement<'a> {
    /// `procedure = "…"`: the CALL is made from it.
    Procedure {
        /// Where it is said.
        item: Item<'a>,
        /// The qualified name without backticks.
        name: String,
        /// The arguments in parentheses, when they are given.
        signature: Option<Vec<String>>,
    },
    /// `call = "…"`: the statement as it stands.
    Call {
        /// Where it is said.
        item: Item<'a>,
        /// The statement, trimmed.
        query: String,
        /// What it asks for.
        asked: Placeholders,
    },
}

impl<'a> Statement<'a> {
    /// Exactly one of `procedure` and `call`; `None` when something is wrong with it.
    pub(super) fn read(table: &Table<'a>, found: &mut Found) -> Option<Self> {
        match (table.get("procedure"), table.get("call")) {
            (Some(item), None) => {
                let text = item.text(found)?;
                match procedure(text) {
                    Ok((name, signature)) => Some(Self::Procedure {
                        item: item.clone(),
                        name,
                        signature,
                    }),
                    Err(fault) => {
                        let mut problem = item.problem(fault.message);
                        problem.hint = fault.hint;
                        found.wrong(problem);
                        None
                    }
                }
            }
            (None, Some(item)) => call(item, found),
            (Some(_), Some(call)) => {
                found.wrong(
                    call.key_problem("a schedule has procedure or call, not both")
                        .with_hint("keep one of them"),
                );
                None
            }
            (None, None) => {
                found.wrong(
                    table
                        .at
                        .problem(
                            &table.path,
                            "says nothing to call: neither procedure nor call",
                        )
                        .with_hint("add procedure = \"project.dataset.procedure(a, b)\""),
                );
                None
            }
        }
    }

    /// About how many bytes the statement takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Procedure {
                name, signature, ..
            } => name.len() + signature.iter().flatten().map(String::len).sum::<usize>(),
            Self::Call { query, .. } => query.len(),
        }
    }

    /// Where it is said.
    pub(super) fn item(&self) -> &Item<'a> {
        match self {
            Self::Procedure { item, .. } | Self::Call { item, .. } => item,
        }
    }

    /// `procedure` makes the CALL of BigQuery only.
    pub(super) fn check_provider(&self, provider: Provider, found: &mut Found) {
        let Self::Procedure { item, name, .. } = self else {
            return;
        };
        if provider == Provider::BigQuery {
            return;
        }
        let message = format!(
            "procedure makes the CALL for bigquery only, and the connection is {}",
            provider.word()
        );
        let hint = format!(
            "write call = \"{}\", as CARTO shows it",
            example(provider, &short(name))
        );
        found.wrong(item.key_problem(message).with_hint(hint));
    }

    /// The names that a `call` mentions as `@name`.
    pub(super) fn mentioned(&self) -> &[String] {
        match self {
            Self::Procedure { .. } => &[],
            Self::Call { asked, .. } => &asked.names,
        }
    }
}

/// How a provider writes a CALL with two arguments.
fn example(provider: Provider, name: &str) -> String {
    match provider {
        Provider::BigQuery => format!("CALL `{name}`(@a,@b)"),
        Provider::Snowflake => format!("CALL {name}(:1, :2)"),
        Provider::Postgres | Provider::Redshift => format!("CALL {name}($1, $2)"),
        Provider::Databricks | Provider::Oracle => format!("CALL {name}(…)"),
    }
}

/// Why a text is no procedure, and what to write instead.
struct Fault {
    message: String,
    hint: Option<String>,
}

fn fault(message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault {
        message: message.into(),
        hint: Some(hint.into()),
    }
}

/// A qualified name and, in parentheses, the arguments.
fn procedure(text: &str) -> Result<(String, Option<Vec<String>>), Fault> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let pasted = text
        .get(..4)
        .is_some_and(|w| w.eq_ignore_ascii_case("call"))
        && text[4..].starts_with(|c: char| c.is_whitespace() || c == '`');
    if pasted {
        return Err(pasted_call(&text[4..]));
    }
    let (name, arguments) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => {
            let Some(inner) = rest.trim_end().strip_suffix(')') else {
                let hint = "write \"project.dataset.procedure(a, b)\"";
                return Err(fault("the arguments do not end with a parenthesis", hint));
            };
            (name, Some(arguments(inner)?))
        }
    };
    Ok((qualified(name)?, arguments))
}

/// The remedy for a whole CALL where a procedure is named.
fn pasted_call(rest: &str) -> Fault {
    let plain = rest.replace(['`', '@'], "");
    let tidy = match procedure(&plain) {
        Ok((name, Some(arguments))) => format!("{name}({})", arguments.join(", ")),
        Ok((name, None)) => name,
        Err(_) => {
            let hint = "write it as call = \"…\"";
            return fault("is a whole statement, not the name of a procedure", hint);
        }
    };
    let hint = format!("write procedure = \"{}\"", short(&tidy));
    fault("is a whole statement, not the name of a procedure", hint)
}

/// The name without backticks; each part is sane.
fn qualified(text: &str) -> Result<String, Fault> {
    const HINT: &str =
        "write \"project.dataset.procedure\", as CARTO's dialog for the API shows it";
    let name = text.trim().replace('`', "");
    if name.len() > LONGEST_NAME {
        return Err(fault("the name is too long", HINT));
    }
    let sane = |c: char| c.is_alphanumeric() || "_-:".contains(c);
    if let Some(bad) = name.chars().find(|c| !sane(*c) && *c != '.') {
        let bad = match bad {
            c if c.is_whitespace() => "white space".to_owned(),
            c => format!("`{}`", c.escape_debug()),
        };
        return Err(fault(format!("the name must not contain {bad}"), HINT));
    }
    let parts: Vec<&str> = name.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(fault("a part of the name is empty", HINT));
    }
    if parts.len() < 2 {
        return Err(fault("the name has no dataset", HINT));
    }
    Ok(name)
}

/// The names of the arguments, each once.
fn arguments(text: &str) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::new();
    if text.trim().is_empty() {
        return Ok(names);
    }
    for part in text.split(',') {
        let part = part.trim();
        if let Some(bare) = part.strip_prefix('@') {
            let hint = format!("write `{}`", short(bare));
            return Err(fault(format!("`{}` needs no @", short(part)), hint));
        }
        let starts = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts || !part.chars().all(|c| c.is_alphanumeric() || c == '_') {
            let hint = "arguments are names with commas between them: (a, b)";
            return Err(fault(
                format!("`{}` is no name of an argument", short(part)),
                hint,
            ));
        }
        if names.iter().any(|name| name == part) {
            let hint = "name each argument once";
            return Err(fault(format!("`{}` stands there twice", short(part)), hint));
        }
        names.push(part.to_owned());
    }
    if names.len() > MOST_ARGUMENTS {
        let message = format!("there are more than {MOST_ARGUMENTS} arguments");
        return Err(fault(message, "name fewer"));
    }
    Ok(names)
}

/// A whole statement: looked at, never parsed, since each warehouse has its own language.
fn call<'a>(item: &Item<'a>, found: &mut Found) -> Option<Statement<'a>> {
    let query = item.text(found)?.trim().to_owned();
    if query.len() > LONGEST_STATEMENT {
        found.wrong(item.problem("the statement is longer than 1 MiB"));
        return None;
    }
    if !words(&query).any(|word| word.eq_ignore_ascii_case("call")) {
        let message = "the statement calls nothing: it has no CALL";
        let hint = "paste the whole statement from CARTO's dialog for the API";
        found.doubtful(item.problem(message).with_hint(hint));
    }
    if is_template(&query) {
        let message = "a statement is no template: it is sent as it stands";
        let hint = "give the template as the value of a parameter";
        found.doubtful(item.problem(message).with_hint(hint));
    }
    let asked = placeholders(&query);
    if asked.names.len() > MOST_ARGUMENTS {
        let message = format!("the statement mentions more than {MOST_ARGUMENTS} values");
        found.wrong(item.problem(message));
        return None;
    }
    Some(Statement::Call {
        item: item.clone(),
        query,
        asked,
    })
}

fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The places of a statement that wait for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placeholders {
    /// `@name`, each once, in order; one more than there may be says that there are too many.
    pub(super) names: Vec<String>,
    /// The highest number in `$1` or `:1`.
    pub(super) highest: usize,
}

/// Finds placeholders outside quotes and comments.
pub(super) fn placeholders(query: &str) -> Placeholders {
    let mut found = Placeholders::default();
    let mut rest = query;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '\'' | '"' | '`' => quoted(rest, c),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '@' | '$' | ':' if before != c && !before.is_alphanumeric() => {
                let name = leading(&rest[1..]);
                note(c, name, &mut found);
                1 + name.len()
            }
            _ => c.len_utf8(),
        };
        before = c;
        rest = &rest[skip..];
    }
    found
}

/// The length of a quoted part; an open quote reaches to the end.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

/// The name or number at the beginning.
fn leading(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn note(sign: char, name: &str, found: &mut Placeholders) {
    if sign == '@' {
        let full = found.names.len() > MOST_ARGUMENTS;
        let known = || found.names.iter().any(|known| known == name);
        if !name.is_empty() && !full && !known() {
            found.names.push(name.to_owned());
        }
    } else if let Ok(number) = name.parse::<u16>() {
        found.highest = found.highest.max(number.into());
    }
}

/// The CALL of a procedure with these arguments.
pub(super) fn bigquery_call(name: &str, arguments: &[String]) -> String {
    let procedure = Procedure {
        name: name.to_owned(),
        arguments: arguments.to_vec(),
    };
    procedure.bigquery_call()
}

/// "did you mean" for the name of an argument.
pub(super) fn argument_hint(wrong: &str, arguments: &[String]) -> String {
    suggest::did_you_mean(wrong, arguments.iter().map(String::as_str)).unwrap_or_else(|| {
        match arguments {
            [] => "the procedure takes no arguments".to_owned(),
            some => format!("the arguments are: {}", short(&some.join(", "))),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Name = (String, Option<Vec<String>>);

    fn read(text: &str) -> Result<Name, (String, String)> {
        procedure(text).map_err(|f| (f.message, f.hint.unwrap_or_default()))
    }

    #[test]
    fn names_are_read_with_and_without_backticks_and_signature() {
        let plain = "acme-geo.carto_temp.wfproc_api_1111111111111111";
        for text in [
            plain.to_owned(),
            format!("`{plain}`"),
            "`acme-geo`.`carto_temp`.`wfproc_api_1111111111111111`".to_owned(),
            format!(" {plain} "),
        ] {
            assert_eq!(read(&text), Ok((plain.to_owned(), None)), "{text}");
        }
        let arguments = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        let table = [
            ("a.b.c(x, y_2)", arguments(&["x", "y_2"])),
            ("`a.b.c`(x,y_2);", arguments(&["x", "y_2"])),
            ("a.b.c()", arguments(&[])),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Ok(("a.b.c".to_owned(), expected)), "{text}");
        }
        let scoped = "example.com:geo.data.proc";
        assert_eq!(read(scoped), Ok((scoped.to_owned(), None)));
    }

    #[test]
    fn what_is_no_procedure_is_told_with_the_line_to_write() {
        let table = [
            ("c", "the name has no dataset", "project.dataset.procedure"),
            ("a..c", "a part of the name is empty", "project.dataset"),
            (
                "a.b c",
                "the name must not contain white space",
                "project.dataset",
            ),
            (
                "a.b;c.d",
                "the name must not contain `;`",
                "project.dataset",
            ),
            (
                "a.b(x",
                "the arguments do not end with a parenthesis",
                "(a, b)",
            ),
            ("a.b(@x)", "`@x` needs no @", "write `x`"),
            ("a.b(x, x)", "`x` stands there twice", "once"),
            ("a.b(x,)", "`` is no name of an argument", "(a, b)"),
            ("a.b(1)", "`1` is no name of an argument", "(a, b)"),
            (
                "CALL `a.b.c`(@x,@y)",
                "is a whole statement, not the name of a procedure",
                "write procedure = \"a.b.c(x, y)\"",
            ),
            (
                "call `a.b.c`(1 + 2)",
                "is a whole statement, not the name of a procedure",
                "write it as call = ",
            ),
        ];
        for (text, message, hint) in table {
            let (said, remedy) = read(text).unwrap_err();
            assert_eq!(said, message, "{text}");
            assert!(remedy.contains(hint), "{text}: {remedy}");
        }
    }

    #[test]
    fn placeholders_are_found_outside_quotes_and_comments() {
        let table: [(&str, &[&str], usize); 7] = [
            ("CALL `a@b`(@x, @y, @x)", &["x", "y"], 0),
            ("CALL a.b($1, $2)", &[], 2),
            ("CALL a.b(:1, :3)", &[], 3),
            ("CALL a.b('it''s @n', @m) -- @o\n", &["m"], 0),
            ("/* @a */ CALL b(@c) /* open", &["c"], 0),
            ("SELECT a::text, @@system, me@example", &[], 0),
            ("'open @x", &[], 0),
        ];
        for (query, names, highest) in table {
            let found = placeholders(query);
            assert_eq!(found.names, names, "{query}");
            assert_eq!(found.highest, highest, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = read(&text);
            let _ = placeholders(&text);
        }
    }
}
