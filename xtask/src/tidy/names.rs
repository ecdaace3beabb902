//! What files and modules are called, and that each says what it is for.

use super::tree::Tree;
use super::{Problem, Rule};

/// Names that fit anything, and so say nothing.
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for source in &tree.sources {
        let mut add = |line, rule, item: &str, what: String| {
            let (path, item) = (source.path.clone(), item.to_owned());
            problems.push(Problem { path, line, rule, item, what });
        };
        if !source.text.starts_with("//!") {
            add(1, Rule::ModuleDoc, "", "the first line is `//!` and says what it is for".into());
        }
        let inline = source.inline_modules().map(|(at, name)| (source.line(at), name));
        let path = source.path.trim_end_matches(".rs").split('/').map(|name| (0, name));
        for (line, name) in path.chain(inline) {
            let last = name.rsplit('_').next().unwrap_or_default();
            if EMPTY_NAMES.contains(&last) {
                add(line, Rule::ModuleName, name, format!("`{name}`: name it after what it is"));
            }
        }
    }
}
