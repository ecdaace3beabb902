//! Reads the schema file, line by line; every complaint names its line.

use super::{Field, Kind, Log, Message, Retired, Schema, Struct, Type, Value, Versions};
use crate::Result;

/// Parses the text of a schema file.
pub fn parse(text: &str) -> Result<Schema> {
    let mut lines = Lines { rest: text.lines().enumerate(), number: 0 };
    let mut schema = Schema::default();
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "retired" {
            let retired = retired(words).ok_or_else(|| lines.complaint("retired NAME key KEY"))?;
            schema.retired.push(retired);
        } else {
            let message = message_head(line).map_err(|reason| lines.complaint(&reason))?;
            schema.messages.push(message_body(message, &mut lines)?);
        }
    }
    Ok(schema)
}

/// The lines that say something, without their comments.
struct Lines<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        for (index, line) in self.rest.by_ref() {
            self.number = index + 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }

    fn complaint(&self, reason: &str) -> String {
        format!("{}:{}: {reason}", super::PATH, self.number)
    }
}

fn retired<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Retired> {
    let name = words.next()?.to_owned();
    (words.next()? == "key").then_some(())?;
    let key = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Retired { name, key })
}

/// A range, whose open or exceeding end is that of what is around it.
fn versions(text: Option<&str>, around: Versions) -> Result<Versions> {
    let text = text.ok_or("a version range is missing")?;
    let range = Versions::parse(text).ok_or_else(|| format!("not a version range: {text}"))?;
    Ok(range.intersect(around))
}

fn message_head(line: &str) -> Result<Message> {
    let head = line.strip_suffix('{').ok_or("expected a message and {")?;
    let mut words = head.split_whitespace();
    let word = words.next().unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    let mut message = Message {
        kind: kind.ok_or_else(|| format!("not a kind of message: {word}"))?,
        name: words.next().ok_or("the message has no name")?.to_owned(),
        log: None,
        key: None,
        versions: Versions::NONE,
        flexible: Versions::NONE,
        broker: false,
        controller: false,
        latest_unstable: false,
        structs: Vec::new(),
        fields: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "log" => message.log = Some(log(words.next())?),
            "key" => message.key = Some(integer(words.next())?),
            "versions" => message.versions = versions(words.next(), Versions::ALL)?,
            "flexible" => message.flexible = versions(words.next(), message.versions)?,
            "listeners" => {}
            "broker" => message.broker = true,
            "controller" => message.controller = true,
            "latest-unstable" => message.latest_unstable = true,
            other => return Err(format!("not an attribute of a message: {other}")),
        }
    }
    if message.versions.is_empty() || message.versions.last == i16::MAX {
        return Err(format!("{} needs a first and a last version", message.name));
    }
    Ok(message)
}

fn log(word: Option<&str>) -> Result<Log> {
    let found = Log::ALL.into_iter().find(|log| Some(log.word()) == word);
    found.ok_or_else(|| format!("not a log: {}", word.unwrap_or_default()))
}

fn integer<T: std::str::FromStr>(word: Option<&str>) -> Result<T> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|_| format!("not an integer in range: {word:?}"))
}

fn message_body(mut message: Message, lines: &mut Lines<'_>) -> Result<Message> {
    loop {
        let line = lines.next().ok_or_else(|| lines.complaint("a message is not closed"))?;
        if line == "}" {
            return Ok(message);
        }
        if let Some(head) = line.strip_prefix("struct ") {
            let shared = shared_struct(head, message.versions, lines)?;
            message.structs.push(shared);
        } else {
            message.fields.push(field(line, message.versions, lines, 0)?);
        }
    }
}

fn shared_struct(head: &str, around: Versions, lines: &mut Lines<'_>) -> Result<Struct> {
    let head = head.strip_suffix('{').ok_or_else(|| lines.complaint("expected {"))?;
    let mut words = head.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let range = match words.next() {
        None => around,
        word => versions(word, around).map_err(|reason| lines.complaint(&reason))?,
    };
    Ok(Struct { name, versions: range, fields: fields(range, lines, 0)? })
}

