//! Which values of a type a key accepts, and the sentence that refuses the others. Each check is
//! the one Kafka makes, named after what it is for.

use std::fmt;

use super::error::ConfigError;
use super::value::Value;
use super::{host_port, quorum, text};

/// One end of a range. Kafka prints whole and fractional bounds differently.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A whole number.
    Int(i64),
    /// A fraction.
    Real(f64),
}

impl Bound {
    fn as_f64(self) -> f64 {
        match self {
            // Bounds in the table are far below 2^53.
            Self::Int(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Real(number) => f.write_str(&ringlog_wire::double_text(*number)),
        }
    }
}

/// Which values a key accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All of its type.
    Any,
    /// Numbers from `min` to `max`, both included.
    Range {
        /// The least value, if there is one.
        min: Option<Bound>,
        /// The greatest value, if there is one.
        max: Option<Bound>,
    },
    /// These words.
    OneOf(&'static [&'static str]),
    /// These words, in capital or small letters.
    OneOfAnyCase(&'static [&'static str]),
    /// Lists of these words.
    ListOf(&'static [&'static str]),
    /// Text that is not empty, or null.
    NonEmpty,
    /// Anything but null.
    NonNull,
    /// gzip's levels: 1 to 9, or -1.
    GzipLevel,
    /// `id@host:port` elements.
    Voters,
    /// `host:port` elements.
    BootstrapServers,
    /// `partition:broker` elements, or `*`.
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration.
    ShareOffsetReset,
    /// CPU numbers and ranges such as `0-3,8`, or nothing.
    CpuList,
    /// `host:port`, or nothing.
    HostPort,
}

const THROTTLED_FORM: &str = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";

impl Valid {
    /// Checks a value, `None` being null.
    pub(super) fn check(&self, name: &str, value: Option<&Value>) -> Result<(), ConfigError> {
        match (*self, value) {
            (Self::Any, _) => Ok(()),
            (Self::Range { min, max }, Some(value)) => check_range(name, value, min, max),
            (Self::OneOf(words), Some(Value::String(text))) => check_word(name, text, words),
            (Self::OneOfAnyCase(words), Some(Value::String(text))) => {
                let upper = text.to_uppercase();
                refuse_unless(words.contains(&upper.as_str()), name, text, || {
                    format!("String must be one of (case insensitive): {}", words.join(", "))
                })
            }
            (Self::ListOf(words), Some(Value::List(list))) => {
                list.iter().try_for_each(|word| check_word(name, word, words))
            }
            (Self::NonEmpty, None) => Ok(()),
            (Self::NonEmpty, Some(Value::String(text))) => {
                refuse_unless(!text.is_empty(), name, text, || "String must be non-empty".into())
            }
            (Self::NonNull, Some(_)) => Ok(()),
            (Self::GzipLevel, Some(Value::Int(level))) => {
                refuse_unless(*level == -1 || (1..=9).contains(level), name, level, || {
                    "Value must be between 1 and 9 or equal to -1".into()
                })
            }
            (Self::Voters, Some(Value::List(list))) => quorum::parse_voters(list).map(|_| ()),
            (Self::BootstrapServers, Some(Value::List(list))) => {
                quorum::parse_bootstrap_servers(list).map(|_| ())
            }
            (Self::ThrottledReplicas, Some(Value::List(list))) => check_throttled(name, list),
            (Self::ShareOffsetReset, Some(Value::String(text))) => check_offset_reset(name, text),
            (Self::CpuList, Some(Value::String(list))) => {
                refuse_unless(is_cpu_list(list), name, list, || {
                    "Expected CPU numbers and ranges such as 0-3,8".into()
                })
            }
            (Self::HostPort, Some(Value::String(endpoint))) => {
                let known = endpoint.is_empty() || host_port::HostPort::parse(endpoint).is_ok();
                refuse_unless(known, name, endpoint, || "Expected host:port".into())
            }
            (Self::NonNull, None) => {
                Err(ConfigError::value(name, "null", "entry must be non null"))
            }
            (_, None) => Err(ConfigError::value(name, "null", "Value must be non-null")),
            (valid, Some(value)) => {
                panic!(
                    "{name}: the table checks {value:?} with {valid:?}, which is for another type"
                )
            }
        }
    }
}

