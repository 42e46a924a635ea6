//! Properties that hold whatever is written and whenever it is asked.

use proptest::prelude::*;

use super::*;

/// Something like a cron field, right or wrong.
fn item() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        3 => (0..70_u32).prop_map(|n| n.to_string()),
        2 => (1..35_u32).prop_map(|n| format!("*/{n}")),
        2 => (0..32_u32, 0..60_u32).prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (0..32_u32, 0..60_u32, 0..20_u32).prop_map(|(a, b, s)| format!("{a}-{b}/{s}")),
        1 => "(H|H/7|H\\(1-9\\)|L|LW|15W|5L|3#2|MON|JAN|SUN|\\?|[0-9A-Z#/,*()-]{1,6})",
    ]
}

fn field() -> impl Strategy<Value = String> {
    proptest::collection::vec(item(), 1..3).prop_map(|items| items.join(","))
}

fn line() -> impl Strategy<Value = String> {
    proptest::collection::vec(field(), 5..7).prop_map(|fields| fields.join(" "))
}

fn zone_name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "UTC",
        "Europe/Madrid",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kwajalein",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "Antarctica/Casey",
        "Asia/Manila",
        "America/Juneau",
        "Africa/Monrovia",
        "Europe/Dublin",
        "Pacific/Chatham",
    ])
}

/// Any time from 1840 to 2100, on or near a clock change of the zone.
fn near_a_change(zone: &TimeZone, seed: i64, off: i64) -> Timestamp {
    let t = Timestamp::from_second(seed).unwrap();
    let change = zone
        .following(t)
        .next()
        .map_or(t, |change| change.timestamp());
    change + jiff::SignedDuration::from_millis(off)
}

fn policies() -> impl Strategy<Value = (DstGap, DstOverlap)> {
    let gap = proptest::sample::select(vec![DstGap::Run, DstGap::Skip]);
    let overlap =
        proptest::sample::select(vec![DstOverlap::First, DstOverlap::Last, DstOverlap::Both]);
    (gap, overlap)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "\\PC{0,40}") {
        if let Err(error) = attempt(&spec(&[&text], "UTC"))
            && let Some((start, end)) = error.span
        {
            prop_assert!(text.get(start..end).is_some(), "{start}..{end} of {text:?}");
        }
    }

    #[test]
    fn times_go_forward_near_every_change(
        lines in proptest::collection::vec(line(), 1..3),
        name in zone_name(),
        (dst_gap, dst_overlap) in policies(),
        seed in -4_102_444_800_i64..4_102_444_800,
        off in -172_800_000_i64..172_800_000,
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let spec = TriggerSpec { dst_gap, dst_overlap, ..spec(&lines, name) };
        let Ok(trigger) = attempt(&spec) else { return Ok(()) };
        let mut t = near_a_change(&zone(name), seed, off);
        for _ in 0..8 {
            let Some(next) = trigger.after(t) else { break };
            prop_assert!(next.instant > t, "{} after {t}", next.instant);
            // Nothing lies between: asked from anywhere in between, the answer is the same.
            let gap = next.instant.duration_since(t);
            for part in [3, 2] {
                let asked = t + gap / part;
                prop_assert_eq!(trigger.after(asked), Some(next), "asked {}", asked);
            }
            let last = next.instant - jiff::SignedDuration::from_nanos(1);
            prop_assert_eq!(trigger.after(last), Some(next));
            t = next.instant;
        }
        let _ = (trigger.words(), trigger.warnings());
        let year = jiff::SignedDuration::from_hours(366 * 24);
        for note in trigger.notes(t - year, t) {
            prop_assert!(!note.text.is_empty());
        }
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bound(
        line in proptest::sample::select(vec!["* * * * *", "*/7 * * * *", "15 2 * * *", "0 0 1 * *", "* * * * * *"]),
        jitter in 0..100_000_u64,
        set in "[a-z]{1,8}",
        seed in 0_i64..4_102_444_800,
    ) {
        let jitter = Duration::from_secs(jitter);
        let trigger = trigger(&TriggerSpec { jitter, ..spec(&[line], "Europe/Madrid") });
        let series: crate::sched::id::SeriesId = format!("store-clusters/{set}").parse().unwrap();
        let one = trigger.after(Timestamp::from_second(seed).unwrap()).unwrap();
        let two = trigger.after(one.instant).unwrap();
        let due = trigger.due(&series, &one);
        prop_assert!(due >= one.instant && due < two.instant);
        prop_assert!(due < one.instant + jitter.max(Duration::from_nanos(1)));
        prop_assert!(due < trigger.due(&series, &two));
        prop_assert_eq!(due, trigger.due(&series, &one));
    }

    #[test]
    fn a_period_goes_forward_by_exactly_itself(
        seconds in 1..100_000_u64,
        name in zone_name(),
        seed in -4_102_444_800_i64..4_102_444_800,
    ) {
        let trigger = trigger(&every(Duration::from_secs(seconds), name));
        let t = Timestamp::from_second(seed).unwrap();
        let one = trigger.after(t).unwrap();
        let two = trigger.after(one.instant).unwrap();
        prop_assert!(one.instant > t);
        prop_assert_eq!(two.instant.duration_since(one.instant).as_secs(), i64::try_from(seconds).unwrap());
        prop_assert_eq!(one.instant.as_second() % i64::try_from(seconds).unwrap(), 0);
    }
}
