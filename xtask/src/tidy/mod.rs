//! `cargo xtask tidy`: the house rules that a program can check.
//!
//! The rules run over every file that git tracks or would track. They read text, not types: a
//! scanner ([`source`]) blanks out comments and literals, and the rules look for words and braces
//! in what is left. docs/STYLE.md lists the rules; [`exceptions`] lists who may break which, and
//! why. The same check runs as a test of this crate, so `cargo test` is enough to see it.

mod attributes;
mod dependencies;
mod exceptions;
mod layers;
mod links;
mod names;
mod paths;
mod sizes;
mod source;
mod text;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use crate::Result;
use exceptions::{EXCEPTIONS, Exception};
use tree::Tree;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// A module uses one that is not below it.
    Layers,
    /// A word that stands for something else here.
    Words,
    /// A file with too many lines.
    FileSize,
    /// A function with too many lines.
    FunctionSize,
    /// A line that is too wide.
    LineWidth,
    /// A file that does not say what it is for.
    ModuleDoc,
    /// A module name that says nothing.
    ModuleName,
    /// A mark of unfinished work.
    Leftover,
    /// A test that is left out without a reason.
    Ignore,
    /// A lint that is silenced without a reason.
    Allow,
    /// `unsafe` outside the files that may have it.
    Unsafe,
    /// A test that waits for time to pass.
    Sleep,
    /// A file too large for the repository.
    LargeFile,
    /// A path of somebody's machine.
    MachinePath,
    /// Words about who wrote a text, and how.
    Authorship,
    /// A dependency that nobody has given a reason for.
    Dependency,
    /// A link that leads nowhere.
    Link,
    /// An exception that nothing needs any more.
    Exception,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    rule: Rule,
    /// What breaks it, as an exception would name it; empty if the file as a whole does.
    item: String,
    what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { path, line, rule, what, .. } = self;
        write!(f, "{path}:{line}: {rule:?}: {what}")
    }
}

/// Checks the tree at `root`.
pub fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let problems = check(&tree, EXCEPTIONS);
    if problems.is_empty() {
        println!("{} files are tidy, with {} exceptions", tree.files.len(), EXCEPTIONS.len());
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    Err(format!("{}\n{} rules are broken", lines.join("\n"), lines.len()))
}

/// All broken rules that no exception covers, and the exceptions that cover nothing.
fn check(tree: &Tree, exceptions: &[Exception]) -> Vec<Problem> {
    let mut problems = Vec::new();
    text::check(tree, &mut problems);
    names::check(tree, &mut problems);
    sizes::check(tree, &mut problems);
    attributes::check(tree, &mut problems);
    dependencies::check(tree, &mut problems);
    layers::check(tree, &mut problems);
    links::check(tree, &mut problems);
    words::check(tree, &mut problems);
    let mut used = vec![false; exceptions.len()];
    problems.retain(|problem| {
        let covering = exceptions.iter().position(|exception| exception.covers(problem));
        covering.inspect(|&at| used[at] = true).is_none()
    });
    for (exception, used) in exceptions.iter().zip(used) {
        if !used {
            problems.push(exception.unused());
        }
    }
    problems.sort();
    problems.dedup();
    problems
}

#[cfg(test)]
mod tests;
