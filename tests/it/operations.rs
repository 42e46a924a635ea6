//! The page for operators is complete: every notice and every reason for a skip has its heading, every exit code its
//! line, and no other has.

use nightcall::cli::exit::Exit;
use nightcall::sched::notice::KINDS;
use nightcall::sched::outcome::SkipReason as Reason;
use nightcall::store::StoreError;

/// All reasons. A new one does not compile until it has a line here, and then needs its heading.
fn reasons() -> Vec<&'static str> {
    let first = Reason::Busy;
    std::iter::successors(Some(first), |reason| match reason {
        Reason::Busy => Some(Reason::BufferFull),
        Reason::BufferFull => Some(Reason::PredecessorUnknown),
        Reason::PredecessorUnknown => Some(Reason::StartDeadline),
        Reason::StartDeadline => Some(Reason::Missed),
        Reason::Missed => Some(Reason::NoSuchDay),
        Reason::NoSuchDay => Some(Reason::Observed),
        Reason::Observed => Some(Reason::Blocked),
        Reason::Blocked => Some(Reason::Paused),
        Reason::Paused => Some(Reason::Asked),
        Reason::Asked => Some(Reason::NoPredecessor),
        Reason::NoPredecessor => Some(Reason::PredecessorSucceeded),
        Reason::PredecessorSucceeded => Some(Reason::PredecessorAwaited),
        Reason::PredecessorAwaited => None,
    })
    .map(Reason::word)
    .collect()
}

/// The headings of the third level below one of the second.
fn headings(section: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, after) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let text = after.split("\n## ").next().unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(String::from)
        .collect()
}

#[test]
fn every_notice_has_its_heading() {
    let words: Vec<&str> = KINDS.iter().map(|(_, word)| *word).collect();
    assert_eq!(headings("Notices"), words);
}

#[test]
fn what_is_told_of_the_store_has_its_heading() {
    let headings = headings("The database");
    assert_eq!(headings.len(), 3, "{headings:?}");
    let errors = [
        StoreError::Unavailable("x".to_owned()),
        StoreError::Corrupt("x".to_owned()),
    ];
    for error in errors {
        let told = error.to_string();
        let found = headings
            .iter()
            .any(|heading| told.starts_with(heading.as_str()));
        assert!(found, "{told}");
    }
    // the third is shown with a disk that is slow, in disk/outage.rs
    assert!(
        headings
            .iter()
            .any(|heading| heading == "the store is slow")
    );
}

#[test]
fn every_reason_for_a_skip_has_its_heading() {
    assert_eq!(headings("Reasons for a skip"), reasons());
}

#[test]
fn every_exit_code_is_in_the_table_and_in_the_readme() {
    let root = env!("CARGO_MANIFEST_DIR");
    let page = std::fs::read_to_string(format!("{root}/docs/operations.md")).unwrap();
    let (_, after) = page.split_once("\n## Exit codes\n").unwrap();
    let table = after.split("\n## ").next().unwrap();
    let first = |line: &str| {
        line.strip_prefix("| ")?
            .split(' ')
            .next()?
            .parse::<u8>()
            .ok()
    };
    let listed: Vec<u8> = table.lines().filter_map(first).collect();
    let codes: Vec<u8> = Exit::ALL.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(listed, codes);

    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let (_, after) = readme.split_once("\nExit codes: ").unwrap();
    let list = after.split("\n\n").next().unwrap().replace('\n', " ");
    let (list, _) = list.split_once(". ").unwrap();
    let named: Vec<u8> = list
        .split(" · ")
        .map(|item| item.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(named, codes);
}
