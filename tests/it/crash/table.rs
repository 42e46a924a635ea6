//! What was killed where, for people: the table at the end, and the seed and the boundary when a test fails.

use std::collections::BTreeSet;
use std::fmt;

use super::boundary::{Boundary, Hit};
use super::program::{Look, Row};
use super::witness::Facts;

/// One kill.
struct Kill {
    boundary: Boundary,
    /// Whether the daemon really was at the boundary.
    there: bool,
    /// Jobs that there were or may have been.
    in_flight: usize,
    /// Attempts of which the daemon could not know since this kill.
    doubts: Vec<(String, u32)>,
}

/// All kills of a test. Says how to repeat it when it fails.
pub(super) struct Table {
    seed: u64,
    trying: Option<Boundary>,
    /// What was found after a kill that came too late.
    last_miss: String,
    kills: Vec<Kill>,
    doubted: BTreeSet<(String, u32)>,
    /// Attempts in doubt whose job was found, and those of which it was proven that there is none.
    found: BTreeSet<(String, u32)>,
    absent: BTreeSet<(String, u32)>,
}

impl Table {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            trying: None,
            last_miss: String::new(),
            kills: Vec::new(),
            doubted: BTreeSet::new(),
            found: BTreeSet::new(),
            absent: BTreeSet::new(),
        }
    }

    /// What is tried now.
    pub(super) fn try_at(&mut self, boundary: Boundary) {
        self.trying = Some(boundary);
    }

    /// It was killed, and these runs are on record.
    pub(super) fn killed(
        &mut self,
        boundary: Boundary,
        there: bool,
        rows: &[Row],
        (hit, facts): (&Hit, &Facts),
    ) {
        if !there {
            let row = rows.iter().find(|row| hit.run.as_ref() == Some(&row.id));
            self.last_miss = format!("{}: {row:?} {facts:?}", boundary.words());
        }
        let doubts = rows.iter().filter(|row| row.doubtful());
        let doubts = doubts.map(|row| (row.id.clone(), row.attempt));
        self.kills.push(Kill {
            boundary,
            there,
            in_flight: rows.iter().filter(|row| row.in_flight()).count(),
            doubts: doubts.filter(|d| self.doubted.insert(d.clone())).collect(),
        });
    }

    pub(super) fn reached(&self, boundary: Boundary) -> bool {
        let mut kills = self.kills.iter();
        kills.any(|kill| kill.boundary == boundary && kill.there)
    }

    /// Sees what became of every doubt, at the end, and shows the table.
    #[allow(clippy::print_stderr)]
    pub(super) fn resolve(&mut self, look: &Look) {
        for (run, attempt) in &self.doubted {
            let key = (run.clone(), *attempt);
            match look.happened(run, *attempt, ["found", "absent"]).as_deref() {
                Some("found") => self.found.insert(key),
                Some(_) => self.absent.insert(key),
                None => panic!("what became of attempt {attempt} of {run}?"),
            };
        }
        eprintln!("{self}");
    }

    fn count(&self, kill: &Kill, of: &BTreeSet<(String, u32)>) -> usize {
        kill.doubts
            .iter()
            .filter(|doubt| of.contains(doubt))
            .count()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(
            f,
            "{:42}{:>6}{:>8}{:>10}{:>8}{:>7}{:>8}",
            "killed", "kills", "missed", "in flight", "doubts", "found", "absent"
        )?;
        let line = |f: &mut fmt::Formatter<'_>, words: &str, which: &dyn Fn(&Kill) -> bool| {
            let kills: Vec<&Kill> = self.kills.iter().filter(|kill| which(kill)).collect();
            let sum =
                |of: &dyn Fn(&Kill) -> usize| kills.iter().map(|kill| of(kill)).sum::<usize>();
            writeln!(
                f,
                "{words:42}{:>6}{:>8}{:>10}{:>8}{:>7}{:>8}",
                sum(&|kill| usize::from(kill.there)),
                sum(&|kill| usize::from(!kill.there)),
                sum(&|kill| kill.in_flight),
                sum(&|kill| kill.doubts.len()),
                sum(&|kill| self.count(kill, &self.found)),
                sum(&|kill| self.count(kill, &self.absent)),
            )
        };
        for boundary in Boundary::ALL {
            line(f, boundary.words(), &|kill| kill.boundary == *boundary)?;
        }
        line(f, "all", &|_| true)
    }
}

impl Drop for Table {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let at = self.trying.map_or("the first start", Boundary::words);
            eprintln!(
                "after {} kills, with {at}; the last that came too late: {}\n\
                 again with: NIGHTCALL_KILL_SEED={} cargo test --test it killed_at_every",
                self.kills.len(),
                self.last_miss,
                self.seed
            );
        }
    }
}
