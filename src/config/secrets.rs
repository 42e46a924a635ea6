//! Which bytes of a file may be a secret, so that no message ever shows them.
//!
//! A secret belongs into the environment or a file of its own. When somebody writes one here all the same, it is a
//! problem; and no other problem on the same line may give it away.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::{self, Keys};

/// Parts of key names that announce a secret.
const WORDS: [&str; 9] = [
    "token",
    "secret",
    "passw",
    "credential",
    "api_key",
    "apikey",
    "api-key",
    "authoriz",
    "bearer",
];

/// Whether the name of a key announces a secret.
pub(super) fn sounds_secret(key: &str) -> bool {
    contains(key, &WORDS)
}

/// Whether a text contains one of these ASCII words, in whatever case. Asked of every key and every text, which are
/// short: so by looking, without the tables that a search in long texts begins with.
fn contains(text: &str, words: &[&str]) -> bool {
    let text = text.as_bytes();
    text.iter().enumerate().any(|(at, letter)| {
        words.iter().any(|word| {
            let word = word.as_bytes();
            let begins = word
                .first()
                .is_some_and(|first| first.eq_ignore_ascii_case(letter));
            begins
                && text[at..]
                    .get(..word.len())
                    .is_some_and(|part| part.eq_ignore_ascii_case(word))
        })
    })
}

/// Whether a text has the look of a credential, whatever it is called: a JSON web token, a bearer header, a password
/// in a URL.
pub(super) fn looks_secret(text: &str) -> bool {
    let windows = text.as_bytes().windows(3).enumerate();
    windows.into_iter().any(|(at, part)| {
        let rest = &text.as_bytes()[at + 3..];
        match part {
            // a JSON web token
            b"eyJ" => {
                rest.iter()
                    .take_while(|b| b.is_ascii_alphanumeric())
                    .count()
                    >= 8
            }
            // a password in a URL
            b"://" => {
                let mut host = rest.iter().take_while(|b| !b"/\"' ".contains(b));
                host.any(|b| *b == b'@')
            }
            _ => false,
        }
    }) || contains(text, &["bearer "])
}

/// Whether a comment on the line speaks of a secret: it may be one that was in use before. A `#` inside a text is taken
/// for a comment too.
pub(super) fn comment_sounds_secret(line: &str) -> bool {
    let comment = line.split_once('#').map(|(_, comment)| comment);
    comment.is_some_and(sounds_secret)
}

/// Whether a text can be the name of an environment variable, so that showing it gives nothing away.
pub(super) fn is_variable(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts = text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    starts && text.len() <= 100 && text.bytes().all(plain) && !looks_secret(text)
}

/// Whether a text can be the name of a systemd credential.
pub(super) fn is_credential_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    !text.is_empty() && text.len() <= 100 && text.bytes().all(plain) && !looks_secret(text)
}

/// A table in which a text under an unknown key may be a secret whose name was misspelled: these keys are known to
/// hold none.
type Plain<'k> = &'k [&'k str];

/// Of a connection.
const OF_CONNECTION: [&Keys; 3] = [&raw::CONNECTION, &raw::POLL, &raw::OAUTH];

/// The bytes of a parsed file that must not be shown.
pub(super) fn spans(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let connection: Vec<&str> = OF_CONNECTION
        .iter()
        .flat_map(|table| table.keys)
        .copied()
        .collect();
    // the address of a channel is a secret as a whole
    let of_channel = raw::NOTIFY.keys.iter().filter(|key| **key != "url");
    let channel: Vec<&str> = of_channel.copied().collect();
    let mut found = Vec::new();
    for (key, value) in root {
        let key: &str = key.get_ref();
        let plain: Option<Plain<'_>> = match key {
            "connection" => Some(&connection),
            "notify" => Some(&channel),
            _ => None,
        };
        match (value.get_ref(), plain) {
            (DeValue::Table(named), Some(_)) => {
                for (name, value) in named {
                    let table = value.get_ref().is_table();
                    // `[connection]` without a name: its keys stand where names should
                    let hush = !table && is_hush(name.get_ref(), value.get_ref(), plain);
                    collect(value, plain, hush, &mut found);
                }
            }
            _ => collect(value, None, sounds_secret(key), &mut found),
        }
    }
    found
}

/// `plain`: inside a table that may hold a secret, with the keys that do not. `hush`: under a key that announces one.
fn collect(
    value: &Spanned<DeValue<'_>>,
    plain: Option<Plain<'_>>,
    hush: bool,
    found: &mut Vec<Range<usize>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                let key: &str = key.get_ref();
                let place = is_place_of_secret(key, value.get_ref());
                let hush = !place && (hush || is_hush(key, value.get_ref(), plain));
                collect(value, plain, hush, found);
            }
        }
        DeValue::Array(items) => {
            for item in items.iter() {
                collect(item, plain, hush, found);
            }
        }
        DeValue::String(text) if looks_secret(text) => found.push(value.span()),
        DeValue::Boolean(_) => {}
        _ if hush => found.push(value.span()),
        _ => {}
    }
}

/// Whether what stands under this key is not shown.
fn is_hush(key: &str, value: &DeValue<'_>, plain: Option<Plain<'_>>) -> bool {
    let announced = sounds_secret(key) && key != "token_url";
    let unknown = plain.is_some_and(|plain| !plain.contains(&key));
    announced || (unknown && !value.is_table())
}

