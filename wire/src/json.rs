//! Records as JSON, in the form of Kafka's generated converters (`JsonConverterGenerator`): what
//! kafka-dump-log prints.

use std::fmt::{self, Display, Write};

use crate::Uuid;

/// A value of JSON. Objects keep the order of their fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number, printed as Java prints it.
    Double(f64),
    /// Text.
    Text(String),
    /// Bytes, printed as base64.
    Binary(Vec<u8>),
    /// Values in order.
    Array(Vec<Json>),
    /// Named values in order.
    Object(Vec<(&'static str, Json)>),
}

/// What can be printed as JSON, in a version of the message that it is part of.
pub trait ToJson {
    /// The value in that version.
    fn to_json(&self, version: i16) -> Json;
}

macro_rules! whole_number {
    ($($ty:ty)*) => {$(
        impl ToJson for $ty {
            fn to_json(&self, _: i16) -> Json {
                Json::Int(i64::from(*self))
            }
        }
    )*};
}

whole_number!(i8 i16 i32 i64 u16 u32);

impl ToJson for bool {
    fn to_json(&self, _: i16) -> Json {
        Json::Bool(*self)
    }
}

impl ToJson for f64 {
    fn to_json(&self, _: i16) -> Json {
        Json::Double(*self)
    }
}

impl ToJson for String {
    fn to_json(&self, _: i16) -> Json {
        Json::Text(self.clone())
    }
}

impl ToJson for Uuid {
    fn to_json(&self, _: i16) -> Json {
        Json::Text(self.to_string())
    }
}

impl ToJson for Vec<u8> {
    fn to_json(&self, _: i16) -> Json {
        Json::Binary(self.clone())
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self, version: i16) -> Json {
        Json::Array(self.iter().map(|item| item.to_json(version)).collect())
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, version: i16) -> Json {
        self.as_ref().map_or(Json::Null, |value| value.to_json(version))
    }
}

impl Json {
    /// A field of an object, for whoever prints it another way.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut Json> {
        let Json::Object(fields) = self else { return None };
        fields.iter_mut().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

impl Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Int(value) => write!(f, "{value}"),
            Json::Double(value) => f.write_str(&double_text(*value)),
            Json::Text(text) => quoted(text, f),
            Json::Binary(bytes) => base64(bytes, f),
            // Records nest as deep as the schema, and no deeper.
            Json::Array(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Json::Object(fields) => {
                f.write_char('{')?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}\"{name}\":{value}", if i > 0 { "," } else { "" })?;
                }
                f.write_char('}')
            }
        }
    }
}

/// Text as Jackson quotes it.
fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control < ' ' => write!(f, "\\u{:04X}", control as u32)?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = ALPHABET[(number >> (18 - 6 * i) & 63) as usize];
            f.write_char(if i <= chunk.len() { char::from(letter) } else { '=' })?;
        }
    }
    f.write_char('"')
}

/// Java's `Double.toString`.
#[must_use]
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_jackson_prints_them() {
        let text = Json::Text("a\"\\\u{1}\u{8}\n\u{e9}".to_owned());
        let binary = |bytes: &[u8]| Json::Binary(bytes.to_vec());
        let value = Json::Object(vec![
            ("text", text),
            ("bytes", Json::Array(vec![binary(b""), binary(b"a"), binary(b"ab"), binary(b"abc")])),
            ("rate", Json::Double(1e7)),
            ("none", None::<String>.to_json(0)),
            ("flags", vec![true, false].to_json(0)),
        ]);
        assert_eq!(
            value.to_string(),
            concat!(
                r#"{"text":"a\"\\\u0001\b\n"#,
                "\u{e9}",
                r#"","bytes":["","YQ==","YWI=","YWJj"],"#,
                r#""rate":1.0E7,"none":null,"flags":[true,false]}"#,
            )
        );
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1e7, "1.0E7"),
            (12345678.5, "1.23456785E7"),
            (f64::MAX, "1.7976931348623157E308"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }
}
