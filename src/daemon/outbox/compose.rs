//! Notices that wait become messages: one for each story, or one for all when there are many.

use crate::notify::{Item, Message, Severity};
use crate::sched::notice::{KINDS, Notice, NoticeKind};

/// So many stories at once are told apart; more are one message with a table.
const APART: usize = 3;

/// The messages of some notices, in the order of the first notice of each. The same notices make the same messages.
pub(super) fn messages(notices: Vec<Notice>, instance: &str) -> Vec<Message> {
    let mut stories: Vec<(String, Vec<Notice>)> = Vec::new();
    for notice in notices {
        let thread = notice.thread();
        match stories.iter_mut().find(|(known, _)| *known == thread) {
            Some((_, story)) => story.push(notice),
            None => stories.push((thread, vec![notice])),
        }
    }
    if stories.len() > APART {
        let mut all: Vec<Notice> = stories.into_iter().flat_map(|(_, story)| story).collect();
        all.sort_by_key(|notice| notice.at);
        stories = vec![("several".to_owned(), all)];
    }
    let message = |(thread, story): (String, Vec<Notice>)| message(thread, story, instance);
    stories.into_iter().filter_map(message).collect()
}

fn message(thread: String, notices: Vec<Notice>, instance: &str) -> Option<Message> {
    let first = notices.first()?;
    let severities = notices.iter().map(|notice| Severity::of(notice.kind));
    let id = match notices.len() {
        1 => first.id.clone(),
        n => format!("{}+{}", first.id, n - 1),
    };
    Some(Message {
        id,
        thread,
        severity: severities.max().unwrap_or(Severity::Info),
        at: first.at,
        instance: instance.to_owned(),
        subject: subject(&notices),
        items: notices.into_iter().map(item).collect(),
    })
}

/// That of the only notice, or how many there are of each kind: `12 notices: 10 failed, 2 late`.
fn subject(notices: &[Notice]) -> String {
    if let [only] = notices {
        return only.subject.clone();
    }
    let count = |kind: NoticeKind| notices.iter().filter(|notice| notice.kind == kind).count();
    let kinds = KINDS.iter().map(|(kind, word)| (count(*kind), *word));
    let words: Vec<String> = kinds
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {}", word.replace('_', " ")))
        .collect();
    format!("{} notices: {}", notices.len(), words.join(", "))
}

fn item(notice: Notice) -> Item {
    Item {
        kind: notice.kind,
        at: notice.at,
        schedule: notice.schedule,
        run: notice.run,
        subject: notice.subject,
        body: notice.body,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sched::time::Timestamp;

    fn notice(kind: NoticeKind, series: &str, at: i64) -> Notice {
        let at = Timestamp::from_second(at).unwrap();
        let run = format!("{series}@{at}");
        Notice {
            id: format!("{run}:{}", kind.word()),
            kind,
            at,
            schedule: None,
            run: Some(run.parse().unwrap()),
            subject: format!("{series} {}", kind.word()),
            body: "why".to_owned(),
        }
    }

    #[test]
    fn a_notice_alone_is_told_in_its_own_words_and_under_its_own_id() {
        let alone = notice(NoticeKind::Failed, "a/x", 0);
        let made = messages(vec![alone.clone()], "prod");
        assert_eq!(made.len(), 1);
        assert_eq!((&made[0].id, &made[0].subject), (&alone.id, &alone.subject));
        assert_eq!(
            (made[0].thread.as_str(), made[0].severity),
            ("series:a/x", Severity::Error)
        );
        assert_eq!(made[0].instance, "prod");
    }

    #[test]
    fn stories_are_told_apart_and_each_in_order() {
        let told = vec![
            notice(NoticeKind::Late, "a/x", 0),
            notice(NoticeKind::Failed, "b/x", 1),
            notice(NoticeKind::Failed, "a/x", 2),
        ];
        let made = messages(told, "prod");
        let threads: Vec<&str> = made.iter().map(|m| m.thread.as_str()).collect();
        assert_eq!(threads, ["series:a/x", "series:b/x"]);
        assert_eq!(made[0].subject, "2 notices: 1 failed, 1 late");
        assert_eq!(made[0].severity, Severity::Error);
        let kinds: Vec<_> = made[0].items.iter().map(|item| item.kind).collect();
        assert_eq!(kinds, [NoticeKind::Late, NoticeKind::Failed]);
    }

    #[test]
    fn a_herd_is_one_message_however_many_fail() {
        let herd = |count: i64| -> Vec<Notice> {
            let one = |n| notice(NoticeKind::Failed, &format!("s{n}/x"), n);
            (0..count).map(one).collect()
        };
        let made = messages(herd(200), "prod");
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].subject, "200 notices: 200 failed");
        assert_eq!(made[0].items.len(), 200);
        // The same notices have the same id, whenever they are sent.
        assert_eq!(made[0].id, messages(herd(200), "prod")[0].id);
        assert_eq!(messages(herd(3), "prod").len(), 3);
    }
}
