//! Reads a CALL as far as a stand-in needs: the procedure's name and what stands for each argument.

use serde_json::Value;

/// A statement of the form `CALL name(arguments)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// The qualified name without quotes: `project.dataset.procedure`.
    pub name: String,
    /// What stands for each argument, in order.
    pub arguments: Vec<Argument>,
}

/// What stands for one argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument {
    /// `@name`, out of an object of parameters.
    Named(String),
    /// `$1`, `:1` or the next `?`, counted from zero, out of an array of parameters.
    Position(usize),
    /// A number, a string, TRUE, FALSE or NULL.
    Literal(Value),
    /// Anything else; its type is not known here.
    Expression(String),
}

impl Argument {
    /// How it is written, for messages.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Named(name) => format!("@{name}"),
            Self::Position(at) => format!("parameter {}", at + 1),
            Self::Literal(value) => value.to_string(),
            Self::Expression(text) => text.clone(),
        }
    }
}

/// Reads a CALL. `None` for every other statement, and for scripts that hold more than one statement.
pub(super) fn parse(sql: &str) -> Option<Call> {
    let rest = skip_blank(sql);
    let word = rest.get(..4)?;
    if !word.eq_ignore_ascii_case("call") {
        return None;
    }
    let rest = rest.get(4..)?;
    if !rest.starts_with(|c: char| c.is_whitespace() || c == '`' || c == '"') {
        return None;
    }
    let open = find_outside_quotes(rest, '(')?;
    let name: String = rest[..open]
        .chars()
        .filter(|c| !matches!(c, '`' | '"') && !c.is_whitespace())
        .collect();
    let inside = rest.get(open + 1..)?;
    let close = find_outside_quotes(inside, ')')?;
    let tail = skip_blank(inside.get(close + 1..)?);
    let tail = skip_blank(tail.strip_prefix(';').unwrap_or(tail));
    if name.is_empty() || !tail.is_empty() {
        return None;
    }
    let mut anonymous = 0;
    let arguments = split_arguments(&inside[..close])
        .into_iter()
        .map(|text| argument(text, &mut anonymous))
        .collect();
    Some(Call { name, arguments })
}

/// The text after white space and comments.
fn skip_blank(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if text.starts_with("--") || text.starts_with('#') {
            text = text.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(inside) = text.strip_prefix("/*") {
            text = inside.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            return text;
        }
    }
}

/// The place of `wanted` outside quotes and inner parentheses.
fn find_outside_quotes(text: &str, wanted: char) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0u32;
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == wanted && depth == 0 => return Some(at),
            None => match c {
                '\'' | '"' | '`' => quote = Some(c),
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.checked_sub(1)?,
                _ => {}
            },
        }
    }
    None
}

/// The parts between commas that stand outside quotes and parentheses.
pub(super) fn split_arguments(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some(comma) = find_outside_quotes(text, ',') {
        parts.push(text[..comma].trim());
        text = &text[comma + 1..];
    }
    if !(parts.is_empty() && text.trim().is_empty()) {
        parts.push(text.trim());
    }
    parts
}

fn argument(text: &str, anonymous: &mut usize) -> Argument {
    if let Some(name) = text.strip_prefix('@') {
        return Argument::Named(name.to_owned());
    }
    if text == "?" {
        *anonymous += 1;
        return Argument::Position(*anonymous - 1);
    }
    let numbered = text.strip_prefix(['$', ':']).unwrap_or("");
    if let Ok(number @ 1..) = numbered.parse::<usize>() {
        return Argument::Position(number - 1);
    }
    literal(text).map_or_else(|| Argument::Expression(text.to_owned()), Argument::Literal)
}

/// A value as SQL writes it; strings in single or double quotes.
pub(super) fn literal(text: &str) -> Option<Value> {
    let text = text.trim();
    for (word, value) in [
        ("null", Value::Null),
        ("true", Value::Bool(true)),
        ("false", Value::Bool(false)),
    ] {
        if text.eq_ignore_ascii_case(word) {
            return Some(value);
        }
    }
    for quote in ['\'', '"'] {
        let inside = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inside) = inside {
            return (!inside.contains(quote)).then(|| Value::String(inside.to_owned()));
        }
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Number(_)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_call_of_the_vendors_page_is_read() {
        let call = parse(
            "CALL `carto-dw-ac-jfjjof5m.workflows_temp.workflow_procedure_09cc2e19ad5bbc6f`(@number_of_clusters,@store_type)",
        )
        .unwrap();
        assert_eq!(
            call.name,
            "carto-dw-ac-jfjjof5m.workflows_temp.workflow_procedure_09cc2e19ad5bbc6f"
        );
        assert_eq!(
            call.arguments,
            [
                Argument::Named("number_of_clusters".into()),
                Argument::Named("store_type".into())
            ]
        );
    }

    #[test]
    fn positional_and_literal_arguments_are_read() {
        let call =
            parse("call DB.\"SCHEMA\".NAME($1, :2, ?, 'a, (b', 2.50, NULL, f(1, 2))").unwrap();
        assert_eq!(call.name, "DB.SCHEMA.NAME");
        assert_eq!(
            call.arguments,
            [
                Argument::Position(0),
                Argument::Position(1),
                Argument::Position(0),
                Argument::Literal(json!("a, (b")),
                Argument::Literal(serde_json::from_str("2.50").unwrap()),
                Argument::Literal(Value::Null),
                Argument::Expression("f(1, 2)".into()),
            ]
        );
    }

    #[test]
    fn comments_and_a_semicolon_do_not_matter() {
        let call = parse("-- nightly\n/* x */ CALL a.b() ; -- tail").unwrap();
        assert_eq!((call.name.as_str(), call.arguments.len()), ("a.b", 0));
    }

    #[test]
    fn other_statements_are_not_calls() {
        for sql in [
            "SELECT 1",
            "CALLER(1)",
            "CALL x",
            "CALL a(1); CALL b(2)",
            "CALL a(1",
            "cå",
            "",
        ] {
            assert_eq!(parse(sql), None, "{sql}");
        }
    }
}