fn refuse_unless(
    accepted: bool,
    name: &str,
    value: impl fmt::Display,
    reason: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if accepted { Ok(()) } else { Err(ConfigError::value(name, value, reason())) }
}

fn check_range(
    name: &str,
    value: &Value,
    min: Option<Bound>,
    max: Option<Bound>,
) -> Result<(), ConfigError> {
    let number = value.number().expect("ranges are for numbers");
    if let Some(min) = min.filter(|min| number < min.as_f64()) {
        return Err(ConfigError::value(name, value, format_args!("Value must be at least {min}")));
    }
    match max.filter(|max| number > max.as_f64()) {
        Some(max) => {
            let reason = format_args!("Value must be no more than {max}");
            Err(ConfigError::value(name, value, reason))
        }
        None => Ok(()),
    }
}

fn check_word(name: &str, word: &str, words: &[&str]) -> Result<(), ConfigError> {
    refuse_unless(words.contains(&word), name, word, || {
        format!("String must be one of: {}", words.join(", "))
    })
}

fn check_throttled(name: &str, list: &[String]) -> Result<(), ConfigError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let replica = |text: &str| {
        text.is_empty() || text.split_once(':').is_some_and(|(p, b)| digits(p) && digits(b))
    };
    let accepted = list.iter().all(|element| replica(element)) || list.concat() == "*";
    refuse_unless(accepted, name, text::list_text(list), || {
        format!(
            "{name} must be the literal '*' or a list of replicas in the following format: \
             {THROTTLED_FORM}"
        )
    })
}

fn check_offset_reset(name: &str, strategy: &str) -> Result<(), ConfigError> {
    let duration = strategy.strip_prefix("by_duration:");
    let accepted =
        matches!(strategy, "earliest" | "latest") || duration.is_some_and(is_iso_duration);
    refuse_unless(accepted, name, strategy, || {
        format!(
            "Invalid value `{strategy}` for configuration {name}. The value must be either \
             'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
        )
    })
}

/// Whether `java.time.Duration.parse` takes the text and the span is not negative.
fn is_iso_duration(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let unsigned = upper.strip_prefix(['+', '-']).unwrap_or(&upper);
    let Some(body) = unsigned.strip_prefix('P') else { return false };
    let (days, time) = match body.split_once('T') {
        Some((_, "")) => return false,
        Some((days, time)) => (days, time),
        None => (body, ""),
    };
    let mut nanos: i128 = 0;
    let mut parts = 0;
    let units: [(&str, &[(char, i128)]); 2] =
        [(days, &[('D', 86_400)]), (time, &[('H', 3600), ('M', 60), ('S', 1)])];
    for (mut rest, units) in units {
        for &(unit, seconds) in units {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            let Some(count) = duration_nanos(number, unit == 'S') else { return false };
            nanos += count * seconds;
            parts += 1;
            rest = after;
        }
        if !rest.is_empty() {
            return false;
        }
    }
    if upper.starts_with('-') {
        nanos = -nanos;
    }
    let seconds_fit = i64::try_from(nanos.div_euclid(1_000_000_000)).is_ok();
    parts > 0 && seconds_fit && nanos >= 0
}

