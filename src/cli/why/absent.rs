//! Times that no run is on record for: why not, or when.

use std::time::Duration;

use super::occurrences::{before, named};
use super::{Answer, Case};
use crate::cli::exit::Failure;
use crate::cli::next::note;
use crate::cli::select::when::When;
use crate::cli::serve::store_failure;
use crate::cli::{rendered, words};
use crate::sched::outcome::SkipReason;
use crate::sched::step::{Missed, SavedSeries};
use crate::sched::time::{Timestamp, between, earlier, later};
use crate::sched::trigger::{DstGap, DstOverlap, Occurrence, Shape, Trigger, TriggerSpec};

/// The most times that an answer lists.
const TIMES: usize = 5;

/// What kept a time from being one of the schedule: a verdict, and the sentence after the time.
type Rule = (&'static str, String);

impl Case<'_> {
    /// An occurrence that is not on record: it lies ahead, or nobody has decided it.
    pub(super) fn of_occurrence(&self, occurrence: &Occurrence) -> Result<Answer, Failure> {
        let (verdict, sentence, next) = match occurrence.instant > self.now() {
            true => self.ahead(occurrence)?,
            false => self.behind(occurrence)?,
        };
        let mut text = vec![format!("{}: {sentence}", self.head(occurrence))];
        text.extend(self.clock_notes(occurrence.instant));
        if let (true, Some(definition), Some(schedule)) =
            (verdict == "future", self.definition, self.schedule)
        {
            let zone = schedule.trigger.zone();
            let sends = rendered::for_occurrence(definition, occurrence, zone);
            text.push(format!("with {}", words::parameters(&sends)));
            let after = definition.after.as_ref();
            text.extend(after.map(|after| format!("comes after {}", words::after(after))));
        }
        text.extend(next);
        Ok(self.answer(verdict, Some(self.time(occurrence)), text))
    }

    fn ahead(
        &self,
        occurrence: &Occurrence,
    ) -> Result<(&'static str, String, Option<String>), Failure> {
        if self.disabled() {
            return Ok((
                "disabled",
                format!("will not run: {}", self.is_disabled()),
                None,
            ));
        }
        let next = match (self.asking.past, self.saved()?) {
            (_, Some(_)) => None,
            (None, None) => Some(self.next("daemon")),
            (Some(_), None) => {
                Some("next: restart the daemon, which does not know it yet".to_owned())
            }
        };
        if occurrence.shape == Shape::NoSuchDay {
            let sentence = "this day does not exist, will be recorded as skipped";
            return Ok(("future", sentence.to_owned(), next));
        }
        let wait = words::took(between(self.now(), occurrence.instant));
        let mut sentence = format!("will run in {wait}");
        if let Some(note) = self.note(occurrence) {
            sentence.push_str(&format!(" ({note})"));
        }
        Ok(("future", sentence, next))
    }

    fn behind(
        &self,
        occurrence: &Occurrence,
    ) -> Result<(&'static str, String, Option<String>), Failure> {
        let at = occurrence.instant;
        if self.disabled() {
            return Ok((
                "disabled",
                format!("did not run: {}", self.is_disabled()),
                None,
            ));
        }
        let Some(past) = self.asking.past else {
            let database = self.asking.config.daemon.database.display();
            let sentence = format!(
                "nothing is on record yet: no daemon has run here ({database} does not exist)"
            );
            return Ok(("not_seen", sentence, Some(self.next("daemon"))));
        };
        let restart =
            Some("next: restart the daemon; what lies before that moment does not run".to_owned());
        let Some(saved) = self.saved()? else {
            let sentence = "did not run: the daemon has not seen this series yet".to_owned();
            return Ok(("not_seen", sentence, restart));
        };
        if self.plans_otherwise(&saved, at) {
            let sentence =
                "did not run: the daemon still plans with the times from before the last change";
            return Ok(("not_seen", sentence.to_owned(), restart));
        }
        if at <= saved.cursor {
            let sentence = format!(
                "not on record: these times are planned since {}, and nothing before that runs",
                self.told(saved.cursor)
            );
            return Ok(("before_first_seen", sentence, None));
        }
        let mark = past.history().mark().map_err(store_failure)?;
        let decided = mark.unwrap_or(saved.cursor).max(saved.cursor);
        if at > decided {
            let sentence = format!(
                "it is time, and nothing is decided yet: the daemon last decided at {}. Is it running?",
                self.told(decided)
            );
            return Ok(("undecided", sentence, Some(self.next("status"))));
        }
        let retention = self.asking.config.daemon.retention;
        let sentence = format!(
            "not on record: everything up to {} is decided, so it was deleted by retention ({} days, {} runs a series)",
            self.told(decided),
            retention.days,
            retention.runs_per_series
        );
        Ok(("not_on_record", sentence, None))
    }

    /// Nothing is on record, no time was asked for.
    pub(super) fn nothing_yet(&self) -> Result<Answer, Failure> {
        let next = self.schedule.and_then(|s| s.trigger.after(self.now()));
        if let (Some(next), Some(_)) = (next, self.definition) {
            let mut answer = self.of_occurrence(&next)?;
            answer.text.insert(0, "nothing is on record yet".to_owned());
            return Ok(answer);
        }
        let text = match self.definition {
            Some(_) => "nothing is on record, and no time is left".to_owned(),
            None => format!(
                "{} is not in the configuration",
                words::series(&self.series)
            ),
        };
        Ok(self.answer("not_configured", None, vec![text]))
    }

    /// Times that were missed in bulk.
    pub(super) fn of_missed(&self, missed: &Missed, occurrence: Option<&Occurrence>) -> Answer {
        let head = occurrence.map_or_else(|| words::series(&self.series), |o| self.head(o));
        let mut text = vec![
            format!(
                "{head}: did not run: {} times after {} up to {} {}",
                missed.count,
                self.told(missed.range.after),
                self.told(missed.range.upto),
                missed.verb()
            ),
            format!(
                "{}; decided at {}, when the daemon ran again",
                missed.reason,
                self.told(missed.at)
            ),
        ];
        let missed_for_good = missed.reason == SkipReason::Missed;
        if let Some(definition) = self.definition.filter(|_| missed_for_good) {
            let policy = &definition.policies.misfire;
            text.push(format!(
                "misfire = {{ catch_up = \"{}\", window = \"{}\" }}",
                policy.catch_up.word(),
                crate::config::duration::show(policy.window)
            ));
        }
        self.fire(&mut text, None);
        self.answer("missed", occurrence.map(|o| self.time(o)), text)
    }

    /// A time that is none of the schedule's.
    pub(super) fn not_named(&self, when: &When) -> Answer {
        let Some(schedule) = self.schedule.filter(|_| self.definition.is_some()) else {
            let series = words::series(&self.series);
            let text = format!(
                "nothing is on record for this time, and {series} is not in the configuration"
            );
            return self.answer("not_configured", None, vec![text]);
        };
        let Ok(at) = self.instant(when) else {
            let text =
                "nothing is on record for this time, and it names none of the schedule".to_owned();
            return self.answer("not_an_occurrence", None, vec![text]);
        };
        let head = self.head_as_written(when, at, &schedule.trigger.spec().zone);
        let (verdict, sentence) = self.rule(&schedule.trigger, when).unwrap_or_else(|| {
            let words = schedule.trigger.words();
            (
                "not_an_occurrence",
                format!("no time of {}, which runs {words}", schedule.name),
            )
        });
        let mut text = vec![format!("{head}: {sentence}")];
        text.extend(self.clock_notes(at));
        text.extend(self.around(&schedule.trigger, at));
        let offset = self.zone.to_offset(at);
        let time = words::rfc3339(at.to_zoned(self.zone.clone()).datetime(), offset);
        self.answer(verdict, Some(time), text)
    }

    /// A time that is none of the schedule's, as it was written.
    fn head_as_written(&self, when: &When, at: Timestamp, zone: &str) -> String {
        if let Some(date) = when.date(&self.zone, self.now()) {
            return words::date(date, &self.zone, self.now());
        }
        if let When::Civil(civil, _) = when
            && at.to_zoned(self.zone.clone()).datetime() != *civil
        {
            let date = words::date(civil.date(), &self.zone, self.now());
            let time = words::clock(civil.time());
            return format!("{date} {time} {zone}, which does not exist");
        }
        format!("{} {zone}", self.told(at))
    }

    /// The rule of the schedule without which it would run at this time.
    fn rule(&self, trigger: &Trigger, when: &When) -> Option<Rule> {
        let spec: &TriggerSpec = trigger.spec();
        let would = |spec: TriggerSpec| {
            let relaxed =
                Trigger::new(&spec, trigger.zone().clone(), &self.series.schedule).ok()?;
            named(&relaxed, when, self.now()).first().copied()
        };
        let whole = TriggerSpec {
            from: None,
            until: None,
            ..spec.clone()
        };
        let bounds = match (spec.from, spec.until, would(whole)) {
            (Some(from), _, Some(o)) if o.civil < from => Some(format!("before `from` ({from})")),
            (_, Some(until), Some(o)) if o.civil >= until => {
                Some(format!("not before `until` ({until})"))
            }
            _ => None,
        };
        if let Some(bound) = bounds {
            return Some(("out_of_bounds", format!("does not run: it lies {bound}")));
        }
        let rules = [
            (
                TriggerSpec {
                    exclude: Vec::new(),
                    ..spec.clone()
                },
                "excluded",
                "does not run: its date is in `exclude`",
            ),
            (
                TriggerSpec {
                    dst_gap: DstGap::Run,
                    ..spec.clone()
                },
                "gap",
                "does not run: the clock skips this time, and dst_gap = \"skip\"",
            ),
            (
                TriggerSpec {
                    dst_overlap: DstOverlap::Both,
                    ..spec.clone()
                },
                "fold",
                "does not run: the clock shows this time twice, and dst_overlap takes the other one",
            ),
        ];
        let mut rules = rules.into_iter().filter(|(relaxed, ..)| relaxed != spec);
        rules.find_map(|(relaxed, verdict, sentence)| {
            would(relaxed).map(|_| (verdict, sentence.to_owned()))
        })
    }

    /// The occurrences around a time.
    fn around(&self, trigger: &Trigger, at: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(before) = before(trigger, at) {
            lines.push(format!("the time before it: {}", self.head(&before)));
        }
        if let Some(after) = trigger.after(at) {
            lines.push(format!("the time after it:  {}", self.head(&after)));
        }
        lines
    }

    /// A date that has several times, none of them on record; the last one is told.
    pub(super) fn several_times(&self, times: &[Occurrence]) -> Result<Answer, Failure> {
        let mut text = vec![format!(
            "{} times match, and none of them is on record:",
            times.len()
        )];
        text.extend(
            times
                .iter()
                .take(TIMES)
                .map(|o| format!("  {}", self.head(o))),
        );
        if times.len() > TIMES {
            text.push(format!(
                "  and {} more, of which the last:",
                times.len() - TIMES
            ));
        }
        if let Some(last) = times.last() {
            text.extend(self.of_unrecorded(last)?.text);
        }
        Ok(self.answer("several", None, text))
    }

    /// What the clock does around an instant, when that touches the schedule.
    pub(super) fn clock_notes(&self, at: Timestamp) -> Vec<String> {
        let Some(schedule) = self.schedule else {
            return Vec::new();
        };
        // a clock change within the hour before or after is what a person wonders about
        let hour = Duration::from_secs(3600);
        let notes = schedule.trigger.notes(earlier(at, hour), later(at, hour));
        notes.into_iter().map(|note| note.text).collect()
    }

    /// The instant that a time stands for; a time of day stands for its last one.
    fn instant(&self, when: &When) -> Result<Timestamp, Failure> {
        let When::Clock(time, precision) = when else {
            return when.bound(&self.zone, self.now());
        };
        let today = self.now().to_zoned(self.zone.clone()).date();
        let on = |date: jiff::civil::Date| {
            When::Civil(date.to_datetime(*time), *precision).bound(&self.zone, self.now())
        };
        match on(today)? {
            at if at <= self.now() => Ok(at),
            _ => on(today.yesterday().unwrap_or(today)),
        }
    }

    /// The series as the daemon plans it.
    pub(super) fn saved(&self) -> Result<Option<SavedSeries>, Failure> {
        let Some(past) = self.asking.past else {
            return Ok(None);
        };
        let all = past.history().series().map_err(store_failure)?;
        Ok(all.into_iter().find(|saved| saved.series == self.series))
    }

    /// Whether the daemon plans with other times, which do not include this one.
    fn plans_otherwise(&self, saved: &SavedSeries, at: Timestamp) -> bool {
        let spec = &saved.definition.trigger;
        let same = self.definition.is_some_and(|d| d.trigger == *spec);
        if same || at <= saved.cursor {
            return false;
        }
        let Some(zone) = self.asking.context.zones.get(&spec.zone) else {
            return true;
        };
        let planned = Trigger::new(spec, zone, &self.series.schedule);
        let just_before = earlier(at, Duration::from_nanos(1));
        !planned.is_ok_and(|t| t.after(just_before).is_some_and(|o| o.instant == at))
    }

    fn is_disabled(&self) -> String {
        let note = self.schedule.and_then(|s| s.note.as_ref());
        let note = note.map(|note| format!(" ({})", words::plain(note)));
        format!("the schedule is disabled{}", note.unwrap_or_default())
    }

    fn note(&self, occurrence: &Occurrence) -> Option<String> {
        let due = match self.schedule {
            Some(schedule) => schedule.trigger.due(&self.series, occurrence),
            None => occurrence.instant,
        };
        note(occurrence, due, &self.zone)
    }

    /// "Tue 3 Feb 02:15 +01:00 Europe/Madrid"
    fn head(&self, occurrence: &Occurrence) -> String {
        let of = words::nominal_offset(occurrence.civil, occurrence.instant, &self.zone);
        let zone = self.schedule.map(|s| s.trigger.spec().zone.as_str());
        format!(
            "{} {}",
            words::nominal(occurrence.civil, of, &self.zone, self.now()),
            zone.unwrap_or("UTC")
        )
    }

    /// RFC 3339 of the nominal time.
    fn time(&self, occurrence: &Occurrence) -> String {
        let of = words::nominal_offset(occurrence.civil, occurrence.instant, &self.zone);
        words::rfc3339(occurrence.civil, of)
    }
}
