//! What the form of a statement tells: the warehouse, and the procedure with its signature.

use crate::sched::call::{Procedure, Provider};

/// The warehouse that a statement is written for, as far as its form tells, and by what.
pub(super) fn provider(statement: &str, connection: &str) -> Option<(Provider, &'static str)> {
    let code = without_texts(statement);
    let sign = |sign: char, follows: fn(char) -> bool| {
        let mut signs = code.char_indices().filter(|(_, c)| *c == sign);
        signs.any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + 1..].chars().next();
            let doubled = before == Some(sign) || before.is_some_and(char::is_alphanumeric);
            !doubled && after.is_some_and(follows)
        })
    };
    let digit = |c: char| c.is_ascii_digit();
    let letter = |c: char| c.is_alphabetic() || c == '_';
    if code.contains('`') {
        return Some((Provider::BigQuery, "the backticks of the statement"));
    }
    if sign('@', letter) {
        return Some((Provider::BigQuery, "the @names of the statement"));
    }
    if sign('$', digit) {
        return Some((Provider::Postgres, "the $1 of the statement"));
    }
    if sign(':', digit) {
        return Some((Provider::Snowflake, "the :1 of the statement"));
    }
    (connection == "carto_dw").then_some((
        Provider::BigQuery,
        "the name of the CARTO Data Warehouse's connection",
    ))
}

/// The statement without what stands between single quotes.
fn without_texts(statement: &str) -> String {
    statement.split('\'').step_by(2).collect()
}

/// The procedure of a `CALL name(@a, @b)`; `None` for every other statement.
pub(super) fn procedure(statement: &str) -> Option<Procedure> {
    let statement = statement.trim().trim_end_matches(';').trim_end();
    let word = statement.get(..4)?;
    let rest = &statement[4..];
    if !word.eq_ignore_ascii_case("call") || !rest.starts_with([' ', '\t', '\r', '\n', '`']) {
        return None;
    }
    let (name, arguments) = rest.strip_suffix(')')?.split_once('(')?;
    let name = name.trim().replace('`', "");
    let sane = |c: char| c.is_alphanumeric() || "_-:".contains(c);
    let whole = |part: &str| !part.is_empty() && part.chars().all(sane);
    if !name.contains('.') || !name.split('.').all(whole) {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for argument in arguments
        .split(',')
        .filter(|_| !arguments.trim().is_empty())
    {
        let argument = argument.trim().strip_prefix('@')?;
        let starts = argument.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = argument
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !starts || !plain || names.iter().any(|known| known == argument) {
            return None;
        }
        names.push(argument.to_owned());
    }
    Some(Procedure {
        name,
        arguments: names,
    })
}

/// The names of a statement's placeholders, `@name`, in their order.
pub(super) fn names(statement: &str) -> Vec<String> {
    let code = without_texts(statement);
    let mut names: Vec<String> = Vec::new();
    for piece in code.split('@').skip(1) {
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        let name: String = piece.chars().take_while(|c| plain(*c)).collect();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A name for the schedule: the last part of the procedure's name.
pub(super) fn proposal(statement: &str) -> String {
    let code = statement.split('(').next().unwrap_or_default();
    let last = code
        .rsplit(['.', ' ', '\n', '\t'])
        .next()
        .unwrap_or_default();
    let name = sanitised(last.trim_matches(['`', '"', ';']));
    match name.is_empty() {
        true => "workflow".to_owned(),
        false => name,
    }
}

/// A text as a name: everything but `A-Z a-z 0-9 _ -` becomes a dash.
pub(super) fn sanitised(text: &str) -> String {
    let keep = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' => c,
        _ => '-',
    };
    let text: String = text.chars().map(keep).take(100).collect();
    text.trim_matches('-').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_statement_tells_the_warehouse() {
        let table = [
            ("CALL `a.b.c`(@x)", Some("bigquery")),
            ("CALL a.b.c(@x)", Some("bigquery")),
            ("CALL carto.w($1, $2)", Some("postgres")),
            ("CALL DB.S.W(:1, :2)", Some("snowflake")),
            ("CALL a.w('$1 @x `y` :1')", None),
            ("CALL a.w('me@example.com')", None),
            ("CALL a.w(x::1)", None),
            ("CALL a.w(@@1)", None),
            ("CALL a.w(?)", None),
        ];
        for (statement, wanted) in table {
            let found = provider(statement, "x").map(|(provider, _)| provider.word());
            assert_eq!(found, wanted, "{statement}");
        }
        let (found, _) = provider("CALL a.b.c()", "carto_dw").unwrap();
        assert_eq!(found, Provider::BigQuery);
    }

    #[test]
    fn a_call_by_name_becomes_a_procedure_with_its_signature() {
        let table = [
            ("CALL `a-b.c.d`(@x,@y_2)", Some("a-b.c.d(x, y_2)")),
            ("call `a-b`.`c`.d ( @x , @y ) ;", Some("a-b.c.d(x, y)")),
            ("CALL`a.b`()", Some("a.b()")),
            ("CALL a.b(@x, 2)", None),
            ("CALL a.b(@x, @x)", None),
            ("CALL a.b(@x,)", None),
            ("CALL b(@x)", None),
            ("CALL a..b(@x)", None),
            ("CALL a.b('(', @x)", None),
            ("CALL a.b(@x); DROP TABLE c", None),
            ("CALLING a.b(@x)", None),
            ("SELECT 1", None),
            ("é", None),
        ];
        for (statement, wanted) in table {
            let found = procedure(statement);
            let told = found.map(|p| format!("{}({})", p.name, p.arguments.join(", ")));
            assert_eq!(told.as_deref(), wanted, "{statement}");
        }
    }

    #[test]
    fn a_name_is_proposed_from_the_procedure() {
        let table = [
            (
                "CALL `a.b.workflow_procedure_09cc`(@x)",
                "workflow_procedure_09cc",
            ),
            ("CALL \"A\".\"B\".\"W\"(:1)", "W"),
            ("CALL x();", "x"),
            ("", "workflow"),
            ("CALL a.b.ñ(1)", "workflow"),
        ];
        for (statement, wanted) in table {
            assert_eq!(proposal(statement), wanted, "{statement}");
        }
        assert_eq!(sanitised("été 2026.v1"), "t--2026-v1");
        assert_eq!(sanitised(&"x".repeat(300)).len(), 100);
    }
}
