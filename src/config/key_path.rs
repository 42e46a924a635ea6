//! The way to a value from the top of its file. Every key of every schedule has one and few are ever shown, so that one
//! is put into words only for a message.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::read::short;

/// A key path as people write it: `schedule.nightly.set[2]`. The default is the top of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyPath<'a>(Option<Arc<Step<'a>>>);

#[derive(Debug)]
enum Step<'a> {
    /// A key of a table.
    Key(KeyPath<'a>, &'a str),
    /// An element of a list, from 0.
    Element(KeyPath<'a>, usize),
}

impl<'a> KeyPath<'a> {
    /// The path of a key below this one.
    pub(super) fn key(&self, key: &'a str) -> Self {
        Self(Some(Arc::new(Step::Key(self.clone(), key))))
    }

    /// The path of an element of the list that stands here.
    pub(super) fn element(&self, index: usize) -> Self {
        Self(Some(Arc::new(Step::Element(self.clone(), index))))
    }
}

impl Display for KeyPath<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            None => Ok(()),
            Some(Step::Element(list, index)) => write!(f, "{list}[{index}]"),
            Some(Step::Key(table, key)) => {
                if table.0.is_some() {
                    write!(f, "{table}.")?;
                }
                let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                match !key.is_empty() && key.chars().all(bare) {
                    true => f.write_str(&short(key)),
                    false => write!(f, "\"{}\"", short(key)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_toml_writes_it() {
        let top = KeyPath::default();
        assert_eq!(top.to_string(), "");
        let nightly = top.key("schedule").key("nightly");
        assert_eq!(nightly.to_string(), "schedule.nightly");
        let set = nightly.key("set").element(2).key("a b").key("");
        assert_eq!(set.to_string(), "schedule.nightly.set[2].\"a b\".\"\"");
    }

    #[test]
    fn a_key_that_looks_like_a_secret_is_not_in_it() {
        let path = KeyPath::default().key("schedule").key("eyJhbGciOiJI");
        assert_eq!(path.to_string(), "schedule.…");
    }
}
