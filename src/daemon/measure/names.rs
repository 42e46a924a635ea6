//! Names as labels, so many and no more: a label that grows with the configuration would make a heavy page of a light
//! one, and a burden of it for whoever keeps it.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display, Write};
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// The label of every name that has none of its own.
const OTHER: &str = "other";

/// The names that are labels.
#[derive(Debug)]
pub(super) struct Names<T> {
    most: usize,
    known: RwLock<HashSet<T>>,
}

/// A name, or the one label for all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Label<T>(Option<T>);

impl<T: Clone + Display + Eq + Hash + Ord> Names<T> {
    /// None yet; at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: RwLock::default(),
        }
    }

    /// Lets in the first of these in their order, as long as there is room, and gives back those that are new. A name
    /// that was let in stays, so that what was counted under it goes on.
    pub(super) fn admit<'a>(&self, names: impl Iterator<Item = &'a T>) -> Vec<Label<T>>
    where
        T: 'a,
    {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let room = self.most.saturating_sub(known.len());
        if room == 0 {
            return Vec::new();
        }
        let mut first = BTreeSet::new();
        for name in names.filter(|name| !known.contains(name)) {
            first.insert(name);
            if first.len() > room {
                first.pop_last();
            }
        }
        // Whoever is called like the label of all others shares it.
        first.retain(|name| name.to_string() != OTHER);
        known.extend(first.iter().copied().cloned());
        first
            .into_iter()
            .map(|name| Label(Some(name.clone())))
            .collect()
    }

    /// The label of a name.
    pub(super) fn label(&self, name: &T) -> Label<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Label(known.get(name).cloned())
    }
}

impl<T> Label<T> {
    /// The label of every name that has none of its own.
    pub(super) const OTHER: Self = Self(None);

    /// Whether it stands for one name only.
    pub(super) fn is_own(&self) -> bool {
        self.0.is_some()
    }
}

impl<T: Display> Display for Label<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => name.fmt(f),
            None => f.write_str(OTHER),
        }
    }
}

impl<T: Display> EncodeLabelValue for Label<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        write!(encoder, "{self}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn labels(names: &Names<String>, wanted: &[&str]) -> Vec<String> {
        let label = |name: &&str| names.label(&(*name).to_owned()).to_string();
        wanted.iter().map(label).collect()
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_first_names_have_a_label_of_their_own_and_keep_it() {
        let names = Names::new(3);
        assert_eq!(names.admit(owned(&["d", "b"]).iter()).len(), 2);
        let new = names.admit(owned(&["e", "c", "a", "b"]).iter());
        assert_eq!(new.len(), 1, "there was room for one");
        assert_eq!(
            labels(&names, &["a", "b", "c", "d", "e"]),
            ["a", "b", "other", "d", "other"]
        );
        assert!(names.admit(owned(&["0"]).iter()).is_empty());
    }

    #[test]
    fn a_name_that_is_the_label_of_all_others_is_not_there_twice() {
        let names = Names::new(3);
        assert_eq!(names.admit(owned(&["other", "a"]).iter()).len(), 1);
        assert_eq!(names.label(&"other".to_owned()), Label::OTHER);
    }
}
