//! Running occurrences again: `nightcall retry` for what did not end well, `nightcall rerun` for whatever ended,
//! `nightcall backfill` for what did not run. The last two come in numbers: they are shown before, asked for one after the
//! other, and watched to their end (`bulk.rs`).

pub mod backfill;
mod bulk;
pub mod rerun;
pub mod retry;
