//! From a seed to what the vendor does and what happens.

use std::time::Duration;

use jiff::SignedDuration;
use nightcall::sandbox::{
    Drip, Ending, Fault, Limit, Metadata, Operation, Procedure, Profile, Rule, Scenario, Script,
    Sometimes, Span, Status, Wrapper,
};
use nightcall::sched::act::How;

use super::acts::{at_the_door, out_of_service};
use super::draw::{some_rhythm, some_schedule};
use super::plan::{Act, Edit, Hand, Night, Point, Timed, Which};
use crate::dice::Dice;
use crate::setup::{mins, secs};

/// Where schedules may be moved to.
const HOSTS: [&str; 2] = [
    "https://gcp-us-east1.api.carto.com",
    "https://gcp-europe-west1.api.carto.com",
];

/// Fills in the vendor and the acts.
pub(super) fn brew(night: &mut Night, dice: &mut Dice, zone: &str) {
    night.scenario = some_vendor(night, dice);
    let count = dice.pick(&[2, 6, 10, 16, 24]);
    let mut acts: Vec<Timed> = (0..count)
        .map(|_| Timed {
            at: dice.time(night.trouble),
            act: some_act(night, dice, zone),
        })
        .collect();
    for index in 0..acts.len() {
        acts.extend(taken_back(&acts[index], dice));
    }
    acts.sort_by_key(|timed| timed.at);
    // A copy is restored while the vendor can be read; where it can never be, nobody restores copies.
    let readable = night.list_is_honest() && night.scenario.list.page.is_none();
    let forgets = acts
        .iter()
        .any(|t| matches!(t.act, Act::Forget | Act::NoMarkers { .. }));
    // A copy from before a move does not know where to look.
    let moves = acts.iter().any(|timed| moves(&timed.act));
    let known = readable && !forgets && !moves;
    acts.retain(|t| !matches!(t.act, Act::OldCopy { .. }) || known);
    let copies: Vec<Duration> = acts
        .iter()
        .filter(|t| matches!(t.act, Act::OldCopy { .. }))
        .map(|t| t.at)
        .collect();
    acts.retain(|t| {
        let (before, after) = (mins(3), mins(12));
        let until = match &t.act {
            Act::Trouble { lasts, .. } | Act::Closed { lasts } | Act::Stall { lasts } => {
                t.at + *lasts
            }
            Act::Clock { lasts, .. } => t.at + lasts.unwrap_or(night.trouble),
            _ => return true,
        };
        copies
            .iter()
            .all(|copy| until + before < *copy || t.at > *copy + after)
    });
    if !copies.is_empty() {
        night.scenario.limit = None;
    }
    night.acts = acts;
}

/// What somebody wished is taken back some time later, more often than not.
fn taken_back(timed: &Timed, dice: &mut Dice) -> Option<Timed> {
    let hand = match &timed.act {
        Act::ByHand(Hand::Pause { which, .. }) => Hand::Resume {
            which: which.clone(),
            catch_up: dice.percent(50),
        },
        Act::ByHand(Hand::Skip { schedule, .. }) => Hand::Unskip {
            schedule: schedule.clone(),
        },
        _ => return None,
    };
    dice.percent(60).then(|| Timed {
        at: timed.at + mins(dice.between(1, 90)),
        act: Act::ByHand(hand),
    })
}

fn moves(act: &Act) -> bool {
    let edit = match act {
        Act::Restart { edit, .. } => edit.as_ref(),
        Act::ByHand(Hand::Reload(edit)) => Some(edit),
        _ => None,
    };
    matches!(edit, Some(Edit::Move(_)))
}

// ---- the vendor ----------------------------------------------------------------------------------------------------

