//! Words: goldens, and what holds whatever the text is.

use nightcall::notify::render::{html, json, subject, text};
use nightcall::notify::slack::payload;
use nightcall::notify::{Item, Message, SHOWN, Severity};
use nightcall::sched::notice::KINDS;
use proptest::prelude::*;
use serde_json::Value;

use super::{golden, herd, huge, message, one};

#[test]
fn one_failure_in_words() {
    golden(
        "one.txt",
        &format!("{}\n\n{}", subject(&one()), text(&one())),
    );
    golden("one.html", &html(&one()));
}

#[test]
fn several_are_written_out() {
    let mut few = herd(2);
    few.items[1].run = None;
    few.items[0].schedule = None;
    few.items[0].run = None;
    golden("few.txt", &text(&few));
    golden("few.html", &html(&few));
}

#[test]
fn a_herd_is_a_table_and_a_number() {
    golden("herd.txt", &text(&herd(200)));
    golden("herd.html", &html(&herd(200)));
}

#[test]
fn no_items_and_no_text_are_no_trouble() {
    let mut empty = message(vec![super::item(1)]);
    empty.items[0].body.clear();
    empty.subject.clear();
    empty.items[0].subject.clear();
    check(&empty);
    empty.items.clear();
    check(&empty);
}

#[test]
fn three_megabytes_are_cut() {
    check(&huge());
}

/// What no text may contain.
fn harmful(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c)
}

/// Everything that must hold of every message.
fn check(message: &Message) {
    let (subject, text, html, json, slack) = (
        subject(message),
        text(message),
        html(message),
        json(message),
        payload(message),
    );
    assert!(
        subject.chars().count() <= 260 && !subject.contains('\n'),
        "{subject}"
    );
    for form in [&subject, &text, &html] {
        assert!(!form.contains(harmful), "{form:?}");
    }
    assert!(text.len() < 128 << 10, "{}", text.len());
    assert!(html.len() < 256 << 10, "{}", html.len());
    well_formed(&html);
    fields(&json, message);
    blocks(&slack);
}

/// Each tag is one that we write, and is closed in its turn; each `&` begins an entity.
fn well_formed(html: &str) {
    let mut open = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find(['<', '&']) {
        rest = &rest[at..];
        let end = rest.find(['>', ';']).unwrap();
        let end = if rest.starts_with('<') {
            rest.find('>').unwrap()
        } else {
            end
        };
        let (mark, after) = rest.split_at(end + 1);
        rest = after;
        if mark.starts_with('&') {
            assert!(
                ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].contains(&mark),
                "{mark}"
            );
            continue;
        }
        let name = mark[1..mark.len() - 1].split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{mark}"),
            None if ["meta", "br"].contains(&name) => {}
            None => {
                let ours = [
                    "html", "head", "title", "body", "h2", "h3", "p", "b", "pre", "table", "tr",
                    "th", "td", "code",
                ];
                assert!(ours.contains(&name), "{mark}");
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// The fields that receivers rely on, and that the text can be read back.
fn fields(json: &Value, message: &Message) {
    let written = json.to_string();
    assert!(written.len() < 512 << 10, "{}", written.len());
    assert_eq!(&serde_json::from_str::<Value>(&written).unwrap(), json);
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    let wanted = [
        "version", "id", "thread", "severity", "at", "instance", "subject", "items", "more",
    ];
    assert_eq!(names, wanted);
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), message.items.len().min(SHOWN));
    assert_eq!(json["more"], message.items.len() - items.len());
    for item in items {
        let names: Vec<&String> = item.as_object().unwrap().keys().collect();
        assert_eq!(names, ["kind", "at", "schedule", "run", "subject", "body"]);
        assert!(
            item["at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
        assert!(!item["body"].as_str().unwrap().contains(harmful));
    }
}

/// Slack's limits, and its signs: `<` begins a mention or a link.
fn blocks(payload: &Value) {
    let blocks = payload["blocks"].as_array().unwrap();
    assert!((2..=50).contains(&blocks.len()), "{}", blocks.len());
    let mut texts = vec![(&payload["text"], 3_000, true)];
    for block in blocks {
        texts.push(match block["type"].as_str().unwrap() {
            "header" => (&block["text"]["text"], 150, false),
            "section" => (&block["text"]["text"], 3_000, true),
            "context" => (&block["elements"][0]["text"], 3_000, true),
            other => panic!("{other}"),
        });
    }
    for (text, limit, mrkdwn) in texts {
        let text = text.as_str().unwrap();
        let length = text.encode_utf16().count();
        assert!((1..=limit).contains(&length), "{length}: {text}");
        assert!(!text.contains(harmful), "{text:?}");
        if mrkdwn {
            assert!(!text.contains(['<', '>']), "{text}");
            let bare = text
                .replace("&lt;", "")
                .replace("&gt;", "")
                .replace("&amp;", "");
            assert!(!bare.contains('&'), "{text}");
            assert!(matches!(text.matches("```").count(), 0 | 2), "{text}");
        }
    }
}

/// Any text, and rather more than usual of what hurts.
fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,40}",
        prop::sample::select(vec![
            "<",
            "&",
            ">",
            "\"",
            "'",
            "```",
            "`",
            "\n",
            "\r\n",
            "\0",
            "\u{1b}[2J",
            "\u{202e}",
            "\u{2028}",
            "</pre>",
            "<!channel>",
            "&amp;",
            "]]>",
            "\u{feff}",
            "😀",
            ".\r\n",
            "\r\n.\r\n",
            "{{",
            "\\",
        ])
        .prop_map(str::to_owned),
    ];
    let repeated = (piece, prop_oneof![4 => 1..3_usize, 1 => 1_000..3_000_usize]);
    prop::collection::vec(repeated.prop_map(|(piece, n)| piece.repeat(n)), 0..8)
        .prop_map(|pieces| pieces.concat())
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = (words(), words(), 0..KINDS.len(), any::<bool>()).prop_map(
        |(subject, body, kind, named)| Item {
            kind: KINDS[kind].0,
            at: "2026-11-30T02:17:03Z".parse().unwrap(),
            schedule: named.then(|| "store-clusters".parse().unwrap()),
            run: None,
            subject,
            body,
        },
    );
    prop::collection::vec(item, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_becomes_valid_bounded_words(subject in words(), id in words(), instance in words(), items in items()) {
        let severity = Severity::of(items[0].kind);
        check(&Message { id, instance, subject, severity, ..message(items) });
    }
}
