//! Cron expressions and periods in zones.
//!
//! An input is text: a first line of words (`zone=Europe/Madrid gap=skip overlap=both from=… until=… exclude=…
//! jitter=30 every=3600 at=2026-03-28T00:00:00Z`, all of them optional), then one expression a line.

use std::time::{Duration, Instant};

use nightcall::sched::id::{ScheduleName, SeriesId, SetName};
use nightcall::sched::time::{Timestamp, civil, later};
use nightcall::sched::trigger::{
    DstGap, DstOverlap, Occurrence, Rhythm, Shape, Trigger, TriggerError, TriggerSpec,
};

use super::reading::{NAMES, ZONES, number_of};

/// How many occurrences are asked for, one after the other.
const STEPS: usize = 12;

/// What one question may take; microseconds are usual, and this is a slow build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a trigger for its occurrences, or sees why there is none.
pub fn cron(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (words, lines) = text.split_once('\n').unwrap_or(("", &text));
    let asked = Asked::read(words, lines);
    let Some(zone) = ZONES.get(&asked.spec.zone) else {
        return;
    };
    let name = ScheduleName::new("nightly").expect("it is a name");
    let began = Instant::now();
    let made = Trigger::new(&asked.spec, zone, &name);
    in_time(began, "Trigger::new");
    match made {
        Ok(trigger) => holds(&trigger, &asked),
        Err(error) => refused(&error, &asked.spec),
    }
}

struct Asked {
    spec: TriggerSpec,
    at: Timestamp,
}

impl Asked {
    fn read(words: &str, lines: &str) -> Self {
        let mut asked = Self {
            spec: TriggerSpec::new(
                Rhythm::Cron(lines.lines().map(str::to_owned).collect()),
                "UTC",
            ),
            at: Timestamp::UNIX_EPOCH,
        };
        for word in words.split_whitespace() {
            if let Some((key, value)) = word.split_once('=') {
                asked.word(key, value);
            }
        }
        asked
    }

    fn word(&mut self, key: &str, value: &str) {
        let spec = &mut self.spec;
        match key {
            "zone" => spec.zone = zone(value),
            "gap" if value == "skip" => spec.dst_gap = DstGap::Skip,
            "overlap" if value == "last" => spec.dst_overlap = DstOverlap::Last,
            "overlap" if value == "both" => spec.dst_overlap = DstOverlap::Both,
            "from" => spec.from = value.parse().ok(),
            "until" => spec.until = value.parse().ok(),
            "exclude" => spec.exclude.extend(value.parse::<civil::Date>()),
            "jitter" => spec.jitter = Duration::from_secs(value.parse::<u32>().unwrap_or(0).into()),
            "every" => {
                if let Ok(seconds) = value.parse() {
                    spec.rhythm = Rhythm::Every(Duration::from_secs(seconds));
                }
            }
            "at" => self.at = value.parse().unwrap_or(self.at),
            _ => {}
        }
    }
}

/// The zone of this name, or any zone: a name made by chance is none.
fn zone(name: &str) -> String {
    if ZONES.get(name).is_some() {
        return name.to_owned();
    }
    let chosen = number_of(name.as_bytes()) % (NAMES.len() as u64).max(1);
    let chosen = usize::try_from(chosen).ok().and_then(|n| NAMES.get(n));
    chosen.map_or("UTC", String::as_str).to_owned()
}

fn in_time(began: Instant, what: &str) {
    let took = began.elapsed();
    assert!(took < PATIENCE, "{what} took {took:?}");
}

fn next(trigger: &Trigger, after: Timestamp) -> Option<Occurrence> {
    let began = Instant::now();
    let next = trigger.after(after);
    in_time(began, "Trigger::after");
    next
}

/// Time goes forward; whoever asks between two occurrences gets the second; words and notes are there.
fn holds(trigger: &Trigger, asked: &Asked) {
    assert_eq!(**trigger.spec(), asked.spec);
    let series = SeriesId {
        schedule: ScheduleName::new("nightly").expect("it is a name"),
        set: SetName::default_set(),
    };
    let mut t = asked.at;
    for _ in 0..STEPS {
        let Some(found) = next(trigger, t) else {
            // Nothing after t, so nothing after a later time.
            assert_eq!(
                next(trigger, later(t, Duration::from_secs(86_400 * 40))),
                None
            );
            break;
        };
        assert!(found.instant > t, "{found:?} is not after {t}");
        within_bounds(&found, &asked.spec);
        between(trigger, t, &found);
        let due = trigger.due(&series, &found);
        assert!(due >= found.instant);
        assert!(due <= later(found.instant, asked.spec.jitter));
        if let Some(following) = next(trigger, found.instant) {
            assert!(due < following.instant, "due at the next occurrence");
        }
        t = found.instant;
    }
    assert!(!trigger.words().is_empty());
    for note in trigger.notes(asked.at, later(asked.at, Duration::from_secs(400 * 86_400))) {
        assert!(!note.text.is_empty());
    }
    for (expression, message, hint) in trigger.warnings() {
        assert!(!message.is_empty() && !hint.is_empty(), "{expression}");
    }
}

fn within_bounds(found: &Occurrence, spec: &TriggerSpec) {
    assert!(
        !spec.exclude.contains(&found.civil.date()),
        "{found:?} is excluded"
    );
    if !found.clock_like {
        return;
    }
    assert!(
        spec.from.is_none_or(|from| found.civil >= from),
        "{found:?}"
    );
    assert!(
        spec.until.is_none_or(|until| found.civil < until),
        "{found:?}"
    );
    assert!(
        found.shape != Shape::Gap || spec.dst_gap == DstGap::Run,
        "{found:?}"
    );
}

/// The same occurrence is next for everyone who asks between `t` and it.
fn between(trigger: &Trigger, t: Timestamp, found: &Occurrence) {
    let gap = found.instant.duration_since(t);
    let middle = t + gap / 2;
    let just_before = Timestamp::from_nanosecond(found.instant.as_nanosecond() - 1);
    for asked in [Some(middle), just_before.ok()].into_iter().flatten() {
        if asked >= t && asked < found.instant {
            assert_eq!(
                next(trigger, asked).as_ref(),
                Some(found),
                "asked at {asked}"
            );
        }
    }
}

/// A refusal says what is wrong, and where in the expression.
fn refused(error: &TriggerError, spec: &TriggerSpec) {
    assert!(!error.message.is_empty(), "{error:?}");
    assert!(error.message.len() <= 2048, "{error:?}");
    assert!(error.hint.as_ref().is_none_or(|hint| !hint.is_empty()));
    let Rhythm::Cron(lines) = &spec.rhythm else {
        return;
    };
    if let Some((start, end)) = error.span {
        let line = &lines[error.expression];
        assert!(start <= end, "{error:?}");
        assert!(
            line.get(start..end).is_some(),
            "{error:?} points beside {line:?}"
        );
    }
}
