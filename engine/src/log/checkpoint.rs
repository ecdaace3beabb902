//! The text format of Kafka's checkpoint files (`CheckpointFile`): a version line `0`, a line with
//! the number of entries, and an entry per line. An empty file has no entries.

use std::fmt::Write;

use thiserror::Error;

/// A checkpoint file that says something else than it should.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("malformed checkpoint at line {line}: {what}")]
pub struct CheckpointError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The whitespace-separated fields of each entry. Each must have `fields` of them.
pub fn parse_entries(bytes: &[u8], fields: usize) -> Result<Vec<Vec<&str>>, CheckpointError> {
    let error = |line, what| Err(CheckpointError { line, what });
    let Ok(text) = std::str::from_utf8(bytes) else { return error(1, "it is not text") };
    let mut lines = text.lines();
    let Some(version) = lines.next() else { return Ok(Vec::new()) };
    if version.trim() != "0" {
        return error(1, "the version is not 0");
    }
    let Some(Ok(count)) = lines.next().map(|line| line.trim().parse::<usize>()) else {
        return error(2, "there is no count of entries");
    };
    let mut entries = Vec::new();
    for (i, line) in lines.enumerate() {
        let entry: Vec<&str> = line.split_whitespace().collect();
        if entry.len() != fields {
            return error(i + 3, "an entry has the wrong number of fields");
        }
        entries.push(entry);
    }
    if entries.len() != count {
        return error(2, "the count is not that of the entries");
    }
    Ok(entries)
}

/// The file's text for entries whose fields are joined by spaces already.
pub fn render_entries(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        writeln!(text, "{entry}").expect("a string takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let text = render_entries(["a 0 5".to_owned(), "b 1 7".to_owned()].into_iter());
        assert_eq!(text, "0\n2\na 0 5\nb 1 7\n");
        let entries = parse_entries(text.as_bytes(), 3).expect("well formed");
        assert_eq!(entries, [["a", "0", "5"], ["b", "1", "7"]]);
        assert_eq!(parse_entries(b"", 3), Ok(Vec::new()));
    }

    #[test]
    fn w07_garbage_is_named_by_its_line() {
        let line = |bytes: &[u8]| parse_entries(bytes, 2).expect_err("malformed").line;
        assert_eq!(line(b"1\n0\n"), 1);
        assert_eq!(line(b"\xff\xfe"), 1);
        assert_eq!(line(b"0\n"), 2);
        assert_eq!(line(b"0\n2\n1 1\n"), 2);
        assert_eq!(line(b"0\n1\n1 1 1\n"), 3);
    }
}
