//! What no file of the repository holds, whatever its language.

use super::source::words;
use super::tree::Tree;
use super::{Problem, Rule};

/// Marks of unfinished work. What is to be done is an issue, or is done.
const LEFTOVERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// How files end that a tool has left behind.
const LEFTOVER_FILES: [&str; 4] = [".orig", ".rej", ".bak", "~"];

/// Folders that exist on somebody's machine only.
const MACHINE_FOLDERS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// A text says what is; who wrote it, and with what, is not its subject. Lower case.
const AUTHORSHIP: [&str; 9] = [
    concat!("ai ", "assistant"),
    concat!("ai ", "agent"),
    concat!("ai-", "generated"),
    concat!("as an ", "ai"),
    concat!("coding ", "agent"),
    concat!("language ", "model"),
    concat!("chat", "gpt"),
    concat!("clau", "de"),
    concat!("sub", "agent"),
];

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for path in tree.files.iter().map(|file| &file.path) {
        for end in LEFTOVER_FILES.iter().filter(|end| path.ends_with(*end)) {
            let (path, item) = (path.clone(), (*end).to_owned());
            let what = format!("a tool has left a {end} file behind");
            problems.push(Problem { path, line: 0, rule: Rule::Leftover, item, what });
        }
    }
    for (path, text) in tree.texts() {
        for (number, line) in text.lines().enumerate() {
            let mut add = |rule, item: &str, what: String| {
                let (path, item) = (path.to_owned(), item.to_owned());
                problems.push(Problem { path, line: number + 1, rule, item, what });
            };
            for (_, word) in words(line).filter(|(_, word)| LEFTOVERS.contains(word)) {
                add(Rule::Leftover, word, format!("{word}: finish it, or open an issue"));
            }
            for folder in MACHINE_FOLDERS {
                if line.match_indices(folder).any(|(at, _)| is_absolute(line, at)) {
                    add(Rule::MachinePath, folder, format!("{folder} is a path of one machine"));
                }
            }
            let lower = line.to_lowercase();
            for phrase in AUTHORSHIP {
                if lower.match_indices(phrase).any(|(at, _)| is_whole(&lower, at, phrase)) {
                    add(Rule::Authorship, phrase, format!("`{phrase}`: say what is"));
                }
            }
        }
    }
}

/// Whether the slash at `at` is the first of its path.
fn is_absolute(line: &str, at: usize) -> bool {
    let before = line[..at].chars().next_back();
    before.is_none_or(|c| !(c.is_alphanumeric() || "./_-~$}{)*>".contains(c)))
}

/// Whether a phrase is not part of longer words.
fn is_whole(line: &str, at: usize, phrase: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let after = line[at + phrase.len()..].trim_start_matches('s');
    !letter(line[..at].chars().next_back()) && !letter(after.chars().next())
}
