//! Channels that take, refuse, hang and come back, in virtual time.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Mutex;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::notify::{self, Severity};
use crate::sched::notice::NoticeKind;
use crate::sched::time::{Mono, Now};
use crate::store::Reply;

/// The store, as far as it matters here; it can be out of order.
#[derive(Default)]
struct Shelf {
    notices: Mutex<Vec<(u64, Notice)>>,
    channels: Mutex<BTreeMap<String, Progress>>,
    threads: Mutex<BTreeMap<(String, String), String>>,
}

fn well<'a, T: Send + 'a>(answer: T) -> Reply<'a, T> {
    Box::pin(ready(Ok(answer)))
}

impl Outbox for Shelf {
    fn channel(&self, name: String) -> Reply<'_, Progress> {
        let mut channels = self.channels.lock().unwrap();
        well(channels.entry(name).or_default().clone())
    }
    fn notices(&self, after: u64, most: usize) -> Reply<'_, Vec<(u64, Notice)>> {
        let all = self.notices.lock().unwrap();
        let later = all.iter().filter(|(number, _)| *number > after);
        well(later.take(most).cloned().collect())
    }
    fn waiting(&self, after: u64) -> Reply<'_, u64> {
        let all = self.notices.lock().unwrap();
        well(all.iter().filter(|(number, _)| *number > after).count() as u64)
    }
    fn thread(&self, channel: String, thread: String) -> Reply<'_, Option<String>> {
        let threads = self.threads.lock().unwrap();
        well(threads.get(&(channel, thread)).cloned())
    }
    fn settle(
        &self,
        channel: String,
        progress: Progress,
        thread: Option<ThreadName>,
    ) -> Reply<'_, ()> {
        if let Some(thread) = thread {
            let key = (channel.clone(), thread.thread);
            self.threads.lock().unwrap().insert(key, thread.name);
        }
        self.channels.lock().unwrap().insert(channel, progress);
        well(())
    }
    fn keep_channels(&self, names: Vec<String>) -> Reply<'_, ()> {
        let mut channels = self.channels.lock().unwrap();
        channels.retain(|name, _| names.contains(name));
        well(())
    }
}

/// The clock of the runtime, which a test moves.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Now {
        let elapsed = self.0.elapsed();
        Now {
            wall: begin() + elapsed,
            mono: Mono(i64::try_from(elapsed.as_nanos()).unwrap()),
        }
    }
}

fn begin() -> Timestamp {
    "2026-02-03T02:00:00Z".parse().unwrap()
}

/// What a channel does with a message.
#[derive(Clone, Copy)]
enum Does {
    Takes,
    Fails,
    Refuses,
    Hangs,
}

/// A receiver that notes what it was sent, and when.
struct Receiver {
    does: Mutex<Does>,
    heard: Mutex<Vec<Heard>>,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Heard {
    after: Duration,
    message: Message,
    thread: Option<String>,
}

impl Notifier for Receiver {
    fn send<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
    ) -> notify::Reply<'a, Result<Sent, SendError>> {
        self.heard.lock().unwrap().push(Heard {
            after: self.since.elapsed(),
            message: message.clone(),
            thread: thread.map(str::to_owned),
        });
        let does = *self.does.lock().unwrap();
        Box::pin(async move {
            match does {
                Does::Takes => Ok(Sent {
                    thread: Some(format!("ts-{}", message.thread)),
                }),
                Does::Fails => Err(SendError::Retry {
                    why: "503".to_owned(),
                    after: None,
                }),
                Does::Refuses => Err(SendError::GiveUp("400".to_owned())),
                Does::Hangs => std::future::pending().await,
            }
        })
    }
}

impl Receiver {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new(does),
            heard: Mutex::default(),
            since: Instant::now(),
        })
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        let heard = self.heard();
        heard.into_iter().map(|heard| heard.message.id).collect()
    }
}

/// A desk with its channels.
struct Scene {
    shelf: Arc<Shelf>,
    desk: Desk,
    shown: watch::Receiver<Arc<Vec<ChannelStatus>>>,
    clock: Arc<Paused>,
}

