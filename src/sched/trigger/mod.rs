//! When: occurrences of a schedule.
