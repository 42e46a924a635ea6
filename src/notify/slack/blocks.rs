//! A message in Slack's Block Kit, within its limits: 50 blocks, 150 characters a header, 3,000 a text.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::notify::plain::{BODY, LINE, block, line};
use crate::notify::render::{self, FULL};
use crate::notify::{Item, Message, SHOWN, Severity};

/// The longest text of a section, in UTF-16 units.
const TEXT: usize = 3_000;

/// The longest header.
const HEADER: usize = 150;

/// What is posted, but for the channel: blocks, and a text for notifications and for readers that show no blocks.
pub fn payload(message: &Message) -> Value {
    let subject = line(&message.subject, LINE);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&heading(message), HEADER, false), "emoji": true },
    })];
    for item in message.items.iter().take(FULL) {
        blocks.push(section(&in_full(item, message)));
    }
    let listed = message.items.iter().take(SHOWN).skip(FULL);
    let rows: Vec<String> = listed.map(in_a_line).collect();
    for rows in rows.chunks(ROWS) {
        blocks.push(section(&rows.concat()));
    }
    if render::more(message) > 0 {
        let more = format!("and {} more: `{}`", render::more(message), render::ALL);
        blocks.push(section(&more));
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "mrkdwn", "text": cut(&render::footer(message), TEXT, true) }],
    }));
    json!({
        "text": cut(&format!("{} {subject}", mark(message.severity)), TEXT, true),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// So many rows fit into a section, even if every sign is written as five.
const ROWS: usize = 5;

fn heading(message: &Message) -> String {
    format!("{} {}", mark(message.severity), render::subject(message))
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => ":white_check_mark:",
        Severity::Warning => ":warning:",
        Severity::Error => ":red_circle:",
    }
}

fn section(escaped: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": escaped } })
}

fn in_full(item: &Item, message: &Message) -> String {
    let mut text = String::new();
    if let Some(own) = render::own_subject(item, message) {
        text.push_str(&format!("*{}*\n", cut(&own, 1_000, true)));
    }
    let facts: Vec<String> = render::facts(item)
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    text.push_str(&cut(&facts.join("\n"), 700, true));
    let body = block(&item.body, BODY);
    if !body.is_empty() {
        let body = cut(&body, 1_200, true);
        text.push_str(&format!("\n```\n{body}\n```"));
    }
    text
}

fn in_a_line(item: &Item) -> String {
    let [at, kind, schedule, subject] = render::row(item);
    format!(
        "• {}\n",
        cut(&format!("{at} {kind} {schedule}: {subject}"), 580, true)
    )
}

/// At most so many UTF-16 units, with an ellipsis for what was cut. Where mrkdwn is read `&<>` are escaped, and three
/// backticks neither begin nor end a box. An escape is never cut in two.
fn cut(text: &str, longest: usize, mrkdwn: bool) -> String {
    let text = match mrkdwn {
        true => Cow::Owned(text.replace("```", "'''")),
        false => Cow::Borrowed(text),
    };
    let mut kept = String::new();
    let mut length = 0;
    for c in text.chars() {
        let written = match c {
            '&' if mrkdwn => "&amp;".to_owned(),
            '<' if mrkdwn => "&lt;".to_owned(),
            '>' if mrkdwn => "&gt;".to_owned(),
            c => c.to_string(),
        };
        length += written.encode_utf16().count();
        // Room for the ellipsis is kept from the start: what fits exactly is a rare thing.
        if length >= longest {
            kept.push('…');
            break;
        }
        kept.push_str(&written);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_not_cut_in_two() {
        assert_eq!(
            cut("<!channel> & co", 100, true),
            "&lt;!channel&gt; &amp; co"
        );
        assert_eq!(cut("ab<cd", 6, true), "ab…");
        assert_eq!(cut("ab<cd", 4, false), "ab<…");
        assert_eq!(cut("````x", 100, true), "'''`x");
    }
}
