//! Numbers and tables as people read them: the same on a terminal, in verdicts and on pages.

use std::fmt::Write;

/// `5,154,030`
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with three digits that count, or more before the point.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// An axis label: without zeros behind the point.
pub fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of any size: with commas from a thousand on, with three digits that count below.
pub fn figure(value: f64) -> String {
    if value.is_finite() && value.abs() >= 1000.0 { grouped(value) } else { short(value) }
}

/// The same of something that may not be known.
pub fn known(value: Option<f64>) -> String {
    value.map_or_else(|| short(f64::NAN), figure)
}

/// Rows as text, in columns; the first so many are words, which begin at the left.
pub fn align(rows: &[impl AsRef<[String]>], words: usize) -> String {
    let rows = || rows.iter().map(AsRef::as_ref);
    let columns = rows().map(<[String]>::len).max().unwrap_or(0);
    let cells = |column: usize| rows().filter_map(move |row| row.get(column));
    let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column < words {
                true => write!(line, "{cell:<width$}  "),
                false => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(["0", "999", "1,000", "5,154,030"], [0.0, 999.4, 1e3, 5_154_030.2].map(grouped));
        assert_eq!(
            ["0", "0.041", "1.53", "16.1", "453"],
            [0.0, 0.0412, 1.526, 16.07, 453.0].map(short)
        );
        assert_eq!(["0", "0.5", "100", "2.5"], [0.0, 0.5, 100.0, 2.5].map(plain));
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!([figure(1234.5), figure(12.34), figure(f64::NAN)], ["1,234", "12.3", "–"]);
        assert_eq!([known(None), known(Some(0.5))], ["–", "0.500"]);
    }
}
