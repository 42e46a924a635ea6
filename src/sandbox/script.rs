//! What a job does over time: when it can be seen, how long it waits and runs, and how it ends.

use serde::Deserialize;

use super::dice::Dice;
use super::ending::Ending;
use super::span::Span;

/// The script of the jobs of one procedure. The default ends well, at once.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Script {
    /// Until then reading the job answers 404, although it was created.
    pub visible_after: Span,
    /// How long it waits.
    pub pending: Span,
    /// How long it runs.
    pub running: Span,
    /// How it ends, one after the other; the last is repeated, and none means success.
    pub endings: Vec<Ending>,
    /// What the list of endings is counted by.
    pub endings_by: EndingsBy,
    /// Endings that take the place of the scripted one now and then.
    pub sometimes: Vec<Sometimes>,
}

/// What a list of endings is counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingsBy {
    /// Each run has the whole list for its attempts; jobs without a marker share one list.
    #[default]
    Run,
    /// All jobs of the procedure share one list.
    Procedure,
}

/// An ending with a probability.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sometimes {
    /// How the job then ends.
    pub ending: Ending,
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Script {
    /// Runs this long, then ends well.
    pub fn running(running: impl Into<Span>) -> Self {
        Self {
            running: running.into(),
            ..Self::default()
        }
    }

    /// Ends at once, in these ways one after the other.
    pub fn ending(endings: impl IntoIterator<Item = Ending>) -> Self {
        Self {
            endings: endings.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The ending of a job before which `earlier` others of the same list were created.
    pub(super) fn choose(&self, earlier: usize, dice: &mut Dice) -> Ending {
        for sometimes in &self.sometimes {
            if dice.chance(sometimes.probability) {
                return sometimes.ending.clone();
            }
        }
        let last = self.endings.len().saturating_sub(1);
        self.endings
            .get(earlier.min(last))
            .cloned()
            .unwrap_or(Ending::Success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ending_is_repeated() {
        let script = Script::ending([Ending::fails("backendError"), Ending::Success]);
        let mut dice = Dice::new(0);
        let seen: Vec<bool> = (0..4)
            .map(|n| script.choose(n, &mut dice).is_success())
            .collect();
        assert_eq!(seen, [false, true, true, true]);
    }

    #[test]
    fn a_sometimes_takes_the_place_of_the_scripted_ending() {
        let mut script = Script::default();
        script.sometimes.push(Sometimes {
            ending: Ending::Stuck,
            probability: 0.5,
        });
        let mut dice = Dice::new(0);
        let stuck = (0..1000)
            .filter(|_| script.choose(0, &mut dice) == Ending::Stuck)
            .count();
        assert!((400..600).contains(&stuck), "{stuck}");
    }
}
