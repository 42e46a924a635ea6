//! Templates: what is taken renders for every date in every zone, and what is refused points at its place.

use nightcall::sched::id::RunId;
use nightcall::sched::template::{Occasion, Template, is_template};
use nightcall::sched::time::TimeZone;
use nightcall::sched::time::civil::DateTime;
use nightcall::sched::trigger::Fold;

use super::reading::ZONES;

/// Wall times at which something is odd: the ends of the calendar, leap days, clock changes, weekends.
const TIMES: [&str; 9] = [
    "-009999-01-01T00:00:00",
    "0000-02-29T23:59:59",
    "0001-01-01T00:00:00",
    "1969-12-31T23:59:59",
    "2028-02-29T12:00:00",
    "2026-03-29T02:15:00",
    "2026-10-25T02:30:00",
    "2026-01-31T00:00:00",
    "9999-12-31T23:59:59.999999999",
];

/// Reads a text as a template.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Template::parse(text) {
        Ok(template) => renders(text, &template),
        Err(error) => {
            assert!(is_template(text), "a text without a template is itself");
            assert!(text.get(error.span.clone()).is_some(), "{error:?}");
            let told = error.message.len() + error.hint.len();
            assert!(told < 1_000 && !error.message.is_empty() && !error.hint.is_empty());
        }
    }
}

fn renders(text: &str, template: &Template) {
    let run: RunId = "a/b@2026-02-03T01:15:00Z".parse().expect("an id");
    let madrid = ZONES.get("Europe/Madrid").expect("a zone");
    for (civil, zone) in TIMES.iter().zip([madrid, TimeZone::UTC].iter().cycle()) {
        let civil: DateTime = civil.parse().expect("a wall time");
        for fold in [Fold::First, Fold::Second] {
            let run = &run;
            let occasion = Occasion {
                run,
                civil,
                fold,
                zone,
            };
            let once = template.render(&occasion);
            assert_eq!(once, template.render(&occasion));
            assert!(is_template(text) || once == text);
            // a date is ten characters, whatever its year
            if text == "{{ date }}" {
                assert_eq!(once.len(), 10);
            }
            if template.always_number().is_ok() {
                let number: i64 = once.parse().expect("it was proven to be a number");
                assert_eq!(number, template.number(&occasion));
            }
        }
    }
}