fn some_vendor(night: &Night, dice: &mut Dice) -> Scenario {
    let limits = &night.connections[0];
    let mut s = Scenario::default().seed(dice.roll());
    s.profile = dice.pick(&[
        Profile::Bigquery,
        Profile::Bigquery,
        Profile::Snowflake,
        Profile::SnowflakeFlat,
        Profile::Flat,
    ]);
    if dice.percent(8) {
        s.profile = Profile::Weird;
    }
    s.skew = SignedDuration::from_secs(dice.pick(&[0, 0, 0, 0, 20, -20, 300, -300]));
    s.collide = dice.percent(50);
    s.auth.oauth.lifetime = dice.pick(&[mins(5), mins(20), mins(1440)]);
    s.create.status = dice.pick(&[200, 201]);
    s.create.metadata = match dice.below(20) {
        0 => Metadata::Dropped,
        1 => Metadata::Refused,
        _ => Metadata::Kept,
    };
    s.list.delay = Span::between(Duration::ZERO, dice.time(limits.list_lag));
    let wrappers = [
        None,
        None,
        Some(Wrapper::Data),
        Some(Wrapper::Jobs),
        Some(Wrapper::Items),
    ];
    s.list.wrapper = dice.pick(&wrappers);
    s.list.page = dice.pick(&[None, None, None, None, Some(5), Some(20)]);
    s.list.newest_first = dice.percent(50);
    s.list.others = dice.pick(&[0, 0, 3, 20]);
    s.list.status = dice.percent(50);
    s.list.query = dice.percent(80);
    s.list.metadata = dice.percent(95);
    s.list.forbidden = dice.percent(5);
    s.list.ignores_created_since = dice.percent(10);
    s.cancel.empty_reply = dice.percent(30);
    s.cancel.ignored = dice.percent(10);
    s.cancel.takes = Span::between(Duration::ZERO, dice.pick(&[secs(1), secs(40), mins(4)]));
    s.limit = dice.percent(15).then(|| Limit {
        retry_after: dice.percent(50),
        ..Limit::per_minute(dice.pick(&[15, 40, 100]))
    });
    s.script = some_script(dice);
    for definition in &night.definitions {
        if dice.percent(60) {
            let name = definition
                .query
                .trim_start_matches("CALL ")
                .replace('`', "");
            let name = name.split('(').next().unwrap_or_default();
            let signature = format!("{name}(region STRING)");
            s.procedures
                .push(Procedure::new(&signature, some_script(dice)).unwrap());
        }
    }
    s
}

fn some_script(dice: &mut Dice) -> Script {
    let running = match dice.below(10) {
        0..=5 => Span::between(secs(0), mins(5)),
        6..=8 => Span::between(mins(1), mins(20)),
        _ => Span::between(mins(20), mins(100)),
    };
    let bad = dice.pick(&[0.0, 0.1, 0.4]) / 6.0;
    let endings = [
        Ending::fails("invalidQuery"),
        Ending::fails("backendError"),
        Ending::fails("rateLimitExceeded"),
        Ending::Fails(nightcall::sandbox::Failure::rate_limited()),
        Ending::fails("resourcesExceeded"),
        Ending::Stuck,
        Ending::SuccessWithErrors,
    ];
    let sometimes = |ending: &Ending| Sometimes {
        ending: ending.clone(),
        probability: bad,
    };
    Script {
        visible_after: Span::between(Duration::ZERO, dice.pick(&[secs(0), secs(0), secs(8)])),
        pending: Span::between(Duration::ZERO, dice.pick(&[secs(1), secs(60)])),
        running,
        sometimes: match bad > 0.0 {
            true => endings.iter().map(sometimes).collect(),
            false => Vec::new(),
        },
        ..Script::default()
    }
}

// ---- what happens --------------------------------------------------------------------------------------------------

fn some_act(night: &Night, dice: &mut Dice, zone: &str) -> Act {
    match dice.below(42) {
        0..=5 => Act::Kill {
            steps: dice.below(25) as usize,
            point: dice.pick(&[
                Point::BeforeCommit,
                Point::AfterCommit,
                Point::AfterEffects(1),
                Point::AfterEffects(3),
            ]),
            down: some_downtime(dice),
        },
        6 => Act::Restart {
            down: some_downtime(dice),
            edit: None,
        },
        7 | 8 => Act::Restart {
            down: some_downtime(dice),
            edit: Some(some_edit(night, dice, zone)),
        },
        9 => Act::OldCopy {
            age: mins(dice.between(1, 40)),
        },
        10 => Act::Stall {
            lasts: secs(dice.between(5, 1200)),
        },
        11 => Act::SecondDaemon,
        12 => Act::StoreRefuses {
            lasts: secs(dice.between(1, 900)),
        },
        13 => Act::Clock {
            seconds: dice.between(0, 90) as i64 - 45,
            lasts: None,
        },
        14 => Act::Clock {
            seconds: -(dice.between(60, 900) as i64),
            lasts: dice.percent(50).then(|| mins(dice.between(1, 60))),
        },
        15 => Act::Clock {
            seconds: dice.between(60, 7200) as i64,
            lasts: Some(secs(dice.between(1, 600))),
        },
        16 => dice.pick(&[Act::Synchronised, Act::Doctor]),
        17..=19 => Act::Fire {
            schedule: format!("s{}", dice.below(night.definitions.len() as u64)),
            key: dice.below(20),
            queue: dice.percent(30),
            anyway: dice.percent(20),
            even_paused: dice.percent(40),
        },
        20 => Act::Revoke,
        21 => Act::Forget,
        22 => Act::StopThere,
        23 => Act::Closed {
            lasts: secs(dice.between(5, 3600)),
        },
        24 => Act::Trouble {
            rule: Box::new(out_of_service()),
            lasts: secs(dice.between(5, 3600)),
        },
        40 | 41 => Act::NoMarkers {
            lasts: mins(dice.between(10, 120)),
        },
        25..=32 => Act::ByHand(some_hand(night, dice, zone)),
        _ => Act::Trouble {
            rule: Box::new(some_trouble(night, dice)),
            lasts: mins(dice.between(2, 120)),
        },
    }
}

