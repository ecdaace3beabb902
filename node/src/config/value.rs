//! A configuration value after parsing, and how it is shown again.

use std::fmt;

use super::error::ConfigError;
use super::key::Kind;
use super::text;

/// A secret: it prints as `[hidden]` everywhere, and only [`Password::reveal`] gives it away.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(String);

impl Password {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A value of one of Kafka's types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// Trimmed text.
    String(String),
    /// 32 bits, signed.
    Int(i32),
    /// 16 bits, signed.
    Short(i16),
    /// 64 bits, signed.
    Long(i64),
    /// A floating point number.
    Double(f64),
    /// Comma separated elements; an empty text is an empty list.
    List(Vec<String>),
    /// The name of a Java class, which is not looked for.
    Class(String),
    /// A secret.
    Password(Password),
}

impl Value {
    /// Parses text as this kind, with Kafka's sentence if it cannot be.
    pub(super) fn parse(name: &str, kind: Kind, raw: &str) -> Result<Self, ConfigError> {
        let trimmed = text::trim(raw);
        let not_a_number = |kind: Kind| {
            ConfigError::value(name, raw, format_args!("Not a number of type {}", kind.name()))
        };
        Ok(match kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Self::Boolean(true),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Self::Boolean(false),
            Kind::Boolean => {
                let reason = "Expected value to be either true or false";
                return Err(ConfigError::value(name, raw, reason));
            }
            Kind::String => Self::String(trimmed.to_string()),
            Kind::Int => Self::Int(trimmed.parse().map_err(|_| not_a_number(kind))?),
            Kind::Short => Self::Short(trimmed.parse().map_err(|_| not_a_number(kind))?),
            Kind::Long => Self::Long(trimmed.parse().map_err(|_| not_a_number(kind))?),
            Kind::Double => {
                Self::Double(text::parse_double(trimmed).ok_or_else(|| not_a_number(kind))?)
            }
            Kind::List => Self::List(text::split_list(trimmed)),
            Kind::Class => Self::Class(trimmed.to_string()),
            Kind::Password => Self::Password(Password::new(trimmed)),
        })
    }

    /// The value as a number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(number) => Some(f64::from(number)),
            Self::Short(number) => Some(f64::from(number)),
            // Kafka compares bounds as doubles, too.
            Self::Long(number) => Some(number as f64),
            Self::Double(number) => Some(number),
            _ => None,
        }
    }

    /// How Kafka shows the value in DescribeConfigs: as within a sentence, but lists are joined by
    /// a bare comma.
    pub fn to_config_text(&self) -> String {
        match self {
            Self::List(list) => list.join(","),
            other => other.to_string(),
        }
    }
}

/// How Kafka shows the value within a sentence.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(text) | Self::Class(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Short(number) => write!(f, "{number}"),
            Self::Long(number) => write!(f, "{number}"),
            Self::Double(number) => f.write_str(&ringlog_wire::double_text(*number)),
            Self::List(list) => f.write_str(&text::list_text(list)),
            Self::Password(password) => write!(f, "{password}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_refused_in_kafkas_words() {
        let refused = |kind, raw| Value::parse("k", kind, raw).unwrap_err().message().to_string();
        assert_eq!(
            refused(Kind::Int, "abc"),
            "Invalid value abc for configuration k: Not a number of type INT"
        );
        assert_eq!(
            refused(Kind::Int, "2147483648"),
            "Invalid value 2147483648 for configuration k: Not a number of type INT"
        );
        assert_eq!(
            refused(Kind::Boolean, "yes"),
            "Invalid value yes for configuration k: Expected value to be either true or false"
        );
    }

    #[test]
    fn values_are_trimmed_and_shown_again() {
        let shown = |kind, raw| Value::parse("k", kind, raw).unwrap().to_config_text();
        assert_eq!(shown(Kind::Boolean, " TRUE "), "true");
        assert_eq!(shown(Kind::Int, "+007"), "7");
        assert_eq!(shown(Kind::List, " a , b "), "a,b");
        assert_eq!(shown(Kind::Double, "1"), "1.0");
        assert_eq!(shown(Kind::Long, "-9223372036854775808"), i64::MIN.to_string());
    }

    #[test]
    fn a_password_does_not_print() {
        let value = Value::parse("k", Kind::Password, "hunter2").unwrap();
        let shown = format!("{value} {value:?} {}", value.to_config_text());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(value, Value::Password(Password::new("hunter2")));
    }
}
