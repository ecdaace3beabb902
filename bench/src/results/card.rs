//! [`Card`]: a result in a few sentences, for an index of many.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::host::Host;

/// The file that it is kept in.
pub const CARD: &str = "card.json";
/// Characters that a shell takes as they are.
const PLAIN: &str = "-_./=:,@+%";

/// What a result was for, and what it says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Card {
    /// What was asked.
    pub question: String,
    /// Answers with their intervals, a sentence each.
    pub answers: Vec<String>,
    /// When it was measured.
    pub started: String,
    /// The commit that was measured.
    pub commit: Option<String>,
    /// What was typed.
    pub command: String,
    /// The machine.
    pub host: Host,
}

impl Card {
    /// Reads that of a result.
    pub fn read(folder: &Path) -> Result<Card> {
        let file = folder.join(CARD);
        let context = || format!("{}", file.display());
        let text = std::fs::read_to_string(&file).with_context(context)?;
        serde_json::from_str(&text).with_context(context)
    }
}

/// How this program was called, as a shell would take it.
pub fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    ["ringlog-bench".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_words_as_they_were() {
        for (word, expected) in [("--rounds", "--rounds"), ("a b", "'a b'"), ("", "''")] {
            assert_eq!(quoted(word), expected);
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