impl Scene {
    fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        let clock = Arc::new(Paused(Instant::now()));
        let (status, shown) = watch::channel(Arc::default());
        let desk = Desk {
            outbox: Arc::clone(&shelf) as Arc<dyn Outbox>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            instance: "prod".to_owned(),
            observe: false,
            stored: Arc::default(),
            status,
        };
        Self {
            shelf,
            desk,
            shown,
            clock,
        }
    }

    /// Serves these until the token is cancelled.
    fn serve(&self, channels: &[(&str, &Arc<Receiver>)]) -> (JoinHandle<()>, CancellationToken) {
        let channels: Vec<Channel> = channels
            .iter()
            .map(|(name, receiver)| Channel {
                name: (*name).to_owned(),
                notifier: Arc::clone(receiver) as Arc<dyn Notifier>,
                wants: Arc::new(|notice| notice.kind != NoticeKind::Adopted),
            })
            .collect();
        let stop = CancellationToken::new();
        let (kept, served) = watch::channel(channels);
        let (desk, token) = (self.desk.clone(), stop.clone());
        let task = tokio::spawn(async move {
            desk.serve(served, token).await;
            drop(kept);
        });
        (task, stop)
    }

    /// A notice is stored.
    fn store(&self, kind: NoticeKind, series: &str) -> String {
        let mut all = self.shelf.notices.lock().unwrap();
        let number = all.len() as u64 + 1;
        let id = format!("{series}:{number}");
        let run = format!("{series}@2026-02-03T02:00:00Z");
        all.push((
            number,
            Notice {
                id: id.clone(),
                kind,
                at: self.clock.now().wall,
                schedule: None,
                run: Some(run.parse().unwrap()),
                subject: format!("{series} {}", kind.word()),
                body: String::new(),
            },
        ));
        self.desk.stored.notify_waiters();
        id
    }

    fn progress(&self, channel: &str) -> Progress {
        self.shelf.channels.lock().unwrap()[channel].clone()
    }

    fn trouble(&self, channel: &str) -> Option<Trouble> {
        let shown = self.shown.borrow();
        let one = shown.iter().find(|one| one.name == channel).unwrap();
        one.trouble.clone()
    }
}

