//! Invariant 7 as a comparison: a night with kills comes to the same end as the night without them: the same occurrences
//! on record, with the same outcomes, executed as often. Only times may differ. Answers to submissions may be lost
//! beside, since a lookup makes good for them.

use std::collections::BTreeMap;
use std::time::Duration;

use nightcall::sandbox::{
    Ending, Fault, Operation, Procedure, Profile, Rule, Scenario, Script, Span,
};
use nightcall::sched::id::RunId;
use nightcall::sched::outcome::Outcome;
use nightcall::sched::policy::{DoubtPolicy, OverlapPolicy};
use nightcall::sched::run::Run;

use super::campaign::through;
use super::draw;
use super::plan::{Act, Line, Night, Point, Timed};
use super::shrink::broken;
use crate::dice::Dice;
use crate::setup::{With, every, hours, mins, secs};

/// A kind night: every job ends within a minute and a half as its list of endings says, whatever the dice say.
fn kind_night(seed: u64) -> Night {
    let mut dice = Dice::new(seed ^ 0x6b17);
    let mut night = draw::night(seed);
    night.line = Line {
        together: night.line.together,
        ..Line::default()
    };
    night.connections.truncate(1);
    let connection = &mut night.connections[0];
    connection.requests_per_minute = 240;
    connection.max_in_flight = 50;
    connection.give_up = mins(30);
    let (name, target) = (connection.name.clone(), connection.target.clone());
    night.scenario = Scenario::default().seed(seed).profile(dice.pick(&[
        Profile::Bigquery,
        Profile::Snowflake,
        Profile::Flat,
    ]));
    night.scenario.list.delay = Span::between(Duration::ZERO, connection.list_lag);
    night.definitions = (0..4)
        .map(|n| {
            let base = every(&format!("s{n}"), mins(dice.pick(&[30, 60])));
            base.with(|d| {
                d.connection = name.clone();
                d.target = target.clone();
                d.query = format!("CALL `p.d.s{n}`(@region)").into();
                d.policies.overlap = dice.pick(&OverlapPolicy::ALL).0;
                d.policies.doubt = dice.pick(&[DoubtPolicy::Verify, DoubtPolicy::Resubmit]);
                d.policies.retry.attempts = 10;
                d.policies.retry.backoff = secs(5);
            })
        })
        .collect();
    for n in 0..4 {
        let endings = dice.pick(&[
            vec![Ending::Success],
            vec![Ending::fails("backendError"), Ending::Success],
            vec![Ending::fails("invalidQuery")],
        ]);
        let script = Script {
            pending: secs(dice.between(0, 10)).into(),
            running: secs(dice.between(1, 80)).into(),
            endings,
            ..Script::default()
        };
        let signature = format!("p.d.s{n}(region STRING)");
        let procedure = Procedure::new(&signature, script).unwrap();
        night.scenario.procedures.push(procedure);
    }
    // A job is behind by then that proves what is absent, and the next kill waits until all is quiet.
    let kills = (0..6_u32).map(|n| Timed {
        at: mins(88) + mins(30) * n + dice.time(mins(2)),
        act: Act::Kill {
            steps: dice.below(16) as usize,
            point: dice.pick(&[
                Point::BeforeCommit,
                Point::AfterCommit,
                Point::AfterEffects(1),
                Point::AfterEffects(9),
            ]),
            down: dice.time(secs(15)),
        },
    });
    night.acts = kills.collect();
    if dice.percent(60) {
        let rule = Rule::on(Operation::Create, some_loss(&mut dice)).chance(0.3);
        night.acts.push(Timed {
            at: mins(80),
            act: Act::Trouble {
                rule: Box::new(rule),
                lasts: hours(4),
            },
        });
        night.acts.sort_by_key(|timed| timed.at);
    }
    night.trouble = hours(5);
    night
}

/// What leaves a submission in doubt, with a job or without one.
fn some_loss(dice: &mut Dice) -> Fault {
    dice.pick(&[
        Fault::DropReply,
        Fault::status_after(502),
        Fault::status(502),
        Fault::Reset,
        Fault::Silence,
        Fault::Garble,
        Fault::NoId,
        Fault::LateHandling(secs(9)),
    ])
}

/// How each run ended, and how often it was executed well.
type Ends = BTreeMap<RunId, (Option<Outcome>, usize)>;

/// What is on record, and how often the process was killed.
fn ends(night: &Night) -> (Ends, u64) {
    let played = broken(night, false, through).unwrap_or_else(|failure| {
        panic!("seed {}: {}\n{night}", night.seed, failure.message);
    });
    let upto = night.begins + night.trouble;
    let points = ["before the commit", "after the commit", "among the effects"];
    let kills = points.map(|point| played.tally.of(&format!("killed {point}")));
    let rows = played.store.runs.values().map(|row| &row.run);
    let runs = rows.filter(|run| run.id.instant <= upto);
    let end = |run: &Run| (run.outcome(), played.vendor.successes(&run.id));
    let ends = runs.map(|run| (run.id.clone(), end(run))).collect();
    (ends, kills.into_iter().sum())
}

#[test]
fn nights_with_kills_end_as_nights_without() {
    let mut kills = 0;
    for seed in 0..30 {
        let killed = kind_night(seed);
        let mut whole = killed.clone();
        let kill = |timed: &Timed| matches!(timed.act, Act::Kill { .. });
        whole.acts.retain(|timed| !kill(timed));
        let ((with, hits), (without, _)) = (ends(&killed), ends(&whole));
        kills += hits;
        assert!(without.len() > 20, "{}", without.len());
        for (id, end) in &without {
            assert_eq!(with.get(id), Some(end), "seed {seed}: {id}\n{killed}");
        }
        assert_eq!(with.len(), without.len(), "seed {seed}");
    }
    assert!(kills > 100, "{kills} kills");
}
