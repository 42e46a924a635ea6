//! What a text becomes, held against a shell's grammar and against `shlex`; and that no token comes out.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Every command's words; `<shell>` where a shell would put something else.
fn split(text: &str) -> Result<Vec<Vec<String>>, Fault> {
    let words = |command: &Command| {
        let told = |word: &Word| word.text().unwrap_or("<shell>").to_owned();
        command.words.iter().map(told).collect()
    };
    script(text).map(|script| script.commands.iter().map(words).collect())
}

/// The words of the one command.
fn one(text: &str) -> Vec<String> {
    let commands = split(text).unwrap();
    assert_eq!(commands.len(), 1, "{text}: {commands:?}");
    commands.into_iter().next().unwrap()
}

#[test]
fn quotes_and_escapes_are_taken_off_as_a_shell_does() {
    let table: [(&str, &[&str]); 22] = [
        ("a b\tc", &["a", "b", "c"]),
        ("'a b'\"c d\"e", &["a bc de"]),
        ("'it'\\''s'", &["it's"]),
        ("\"a\\\"b\\$c\\`d\\\\e\\f\"", &["a\"b$c`d\\e\\f"]),
        ("a\\ b \\# \\'", &["a b", "#", "'"]),
        ("a '' \"\"", &["a", "", ""]),
        ("a \\\n b\\\nc", &["a", "bc"]),
        ("a \\\r\n  b\r\n", &["a", "b"]),
        ("\"a\\\nb\"", &["ab"]),
        ("'a\nb'", &["a\nb"]),
        ("a # b 'c", &["a"]),
        ("a#b", &["a#b"]),
        ("$ curl x", &["curl", "x"]),
        ("a $ b", &["a", "$", "b"]),
        ("a > out.json 2>&1 b", &["a", "b"]),
        ("a 2>/dev/null >> x", &["a"]),
        ("a &> x b", &["a", "b"]),
        ("'$x `y`'", &["$x `y`"]),
        ("$\"a\"", &["a"]),
        ("\u{feff}curl", &["curl"]),
        ("a{b,c}*?~", &["a{b,c}*?~"]),
        ("a \\", &["a"]),
    ];
    for (text, wanted) in table {
        assert_eq!(one(text), wanted, "{text:?}");
    }
}