/// Whether this says where a secret is kept, and not the secret.
fn is_place_of_secret(key: &str, value: &DeValue<'_>) -> bool {
    match (key, value) {
        ("env", DeValue::String(text)) => is_variable(text),
        ("credential", DeValue::String(text)) => is_credential_name(text),
        ("file", DeValue::String(text)) => text.len() <= 4096 && !looks_secret(text),
        ("command", DeValue::Array(_)) => true,
        _ => false,
    }
}

/// Whether the text before a syntax error, back to the header of its table, speaks of a secret. The file could not be
/// read as TOML, so this errs on the side of silence.
pub(super) fn near(text: &str, at: usize) -> bool {
    let rest = text.get(at..).unwrap_or("");
    let line_end = rest.find('\n').map_or(text.len(), |i| at + i);
    let mut lines = text[..line_end].rsplit('\n');
    let this = lines.next().unwrap_or("");
    if is_suspicious(this) || (!this.contains('=') && has_long_word(this)) {
        return true;
    }
    if is_header(this) {
        return false;
    }
    let mut header = None;
    for line in lines {
        if is_header(line) {
            header = Some(line);
            break;
        }
        if is_suspicious(line) {
            return true;
        }
    }
    // As in a file that can be read: a text under an unknown key of a connection may be a misspelled `token`.
    let may_hold =
        |header: &str| header.starts_with("[connection") || header.starts_with("[notify");
    header.is_some_and(may_hold) && !says_what_is_no_secret(this)
}

/// Whether a line of a connection begins with a key that is known, and whose value is in no case a secret.
fn says_what_is_no_secret(line: &str) -> bool {
    let key = line.split(['=', '.']).next().unwrap_or("").trim();
    let known = [&raw::CONNECTION, &raw::POLL]
        .iter()
        .any(|table| table.keys.contains(&key));
    known && key != "oauth"
}

fn is_suspicious(line: &str) -> bool {
    sounds_secret(line) || looks_secret(line)
}

/// `[connection.x]`: what stands above it belongs to another table.
fn is_header(line: &str) -> bool {
    let line = line.trim_end();
    let name = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    line.starts_with('[')
        && line
            .trim_matches(['[', ']'])
            .chars()
            .all(|c| name(c) || c == ' ')
}

/// A secret that was pasted without its key.
fn has_long_word(line: &str) -> bool {
    line.split_whitespace().any(|word| word.len() >= 20)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<String> {
        let table = DeTable::parse(text).unwrap();
        let spans = spans(table.get_ref());
        spans.into_iter().map(|s| text[s].to_owned()).collect()
    }

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for text in [
            "[connection.c]\ntoken = 'hush'",
            "[connection.c]\ntokn = 'hush'",
            "[connection]\nbase_url = 'https://x'\ntoken = 'hush'",
            "token = 'hush'",
            "[connection.c]\ntoken = 1234 # hush",
            "[connection.c]\ntoken = { env = 'hush hush' }",
            "[connection.c]\ntoken = { value = 'hush' }",
            "[connection.c]\noauth = { client_id = 'a', client_secret = 'hush' }",
            "[connection.c]\noauth = { clientsecret = 'hush' }",
            "[defaults]\napi_key = ['hush']",
            "[schedule.x.parameters]\nx = 'eyJhbGciOiJIUzI1NiJ9hush'",
            "[connection.c]\nproxy = 'http://me:hush@proxy:3128'",
        ] {
            let found = hidden(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(text.contains("1234") || found[0].contains("hush"), "{text}");
        }
    }

    #[test]
    fn where_a_secret_is_kept_is_not_hidden() {
        let text = "[connection.c]\nbase_url = 'https://x'\npoll = { first = '2s' }\n\
            request_timeout = '3s'\ntoken = { env = 'CARTO_API_TOKEN' }\n\
            [connection.d]\ntoken = { file = '/run/token' }\n\
            [connection.e]\ntoken = { command = ['pass', 'show'] }\n\
            [connection.f]\noauth = { token_url = 'https://x/oauth/token', client_id = 'i', \
            audience = 'a', client_secret = { credential = 'carto-secret' } }\n";
        assert_eq!(hidden(text), Vec::<String>::new());
    }

    #[test]
    fn a_syntax_error_near_a_secret_shows_no_line() {
        let text = "[connection.c]\nbase_url = 3\ntoken = 'hush\nx\n[schedule.y]\ncron = \n";
        assert!(near(text, text.find("'hush").unwrap()));
        assert!(near(text, text.find("\nx").unwrap() + 1));
        assert!(!near(text, text.find("base_url").unwrap()));
        assert!(!near(text, text.find("cron").unwrap()));
        let text = "[connection.c]\ntokn = 'hush' x\n'hush'\noauth = { client = 'hush' x\n[schedule.y]\nx y";
        for at in text.match_indices("hush") {
            assert!(near(text, at.0), "{at:?}");
        }
        assert!(!near(text, text.find("x y").unwrap()));
        for text in [
            "eyJhbGciOiJIUzI1NiJ9",
            "d41d8cd98f00b204e9800998ecf8427e\n",
            "[connection.c]\ntoken = [\n[\"hush\",\n",
            "token = \"\"\"\nhush",
        ] {
            assert!(near(text, text.trim_end().len() - 1), "{text}");
        }
    }
}
