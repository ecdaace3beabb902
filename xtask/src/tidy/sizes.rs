//! How long files, functions and lines may be.

use super::tree::Tree;
use super::{Problem, Rule};

/// Lines of a file that are not those of tests.
const FILE_LINES_MAX: usize = 800;
/// Lines of a function, from its `fn` to its last brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 100;
/// Bytes of a file in the repository.
const FILE_BYTES_MAX: u64 = 512 << 10;

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for file in tree.files.iter().filter(|file| file.size > FILE_BYTES_MAX) {
        let what = format!("{} bytes, {FILE_BYTES_MAX} are allowed", file.size);
        let (path, item) = (file.path.clone(), String::new());
        problems.push(Problem { path, line: 0, rule: Rule::LargeFile, item, what });
    }
    for source in tree.sources.iter().filter(|source| !source.is_generated) {
        let mut add = |line, rule, item: &str, what| {
            let (path, item) = (source.path.clone(), item.to_owned());
            problems.push(Problem { path, line, rule, item, what });
        };
        let lines = source.product_lines();
        if lines > FILE_LINES_MAX {
            let what = format!("{lines} lines without tests, {FILE_LINES_MAX} are allowed");
            add(0, Rule::FileSize, "", what);
        }
        for function in source.functions() {
            if function.lines > FUNCTION_LINES_MAX {
                let (name, lines) = (&function.name, function.lines);
                let what = format!("fn {name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
                add(source.line(function.at), Rule::FunctionSize, name, what);
            }
        }
    }
    let generated = |path: &str| tree.sources.iter().any(|s| s.is_generated && s.path == path);
    for (path, text) in tree.texts().filter(|(path, text)| has_width(path, text)) {
        for (number, line) in text.lines().enumerate() {
            let chars = line.chars().count();
            // An address cannot be broken.
            if chars > LINE_CHARS_MAX && !line.contains("://") && !generated(path) {
                let what = format!("{chars} characters, {LINE_CHARS_MAX} are allowed");
                let (path, item) = (path.to_owned(), String::new());
                problems.push(Problem {
                    path,
                    line: number + 1,
                    rule: Rule::LineWidth,
                    item,
                    what,
                });
            }
        }
    }
}

/// Programs have a width; tables and data have none.
fn has_width(path: &str, text: &str) -> bool {
    path.ends_with(".rs") || path.ends_with(".java") || text.starts_with("#!")
}
