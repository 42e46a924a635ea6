//! A message in words, for each form that a channel sends: a subject, plain text, HTML, JSON. Pure.
//!
//! Whatever the text of a message is, every form is valid and bounded: of many items the first [`SHOWN`] are listed, of
//! these the first [`FULL`] in full, and the rest is counted.

use serde_json::{Value, json};

use super::plain::{BODY, ID, LINE, block, for_html, line};
use super::{Item, Message, SHOWN};

/// So many items of a message are written out; if there are more, they come as a table first.
pub const FULL: usize = 3;

/// The version of the JSON form. Fields are added without a new one; it is raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// The longest name in a table, in characters.
const NAME: usize = 48;

/// Where everything is.
pub(super) const ALL: &str = "nightcall runs";

/// One line: the installation and what it is about.
pub fn subject(message: &Message) -> String {
    let instance = line(&message.instance, NAME);
    format!("[{instance}] {}", line(&message.subject, LINE))
}

/// Plain text.
pub fn text(message: &Message) -> String {
    let mut text = format!("{}\n\n", line(&message.subject, LINE));
    if message.items.len() > FULL {
        text.push_str(&table(message));
        text.push_str(&format!("\nThe first {FULL} in full:\n\n"));
    }
    for item in message.items.iter().take(FULL) {
        text.push_str(&item_text(item, message));
    }
    text.push_str(&format!("-- \n{}\n", footer(message)));
    text
}

/// A whole HTML document, without anything that a reader would have to fetch.
pub fn html(message: &Message) -> String {
    let subject = for_html(&line(&message.subject, LINE));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{subject}</title></head>\n\
         <body style=\"font-family:sans-serif\">\n<h2 style=\"border-left:6px solid {};padding-left:8px\">{subject}</h2>\n",
        colour(message)
    );
    if message.items.len() > FULL {
        html.push_str(&html_table(message));
        html.push_str(&format!("<p>The first {FULL} in full:</p>\n"));
    }
    for item in message.items.iter().take(FULL) {
        html.push_str(&item_html(item, message));
    }
    let footer = for_html(&footer(message));
    html.push_str(&format!(
        "<p style=\"color:#666\">{footer}</p>\n</body></html>\n"
    ));
    html
}

/// The JSON form; its fields are in `docs/channels.md` and stay.
pub fn json(message: &Message) -> Value {
    let items: Vec<Value> = message.items.iter().take(SHOWN).map(item_json).collect();
    json!({
        "version": VERSION,
        "id": line(&message.id, ID),
        "thread": line(&message.thread, ID),
        "severity": message.severity.word(),
        "at": message.at.to_string(),
        "instance": line(&message.instance, NAME),
        "subject": line(&message.subject, LINE),
        "items": items,
        "more": more(message),
    })
}

/// How many items are not listed.
pub(super) fn more(message: &Message) -> usize {
    message.items.len().saturating_sub(SHOWN)
}

/// What the reader may want to quote.
pub(super) fn footer(message: &Message) -> String {
    format!(
        "{} at {}, nightcall at {}, message {}",
        message.severity.word(),
        message.at,
        line(&message.instance, NAME),
        line(&message.id, ID),
    )
}

/// The line of an item, unless the message says the same already.
pub(super) fn own_subject(item: &Item, message: &Message) -> Option<String> {
    let own = line(&item.subject, LINE);
    (own != line(&message.subject, LINE)).then_some(own)
}

/// What an item is about, each with its name.
pub(super) fn facts(item: &Item) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("kind", item.kind.word().to_owned()),
        ("at", item.at.to_string()),
    ];
    // A run's name begins with its schedule's.
    match (&item.run, &item.schedule) {
        (Some(run), _) => facts.push(("run", line(&run.to_string(), ID))),
        (None, Some(schedule)) => facts.push(("schedule", line(&schedule.to_string(), ID))),
        (None, None) => {}
    }
    facts
}

fn item_text(item: &Item, message: &Message) -> String {
    let mut text = String::new();
    if let Some(own) = own_subject(item, message) {
        text.push_str(&format!("{own}\n"));
    }
    for (name, value) in facts(item) {
        text.push_str(&format!("{:<10}{value}\n", format!("{name}:")));
    }
    let body = block(&item.body, BODY);
    if !body.is_empty() {
        text.push_str(&format!("\n{body}\n"));
    }
    text.push('\n');
    text
}

/// The cells of a row: when, what kind, which schedule, what.
pub(super) fn row(item: &Item) -> [String; 4] {
    let schedule = item.schedule.as_ref().map(ToString::to_string);
    [
        item.at.to_string(),
        item.kind.word().to_owned(),
        line(schedule.as_deref().unwrap_or("-"), NAME),
        line(&item.subject, LINE),
    ]
}

fn table(message: &Message) -> String {
    let mut rows = vec![["at", "kind", "schedule", "subject"].map(str::to_owned)];
    rows.extend(message.items.iter().take(SHOWN).map(row));
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max();
    let widths = [0, 1, 2].map(|n| width(n).unwrap_or(0));
    let mut text = String::new();
    for [at, kind, schedule, subject] in &rows {
        let [a, b, c] = widths;
        text.push_str(&format!("{at:a$}  {kind:b$}  {schedule:c$}  {subject}\n"));
    }
    match more(message) {
        0 => text,
        n => text + &format!("and {n} more: {ALL}\n"),
    }
}

fn html_table(message: &Message) -> String {
    let mut html = String::from(
        "<table cellpadding=\"4\"><tr align=\"left\"><th>at</th><th>kind</th><th>schedule</th><th>subject</th></tr>\n",
    );
    for item in message.items.iter().take(SHOWN) {
        let cells = row(item).map(|cell| format!("<td>{}</td>", for_html(&cell)));
        html.push_str(&format!("<tr>{}</tr>\n", cells.concat()));
    }
    html.push_str("</table>\n");
    match more(message) {
        0 => html,
        n => html + &format!("<p>and {n} more: <code>{ALL}</code></p>\n"),
    }
}

fn item_html(item: &Item, message: &Message) -> String {
    let mut html = String::new();
    if let Some(own) = own_subject(item, message) {
        html.push_str(&format!("<h3>{}</h3>\n", for_html(&own)));
    }
    let facts: Vec<String> = facts(item)
        .into_iter()
        .map(|(name, value)| format!("{name}: <b>{}</b>", for_html(&value)))
        .collect();
    html.push_str(&format!("<p>{}</p>\n", facts.join("<br>\n")));
    let body = block(&item.body, BODY);
    if !body.is_empty() {
        let body = for_html(&body);
        html.push_str(&format!(
            "<pre style=\"white-space:pre-wrap\">{body}</pre>\n"
        ));
    }
    html
}

fn item_json(item: &Item) -> Value {
    json!({
        "kind": item.kind.word(),
        "at": item.at.to_string(),
        "schedule": item.schedule.as_ref().map(|name| line(&name.to_string(), ID)),
        "run": item.run.as_ref().map(|run| line(&run.to_string(), ID)),
        "subject": line(&item.subject, LINE),
        "body": block(&item.body, BODY),
    })
}

fn colour(message: &Message) -> &'static str {
    match message.severity {
        super::Severity::Info => "#2e7d32",
        super::Severity::Warning => "#f9a825",
        super::Severity::Error => "#c62828",
    }
}
