//! What every store must do: one suite, run over each of them.

use std::sync::Arc;

use nightcall::sched::act::{By, Deed, Pause, Scope, Skip, SkipWhat};
use nightcall::sched::id::{ConnectionName, RunId, RunKind};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::{Run, RunState};
use nightcall::sched::step::{Change, ConnectionMemory, Missed, Saved};
use nightcall::sched::time::{TimeRange, Timestamp};
use nightcall::store::sqlite::SqliteStore;
use nightcall::store::{Chore, Lease, RunQuery, Store, StoreError, Story};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::arbitrary;
use crate::support::memory_store::MemoryStore;
use crate::support::runs::*;

/// A store for one test, with what must live as long.
struct Subject {
    store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

fn memory() -> Subject {
    Subject {
        store: Arc::new(MemoryStore::default()),
        _folder: None,
    }
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("nightcall.db")).unwrap();
    Subject {
        store: Arc::new(store),
        _folder: Some(folder),
    }
}

macro_rules! suite {
    ($($case:ident),+ $(,)?) => {
        mod on_memory { $(#[tokio::test] async fn $case() { super::$case(&super::memory()).await; })+ }
        mod on_sqlite { $(#[tokio::test] async fn $case() { super::$case(&super::sqlite()).await; })+ }
    };
}

suite! {
    a_commit_reads_back_equal,
    a_bad_change_in_the_middle_stores_nothing,
    a_finished_run_keeps_its_outcome,
    no_run_goes_back_to_an_earlier_attempt,
    a_run_is_stored_once_and_its_story_grows,
    a_lease_is_not_taken_from_one_who_is_trusted,
    a_successor_fences_the_former_holder_and_is_named,
    a_lease_is_renewed_also_after_the_clock_was_set_back,
    a_lease_that_was_given_back_is_worth_nothing,
    an_empty_commit_needs_the_lease_too,
    of_commits_that_wait_together_only_the_bad_one_fails,
    runs_come_by_instant_then_identity,
    runs_are_filtered,
    a_limit_keeps_the_newest,
    what_a_predecessor_did_is_read_from_a_time_on,
    the_mark_never_goes_back,
    a_notice_is_stored_once,
    closed_series_are_not_loaded,
    lost_runs_are_loaded_while_their_job_may_live,
    identities_of_two_days_are_loaded,
    missed_times_are_found_by_overlap,
    the_memory_of_a_connection_is_replaced,
    the_instance_is_made_once,
    readers_see_whole_commits_while_others_write,
    old_runs_are_pruned_with_what_belongs_to_them,
    each_series_keeps_its_newest_runs,
    what_is_still_needed_is_never_pruned,
    pruning_goes_in_small_steps,
    nothing_is_found_in_a_new_store,
    one_identity_is_one_run_whoever_brings_it,
    a_reader_sees_the_order_of_commits,
    commits_that_wait_are_stored_in_the_order_they_came,
    of_two_who_want_the_lease_at_once_one_gets_it,
    a_lease_that_ran_out_is_worth_something_until_it_is_taken,
    a_fenced_commit_stores_nothing_of_any_kind,
    pruning_needs_no_lease_and_leaves_what_it_did_not_find,
    pauses_and_wishes_to_skip_are_replaced_and_end,
    what_passed_in_a_pause_is_loaded_until_it_runs_again,
    acts_are_kept_in_order_and_pruned_by_age,
    later_generations_that_ended_lately_are_known,
}

impl Subject {
    async fn lease(&self) -> Lease {
        self.store.acquire(holder(1), TRUST, hour(0)).await.unwrap()
    }

    async fn commit(&self, lease: &Lease, changes: Vec<Change>) {
        let given = self.store.commit(lease.clone(), changes.clone()).await;
        assert_eq!(given, Ok(changes), "what is durable comes back");
    }

    async fn runs(&self, query: RunQuery) -> Vec<Run> {
        self.store.runs(query).await.unwrap()
    }

    async fn story(&self, run: &Run) -> Story {
        self.store.story(run.id.clone()).await.unwrap().unwrap()
    }

    async fn load(&self) -> Saved {
        self.store.load().await.unwrap()
    }

    async fn prune(&self, before: Timestamp, per_series: u64, step: usize) -> u64 {
        let chore = Chore::Prune {
            before,
            per_series,
            step,
        };
        self.store.maintain(chore).await.unwrap()
    }
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt(_)))
}

async fn nothing_is_found_in_a_new_store(subject: &Subject) {
    assert_eq!(subject.load().await, Saved::default());
    assert_eq!(subject.runs(RunQuery::default()).await, []);
    let story = subject.store.story(pending_at("a/x", 1).id).await.unwrap();
    assert_eq!(story, None);
}

async fn a_commit_reads_back_equal(subject: &Subject) {
    let lease = subject.lease().await;
    let waiting = pending_at("a/x", 1);
    let sent = submitting(pending_at("b/x", 2), hour(2));
    let done = finished(sent.clone(), Outcome::Failed, hour(3));
    let changes = vec![
        change(&waiting),
        change(&sent),
        Change::Mark(hour(2)),
        Change::Cursor {
            series: series("a/x"),
            upto: hour(1),
            definition: definition(&series("a/x")),
        },
    ];
    subject.commit(&lease, changes).await;
    let saved = subject.load().await;
    assert_eq!(saved.mark, Some(hour(2)));
    assert_eq!(
        saved.live,
        [
            (waiting.clone(), now(hour(1))),
            (sent.clone(), now(hour(2)))
        ]
    );
    assert_eq!(saved.series[0].definition, definition(&series("a/x")));
    assert_eq!((saved.series.len(), saved.series[0].cursor), (1, hour(1)));
    subject.commit(&lease, vec![change(&done)]).await;
    assert_eq!(subject.load().await.live, [(waiting.clone(), now(hour(1)))]);
    assert_eq!(subject.runs(RunQuery::default()).await, [waiting, done]);
}

async fn a_bad_change_in_the_middle_stores_nothing(subject: &Subject) {
    let lease = subject.lease().await;
    let done = finished(pending_at("a/x", 1), Outcome::Succeeded, hour(1));
    subject.commit(&lease, vec![change(&done)]).await;
    let before = subject.load().await;
    let changes = vec![
        change(&pending_at("b/x", 2)),
        Change::Mark(hour(5)),
        Change::Notice(notice("n", None, hour(1))),
        change(&pending_at("a/x", 1)),
        change(&pending_at("c/x", 3)),
    ];
    assert!(is_corrupt(
        &subject.store.commit(lease.clone(), changes).await
    ));
    assert_eq!(subject.load().await, before);
    assert_eq!(subject.runs(RunQuery::default()).await, [done]);
    // and the store goes on
    subject
        .commit(&lease, vec![change(&pending_at("b/x", 2))])
        .await;
    assert_eq!(subject.runs(RunQuery::default()).await.len(), 2);
}

async fn a_finished_run_keeps_its_outcome(subject: &Subject) {
    let lease = subject.lease().await;
    let sent = submitting(pending_at("a/x", 1), hour(1));
    let lost = finished(sent.clone(), Outcome::Lost, hour(2));
    let skip = |reason| finished(pending_at("b/x", 1), Outcome::Skipped(reason), hour(1));
    subject
        .commit(&lease, vec![change(&lost), change(&skip(SkipReason::Busy))])
        .await;
    for other in [
        sent.clone(),
        finished(sent, Outcome::Succeeded, hour(3)),
        skip(SkipReason::Missed),
    ] {
        let result = subject
            .store
            .commit(lease.clone(), vec![change(&other)])
            .await;
        assert!(is_corrupt(&result), "{:?}: {result:?}", other.state);
    }
    let mut known = lost.clone();
    known.job = Some(job("j"));
    subject
        .commit(&lease, vec![told(&known, "found", hour(4))])
        .await;
    assert_eq!(subject.story(&lost).await.run, known);
}

async fn no_run_goes_back_to_an_earlier_attempt(subject: &Subject) {
    let lease = subject.lease().await;
    let first = submitting(pending_at("a/x", 1), hour(1));
    let second = submitting(first.clone(), hour(2));
    // also not within one commit
    let both = vec![change(&second), change(&first)];
    assert!(is_corrupt(&subject.store.commit(lease.clone(), both).await));
    subject
        .commit(&lease, vec![change(&first), change(&second)])
        .await;
    assert!(is_corrupt(
        &subject.store.commit(lease, vec![change(&first)]).await
    ));
    assert_eq!(subject.story(&first).await.run, second);
}

async fn a_run_is_stored_once_and_its_story_grows(subject: &Subject) {
    let lease = subject.lease().await;
    let run = pending_at("a/x", 1);
    let sent = submitting(run.clone(), hour(1));
    let done = finished(sent.clone(), Outcome::Succeeded, hour(2));
    // several changes of one run within a commit, and times that stand still
    subject
        .commit(&lease, vec![told(&run, "planned", hour(1)), change(&sent)])
        .await;
    subject
        .commit(&lease, vec![told(&sent, "accepted", hour(1))])
        .await;
    subject
        .commit(&lease, vec![change(&pending_at("b/x", 1))])
        .await;
    subject.commit(&lease, vec![change(&done)]).await;
    let story = subject.story(&run).await;
    let words: Vec<&str> = story.records.iter().map(|r| &*r.what).collect();
    assert_eq!(words, ["planned", "submitting", "accepted", "finished"]);
    assert_eq!(story.run, done);
    assert_eq!(subject.runs(RunQuery::default()).await.len(), 2);
}

async fn a_lease_is_not_taken_from_one_who_is_trusted(subject: &Subject) {
    let store = &subject.store;
    let first = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    assert_eq!(first.until, hour(0) + TRUST);
    let Err(StoreError::Fenced { holder: named }) = store.acquire(holder(72), TRUST, hour(0)).await
    else {
        panic!("the lease was taken");
    };
    assert!(named.contains("71") && named.contains("here"), "{named}");
    subject.commit(&first, vec![Change::Mark(hour(0))]).await;
    // the same process may take it again
    let again = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    assert!(again.epoch > first.epoch);
}

async fn a_successor_fences_the_former_holder_and_is_named(subject: &Subject) {
    let store = &subject.store;
    let old = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    let new = store.acquire(holder(72), TRUST, hour(1)).await.unwrap();
    assert!(new.epoch > old.epoch);
    let refused = [
        store
            .commit(old.clone(), vec![change(&pending_at("a/x", 1))])
            .await
            .map(drop),
        store.renew(old.clone(), TRUST, hour(1)).await.map(drop),
        store.release(old).await,
    ];
    for result in refused {
        let Err(StoreError::Fenced { holder: named }) = result else {
            panic!("the old lease still works: {result:?}");
        };
        assert!(named.contains("72"), "{named}");
    }
    assert_eq!(subject.runs(RunQuery::default()).await, []);
    subject
        .commit(&new, vec![change(&pending_at("a/x", 1))])
        .await;
}

async fn a_lease_is_renewed_also_after_the_clock_was_set_back(subject: &Subject) {
    let store = &subject.store;
    let lease = store.acquire(holder(71), TRUST, hour(5)).await.unwrap();
    let renewed = store.renew(lease.clone(), TRUST, hour(3)).await.unwrap();
    assert_eq!(
        (renewed.epoch, renewed.until),
        (lease.epoch, hour(3) + TRUST)
    );
    let renewed = store.renew(renewed, TRUST, hour(6)).await.unwrap();
    assert!(store.acquire(holder(72), TRUST, hour(6)).await.is_err());
    // what counts is the epoch, so the former value still commits
    subject.commit(&lease, vec![]).await;
    subject.commit(&renewed, vec![]).await;
}

async fn a_lease_that_was_given_back_is_worth_nothing(subject: &Subject) {
    let store = &subject.store;
    let old = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    store.release(old.clone()).await.unwrap();
    let result = store.commit(old.clone(), vec![Change::Mark(hour(1))]).await;
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "{result:?}"
    );
    let new = store.acquire(holder(72), TRUST, hour(0)).await.unwrap();
    assert!(new.epoch > old.epoch);
    assert!(store.release(old).await.is_err());
    subject.commit(&new, vec![]).await;
}

async fn an_empty_commit_needs_the_lease_too(subject: &Subject) {
    let nobody = Lease {
        epoch: 0,
        until: hour(9),
    };
    assert!(subject.store.commit(nobody, vec![]).await.is_err());
    let lease = subject.lease().await;
    subject.commit(&lease, vec![]).await;
    assert_eq!(subject.load().await, Saved::default());
}

async fn of_commits_that_wait_together_only_the_bad_one_fails(subject: &Subject) {
    let lease = subject.lease().await;
    let done = finished(pending_at("a/x", 0), Outcome::Succeeded, hour(1));
    subject.commit(&lease, vec![change(&done)]).await;
    let commits = (1..=40).map(|n| {
        let (store, lease) = (Arc::clone(&subject.store), lease.clone());
        let bad = n % 10 == 0;
        let mut changes = vec![change(&pending_at("b/x", n))];
        if bad {
            changes.push(change(&pending_at("a/x", 0)));
        }
        tokio::spawn(async move { (bad, store.commit(lease, changes).await) })
    });
    let commits: Vec<_> = commits.collect();
    for commit in commits {
        let (bad, result) = commit.await.unwrap();
        assert_eq!(bad, is_corrupt(&result), "{result:?}");
        assert_eq!(bad, result.is_err(), "{result:?}");
    }
    let stored = subject.runs(RunQuery::default()).await;
    let expected = (1..=40)
        .filter(|n| n % 10 != 0)
        .map(|n| pending_at("b/x", n));
    let expected: Vec<Run> = std::iter::once(done).chain(expected).collect();
    assert_eq!(ids(&stored), ids(&expected));
}

async fn runs_come_by_instant_then_identity(subject: &Subject) {
    let lease = subject.lease().await;
    let order = [
        "b/x@2026-01-01T01:00:00Z",
        "a/x@2026-01-01T02:00:00Z",
        "a/x@2026-01-01T02:00:00Z+2",
        "a/x@2026-01-01T02:00:00Z+10",
        "a/x@2026-01-01T02:00:00Z+manual-0",
        "a/y@2026-01-01T02:00:00Z",
        "a-b/x@2026-01-01T02:00:00Z",
        "a/x@2026-01-01T02:00:00.000000001Z",
    ];
    let mixed = [3, 0, 7, 5, 1, 6, 4, 2].map(|n: usize| change(&pending(order[n])));
    subject.commit(&lease, mixed.to_vec()).await;
    assert_eq!(ids(&subject.runs(RunQuery::default()).await), order);
    let saved = subject.load().await;
    let live: Vec<Run> = saved.live.into_iter().map(|(run, _)| run).collect();
    assert_eq!(ids(&live), order);
    let recent: Vec<String> = saved.recent.iter().map(|d| d.run.to_string()).collect();
    assert_eq!(recent, order);
}

async fn runs_are_filtered(subject: &Subject) {
    let lease = subject.lease().await;
    let runs = [
        finished(pending_at("a/x", 1), Outcome::Failed, hour(1)),
        pending_at("a/y", 2),
        finished(
            pending_at("b/x", 3),
            Outcome::Skipped(SkipReason::Busy),
            hour(3),
        ),
        submitting(pending_at("a/x", 4), hour(4)),
    ];
    subject
        .commit(&lease, runs.iter().map(change).collect())
        .await;
    let all = RunQuery::default;
    let word = |word: &str| RunQuery {
        state: Some(word.to_owned()),
        ..all()
    };
    let of_a = RunQuery {
        schedule: Some(schedule("a")),
        ..all()
    };
    let table: [(RunQuery, &[usize]); 12] = [
        (all(), &[0, 1, 2, 3]),
        (of_a.clone(), &[0, 1, 3]),
        (
            RunQuery {
                set: Some(set("x")),
                ..all()
            },
            &[0, 2, 3],
        ),
        (
            RunQuery {
                set: Some(set("y")),
                ..of_a.clone()
            },
            &[1],
        ),
        (
            RunQuery {
                since: Some(hour(2)),
                ..all()
            },
            &[1, 2, 3],
        ),
        (
            RunQuery {
                until: Some(hour(2)),
                ..all()
            },
            &[0, 1],
        ),
        (
            RunQuery {
                since: Some(hour(2)),
                until: Some(hour(3)),
                ..of_a
            },
            &[1],
        ),
        (word("finished"), &[0, 2]),
        (word("failed"), &[0]),
        (word("skipped"), &[2]),
        (word("submitting"), &[3]),
        (word("busy"), &[]),
    ];
    for (query, expected) in table {
        let expected: Vec<Run> = expected.iter().map(|n| runs[*n].clone()).collect();
        assert_eq!(subject.runs(query.clone()).await, expected, "{query:?}");
    }
}

async fn a_limit_keeps_the_newest(subject: &Subject) {
    let lease = subject.lease().await;
    let runs: Vec<Run> = (1..=5).map(|n| pending_at("a/x", n)).collect();
    subject
        .commit(&lease, runs.iter().map(change).collect())
        .await;
    for limit in 0..=6 {
        let query = RunQuery {
            limit: Some(limit),
            ..RunQuery::default()
        };
        assert_eq!(subject.runs(query).await, runs[5 - limit.min(5)..]);
    }
}

/// As the driver asks for those that wait for others.
async fn what_a_predecessor_did_is_read_from_a_time_on(subject: &Subject) {
    let lease = subject.lease().await;
    let again = |n, outcome| {
        let mut run = finished(pending_at("a/x", n), outcome, hour(9));
        run.id.kind = RunKind::Generation(1);
        run
    };
    let runs = [
        finished(pending_at("a/x", 1), Outcome::Succeeded, hour(1)),
        finished(pending_at("a/x", 2), Outcome::Failed, hour(2)),
        again(2, Outcome::Succeeded),
        finished(
            pending_at("a/x", 3),
            Outcome::Skipped(SkipReason::NoPredecessor),
            hour(3),
        ),
        submitting(pending_at("a/x", 4), hour(4)),
        pending_at("a/y", 4),
        pending_at("b/x", 4),
    ];
    let mixed = [6, 2, 4, 0, 5, 1, 3].map(|n: usize| change(&runs[n]));
    subject.commit(&lease, mixed.to_vec()).await;
    let query = RunQuery {
        schedule: Some(schedule("a")),
        set: Some(set("x")),
        since: Some(hour(2)),
        limit: Some(100_000),
        ..RunQuery::default()
    };
    assert_eq!(subject.runs(query).await, runs[1..5]);
}

async fn the_mark_never_goes_back(subject: &Subject) {
    let lease = subject.lease().await;
    subject
        .commit(&lease, vec![Change::Mark(hour(5)), Change::Mark(hour(4))])
        .await;
    assert_eq!(subject.load().await.mark, Some(hour(5)));
    subject.commit(&lease, vec![Change::Mark(hour(3))]).await;
    assert_eq!(subject.load().await.mark, Some(hour(5)));
    subject.commit(&lease, vec![Change::Mark(hour(6))]).await;
    assert_eq!(subject.load().await.mark, Some(hour(6)));
}

async fn a_notice_is_stored_once(subject: &Subject) {
    let lease = subject.lease().await;
    let run = pending_at("a/x", 1);
    let first = notice("one", Some(&run), hour(1));
    let mut same = first.clone();
    same.subject = "told differently".to_owned();
    let second = notice("two", Some(&run), hour(1));
    let changes = [&first, &same, &second].map(|n| Change::Notice(n.clone()));
    // a notice may come before the run in the list
    subject
        .commit(&lease, changes.into_iter().chain([change(&run)]).collect())
        .await;
    subject.commit(&lease, vec![Change::Notice(same)]).await;
    assert_eq!(subject.story(&run).await.notices, [first, second]);
}

async fn closed_series_are_not_loaded(subject: &Subject) {
    let lease = subject.lease().await;
    let cursor = |of: &str, n| Change::Cursor {
        series: series(of),
        upto: hour(n),
        definition: definition(&series(of)),
    };
    let close = |of: &str, n| Change::Closed {
        series: series(of),
        upto: hour(n),
    };
    let open = async || {
        let series = subject.load().await.series;
        let names: Vec<(String, Timestamp)> = series
            .iter()
            .map(|s| (s.series.to_string(), s.cursor))
            .collect();
        names
    };
    subject
        .commit(
            &lease,
            vec![cursor("a/y", 1), cursor("b/x", 1), cursor("a/x", 2)],
        )
        .await;
    let (ax, ay) = (("a/x".to_owned(), hour(2)), ("a/y".to_owned(), hour(1)));
    assert_eq!(
        open().await,
        [ax.clone(), ay.clone(), ("b/x".to_owned(), hour(1))]
    );
    subject
        .commit(&lease, vec![close("b/x", 3), close("never/seen", 3)])
        .await;
    assert_eq!(open().await, [ax.clone(), ay.clone()]);
    // a name that returns is open again; a cursor may be set back
    subject
        .commit(&lease, vec![cursor("b/x", 4), cursor("b/x", 3)])
        .await;
    assert_eq!(open().await, [ax, ay, ("b/x".to_owned(), hour(3))]);
}

async fn lost_runs_are_loaded_while_their_job_may_live(subject: &Subject) {
    let lease = subject.lease().await;
    // the time limit is 6 h
    let sent = submitting(pending_at("a/x", 1), hour(1));
    let lost = finished(sent, Outcome::Lost, hour(4));
    let failed = finished(
        submitting(pending_at("b/x", 1), hour(1)),
        Outcome::Failed,
        hour(4),
    );
    let mut ancient = finished(pending_at("a/x", 2), Outcome::Lost, hour(4));
    ancient.submitted = Some(Timestamp::MIN);
    let all = [&lost, &ancient, &failed];
    subject.commit(&lease, all.map(change).to_vec()).await;
    // without a mark nothing is known to have ended
    assert_eq!(subject.load().await.lost, [lost.clone(), ancient]);
    // the mark may be ahead of a clock that was set back
    for (mark, expected) in [(hour(7 + 47), vec![lost]), (hour(7 + 48), vec![])] {
        subject.commit(&lease, vec![Change::Mark(mark)]).await;
        assert_eq!(subject.load().await.lost, expected);
    }
}

async fn identities_of_two_days_are_loaded(subject: &Subject) {
    let lease = subject.lease().await;
    let old = finished(pending_at("a/x", 51), Outcome::Succeeded, hour(99));
    let mut caught_up = finished(pending_at("a/x", 50), Outcome::Succeeded, hour(99));
    caught_up.planned = hour(52);
    let new = finished(pending_at("a/x", 52), Outcome::Succeeded, hour(52));
    let live = pending_at("a/x", 99);
    let all = [&old, &caught_up, &new, &live];
    subject.commit(&lease, all.map(change).to_vec()).await;
    subject.commit(&lease, vec![Change::Mark(hour(100))]).await;
    let recent = subject.load().await.recent;
    let found: Vec<_> = recent.iter().map(|d| (&d.run, d.civil, d.fold)).collect();
    let expected = [&caught_up, &new, &live].map(|run| (&run.id, run.civil, run.fold));
    assert_eq!(found, expected);
}

async fn missed_times_are_found_by_overlap(subject: &Subject) {
    let lease = subject.lease().await;
    let missed = |of: &str, after, upto| Missed {
        series: series(of),
        range: range(after, upto),
        count: 7,
        reason: SkipReason::Missed,
        at: hour(20),
    };
    let all = [
        missed("a/x", 1, 5),
        missed("b/x", 4, 9),
        missed("a/x", 8, 9),
    ];
    subject
        .commit(&lease, all.iter().cloned().map(Change::Missed).collect())
        .await;
    let find =
        async |of: Option<&str>, range| subject.store.missed(of.map(series), range).await.unwrap();
    assert_eq!(find(None, range(0, 99)).await, all);
    assert_eq!(
        find(Some("a/x"), range(0, 99)).await,
        [all[0].clone(), all[2].clone()]
    );
    assert_eq!(find(None, range(5, 8)).await, [all[1].clone()]);
    assert_eq!(find(None, range(4, 5)).await, all[..2]);
    assert_eq!(find(None, range(9, 12)).await, []);
    let ever = TimeRange {
        after: Timestamp::MIN,
        upto: Timestamp::MAX,
    };
    assert_eq!(find(None, ever).await, all);
}

fn range(after: i64, upto: i64) -> TimeRange {
    TimeRange {
        after: hour(after),
        upto: hour(upto),
    }
}

async fn the_memory_of_a_connection_is_replaced(subject: &Subject) {
    let lease = subject.lease().await;
    let name = ConnectionName::new("carto_dw").unwrap();
    let full = ConnectionMemory {
        accepted: (1..=8)
            .map(|n| (job(&format!("job-{n}")), hour(n)))
            .collect(),
        proven: Some(hour(2)),
    };
    let bare = ConnectionMemory {
        accepted: vec![(job("é \"x\""), hour(3))],
        proven: None,
    };
    for memory in [full, bare, ConnectionMemory::default()] {
        let change = Change::Connection {
            name: name.clone(),
            memory: memory.clone(),
        };
        subject.commit(&lease, vec![change]).await;
        assert_eq!(subject.load().await.connections, [(name.clone(), memory)]);
    }
}

async fn the_instance_is_made_once(subject: &Subject) {
    let ask = async |wanted: Option<&str>| {
        let wanted = wanted.map(str::to_owned);
        subject.store.instance(wanted).await.unwrap()
    };
    let made = ask(None).await;
    assert!(!made.is_empty());
    assert_eq!(ask(None).await, made);
    assert_eq!(ask(Some("prod")).await, "prod");
    assert_eq!(ask(None).await, "prod");
}

async fn readers_see_whole_commits_while_others_write(subject: &Subject) {
    let lease = subject.lease().await;
    let store = Arc::clone(&subject.store);
    let writing = tokio::spawn(async move {
        for n in 0..100 {
            let pair = [change(&pending_at("a/x", n)), change(&pending_at("b/x", n))];
            store.commit(lease.clone(), pair.to_vec()).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    loop {
        let finished = writing.is_finished();
        let (runs, saved) = (
            subject.runs(RunQuery::default()).await,
            subject.load().await,
        );
        assert_eq!((runs.len() % 2, saved.live.len() % 2), (0, 0));
        assert!(saved.live.len() >= runs.len());
        assert_eq!(saved.live.len(), saved.recent.len());
        if finished {
            assert_eq!(runs.len(), 200);
            break;
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

/// Ten finished runs of one series, an hour apart, long before the mark.
async fn with_history(subject: &Subject) -> (Lease, Vec<Run>) {
    let lease = subject.lease().await;
    let runs: Vec<Run> = (0..10)
        .map(|n| finished(pending_at("a/x", n), Outcome::Succeeded, hour(n)))
        .collect();
    subject
        .commit(&lease, runs.iter().map(change).collect())
        .await;
    subject.commit(&lease, vec![Change::Mark(hour(1000))]).await;
    (lease, runs)
}

const MANY: u64 = u64::MAX;

async fn old_runs_are_pruned_with_what_belongs_to_them(subject: &Subject) {
    let (lease, runs) = with_history(subject).await;
    let of_old = Change::Notice(notice("old", Some(&runs[2]), hour(2)));
    let of_new = Change::Notice(notice("new", Some(&runs[3]), hour(2)));
    let loose = Change::Notice(notice("loose", None, hour(1)));
    let missed = |n| Missed {
        series: series("a/x"),
        range: range(n, n + 1),
        count: 1,
        reason: SkipReason::Missed,
        at: hour(n),
    };
    let changes = vec![
        of_old,
        of_new.clone(),
        loose,
        Change::Missed(missed(2)),
        Change::Missed(missed(3)),
    ];
    subject.commit(&lease, changes).await;
    while subject.prune(hour(3), MANY, 100).await > 0 {}
    assert_eq!(subject.runs(RunQuery::default()).await, runs[3..]);
    assert_eq!(subject.store.story(runs[2].id.clone()).await.unwrap(), None);
    assert_eq!(subject.story(&runs[3]).await.notices.len(), 1);
    let left = subject.store.missed(None, range(0, 99)).await.unwrap();
    assert_eq!(left, [missed(3)]);
    // the same run stored again has a new story
    subject
        .commit(&lease, vec![told(&runs[2], "again", hour(2))])
        .await;
    let story = subject.story(&runs[2]).await;
    assert_eq!((story.records.len(), story.notices.len()), (1, 0));
}

async fn each_series_keeps_its_newest_runs(subject: &Subject) {
    let (lease, runs) = with_history(subject).await;
    let other = finished(pending_at("b/x", 0), Outcome::Succeeded, hour(0));
    subject.commit(&lease, vec![change(&other)]).await;
    while subject.prune(Timestamp::MIN, 4, 100).await > 0 {}
    let query = RunQuery {
        schedule: Some(schedule("a")),
        ..RunQuery::default()
    };
    assert_eq!(subject.runs(query).await, runs[6..]);
    assert_eq!(subject.story(&other).await.run, other);
}

async fn what_is_still_needed_is_never_pruned(subject: &Subject) {
    let (lease, _) = with_history(subject).await;
    let live = submitting(pending_at("l/x", 1), hour(1));
    // lost at hour 5, submitted at hour 999: its job may live until hour 1005
    let mut lost = submitting(pending_at("l/x", 2), hour(999));
    lost = finished(lost, Outcome::Lost, hour(5));
    let recent = finished(pending_at("l/x", 960), Outcome::Succeeded, hour(960));
    let mut caught_up = finished(pending_at("l/x", 3), Outcome::Succeeded, hour(970));
    caught_up.planned = hour(970);
    let needed = [live, lost.clone(), caught_up, recent];
    subject
        .commit(&lease, needed.iter().map(change).collect())
        .await;
    let before = subject.load().await;
    while subject.prune(hour(1000), 0, 100).await > 0 {}
    assert_eq!(subject.runs(RunQuery::default()).await, needed);
    assert_eq!(subject.load().await, before);
    // what nothing needs any more goes
    subject.commit(&lease, vec![Change::Mark(hour(2000))]).await;
    while subject.prune(hour(2000), 0, 100).await > 0 {}
    assert_eq!(
        ids(&subject.runs(RunQuery::default()).await),
        ids(&needed[..1])
    );
    assert_eq!(subject.load().await.lost, []);
}

async fn pruning_goes_in_small_steps(subject: &Subject) {
    let (_, runs) = with_history(subject).await;
    let left = async || subject.runs(RunQuery::default()).await;
    assert!(subject.prune(hour(8), MANY, 3).await >= 3);
    assert_eq!(left().await, runs[3..]);
    assert!(subject.prune(Timestamp::MIN, 2, 4).await >= 4);
    assert_eq!(left().await, runs[7..]);
    assert_eq!(subject.prune(hour(8), MANY, 0).await, 0);
    assert_eq!(left().await, runs[7..]);
}

async fn one_identity_is_one_run_whoever_brings_it(subject: &Subject) {
    let lease = subject.lease().await;
    let planned = pending_at("a/x", 1);
    // the same instant in another series, generation or by hand is another run
    let others = ["b/x@2026-01-01T01:00:00Z", "a/y@2026-01-01T01:00:00Z"].map(pending);
    let again = [
        "a/x@2026-01-01T01:00:00Z+1",
        "a/x@2026-01-01T01:00:00Z+manual-k",
    ]
    .map(pending);
    let all: Vec<Run> = [planned.clone()]
        .into_iter()
        .chain(others)
        .chain(again)
        .collect();
    subject
        .commit(&lease, all.iter().map(change).collect())
        .await;
    subject
        .commit(&lease, all.iter().map(change).collect())
        .await;
    assert_eq!(subject.runs(RunQuery::default()).await.len(), all.len());
    // planned once more by a daemon that did not know of it: the same run, and none beside it
    let sent = submitting(planned.clone(), hour(1));
    subject.commit(&lease, vec![change(&sent)]).await;
    let result = subject.store.commit(lease, vec![change(&planned)]).await;
    assert!(is_corrupt(&result), "{result:?}");
    assert_eq!(subject.story(&planned).await.run, sent);
}

async fn a_reader_sees_the_order_of_commits(subject: &Subject) {
    let lease = subject.lease().await;
    let store = Arc::clone(&subject.store);
    let writing = tokio::spawn(async move {
        for n in 0..60 {
            let changes = vec![change(&pending_at("a/x", n)), Change::Mark(hour(n))];
            store.commit(lease.clone(), changes).await.unwrap();
        }
    });
    let (mut mark, mut count) = (None, 0);
    while count < 60 {
        let saved = subject.load().await;
        // a later question never shows less, and the mark never runs ahead of its runs
        assert!(saved.mark >= mark && saved.live.len() >= count);
        assert_eq!(saved.mark, saved.live.last().map(|(run, _)| run.id.instant));
        (mark, count) = (saved.mark, saved.live.len());
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

async fn commits_that_wait_are_stored_in_the_order_they_came(subject: &Subject) {
    let lease = subject.lease().await;
    let run = pending_at("a/x", 1);
    // asked for one after the other without waiting for an answer
    let mut waiting = Vec::new();
    for n in 1..=20 {
        let step = match n {
            1 => run.clone(),
            _ => submitting_nth(&run, n - 1),
        };
        let (store, lease) = (Arc::clone(&subject.store), lease.clone());
        let changes = vec![told(&step, "step", hour(n))];
        // on the runtime of these tests, tasks begin in the order in which they are made
        waiting.push(tokio::spawn(
            async move { store.commit(lease, changes).await },
        ));
    }
    for (n, commit) in (1..).zip(waiting) {
        let answer = commit.await.unwrap();
        answer.unwrap_or_else(|error| panic!("{n}: {error}"));
    }
    let story = subject.story(&run).await;
    let attempts: Vec<u32> = story.records.iter().map(|record| record.attempt).collect();
    assert_eq!(attempts, (0..20).collect::<Vec<u32>>());
}

/// The run at its nth attempt.
fn submitting_nth(run: &Run, nth: i64) -> Run {
    (0..nth).fold(run.clone(), |run, n| submitting(run, hour(n)))
}

async fn of_two_who_want_the_lease_at_once_one_gets_it(subject: &Subject) {
    let wanting = (1..=8).map(|pid| {
        let store = Arc::clone(&subject.store);
        tokio::spawn(async move { store.acquire(holder(pid), TRUST, hour(0)).await })
    });
    let mut given = Vec::new();
    for answer in wanting.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            Ok(lease) => given.push(lease),
            Err(StoreError::Fenced { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(given.len(), 1, "{given:?}");
    subject.commit(&given[0], vec![]).await;
}

async fn a_lease_that_ran_out_is_worth_something_until_it_is_taken(subject: &Subject) {
    let store = &subject.store;
    let old = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    // nobody has come, so nothing was decided by anybody else
    store.renew(old.clone(), TRUST, hour(9)).await.unwrap();
    subject.commit(&old, vec![Change::Mark(hour(9))]).await;
    let new = store.acquire(holder(72), TRUST, hour(20)).await.unwrap();
    let result = store.renew(old.clone(), TRUST, hour(20)).await;
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "{result:?}"
    );
    let result = store.commit(old, vec![Change::Mark(hour(30))]).await;
    assert!(
        matches!(result, Err(StoreError::Fenced { .. })),
        "{result:?}"
    );
    subject.commit(&new, vec![]).await;
    assert_eq!(subject.load().await.mark, Some(hour(9)));
}

/// What the changes below would touch if they were stored.
fn before_the_fence() -> Vec<Change> {
    vec![
        change(&pending_at("kept/x", 1)),
        Change::Cursor {
            series: series("kept/x"),
            upto: hour(0),
            definition: definition(&series("kept/x")),
        },
        Change::Paused(pause(Scope::All, 0, None)),
        Change::Skip(skip("kept/x", SkipWhat::Next(3))),
    ]
}

/// A change of the kind that comes after this one's, `None` after the last: the chain holds every kind. A new kind
/// does not compile until it has its place here.
fn of_the_next_kind(this: &Change) -> Option<Change> {
    Some(match this {
        Change::Run { .. } => Change::Missed(Missed {
            series: series("a/x"),
            range: range(0, 9),
            count: 9,
            reason: SkipReason::Missed,
            at: hour(9),
        }),
        Change::Missed(_) => Change::Cursor {
            series: series("a/x"),
            upto: hour(1),
            definition: definition(&series("a/x")),
        },
        Change::Cursor { .. } => Change::Closed {
            series: series("kept/x"),
            upto: hour(1),
        },
        Change::Closed { .. } => {
            Change::Notice(notice("n", Some(&pending_at("kept/x", 1)), hour(1)))
        }
        Change::Notice(_) => Change::Mark(hour(1)),
        Change::Mark(_) => Change::Connection {
            name: ConnectionName::new("carto_dw").unwrap(),
            memory: ConnectionMemory {
                accepted: vec![(job("j"), hour(1))],
                proven: None,
            },
        },
        Change::Connection { .. } => {
            Change::Paused(pause(Scope::Schedule(schedule("a")), 1, Some(9)))
        }
        Change::Paused(_) => Change::Resumed(Scope::All),
        Change::Resumed(_) => Change::Skip(skip("a/x", SkipWhat::At(hour(7)))),
        Change::Skip(_) => Change::Unskip(series("kept/x"), SkipWhat::Next(0)),
        Change::Unskip(..) => Change::Acted(deed(1, "pause")),
        Change::Acted(_) => return None,
    })
}

async fn a_fenced_commit_stores_nothing_of_any_kind(subject: &Subject) {
    let store = &subject.store;
    let old = store.acquire(holder(71), TRUST, hour(0)).await.unwrap();
    subject.commit(&old, before_the_fence()).await;
    let kept = pending_at("kept/x", 1);
    let (saved, story) = (subject.load().await, subject.story(&kept).await);
    store.acquire(holder(72), TRUST, hour(1)).await.unwrap();
    let run = change(&pending_at("a/x", 1));
    let changes: Vec<Change> = std::iter::successors(Some(run), of_the_next_kind).collect();
    for change in changes
        .iter()
        .cloned()
        .map(|change| vec![change])
        .chain([changes.clone()])
    {
        let result = store.commit(old.clone(), change).await;
        assert!(
            matches!(result, Err(StoreError::Fenced { .. })),
            "{result:?}"
        );
    }
    assert_eq!(subject.load().await, saved);
    assert_eq!(subject.story(&kept).await, story);
    assert_eq!(ids(&subject.runs(RunQuery::default()).await), ids(&[kept]));
    assert_eq!(store.missed(None, range(0, 99)).await.unwrap(), []);
    assert_eq!(store.deeds(range(0, 99)).await.unwrap(), []);
}

async fn pruning_needs_no_lease_and_leaves_what_it_did_not_find(subject: &Subject) {
    let (lease, runs) = with_history(subject).await;
    subject.store.release(lease).await.unwrap();
    assert!(subject.prune(hour(3), MANY, 100).await >= 3);
    // a run that is brought while others are pruned stays
    let lease = subject
        .store
        .acquire(holder(2), TRUST, hour(0))
        .await
        .unwrap();
    let store = Arc::clone(&subject.store);
    let late = finished(pending_at("late/x", 999), Outcome::Failed, hour(999));
    let bring = store.commit(lease, vec![change(&late)]);
    let (pruned, brought) = tokio::join!(subject.prune(hour(5), MANY, 100), bring);
    brought.unwrap();
    assert!(pruned >= 2);
    let left = subject.runs(RunQuery::default()).await;
    assert_eq!(ids(&left), ids(&[&runs[5..], &[late]].concat()));
}

fn by(who: &str) -> By {
    By::new(who, Some("because"))
}

fn pause(scope: Scope, since: i64, until: Option<i64>) -> Pause {
    Pause {
        scope,
        since: hour(since),
        until: until.map(hour),
        by: by("uid 1000"),
    }
}

fn skip(of: &str, what: SkipWhat) -> Skip {
    Skip {
        series: series(of),
        what,
        at: hour(1),
        by: by("uid 1000"),
    }
}

fn deed(n: i64, act: &str) -> Deed {
    Deed {
        at: hour(n),
        by: by("uid 1000"),
        act: act.to_owned(),
        schedule: Some(schedule("a")),
        run: (n > 1).then(|| pending_at("a/x", n).id),
        said: "it is done".to_owned(),
    }
}

async fn pauses_and_wishes_to_skip_are_replaced_and_end(subject: &Subject) {
    let lease = subject.lease().await;
    let of_a = || Scope::Schedule(schedule("a"));
    let on = SkipWhat::On("2026-01-05".parse().unwrap());
    let changes = [
        Change::Paused(pause(of_a(), 1, None)),
        Change::Paused(pause(Scope::All, 2, Some(9))),
        Change::Paused(pause(of_a(), 1, Some(5))),
        Change::Skip(skip("b/x", SkipWhat::Next(3))),
        Change::Skip(skip("a/x", on)),
        Change::Skip(skip("a/x", SkipWhat::At(hour(7)))),
        Change::Skip(skip("b/x", SkipWhat::Next(2))),
    ];
    subject.commit(&lease, changes.to_vec()).await;
    let saved = subject.load().await;
    let all = [pause(Scope::All, 2, Some(9)), pause(of_a(), 1, Some(5))];
    assert_eq!(saved.pauses, all);
    let at = SkipWhat::At(hour(7));
    let wishes = [
        skip("a/x", at),
        skip("a/x", on),
        skip("b/x", SkipWhat::Next(2)),
    ];
    assert_eq!(saved.skips, wishes);
    let ends = [
        Change::Resumed(Scope::All),
        Change::Unskip(series("b/x"), SkipWhat::Next(0)),
        Change::Unskip(series("a/x"), on),
        Change::Resumed(Scope::Schedule(schedule("z"))),
    ];
    subject.commit(&lease, ends.to_vec()).await;
    let saved = subject.load().await;
    assert_eq!(
        (saved.pauses, saved.skips),
        (all[1..].to_vec(), wishes[..1].to_vec())
    );
}

async fn what_passed_in_a_pause_is_loaded_until_it_runs_again(subject: &Subject) {
    let lease = subject.lease().await;
    let skipped =
        |of: &str, n, reason| finished(pending_at(of, n), Outcome::Skipped(reason), hour(n));
    let paused = |of: &str, n| skipped(of, n, SkipReason::Paused);
    let open = |of: &str| Change::Cursor {
        series: series(of),
        upto: hour(0),
        definition: definition(&series(of)),
    };
    let mut again = pending_at("a/x", 4);
    again.id.kind = RunKind::Generation(1);
    let runs = [
        paused("a/x", 1),
        paused("a/x", 3),
        paused("a/x", 4),
        skipped("a/x", 5, SkipReason::Asked),
        paused("a/x", 6),
        paused("b/x", 3),
        again,
    ];
    let mut changes: Vec<Change> = runs.iter().map(change).collect();
    changes.extend([open("a/x"), open("b/x")]);
    subject.commit(&lease, changes).await;
    assert_eq!(subject.load().await.passed, []);
    let of_a = Change::Paused(pause(Scope::Schedule(schedule("a")), 2, None));
    subject.commit(&lease, vec![of_a]).await;
    let ids = |saved: Saved| -> Vec<_> { saved.passed.into_iter().map(|d| d.run).collect() };
    let found = ids(subject.load().await);
    assert_eq!(found, [runs[1].id.clone(), runs[4].id.clone()]);
    let all = Change::Paused(pause(Scope::All, 0, None));
    subject.commit(&lease, vec![all]).await;
    let found = ids(subject.load().await);
    assert_eq!(found, [0, 1, 4, 5].map(|n| runs[n].id.clone()));
    let many: Vec<Change> = (10..130).map(|n| change(&paused("a/x", n))).collect();
    subject.commit(&lease, many).await;
    let of_a = |id: &RunId| id.series == series("a/x");
    let found: Vec<RunId> = ids(subject.load().await).into_iter().filter(of_a).collect();
    let newest: Vec<RunId> = (30..130).map(|n| pending_at("a/x", n).id).collect();
    assert_eq!(found, newest, "the newest hundred");
}

async fn acts_are_kept_in_order_and_pruned_by_age(subject: &Subject) {
    let lease = subject.lease().await;
    let all = [
        deed(1, "pause"),
        deed(2, "cancel"),
        deed(2, "retry"),
        deed(3, "resume"),
    ];
    let changes = all.iter().cloned().map(Change::Acted).collect();
    subject.commit(&lease, changes).await;
    let find = async |range| subject.store.deeds(range).await.unwrap();
    assert_eq!(find(range(0, 9)).await, all);
    assert_eq!(find(range(1, 2)).await, all[1..3]);
    while subject.prune(hour(2), MANY, 1).await > 0 {}
    assert_eq!(find(range(0, 9)).await, all[1..]);
}

async fn later_generations_that_ended_lately_are_known(subject: &Subject) {
    let lease = subject.lease().await;
    let again = |n, ended| {
        let mut run = finished(pending_at("a/x", n), Outcome::Succeeded, hour(ended));
        run.id.kind = RunKind::Generation(1);
        run
    };
    let (lately, long_ago) = (again(5, 99), again(6, 7));
    let planned = finished(pending_at("a/x", 5), Outcome::Failed, hour(99));
    let runs = [&lately, &long_ago, &planned];
    subject.commit(&lease, runs.map(change).to_vec()).await;
    subject.commit(&lease, vec![Change::Mark(hour(100))]).await;
    let recent: Vec<_> = subject
        .load()
        .await
        .recent
        .into_iter()
        .map(|d| d.run)
        .collect();
    assert_eq!(recent, [lately.id]);
}

/// Equal to the digit and to the order of keys, which equality of JSON objects does not see.
fn assert_same<T: PartialEq + std::fmt::Debug>(stored: &T, expected: &T) {
    assert_eq!(stored, expected);
    assert_eq!(format!("{stored:?}"), format!("{expected:?}"));
}

/// Checks a share of the usual number of cases, which `PROPTEST_CASES` sets.
fn property<S: Strategy>(share: u32, strategy: &S, check: impl AsyncFn(S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let usual = Config::default();
    let config = Config {
        cases: usual.cases.div_ceil(share),
        failure_persistence: None,
        ..usual
    };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        runtime.block_on(check(value));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn any_run_reads_back_equal_from_sqlite() {
    let subject = sqlite();
    let runs = vec(arbitrary::run_change(arbitrary::run()), 1..4);
    property(2, &runs, async |changes| {
        let lease = subject.lease().await;
        for change in changes {
            let Change::Run { run, record, at } = &change else {
                panic!("not a run");
            };
            if subject
                .store
                .commit(lease.clone(), vec![change.clone()])
                .await
                .is_err()
            {
                continue; // the same id came twice; the model below looks at that
            }
            let story = subject.story(run).await;
            assert_same(&story.run, &**run);
            assert_same(story.records.last().unwrap(), record);
            if !matches!(run.state, RunState::Finished(_)) {
                let live = subject.load().await.live;
                let found = live
                    .into_iter()
                    .find(|(live, _)| live.id == run.id)
                    .unwrap();
                assert_same(&found, &((**run).clone(), *at));
            }
        }
    });
}

#[test]
fn sqlite_does_what_the_reference_does_for_any_changes() {
    let commits = vec(vec(arbitrary::any_change(), 0..8), 1..6);
    property(4, &commits, async |commits| {
        let (reference, subject) = (memory(), sqlite());
        let (a, b) = (reference.lease().await, subject.lease().await);
        let mut known = Vec::new();
        for changes in commits {
            for change in &changes {
                if let Change::Run { run, .. } = change {
                    known.push((**run).clone());
                }
            }
            let expected = reference
                .store
                .commit(a.clone(), changes.clone())
                .await
                .is_ok();
            let result = subject.store.commit(b.clone(), changes).await;
            assert_eq!(result.is_ok(), expected, "{result:?}");
            assert_same(&subject.load().await, &reference.load().await);
        }
        let all = RunQuery::default();
        assert_same(&subject.runs(all.clone()).await, &reference.runs(all).await);
        for run in &known {
            let story = subject.store.story(run.id.clone()).await.unwrap();
            assert_same(
                &story,
                &reference.store.story(run.id.clone()).await.unwrap(),
            );
        }
        let ever = TimeRange {
            after: Timestamp::MIN,
            upto: Timestamp::MAX,
        };
        let missed = subject.store.missed(None, ever).await.unwrap();
        assert_same(&missed, &reference.store.missed(None, ever).await.unwrap());
        let deeds = subject.store.deeds(ever).await.unwrap();
        assert_same(&deeds, &reference.store.deeds(ever).await.unwrap());
    });
}
