//! [`TopicChanges`]: which topics have changed, in order, for groups that have yet to look.

use std::collections::VecDeque;

/// Changes that are remembered; a group that is further behind looks at all topics.
const CHANGES_MAX: usize = 4096;

/// Names of topics that were made, changed or deleted, numbered from 1 on.
#[derive(Debug, Default)]
pub(super) struct TopicChanges {
    names: VecDeque<String>,
    forgotten: u64,
}

impl TopicChanges {
    /// Adds a change.
    pub fn push(&mut self, name: String) {
        self.names.push_back(name);
        if self.names.len() > CHANGES_MAX {
            self.names.pop_front();
            self.forgotten += 1;
        }
    }

    /// The number of the last one.
    pub fn last(&self) -> u64 {
        self.forgotten + self.names.len() as u64
    }

    /// Those after number `seen`; `None` if they are not known any more.
    pub fn since(&self, seen: u64) -> Option<impl Iterator<Item = &str>> {
        let skip = usize::try_from(seen.checked_sub(self.forgotten)?).ok()?;
        Some(self.names.range(skip.min(self.names.len())..).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_changes_are_known() {
        let mut changes = TopicChanges::default();
        let since = |changes: &TopicChanges, seen| {
            changes.since(seen).map(|names| names.map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(since(&changes, 0), Some(vec![]));
        ["a", "b"].iter().for_each(|name| changes.push((*name).to_owned()));
        assert_eq!((since(&changes, 1), changes.last()), (Some(vec!["b".to_owned()]), 2));
        (0..CHANGES_MAX).for_each(|i| changes.push(i.to_string()));
        assert_eq!(since(&changes, 1), None);
        assert_eq!(since(&changes, 2).map(|names| names.len()), Some(CHANGES_MAX));
    }
}
