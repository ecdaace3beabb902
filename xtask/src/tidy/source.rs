//! A Rust file, scanned: what is code, what is a test, which module it is.
//!
//! The scanner knows comments (nested ones too), strings in all their forms, character literals
//! and lifetimes; it knows no grammar beyond matching brackets. What it blanks out keeps its length
//! and its lines, so that a place in `code` is the same place in `text`.

use std::ops::Range;

/// A scanned file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    /// `text` with spaces for comments and for what is between quotes.
    pub(super) code: String,
    /// The file as a whole is a test.
    pub(super) is_test: bool,
    /// Made by `cargo xtask codegen`.
    pub(super) is_generated: bool,
    /// Items under `#[test]` and `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
    /// Modules with a body in this file, by name.
    modules: Vec<(Range<usize>, String)>,
    line_starts: Vec<usize>,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) lines: usize,
}

/// Files of these folders and names hold nothing but tests.
const TEST_FOLDERS: [&str; 2] = ["tests", "benches"];

/// Files with this in their first lines are exempt from rules about size.
const BANNER: &str = concat!("// Generated", " by ");

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Source {
        let code = mask(text);
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1))
            .collect();
        let mut folders = path.split('/');
        let name = folders.next_back().unwrap_or_default();
        let is_test = folders.any(|folder| TEST_FOLDERS.contains(&folder)) || name == "tests.rs";
        let is_generated = text.lines().take(10).any(|line| line.starts_with(BANNER));
        let tests = test_items(&code);
        let modules = inline_modules(&code);
        let (path, text) = (path.to_owned(), text.to_owned());
        Source { path, text, code, is_test, is_generated, tests, modules, line_starts }
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// How many lines are not those of tests.
    pub(super) fn product_lines(&self) -> usize {
        if self.is_test {
            return 0;
        }
        let mut tests = 0;
        let mut counted_to = 0;
        for range in &self.tests {
            let first = self.line(range.start).max(counted_to + 1);
            let last = self.line(range.end - 1);
            tests += (last + 1).saturating_sub(first);
            counted_to = counted_to.max(last);
        }
        self.lines() - tests
    }

    /// Whether a place belongs to a test.
    pub(super) fn is_test_at(&self, at: usize) -> bool {
        self.is_test || self.tests.iter().any(|range| range.contains(&at))
    }

    /// The module at a place: crate, modules of the path, modules of the file. Empty outside of the
    /// workspace's crates.
    pub(super) fn module_at(&self, at: usize) -> Vec<String> {
        let mut module = file_module(&self.path);
        let inside = self.modules.iter().filter(|(range, _)| range.contains(&at));
        module.extend(inside.map(|(_, name)| name.clone()));
        module
    }

    /// The modules with a body in this file: where each starts, and its name.
    pub(super) fn inline_modules(&self) -> impl Iterator<Item = (usize, &str)> {
        self.modules.iter().map(|(range, name)| (range.start, name.as_str()))
    }

    /// Paths (`folder/file/`) of the modules that this file declares as tests.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let items = self.tests.iter().map(|range| &self.code[range.clone()]);
        items
            .filter_map(|item| {
                let name = item.strip_suffix(';')?.rsplit_once("mod ")?.1.trim();
                Some(format!("{folder}/{name}/"))
            })
            .collect()
    }

    /// The functions with a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for (at, word) in words(&self.code) {
            if word != "fn" {
                continue;
            }
            let Some((name, after)) = next_word(&self.code, at + 2) else { continue };
            let Some(end) = item_end(&self.code, after) else { continue };
            if self.code.as_bytes()[end - 1] == b'}' {
                let lines = self.line(end - 1) - self.line(at) + 1;
                functions.push(Function { name: name.to_owned(), at, lines });
            }
        }
        functions
    }

    /// The attributes: where each starts, and what is between its brackets, blanked as `code` is.
    pub(super) fn attributes(&self) -> Vec<(usize, &str)> {
        attributes(&self.code).into_iter().map(|(range, inner)| (range.start, inner)).collect()
    }
}

/// The module that a file is by its path; empty for files outside of a crate's `src`.
fn file_module(path: &str) -> Vec<String> {
    let mut parts = path.trim_end_matches(".rs").split('/');
    let Some(krate) = parts.next() else { return Vec::new() };
    if parts.next() != Some("src") {
        return Vec::new();
    }
    let below = parts.filter(|part| !matches!(*part, "lib" | "mod"));
    std::iter::once(krate).chain(below).map(str::to_owned).collect()
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of a text and where they start; numbers are words too.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word_byte(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word_byte(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &text[start..at]))
    })
}

