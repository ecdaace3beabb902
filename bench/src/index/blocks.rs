//! Figures in documents: they come from results, and no others are there.
//!
//! `<!-- results: vs-kafka/headline -->` begins a block that ends with `<!-- end -->`; between both
//! stand the answers of that result, or those that begin with the words behind its name. A figure
//! of speed anywhere else in a document is refused.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Entry;

const BEGIN: &str = "<!-- results: ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";
/// Documents with figures: this one, and those in this folder.
const README: &str = "README.md";
const DOCS: &str = "docs";
/// What a number is a figure of speed with.
const UNITS: [&str; 12] = [
    "records/s",
    "million records",
    "M records",
    "msg/s",
    "cpu-s/GiB",
    "us/record",
    "MB/s",
    "MiB/s",
    "GB/s",
    "times the rate",
    "times the processor time",
    "times as fast",
];

/// Every document with its blocks as the results say.
pub fn documents(root: &Path, entries: &[Entry]) -> Result<Vec<(PathBuf, String)>> {
    let mut paths = vec![root.join(README)];
    if let Ok(docs) = fs::read_dir(root.join(DOCS)) {
        paths.extend(docs.flatten().map(|entry| entry.path()));
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let filled = fill(&text, entries).with_context(|| format!("{}", path.display()))?;
        all.push((path, filled));
    }
    Ok(all)
}

/// A document with its blocks filled in.
fn fill(text: &str, entries: &[Entry]) -> Result<String> {
    let mut filled = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        let name = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(BEGIN_END));
        let Some(name) = name else {
            let figure = UNITS.iter().find(|unit| has_figure(line, unit));
            if let Some(unit) = figure {
                bail!("line {}: a number of {unit} that is in no block of a result", number + 1);
            }
            continue;
        };
        let (name, words) = name.split_once(' ').unwrap_or((name, ""));
        let entry = entries.iter().find(|entry| entry.name == name);
        let entry = entry.with_context(|| format!("line {}: no result {name}", number + 1))?;
        filled.push('\n');
        let mut answers = entry.card.answers.iter().filter(|a| a.starts_with(words)).peekable();
        let none = || format!("line {}: {name} has no answer {words:?}", number + 1);
        ensure!(answers.peek().is_some(), none());
        answers.for_each(|answer| filled.push_str(&format!("- {answer}\n")));
        filled.push('\n');
        let ends = lines.by_ref().any(|(_, line)| line == END);
        ensure!(ends, "line {}: the block of {name} has no {END}", number + 1);
        filled.push_str(END);
        filled.push('\n');
    }
    Ok(filled)
}

/// Whether a number stands before the unit.
fn has_figure(line: &str, unit: &str) -> bool {
    line.match_indices(unit).any(|(at, _)| {
        let before = line[..at].trim_end();
        before.ends_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::results::Card;

    fn entry() -> Entry {
        let card = Card {
            question: "?".to_owned(),
            answers: vec!["9 times the rate (8 to 10)".to_owned()],
            started: String::new(),
            commit: None,
            command: String::new(),
            host: Host::read(None),
        };
        Entry { name: "vs-kafka/a".to_owned(), card, host: String::new() }
    }

    #[test]
    fn a_block_holds_what_its_result_says() {
        let entries = [entry()];
        let old = "a\n<!-- results: vs-kafka/a -->\n\n- 12 times the rate\n<!-- end -->\nb\n";
        let new = fill(old, &entries).expect("filled");
        assert!(new.contains("- 9 times the rate (8 to 10)\n\n<!-- end -->\nb\n"), "{new}");
        assert_eq!(fill(&new, &entries).expect("filled"), new);
        let some = "<!-- results: vs-kafka/a 9 times -->\n<!-- end -->\n";
        assert!(fill(some, &entries).expect("filled").contains("- 9 times the rate"));
    }

    #[test]
    fn a_figure_that_no_result_has_is_refused() {
        for (text, said) in [
            ("It does 3.5 M records a second.\n", "M records"),
            ("It takes 2 times the processor time.\n", "times the processor time"),
            ("<!-- results: vs-kafka/b -->\n<!-- end -->\n", "no result vs-kafka/b"),
            ("<!-- results: vs-kafka/a -->\n9\n", "has no <!-- end -->"),
            ("<!-- results: vs-kafka/a At -->\n<!-- end -->\n", "has no answer"),
        ] {
            let error = format!("{:#}", fill(text, &[entry()]).expect_err(text));
            assert!(error.contains(said), "{text}: {error}");
        }
        for text in ["in records/s\n", "what `rate` MB/s means\n"] {
            assert!(fill(text, &[]).is_ok(), "{text}");
        }
    }
}