#[test]
fn the_escapes_that_browsers_write_are_read() {
    let table = [
        (r"$'it\'s'", "it's"),
        (r"$'a\nb\tc\r'", "a\nb\tc\r"),
        (r"$'\u0021\u00e9\U0001F600'", "!é😀"),
        (r"$'\x41\x4a\101\0101'", "AJA\u{8}1"),
        (r"$'\xc3\xa9'", "é"),
        (r"$'\\n\q\xz'", r"\n\q\xz"),
        (r"$'\a\b\e\f\v\?\cA'", "\u{7}\u{8}\u{1b}\u{c}\u{b}?\u{1}"),
        (r#"$'"'x"$'y'""#, "\"x$'y'"),
    ];
    for (text, wanted) in table {
        assert_eq!(one(text), [wanted], "{text}");
    }
    for text in [r"$'\xff'", r"$'\0'", r"$'\ud800'", r"$'\u0000'"] {
        assert!(split(text).is_err(), "{text}");
    }
}

#[test]
fn commands_end_where_a_shell_ends_them() {
    let table: [(&str, &[&[&str]]); 8] = [
        (
            "a\nb; c && d || e & f",
            &[&["a"], &["b"], &["c"], &["d"], &["e"], &["f"]],
        ),
        ("curl x | jq . ; b", &[&["curl", "x"], &["b"]]),
        (
            "echo x | curl -d @- y",
            &[&["echo", "x"], &["curl", "-d", "@-", "y"]],
        ),
        ("curl x |\n jq . | cat\nb", &[&["curl", "x"], &["b"]]),
        ("#!/bin/sh\n\n# c\ncurl x\n", &[&["curl", "x"]]),
        ("TOKEN=abc\ncurl x", &[&["TOKEN=abc"], &["curl", "x"]]),
        ("", &[]),
        ("\r\n \t\n", &[]),
    ];
    for (text, wanted) in table {
        assert_eq!(split(text).unwrap(), wanted, "{text:?}");
    }
    let lines: Vec<usize> = script("a \\\nb\n\n'c\nd'\ne")
        .unwrap()
        .commands
        .iter()
        .map(|c| c.line)
        .collect();
    assert_eq!(lines, [1, 4, 6]);
}

#[test]
fn what_only_a_shell_can_work_out_is_no_text() {
    for text in [
        "$X",
        "${X}",
        "\"a $X b\"",
        "${X:-y}",
        "${X:-'}'}",
        "$(cat x)",
        "`cat x`",
        "\"$(cat \"x)\")\"",
        "$1",
        "$?",
        "a$(b (c) d)e",
    ] {
        assert_eq!(one(text), ["<shell>"], "{text}");
    }
    let refused = |text: &str| split(text).unwrap_err().message;
    assert!(refused("curl -d @- <<EOF").contains("here-document"));
    assert!(refused("(curl x)").contains("parentheses"));
    assert!(refused("curl >").contains("names no file"));
}

#[test]
fn an_open_quote_is_told_with_its_line() {
    for text in [
        "a\n'b\nc",
        "a\n\"b\nc",
        "a\n$'b\nc",
        "a\n`b\nc",
        "a\n$(b\nc",
        "a\n${b:-\nc",
        "a\n\"$(b\nc",
    ] {
        let fault = split(text).unwrap_err();
        assert_eq!(fault.line, Some(2), "{text}");
        assert!(fault.message.contains("is never closed"), "{text}");
    }
}

fn credentials(text: &str) -> Vec<Credential> {
    let script = script(text).unwrap();
    let words = script
        .commands
        .into_iter()
        .flat_map(|command| command.words);
    words.filter_map(|word| word.credential).collect()
}

#[test]
fn the_value_of_an_authorization_header_is_cut_off() {
    use Credential::{Literal, Shell, Variable};
    let variable = |name: &str| Variable(name.to_owned());
    let table = [
        ("-H 'Authorization: Bearer abcdefgh12'", Literal),
        ("-H'authorization:bearer abcdefgh12'", Literal),
        ("'--header=Authorization: abcdefgh12'", Literal),
        ("'Proxy-Authorization: Basic abcdefgh12'", Literal),
        ("\"Authorization: Bearer $TOKEN\"", variable("TOKEN")),
        (
            "\"Authorization: Bearer ${MY_TOKEN}\"",
            variable("MY_TOKEN"),
        ),
        ("-H\"Authorization: Bearer $TOKEN\"", variable("TOKEN")),
        ("\"Authorization: Bearer ${A:-abcdefgh12}\"", Shell),
        ("\"Authorization: Bearer $(cat abcdefgh12)\"", Shell),
        ("\"Authorization: Bearer `cat x`\"", Shell),
        ("\"Authorization: Bearer $A$B\"", Shell),
        ("'Authorization: Bearer $TOKEN'", Literal),
        ("$'Authorization: Bearer abcdefgh\\u0031\\u0032'", Literal),
    ];
    for (text, wanted) in table {
        assert_eq!(credentials(text), [wanted], "{text}");
        for word in script(text).unwrap().commands.iter().flat_map(|c| &c.words) {
            assert!(
                !format!("{:?}", word.parts).contains("abcdefgh12"),
                "{text}"
            );
        }
    }
    assert_eq!(credentials("-d '{\"authorization\": \"x\"}'"), []);
    let kept = script("-H 'Authorization: Bearer abcdefgh12'")
        .unwrap()
        .secrets;
    assert!(kept.iter().any(|secret| secret.expose() == "abcdefgh12"));
}

/// Text that `shlex` and a shell read alike: no line ends, no dollars, backticks and operators outside quotes.
fn plain_words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9 \t,.:/@{}=-]{1,8}",
        "'[^'\n]{0,8}'",
        "\"[a-z '#;|&<>(){}]{0,8}\"",
        "\\\\[^\n\r]",
        "\"(\\\\[\"\\\\$`])?\"",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn plain_words_are_split_as_shlex_splits_them(text in plain_words()) {
        let wanted = shlex::split(&text).unwrap_or_default();
        let found = split(&text).unwrap().into_iter().next().unwrap_or_default();
        // a lone dollar in front is a prompt to us
        prop_assume!(wanted.first().is_none_or(|word| word != "$"));
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn what_shlex_quotes_is_read_as_it_was(words in proptest::collection::vec("[^\0]{0,20}", 1..6)) {
        let quoted = shlex::try_join(words.iter().map(String::as_str)).unwrap();
        prop_assume!(words[0] != "$");
        prop_assume!(!words.iter().any(|word| word.to_lowercase().contains("authorization")));
        prop_assert_eq!(one(&quoted), words);
    }

    #[test]
    fn what_is_escaped_for_ansi_quotes_is_read_as_it_was(text in "[^\0]{1,20}") {
        let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
        prop_assume!(text != "$" && !text.to_lowercase().contains("authorization"));
        prop_assert_eq!(one(&format!("$'{escaped}'")), [text]);
    }

    #[test]
    fn no_text_panics(text in "[ -~\n\r\u{e9}]{0,60}") {
        let _ = script(&text);
    }
}