/// Deeper structs than this are refused rather than recursed into.
const DEPTH_MAX: u32 = 16;

/// The fields up to the closing brace.
fn fields(around: Versions, lines: &mut Lines<'_>, depth: u32) -> Result<Vec<Field>> {
    if depth > DEPTH_MAX {
        return Err(lines.complaint("nested too deeply"));
    }
    let mut fields = Vec::new();
    loop {
        match lines.next() {
            None => return Err(lines.complaint("a struct is not closed")),
            Some("}") => return Ok(fields),
            Some(line) => fields.push(field(line, around, lines, depth)?),
        }
    }
}

fn field(line: &str, around: Versions, lines: &mut Lines<'_>, depth: u32) -> Result<Field> {
    let (line, opens) = match line.strip_suffix('{') {
        Some(line) => (line, true),
        None => (line, false),
    };
    let mut field = field_line(line, around).map_err(|reason| lines.complaint(&reason))?;
    if opens {
        field.fields = fields(field.versions, lines, depth + 1)?;
    }
    Ok(field)
}

fn field_line(line: &str, around: Versions) -> Result<Field> {
    let (name, rest) = line.split_once(':').ok_or("expected Name: type")?;
    let mut words = rest.split_whitespace().peekable();
    let text = words.next().unwrap_or_default();
    let (plain, nullable) = match text.strip_suffix('?') {
        Some(plain) => (plain, true),
        None => (text, false),
    };
    let ty = Type::parse(plain).ok_or_else(|| format!("not a type: {plain}"))?;
    let ranged = words.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let range = if ranged { versions(words.next(), around)? } else { around };
    let mut field = Field {
        name: name.trim().to_owned(),
        ty,
        versions: range,
        nullable: if nullable { range } else { Versions::NONE },
        tag: None,
        default: Value::Zero,
        ignorable: false,
        classic: false,
        fields: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "nullable" => field.nullable = versions(words.next(), range)?,
            "tag" => field.tag = Some(integer(words.next())?),
            "default" => field.default = default(words.next())?,
            "ignorable" => field.ignorable = true,
            "classic" => field.classic = true,
            other => return Err(format!("not an attribute of a field: {other}")),
        }
    }
    Ok(field)
}

fn default(word: Option<&str>) -> Result<Value> {
    match word {
        Some("null") => Ok(Value::Null),
        Some("true") => Ok(Value::True),
        word => integer(word).map(Value::Int),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_name_their_line() {
        let bad = [
            ("data A versions 0 {\n  X: int31\n}", "2: not a type: int31"),
            ("data A versions 0 {\n  X: int32", "a message is not closed"),
            ("data A {\n}", "needs a first and a last version"),
            ("thing A versions 0 {\n}", "not a kind of message: thing"),
            ("data A versions 0 {\n  X: int32 sometimes\n}", "not an attribute of a field"),
            ("data A versions 0 {\n  X: int32 default\n}", "not an integer in range"),
            ("retired A", "1: retired NAME key KEY"),
        ];
        for (text, complaint) in bad {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(complaint), "{reason} lacks {complaint}");
        }
    }

    #[test]
    fn prints_what_it_read() {
        let text = r"
            data A versions 1-4 flexible 3+ { # a comment
              struct S 2+ {
                X: bool default true
              }
              Y: []S 2+ nullable 3+ tag 0 default null ignorable
              Z: Inner 2-3 {
                W: string? 3 classic
              }
            }";
        let schema = parse(text).expect("parses");
        assert_eq!(schema.messages[0].fields[0].nullable, Versions { first: 3, last: 4 });
        assert_eq!(parse(&super::super::print(&schema)).expect("parses again"), schema);
    }
}
