//! The paths that code names: in `use` declarations and spelled out.

use super::source::{Source, closing, next_word, words};

/// A path that code refers to, from a crate on: `engine::log::Log`, `std::fs`, or
/// `dependency::thiserror::Error` for another crate's.
pub(super) struct Reference {
    pub(super) at: usize,
    pub(super) path: Vec<String>,
}

/// The workspace's crates, as code names them.
const CRATES: [(&str, &str); 4] = [
    ("ringlog_engine", "engine"),
    ("ringlog_wire", "wire"),
    ("ringlog_node", "node"),
    ("ringlog_bench", "bench"),
];

/// Every path that a source refers to, from its tests too; `dependencies` are the names of the
/// other crates that its crate may use.
pub(super) fn references(source: &Source, dependencies: &[String]) -> Vec<Reference> {
    let mut raw = Vec::new();
    let mut skip_to = 0;
    for (at, word) in words(&source.code) {
        if at < skip_to {
            continue;
        }
        if word == "use" {
            let rest = &source.code[at + 3..];
            if let Some(length) = rest.find(';')
                && !rest.trim_start().starts_with('<')
            {
                skip_to = at + 3 + length;
                use_tree(&source.code, at + 3, skip_to, &[], &mut raw);
            }
        } else if starts_path(&source.code, at) {
            let (path, end) = spelled_out(&source.code, at);
            skip_to = end;
            if path.len() > 1 {
                raw.push((at, path));
            }
        }
    }
    let resolved = raw.into_iter().filter_map(|(at, path)| {
        let path = resolve(&source.module_at(at), path, dependencies)?;
        Some(Reference { at, path })
    });
    resolved.collect()
}

/// Whether the word at `at` is the first of a path, and not a field, a method or a later segment.
fn starts_path(code: &str, at: usize) -> bool {
    let before = code[..at].trim_end();
    !before.ends_with('.') && !before.ends_with("::")
}

/// The segments of the path at `at`, up to generic arguments, and where it ends.
fn spelled_out(code: &str, at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut end = at;
    let mut next = at;
    while let Some((word, after)) = next_word(code, next) {
        path.push(word.to_owned());
        end = after;
        if !code[after..].starts_with("::") {
            // What is called with a bang at the crate's root is a macro, and belongs to no module.
            if path.len() == 2 && path[0] == "crate" && code[after..].starts_with('!') {
                path.clear();
            }
            break;
        }
        next = after + 2;
    }
    (path, end)
}

/// The leaves of the use tree between `at` and `end`, below `prefix`.
fn use_tree(
    code: &str,
    mut at: usize,
    end: usize,
    prefix: &[String],
    out: &mut Vec<(usize, Vec<String>)>,
) {
    let mut path = prefix.to_vec();
    let mut start = None;
    while at < end {
        if code.as_bytes()[at] == b'{' {
            let close = closing(code, at).unwrap_or(end).min(end);
            for (from, to) in branches(code, at + 1, close - 1) {
                use_tree(code, from, to, &path, out);
            }
            return;
        }
        let Some((word, after)) = next_word(&code[..end], at) else {
            at += 1;
            continue;
        };
        if word == "as" {
            break;
        }
        start.get_or_insert(after - word.len());
        if word != "self" || path.is_empty() {
            path.push(word.to_owned());
        }
        at = after;
    }
    out.push((start.unwrap_or(end - 1), path));
}

/// The parts between the commas of a brace's content.
fn branches(code: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let (mut from, mut depth) = (start, 0);
    for at in start..end {
        match code.as_bytes()[at] {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push((from, at));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push((from, end));
    parts.retain(|(from, to)| !code[*from..*to].trim().is_empty());
    parts
}

/// The path from its crate on; `None` if it is one of the module's own names.
fn resolve(module: &[String], path: Vec<String>, dependencies: &[String]) -> Option<Vec<String>> {
    let own = |s: &str| s.to_owned();
    let first = path.first()?.as_str();
    if let Some((_, krate)) = CRATES.iter().find(|(name, _)| *name == first) {
        return Some(std::iter::once(own(krate)).chain(path[1..].iter().cloned()).collect());
    }
    match first {
        "std" | "core" | "alloc" => {
            Some(std::iter::once(own("std")).chain(path[1..].iter().cloned()).collect())
        }
        "crate" => {
            let krate = module.first()?.clone();
            Some(std::iter::once(krate).chain(path[1..].iter().cloned()).collect())
        }
        "super" | "self" => {
            let ups = path.iter().take_while(|word| *word == "super" || *word == "self").count();
            let supers = path[..ups].iter().filter(|word| *word == "super").count();
            let base = &module[..module.len().checked_sub(supers)?];
            Some(base.iter().cloned().chain(path[ups..].iter().cloned()).collect())
        }
        _ if dependencies.iter().any(|name| name == first) => {
            Some(std::iter::once(own("dependency")).chain(path).collect())
        }
        _ => None,
    }
}
