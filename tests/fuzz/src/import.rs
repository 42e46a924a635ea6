//! A curl command that somebody pasted: made into tables that can be read, or refused, and never with its token.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use nightcall::cli::Context;
use nightcall::cli::import::{ImportArgs, There, import_at};
use nightcall::cli::output::Output;

use super::reading::{ZONES, load, number_of};

/// As CARTO's tokens look.
const SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJ0d2VldCJ9.c4n4ryTw33t-S0ngS1gn4tur3";

/// So many characters of it in a row are too many.
const PIECE: usize = 12;

/// Imports the text with a header that holds a token, in front of it or behind.
pub fn import(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let header = format!("-H 'Authorization: Bearer {SECRET}'");
    let given = match (number_of(data) % 2, text.trim_start().strip_prefix("curl ")) {
        (0, Some(rest)) => format!("curl {header} {rest}"),
        _ => format!("{text} {header}"),
    };
    // A URL is read without the tabs and line breaks in it, which may join what the text itself says of the token.
    let joined = text.replace(['\t', '\n', '\r'], "");
    let (out, shown) = imported(given.clone());
    for piece in SECRET.as_bytes().windows(PIECE) {
        let piece = std::str::from_utf8(piece).expect("it is ASCII");
        let known = text.contains(piece) || joined.contains(piece);
        assert!(
            known || !shown.contains(piece),
            "{given}\n---- shows the token:\n{shown}"
        );
    }
    if !out.is_empty() {
        load(&out).unwrap_or_else(|problems| panic!("{given}\n---- became\n{out}\n{problems}"));
    }
}

/// What is printed, and everything that is seen.
fn imported(command: String) -> (String, String) {
    let args = ImportArgs {
        name: vec!["x".to_owned()],
        cron: Some("15 2 * * *".to_owned()),
        command: vec![command],
        ..ImportArgs::default()
    };
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let context = Context {
        // nothing is there already, wherever this runs
        config: vec![PathBuf::from("/dev/null")],
        zones: ZONES.clone(),
        out: Output::plain(false, buffer.clone()),
    };
    let mut err = Vec::new();
    let there = There {
        from: &mut std::io::empty(),
        to: &mut err,
        person: false,
        now: "2026-02-02T20:00:00Z".parse().expect("it is a time"),
    };
    let failure = import_at(&context, &args, there).err();
    let out = buffer.lock().expect("nobody else holds it").clone();
    let out = String::from_utf8(out).expect("what is printed is text");
    let err = String::from_utf8(err).expect("what is told is text");
    let failure = failure.map(|failure| failure.to_string());
    let shown = format!("{out}{err}{}", failure.unwrap_or_default());
    (out, shown)
}