/// The word that follows `at` behind nothing but spaces, and where it ends.
pub(super) fn next_word(code: &str, at: usize) -> Option<(&str, usize)> {
    let rest = code.get(at..)?;
    let skipped = rest.len() - rest.trim_start().len();
    let (start, word) = words(rest).next()?;
    (start == skipped).then_some((word, at + start + word.len()))
}

/// The place behind the bracket that closes the one at `open`.
pub(super) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The end of the item whose text goes on at `at`: behind its body, or behind its semicolon.
fn item_end(code: &str, mut at: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    loop {
        match *bytes.get(at)? {
            b';' => return Some(at + 1),
            b'{' => return closing(code, at),
            b'(' | b'[' => at = closing(code, at)?,
            b'}' | b')' | b']' => return None,
            _ => at += 1,
        }
    }
}

fn attributes(code: &str) -> Vec<(Range<usize>, &str)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices('#') {
        let inner = if bytes.get(at + 1) == Some(&b'!') { at + 2 } else { at + 1 };
        if bytes.get(inner) != Some(&b'[') {
            continue;
        }
        if let Some(end) = closing(code, inner) {
            found.push((at..end, &code[inner + 1..end - 1]));
        }
    }
    found
}

/// Items that are compiled for tests only, their attributes included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let attributes = attributes(code);
    let mut items: Vec<Range<usize>> = Vec::new();
    for (range, inner) in &attributes {
        let has_test = words(inner).any(|(_, word)| word == "test");
        let is_cfg = inner.trim_start().starts_with("cfg(") && !inner.contains("not(test");
        if !(has_test && (is_cfg || inner.trim() == "test")) {
            continue;
        }
        let mut at = range.end;
        while let Some((next, _)) = attributes
            .iter()
            .find(|(next, _)| next.start >= at && code[at..next.start].trim().is_empty())
        {
            at = next.end;
        }
        if let Some(end) = item_end(code, at) {
            items.push(range.start..end);
        }
    }
    items
}

fn inline_modules(code: &str) -> Vec<(Range<usize>, String)> {
    let mut modules = Vec::new();
    for (at, word) in words(code) {
        if word != "mod" {
            continue;
        }
        let Some((name, after)) = next_word(code, at + 3) else { continue };
        let rest = &code[after..];
        if rest.trim_start().starts_with('{') {
            let open = after + rest.len() - rest.trim_start().len();
            if let Some(end) = closing(code, open) {
                modules.push((at..end, name.to_owned()));
            }
        }
    }
    modules
}

/// The text with spaces for comments and for what is between quotes.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some((blank, end)) = literal(text, at) else {
            at += 1;
            continue;
        };
        for byte in &mut out[blank] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole characters are replaced by spaces")
}

/// If a comment or literal starts at `at`: what of it is blanked out, and where it ends.
fn literal(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let end_of_text = bytes.len();
    match bytes[at] {
        b'/' if bytes.get(at + 1) == Some(&b'/') => {
            let end = text[at..].find('\n').map_or(end_of_text, |length| at + length);
            Some((at..end, end))
        }
        b'/' if bytes.get(at + 1) == Some(&b'*') => {
            let end = block_comment_end(bytes, at);
            Some((at..end, end))
        }
        b'"' => {
            let end = string_end(bytes, at + 1);
            Some((at + 1..(end - 1).max(at + 1), end))
        }
        b'r' if starts_literal(bytes, at) => {
            let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
            let open = at + 1 + hashes;
            if bytes.get(open) != Some(&b'"') {
                return None;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            let inner = text[open + 1..].find(&close).map_or(end_of_text, |n| open + 1 + n);
            Some((open + 1..inner, (inner + close.len()).min(end_of_text)))
        }
        b'\'' => {
            let end = char_end(text, at)?;
            Some((at + 1..end - 1, end))
        }
        _ => None,
    }
}

/// Whether the letter at `at` begins a token, alone or behind the `b` or `c` of a byte or C string.
fn starts_literal(bytes: &[u8], at: usize) -> bool {
    let free = |at: usize| at == 0 || !is_word_byte(bytes[at - 1]);
    free(at) || (matches!(bytes[at - 1], b'b' | b'c') && free(at - 1))
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the character literal at `at`; `None` if the quote is that of a lifetime.
fn char_end(text: &str, at: usize) -> Option<usize> {
    let inner = text.get(at + 1..)?;
    let mut chars = inner.chars();
    match chars.next()? {
        '\\' => {
            // The character behind the backslash may itself be a quote.
            let escaped = chars.next()?.len_utf8();
            let close = inner.get(1 + escaped..)?.find('\'')?;
            Some(at + 1 + 1 + escaped + close + 1)
        }
        '\'' => None,
        first => (chars.next() == Some('\'')).then_some(at + 1 + first.len_utf8() + 1),
    }
}
