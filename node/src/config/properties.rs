//! Reads a properties file exactly as `java.util.Properties.load` does from a stream: bytes are
//! ISO 8859-1, `#` and `!` begin comments, `=`, `:` or white space end a key, a backslash joins
//! lines and escapes characters, `\uXXXX` is a UTF-16 unit, and the last value of a key counts.
//!
//! The two halves below are Java's `LineReader` and `loadConvert`, state by state: their corner
//! cases (a comment after a lone backslash, a line that ends the file in one) are what files in the
//! field rely on without knowing it.

use std::collections::BTreeMap;

use super::error::ConfigError;

/// The keys and values of a properties file.
pub fn parse_properties(text: &[u8]) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut lines = LogicalLines { text, at: 0 };
    let mut properties = BTreeMap::new();
    while let Some(line) = lines.next_line() {
        let (key, value) = split_pair(&line);
        properties.insert(unescape(key)?, unescape(value)?);
    }
    Ok(properties)
}

/// Splits `key=value` of the command line's `--override` at the first `=`. Without one, the value
/// is empty.
pub fn parse_override(argument: &str) -> (String, String) {
    let (key, value) = argument.split_once('=').unwrap_or((argument, ""));
    (key.to_string(), value.to_string())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Lines with comments and blank lines left out and continuation lines joined.
struct LogicalLines<'a> {
    text: &'a [u8],
    at: usize,
}

impl LogicalLines<'_> {
    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn skip_comment(&mut self) {
        while self.next_byte().is_some_and(|byte| !is_line_end(byte)) {}
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        let mut skip_blanks = true;
        let mut continued = false;
        let mut after_backslash = false;
        while let Some(byte) = self.next_byte() {
            if skip_blanks {
                if is_blank(byte) || (!continued && is_line_end(byte)) {
                    continue;
                }
                skip_blanks = false;
                continued = false;
            }
            if line.is_empty() && matches!(byte, b'#' | b'!') {
                self.skip_comment();
                skip_blanks = true;
            } else if !is_line_end(byte) {
                line.push(byte);
                after_backslash = byte == b'\\' && !after_backslash;
            } else if line.is_empty() {
                skip_blanks = true;
            } else if after_backslash && self.at < self.text.len() {
                line.pop();
                skip_blanks = true;
                continued = true;
                after_backslash = false;
                if byte == b'\r' && self.text[self.at] == b'\n' {
                    self.at += 1;
                }
            } else {
                break;
            }
        }
        if after_backslash {
            line.pop();
        }
        // A file that ends in a lone backslash still has an empty line there.
        if line.is_empty() && !after_backslash { None } else { Some(line) }
    }
}

/// Splits a logical line into key and value, both still escaped.
fn split_pair(line: &[u8]) -> (&[u8], &[u8]) {
    let mut after_backslash = false;
    let mut key_end = line.len();
    for (at, &byte) in line.iter().enumerate() {
        if !after_backslash && (matches!(byte, b'=' | b':') || is_blank(byte)) {
            key_end = at;
            break;
        }
        after_backslash = byte == b'\\' && !after_backslash;
    }
    let (key, mut value) = line.split_at(key_end);
    let mut separated = false;
    while let [first, rest @ ..] = value {
        let separator = !separated && matches!(first, b'=' | b':');
        if !separator && !is_blank(*first) {
            break;
        }
        separated |= separator;
        value = rest;
    }
    (key, value)
}

fn unescape(escaped: &[u8]) -> Result<String, ConfigError> {
    let mut units: Vec<u16> = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        let unit = if byte != b'\\' {
            u16::from(byte)
        } else {
            match bytes.next() {
                Some(b'u') => {
                    let (digits, rest) = bytes.as_slice().split_at_checked(4).unzip();
                    bytes = rest.unwrap_or_default().iter();
                    digits
                        .and_then(hex_unit)
                        .ok_or_else(|| ConfigError::invalid("Malformed \\uxxxx encoding."))?
                }
                Some(b't') => u16::from(b'\t'),
                Some(b'r') => u16::from(b'\r'),
                Some(b'n') => u16::from(b'\n'),
                Some(b'f') => 0x0c,
                Some(&other) => u16::from(other),
                None => break,
            }
        };
        units.push(unit);
    }
    Ok(String::from_utf16_lossy(&units))
}

fn hex_unit(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok()?;
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_properties(text.as_bytes()).unwrap().into_iter().collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}");
        all.remove(0)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_string(), value.to_string())
    }

    #[test]
    fn keys_end_at_separators() {
        for text in ["k=v", "k:v", "k v", "k = v", " \t k\t:\tv", "k \x0c=v"] {
            assert_eq!(one(text), pair("k", "v"), "{text:?}");
        }
        assert_eq!(one("k==v"), pair("k", "=v"));
        assert_eq!(one("k = :v"), pair("k", ":v"));
        assert_eq!(one("k"), pair("k", ""));
        assert_eq!(one("k=v w "), pair("k", "v w "));
        assert_eq!(one("=v"), pair("", "v"));
        assert_eq!(one("k\\=\\:\\ x=v"), pair("k=: x", "v"));
    }

    #[test]
    fn comments_and_blank_lines_do_not_count() {
        assert_eq!(one("# a=b\\\nk=v\n  ! c\n\n\r\n \t\n"), pair("k", "v"));
        assert_eq!(one("k=#v"), pair("k", "#v"));
    }

    #[test]
    fn backslashes_join_lines() {
        assert_eq!(one("k=a,\\\n   b,\\\r\n\tc"), pair("k", "a,b,c"));
    }

    #[test]
    fn a_line_after_an_escaped_backslash_is_its_own() {
        assert_eq!(pairs("k=a\\\\\nx=y").len(), 2);
        assert_eq!(pairs("k=a\\\n#x=y"), [pair("k", "a#x=y")], "no comment within a line");
        assert_eq!(pairs("\\\n#x=y\nk=v"), [pair("k", "v")], "but after a lone backslash");
        assert_eq!(pairs("k=v\\"), [pair("k", "v")]);
        assert_eq!(pairs("k=v\\\n"), [pair("k", "v")]);
        assert_eq!(pairs("k=a\\\n\nx=y"), [pair("k", "a"), pair("x", "y")]);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(one("k=a\\tb\\nc\\qd\\\\"), pair("k", "a\tb\ncqd\\"));
        assert_eq!(one("\\u006b=\\u00e4\\uD83D\\uDE00"), pair("k", "\u{e4}\u{1f600}"));
        let refused = parse_properties(b"k=\\u12").unwrap_err();
        assert_eq!(refused.message(), "Malformed \\uxxxx encoding.");
    }

    #[test]
    fn bytes_are_latin_1_and_the_last_value_counts() {
        let parsed = parse_properties(b"k=\xe4\nk=\xfc").unwrap();
        assert_eq!(parsed["k"], "\u{fc}");
    }

    #[test]
    fn overrides_split_at_the_first_equals_sign() {
        assert_eq!(parse_override("a=b=c"), pair("a", "b=c"));
        assert_eq!(parse_override("a"), pair("a", ""));
    }
}
