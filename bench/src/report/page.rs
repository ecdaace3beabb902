//! Pieces of HTML.

use std::fmt::Write;

/// Text that is no markup.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The beginning of a table that scrolls sideways where the screen is narrow. It takes the focus,
/// so that the keyboard scrolls it too.
pub fn open_table(label: &str) -> String {
    let label = escape(label);
    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><table>\n")
}

/// Its end.
pub const CLOSE_TABLE: &str = "</table></div>\n";

/// A table whose first column names the rows.
pub fn scroll_table(label: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let mut html = open_table(label);
    html.push_str("<thead><tr>");
    for (index, cell) in head.iter().enumerate() {
        let class = if index == 0 { " class=\"word\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(cell));
    }
    html.push_str("</tr></thead>\n<tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = match index {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td>{cell}</td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>");
    html.push_str(CLOSE_TABLE);
    html
}

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
    fn text_is_never_markup() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        let table = scroll_table("<l>", &["<h>".to_owned()], &[vec!["<r>".to_owned()]]);
        assert!(!table.contains("<l>") && !table.contains("<h>") && !table.contains("<r>"));
    }
}
