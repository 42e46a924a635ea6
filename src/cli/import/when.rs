//! Names and times as people give them, checked at once.

use jiff::tz::TimeZone;

use super::book::Book;
use crate::cli::check::coming;
use crate::cli::exit::{Exit, Failure};
use crate::sched::id::ScheduleName;
use crate::sched::time::Timestamp;
use crate::sched::trigger::{Rhythm, Trigger, TriggerSpec};
use crate::zones::Zones;

/// How many coming times are told.
const NEXT: usize = 3;

/// The zone of an expression, and whether the schedule must name it.
#[derive(Clone)]
pub(super) struct Zone {
    named: Option<String>,
    zone: TimeZone,
}

impl Zone {
    pub(super) fn name(&self) -> &str {
        let named = self.named.as_deref();
        named.or(self.zone.iana_name()).unwrap_or("UTC")
    }
}

/// The zone of `--timezone`, else that of the configuration's defaults.
pub(super) fn zone(named: Option<&str>, book: &Book, zones: &Zones) -> Result<Zone, Failure> {
    let Some(name) = named else {
        return Ok(Zone {
            named: None,
            zone: book.zone().clone(),
        });
    };
    let zone = zones.get(name).ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("--timezone: there is no such zone: {}", shown(name)),
            "zones are named as in Europe/Madrid",
        )
    })?;
    Ok(Zone {
        named: Some(name.to_owned()),
        zone,
    })
}

/// A cron expression that is right for every one of the schedules.
pub(super) struct When {
    /// As it was given.
    pub(super) cron: String,
    /// The zone, when the schedule must name it.
    pub(super) timezone: Option<String>,
    trigger: Trigger,
}

impl When {
    /// Checks an expression; what is wrong with it.
    pub(super) fn read(cron: &str, zone: Zone, names: &[String]) -> Result<Self, String> {
        let cron = cron.trim();
        let spec = TriggerSpec::new(Rhythm::Cron(vec![cron.to_owned()]), zone.name());
        let mut made = None;
        for name in names {
            // the name decides what H means
            let name = ScheduleName::new(name).map_err(|error| error.to_string())?;
            let trigger = Trigger::new(&spec, zone.zone.clone(), &name);
            made = Some(trigger.map_err(|error| match error.hint {
                Some(hint) => format!("{}; {hint}", error.message),
                None => error.message,
            })?);
        }
        let trigger = made.ok_or("there is no schedule")?;
        Ok(Self {
            cron: cron.to_owned(),
            timezone: zone.named,
            trigger,
        })
    }

    /// What it means, and when it comes next.
    pub(super) fn words(&self, now: Timestamp) -> String {
        format!(
            "{}: {}",
            self.trigger.words(),
            coming(&self.trigger, NEXT, now)
        )
    }
}

/// A name that can be given to a schedule, or why it cannot.
pub(super) fn free_name(name: &str, others: &[String], book: &Book) -> Result<String, String> {
    if ScheduleName::new(name).is_err() {
        return Err("a name is 1 to 100 of A-Z a-z 0-9 _ -".to_owned());
    }
    if book.has(name) {
        return Err(format!("there is a schedule of this name already: {name}"));
    }
    if others.iter().any(|other| other == name) {
        return Err(format!("two commands would have this name: {name}"));
    }
    Ok(name.to_owned())
}

/// The longest text of the command line that is repeated. A longer one is not cut: a token that was given by mistake is
/// found whole, and then not shown.
const LONGEST_SHOWN: usize = 60;

fn shown(text: &str) -> String {
    match text.chars().count() {
        0..=LONGEST_SHOWN => crate::cli::words::plain(text),
        count => format!("a text of {count} characters"),
    }
}
