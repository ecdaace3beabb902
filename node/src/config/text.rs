//! Java's notions of text, where a value's meaning depends on them: trimming, comma separated
//! lists and how a double is read and printed.
//!
//! Not covered, because nobody writes them: hexadecimal doubles and digits outside ASCII.

/// `String.trim`: strips everything up to and including the space character.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn is_regex_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// A LIST value: separators swallow the white space around them, empty elements stay.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let trimmed = trim(text);
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed.split(',').map(|part| part.trim_matches(is_regex_space).to_string()).collect()
}

/// `Csv.parseCsvList`: as a LIST value, without its empty elements.
pub(super) fn csv_list(text: &str) -> Vec<String> {
    split_list(text).into_iter().filter(|part| !part.is_empty()).collect()
}

/// `Csv.parseCsvMap`: pairs split at their last colon, or the words of the exception Java throws
/// where an element has none.
pub(super) fn csv_map(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts: Vec<&str> =
        text.split(',').map(|part| part.trim_matches(is_regex_space)).collect();
    // Java's split drops empty strings at the end, but not the only one.
    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    let pair = |part: &str| match part.rsplit_once(':') {
        Some((key, value)) => Ok((trim(key).to_string(), trim(value).to_string())),
        None => Err(format!("begin 0, end -1, length {}", part.chars().count())),
    };
    parts.into_iter().map(pair).collect()
}

/// `List.toString`.
pub(super) fn list_text(list: &[String]) -> String {
    format!("[{}]", list.join(", "))
}

/// `Double.parseDouble` of trimmed text.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" if negative => return Some(f64::NEG_INFINITY),
        "Infinity" => return Some(f64::INFINITY),
        _ => {}
    }
    let digits = unsigned.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(unsigned);
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.chars().all(plain) {
        return None;
    }
    let magnitude: f64 = digits.parse().ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_swallow_white_space_around_commas() {
        assert_eq!(split_list(" a , b,\tc "), ["a", "b", "c"]);
        assert_eq!(split_list("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(split_list(" \n"), [""; 0]);
        assert_eq!(csv_list("a,,b,"), ["a", "b"]);
    }

    #[test]
    fn maps_split_at_the_last_colon() {
        let pairs = csv_map("a:b:1 , [::1]:2").unwrap();
        assert_eq!(pairs[0], ("a:b".to_string(), "1".to_string()));
        assert_eq!(pairs[1], ("[::1]".to_string(), "2".to_string()));
        assert_eq!(csv_map("abc").unwrap_err(), "begin 0, end -1, length 3");
        assert_eq!(csv_map("").unwrap(), []);
        assert_eq!(csv_map("a:1,").unwrap().len(), 1);
    }

    #[test]
    fn doubles_read_as_java_reads_them() {
        assert_eq!(parse_double("1.5f"), Some(1.5));
        assert_eq!(parse_double(".5"), Some(0.5));
        assert_eq!(parse_double("-1e3d"), Some(-1000.0));
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
        for refused in ["", "x", "inf", "nan", "infinity", "+-1", "f", "1e", "0x1p3", "1 2"] {
            assert_eq!(parse_double(refused), None, "{refused}");
        }
    }
}
