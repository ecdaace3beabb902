//! A reader for the JSON of Kafka's message files: plain JSON plus `//` comments.
//!
//! Numbers keep their text, because Kafka writes a default of -1 both as a number and as a string.

use crate::Result;

/// One JSON value. Objects keep the file's order.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a whole file.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { bytes: text.as_bytes(), at: 0 };
        let value = parser.value(0)?;
        parser.blank();
        if parser.at < parser.bytes.len() {
            return parser.fail("text after the value");
        }
        Ok(value)
    }

    /// The value of a key of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A string, number or boolean as text; null and the containers are none.
    pub fn scalar(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The elements of a list; anything else has none.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }
}

/// Deeper nesting than this is refused rather than recursed into.
const DEPTH_MAX: u32 = 64;

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, what: &str) -> Result<T> {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Err(format!("line {line}: {what}"))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if self.bytes[self.at..].starts_with(b"//") {
                while self.peek().is_some_and(|b| b != b'\n') {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        self.blank();
        if self.peek() != Some(byte) {
            return self.fail(&format!("expected {:?}", char::from(byte)));
        }
        self.at += 1;
        Ok(())
    }

    /// True, and past it, if the byte is next.
    fn accept(&mut self, byte: u8) -> bool {
        self.blank();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u32) -> Result<Json> {
        if depth > DEPTH_MAX {
            return self.fail("nested too deeply");
        }
        self.blank();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(_) => self.word(),
            None => self.fail("expected a value"),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json> {
        self.expect(b'{')?;
        let mut entries = Vec::new();
        if self.accept(b'}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blank();
            let key = self.string()?;
            self.expect(b':')?;
            entries.push((key, self.value(depth + 1)?));
            if !self.accept(b',') {
                self.expect(b'}')?;
                return Ok(Json::Object(entries));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Json> {
        self.expect(b'[')?;
        let mut values = Vec::new();
        if self.accept(b']') {
            return Ok(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if !self.accept(b',') {
                self.expect(b']')?;
                return Ok(Json::List(values));
            }
        }
    }

    /// A string; escapes other than a quote or a backslash do not occur in what is kept.
    fn string(&mut self) -> Result<String> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(text).or_else(|_| self.fail("not UTF-8")),
                b'\\' => {
                    let Some(escaped) = self.peek() else { break };
                    self.at += 1;
                    text.push(escaped);
                }
                _ => text.push(byte),
            }
        }
        self.fail("unterminated string")
    }

    fn word(&mut self) -> Result<Json> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            self.at += 1;
        }
        match str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default() {
            "" => self.fail("expected a value"),
            "null" => Ok(Json::Null),
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            number => Ok(Json::Number(number.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_comments_and_scalars() {
        let json = Json::parse("// top\n{ \"a\": [1, -2], // end\n \"b\": \"x//y\", \"c\": null }");
        let json = json.expect("parses");
        assert_eq!(json.get("a").expect("a").list().len(), 2);
        assert_eq!(json.get("b").and_then(Json::scalar).as_deref(), Some("x//y"));
        assert_eq!(json.get("c").and_then(Json::scalar), None);
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in ["", "{", "{\"a\" 1}", "[1,]", "\"open", "{} x", &"[".repeat(100)] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
    }
}
