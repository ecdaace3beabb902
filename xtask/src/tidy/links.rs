//! Links between documents: each leads to a file that is there, and to a heading in it. Documents
//! in docs/ are also a book: its pages can link only to each other and to URLs, and its table of
//! contents lists every one of them.

use super::tree::Tree;
use super::{Problem, Rule};

const DOCS: &str = "docs/";
const CONTENTS: &str = "docs/SUMMARY.md";

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let documents: Vec<(&str, &str)> =
        tree.texts().filter(|(path, _)| path.ends_with(".md")).collect();
    let text_of = |path: &str| documents.iter().find(|(known, _)| *known == path).map(|one| one.1);
    let is_there = |path: &str| {
        let folder = format!("{}/", path.trim_end_matches('/'));
        tree.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    };
    for (path, text) in &documents {
        let mut add = |line, item: &str, what: String| {
            let (path, item) = ((*path).to_owned(), item.to_owned());
            problems.push(Problem { path, line, rule: Rule::Link, item, what });
        };
        for (line, link) in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { (*path).to_owned() } else { join(path, file) };
            if !is_there(&target) {
                add(line, link, format!("`{link}` leads nowhere"));
            } else if path.starts_with(DOCS) && !target.starts_with(DOCS) {
                add(line, link, format!("`{link}` leads out of the book: name it in backticks"));
            } else if let Some(text) = text_of(&target).filter(|_| !heading.is_empty())
                && !headings(text).any(|known| known == heading)
            {
                add(line, link, format!("`{link}`: there is no such heading"));
            }
        }
    }
    if let Some(contents) = text_of(CONTENTS) {
        let listed: Vec<String> = links(contents).map(|(_, link)| join(CONTENTS, link)).collect();
        let pages = documents.iter().map(|(path, _)| *path).filter(|path| path.starts_with(DOCS));
        for page in pages.filter(|page| *page != CONTENTS && !listed.iter().any(|l| l == page)) {
            let (path, item) = (CONTENTS.to_owned(), page.to_owned());
            let what = format!("{page} is not in the book");
            problems.push(Problem { path, line: 0, rule: Rule::Link, item, what });
        }
    }
}

/// Lines outside of code blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((number + 1, line))
    })
}

/// Where links lead: `[words](here)`, not in code.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let parts = line.match_indices("](").filter_map(move |(at, _)| {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            let rest = &line[at + 2..];
            let end = rest.find(')')?;
            (!in_code).then_some((number, rest[..end].trim()))
        });
        parts.collect::<Vec<_>>()
    })
}

/// What headings are linked by: small letters, with dashes for spaces.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// A link from a file, from the root of the repository.
fn join(from: &str, link: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