/// A signed count in billionths, with a fraction where one is allowed.
fn duration_nanos(number: &str, fraction_allowed: bool) -> Option<i128> {
    let negative = number.starts_with('-');
    let (whole, fraction) = match number.split_once(['.', ',']) {
        Some(_) if !fraction_allowed => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if fraction.len() > 9 || !digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(i128::from(whole) * 1_000_000_000 + if negative { -nanos } else { nanos })
}

/// Whether the text is a CPU list as taskset(1) takes it.
fn is_cpu_list(text: &str) -> bool {
    parse_cpu_list(text).is_some()
}

/// The CPUs of a list such as `0-3,8`, in the order given; an empty text is an empty list.
pub fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    /// More CPUs than Linux supports, so that a range cannot eat the memory.
    const CPU_COUNT_MAX: usize = 8192;
    let mut cpus = Vec::new();
    for part in text::split_list(list) {
        let (first, last) = part.split_once('-').unwrap_or((&part, &part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= CPU_COUNT_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// The text Kafka's documentation has for the check.
impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Range { min: None, max: None } => f.write_str("[...]"),
            Self::Range { min: Some(min), max: None } => write!(f, "[{min},...]"),
            Self::Range { min: None, max: Some(max) } => write!(f, "[...,{max}]"),
            Self::Range { min: Some(min), max: Some(max) } => write!(f, "[{min},...,{max}]"),
            Self::OneOf(words) | Self::ListOf(words) => write!(f, "[{}]", words.join(", ")),
            Self::OneOfAnyCase(words) => write!(f, "(case insensitive) [{}]", words.join(", ")),
            Self::NonEmpty => f.write_str("non-empty string"),
            Self::NonNull => f.write_str("non-null string"),
            Self::GzipLevel => f.write_str("[1,...,9] or -1"),
            Self::Voters | Self::BootstrapServers => f.write_str("non-empty list"),
            Self::ThrottledReplicas => f.write_str(THROTTLED_FORM),
            Self::ShareOffsetReset => f.write_str("[latest, earliest, by_duration:PnDTnHnMn.nS]"),
            Self::CpuList => f.write_str("CPU numbers and ranges such as 0-3,8"),
            Self::HostPort => f.write_str("host:port"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(valid: Valid, value: Value) -> String {
        valid.check("k", Some(&value)).unwrap_err().message().to_string()
    }

    #[test]
    fn ranges_name_the_bound_that_was_passed() {
        let valid = Valid::Range { min: Some(Bound::Int(0)), max: Some(Bound::Real(0.5)) };
        assert_eq!(valid.to_string(), "[0,...,0.5]");
        assert_eq!(
            refused(valid, Value::Double(2.0)),
            "Invalid value 2.0 for configuration k: Value must be no more than 0.5"
        );
        assert_eq!(
            refused(valid, Value::Double(-0.1)),
            "Invalid value -0.1 for configuration k: Value must be at least 0"
        );
        assert!(valid.check("k", Some(&Value::Double(f64::NAN))).is_ok());
    }

    #[test]
    fn null_passes_only_where_kafka_lets_it() {
        assert!(Valid::Any.check("k", None).is_ok());
        assert!(Valid::NonEmpty.check("k", None).is_ok());
        assert_eq!(
            Valid::NonNull.check("k", None).unwrap_err().message(),
            "Invalid value null for configuration k: entry must be non null"
        );
    }

    #[test]
    fn throttled_replicas_are_pairs_or_a_star() {
        let list = |text| Value::List(text::split_list(text));
        for accepted in ["", "*", "0:1", "0:1,12:3", "0:1,"] {
            assert!(Valid::ThrottledReplicas.check("k", Some(&list(accepted))).is_ok());
        }
        for bad in ["a", "0", "0:", "*,0:1", "0:1:2", "-1:0"] {
            assert!(Valid::ThrottledReplicas.check("k", Some(&list(bad))).is_err(), "{bad}");
        }
        assert!(refused(Valid::ThrottledReplicas, list("a,b")).starts_with("Invalid value [a, b]"));
    }

    #[test]
    fn durations_are_iso_8601_and_not_negative() {
        for accepted in ["PT1H", "P1D", "p1dt2h3m4.5s", "PT0S", "PT-1S1", "-PT-5M", "+PT1S"] {
            let expected = accepted != "PT-1S1";
            assert_eq!(is_iso_duration(accepted), expected, "{accepted}");
        }
        for bad in
            ["", "P", "PT", "1H", "PT1", "PT-1S", "PT1H1D", "P1H", "PT1.5H", "PT1.1234567890S"]
        {
            assert!(!is_iso_duration(bad), "{bad}");
        }
    }

    #[test]
    fn cpu_lists_are_numbers_and_ranges() {
        assert_eq!(parse_cpu_list("0-3, 8").unwrap(), [0, 1, 2, 3, 8]);
        assert_eq!(parse_cpu_list("").unwrap(), [0usize; 0]);
        for bad in ["a", "3-1", "0-", "-1", "1,,2", "0-99999999999"] {
            assert_eq!(parse_cpu_list(bad), None, "{bad}");
        }
    }
}