fn some_hand(night: &Night, dice: &mut Dice, zone: &str) -> Hand {
    let schedule = format!("s{}", dice.below(night.definitions.len() as u64));
    let which = dice.percent(70).then(|| schedule.clone());
    match dice.below(14) {
        0 | 1 => Hand::Pause {
            which,
            lasts: dice.percent(50).then(|| mins(dice.between(1, 120))),
        },
        2 | 3 => Hand::Resume {
            which,
            catch_up: dice.percent(50),
        },
        4 | 5 => Hand::Skip {
            schedule,
            what: dice.pick(&[
                Which::Next(1),
                Which::Next(3),
                Which::Today,
                Which::Coming(0),
                Which::Coming(2),
            ]),
        },
        6 => Hand::Unskip { schedule },
        7 | 8 => Hand::Cancel {
            pick: dice.below(30),
        },
        9 | 10 => Hand::Again {
            pick: dice.below(30),
            how: dice.pick(&[How::Retry, How::Retry, How::Rerun, How::Backfill]),
            queue: dice.percent(30),
            anyway: dice.percent(20),
            even_paused: dice.percent(40),
        },
        11 => Hand::Resolve {
            pick: dice.below(30),
        },
        _ => Hand::Reload(some_edit(night, dice, zone)),
    }
}

fn some_downtime(dice: &mut Dice) -> Duration {
    match dice.below(4) {
        0 => mins(dice.between(1, 90)),
        _ => Duration::from_millis(dice.between(10, 20_000)),
    }
}

/// Schedules come, go and change their times.
fn some_edit(night: &Night, dice: &mut Dice, zone: &str) -> Edit {
    let name = format!("s{}", dice.below(night.definitions.len() as u64));
    match dice.below(6) {
        0 => Edit::Remove(name),
        // Tokens of one host are nothing at another; with a given one it is the same.
        5 if !night.line.oauth => Edit::Move(dice.pick(&HOSTS).to_owned()),
        1 => {
            let n = dice.between(0, 6);
            Edit::Add(Box::new(some_schedule(dice, n, zone, &night.connections)))
        }
        2 => Edit::Retime(name, some_rhythm(dice)),
        3 => Edit::Limits(dice.pick(&[30, 120]), dice.pick(&[1, 20])),
        _ => Edit::TimeLimit(name, mins(dice.pick(&[5, 30]))),
    }
}

/// One thing that goes wrong on the way, within what is believed of a vendor: what it handles late it handles within
/// the time limit of the request (`courier.rs`), and what it refuses it has not done.
fn some_trouble(night: &Night, dice: &mut Dice) -> Rule {
    let limit = night.connections[0].request_timeout;
    let retry_after = dice.percent(50).then(|| secs(dice.between(1, 120)));
    let status = |code, handled, html| {
        Fault::Status(Status {
            code,
            handled,
            html,
            retry_after: retry_after.filter(|_| matches!(code, 429 | 503)),
        })
    };
    let fault = match dice.below(26) {
        0 => return at_the_door(Fault::Refuse(secs(dice.between(1, 120)))).chance(0.3),
        1 => return at_the_door(Fault::Silence).chance(0.3),
        2 => return at_the_door(Fault::Reset).chance(0.3),
        3 => Fault::Reset,
        4 => Fault::Refuse(secs(dice.between(1, 60))),
        5 => Fault::Silence,
        6 => Fault::LateHandling(dice.time(limit)),
        7 => Fault::LateReply(dice.time(limit * 2)),
        8 | 9 => Fault::DropReply,
        10 => Fault::CutReply(dice.below(500) as usize),
        11 => Fault::WrongLength(dice.between(0, 200) as i64 - 100),
        12 => Fault::Drip(Drip {
            bytes: dice.pick(&[1, 20, 100]),
            every: dice.time(secs(2)),
        }),
        13 => Fault::Huge(dice.pick(&[1 << 12, 2 << 20, 20 << 20])),
        14 => Fault::Garble,
        15 => Fault::NoId,
        16 => Fault::Redirect("https://elsewhere.example.com/".to_owned()),
        17 | 18 => status(429, false, true),
        19 => status(dice.pick(&[401, 403, 400, 404]), false, false),
        24 | 25 => status(401, false, false),
        20 => status(503, dice.percent(30), dice.percent(50)),
        _ => {
            let html = dice.percent(50);
            status(dice.pick(&[500, 502, 504]), dice.percent(50), html)
        }
    };
    let on = dice.pick(&[
        Operation::Create,
        Operation::Create,
        Operation::Create,
        Operation::Read,
        Operation::List,
        Operation::Cancel,
        Operation::Token,
    ]);
    let rule = match dice.percent(25) {
        true => Rule::always(fault),
        false => Rule::on(on, fault),
    };
    rule.chance(dice.pick(&[0.1, 0.4, 1.0]))
}