async fn pass(time: Duration) {
    sleep(time).await;
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_notice_is_told_once_soon_and_settled() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Takes);
    let (task, stop) = scene.serve(&[("ops", &ops)]);
    pass(MINUTE).await;
    let id = scene.store(NoticeKind::Failed, "a/x");
    pass(10 * MINUTE).await;
    let heard = ops.heard();
    assert_eq!(ops.ids(), [id]);
    assert_eq!(heard[0].message.severity, Severity::Error);
    assert!(
        heard[0].after <= MINUTE + 2 * GATHER,
        "{:?}",
        heard[0].after
    );
    assert_eq!(
        (scene.progress("ops").upto, scene.progress("ops").sending),
        (1, None)
    );
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_herd_is_one_message_and_what_nobody_wants_is_passed_over() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Takes);
    let (_task, _stop) = scene.serve(&[("ops", &ops)]);
    scene.store(NoticeKind::Adopted, "quiet/x");
    for n in 0..200 {
        scene.store(NoticeKind::Failed, &format!("s{n}/x"));
        pass(Duration::from_millis(20)).await;
    }
    pass(MINUTE).await;
    let heard = ops.heard();
    assert_eq!(heard.len(), 1, "{:?}", ops.ids());
    assert_eq!(heard[0].message.items.len(), 200);
    assert_eq!(scene.progress("ops").upto, 201);
    scene.store(NoticeKind::Adopted, "quiet/x");
    pass(2 * MINUTE).await;
    assert_eq!((ops.heard().len(), scene.progress("ops").upto), (1, 202));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_down_delays_no_other_and_loses_nothing() {
    let scene = Scene::new();
    let (down, up) = (Receiver::new(Does::Fails), Receiver::new(Does::Takes));
    let (_task, _stop) = scene.serve(&[("down", &down), ("up", &up)]);
    let first = scene.store(NoticeKind::Failed, "a/x");
    pass(MINUTE).await;
    let second = scene.store(NoticeKind::Lost, "a/x");
    pass(MINUTE).await;
    assert_eq!(up.ids(), [first.clone(), second.clone()]);
    assert!(
        down.ids().iter().all(|id| *id == first),
        "nothing overtakes"
    );
    let trouble = scene.trouble("down").unwrap();
    assert_eq!(trouble.why, "503");
    assert_eq!(scene.trouble("up"), None);
    // A day later it is taken, with what came meanwhile behind it.
    pass(24 * 60 * MINUTE).await;
    let tried = down.heard().len();
    assert!((90..120).contains(&tried), "tried {tried} times in a day");
    down.does(Does::Takes);
    pass(30 * MINUTE).await;
    let ids = down.ids();
    assert_eq!(ids[ids.len() - 2..], [first, second]);
    assert_eq!(
        (scene.trouble("down"), scene.progress("down").upto),
        (None, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_is_given_up_after_three_days_and_the_next_is_told() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Fails);
    let (_task, _stop) = scene.serve(&[("ops", &ops)]);
    let first = scene.store(NoticeKind::Failed, "a/x");
    pass(GIVE_UP - 60 * MINUTE).await;
    assert_eq!(scene.progress("ops").upto, 0);
    pass(2 * 60 * MINUTE).await;
    assert_eq!(scene.progress("ops").upto, 1);
    ops.does(Does::Takes);
    let second = scene.store(NoticeKind::Failed, "a/x");
    pass(MINUTE).await;
    let ids = ops.ids();
    assert_eq!(ids.iter().filter(|id| **id == second).count(), 1);
    assert_eq!(ids[ids.len() - 2..], [first, second]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_does_not_stand_in_the_way() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Refuses);
    let (_task, _stop) = scene.serve(&[("ops", &ops)]);
    scene.store(NoticeKind::Failed, "a/x");
    pass(MINUTE).await;
    assert_eq!((ops.heard().len(), scene.progress("ops").upto), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_is_tried_again_and_does_not_hold_up_a_stop() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Hangs);
    let (task, stop) = scene.serve(&[("ops", &ops)]);
    scene.store(NoticeKind::Failed, "a/x");
    pass(10 * MINUTE).await;
    assert!(ops.heard().len() >= 3);
    assert!(scene.trouble("ops").unwrap().why.contains("no answer"));
    stop.cancel();
    let ended = timeout(2 * LAST_MESSAGE, task).await;
    ended.expect("a stop waits for a channel").unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_and_not_settled_is_sent_again_under_the_same_id() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Hangs);
    let (task, stop) = scene.serve(&[("ops", &ops)]);
    for series in ["a/x", "b/x", "c/x", "d/x"] {
        scene.store(NoticeKind::Failed, series);
    }
    pass(GATHER + Duration::from_secs(1)).await;
    let before = ops.ids();
    assert_eq!(before.len(), 1);
    // The process ends in the middle, and more is stored before it comes back.
    stop.cancel();
    task.abort();
    scene.store(NoticeKind::Failed, "e/x");
    ops.does(Does::Takes);
    let (_task, _stop) = scene.serve(&[("ops", &ops)]);
    pass(MINUTE).await;
    let heard = ops.heard();
    assert_eq!(heard[1].message.id, before[0]);
    assert_eq!(heard[1].message.items.len(), 4);
    assert_eq!((heard.len(), heard[2].message.items.len()), (3, 1));
    assert_eq!(scene.progress("ops").upto, 5);
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_is_forgotten_but_not_by_a_daemon_that_only_observes() {
    let mut scene = Scene::new();
    let known = |scene: &Scene| scene.shelf.channels.lock().unwrap().contains_key("ops");
    scene
        .shelf
        .channels
        .lock()
        .unwrap()
        .insert("ops".to_owned(), Progress::default());
    for observe in [true, false] {
        scene.desk.observe = observe;
        let (_task, stop) = scene.serve(&[]);
        pass(MINUTE).await;
        assert_eq!(known(&scene), observe);
        stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_that_a_channel_gives_a_thread_comes_back_with_the_next_message() {
    let scene = Scene::new();
    let ops = Receiver::new(Does::Takes);
    let (_task, _stop) = scene.serve(&[("ops", &ops)]);
    scene.store(NoticeKind::Failed, "a/x");
    pass(MINUTE).await;
    scene.store(NoticeKind::Lost, "a/x");
    scene.store(NoticeKind::Lost, "b/x");
    pass(MINUTE).await;
    let threads: Vec<Option<String>> = ops.heard().into_iter().map(|h| h.thread).collect();
    assert_eq!(threads, [None, Some("ts-series:a/x".to_owned()), None]);
}

#[test]
fn pauses_grow_to_a_quarter_of_an_hour_and_the_receiver_may_ask_for_more_within_it() {
    let seconds =
        |attempts, asked: Option<u64>| pause(attempts, asked.map(Duration::from_secs)).as_secs();
    assert_eq!(seconds(0, None), 10);
    assert_eq!(seconds(3, None), 80);
    assert_eq!(seconds(1_000, None), 900);
    assert_eq!(seconds(0, Some(60)), 60);
    assert_eq!(seconds(0, Some(86_400)), 900);
}
