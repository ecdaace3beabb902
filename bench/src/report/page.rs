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

/// Numbers line up at the right, words wrap.
fn is_number(cell: &str) -> bool {
    !cell.chars().any(char::is_alphabetic)
}

/// Its end.
pub const CLOSE_TABLE: &str = "</table></div>\n";

/// A table whose first column names the rows. On a phone each row is a card: every cell carries the
/// head of its column.
pub fn cards(label: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let mut html = open_table(label).replacen("<table>", "<table class=\"cards\">", 1);
    html.push_str("<thead><tr>");
    for (index, cell) in head.iter().enumerate() {
        let class = if index == 0 { " class=\"word\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{}</th>", escape(cell));
    }
    html.push_str("</tr></thead>\n<tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (index, (cell, head)) in row.iter().zip(head).enumerate() {
            let (cell, head) = (escape(cell), escape(head));
            let _ = match index {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ if is_number(&cell) => write!(html, "<td data-head=\"{head}\">{cell}</td>"),
                _ => write!(html, "<td class=\"word\" data-head=\"{head}\">{cell}</td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>");
    html.push_str(CLOSE_TABLE);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        let table = cards("<l>", &["<h>".to_owned()], &[vec!["<r>".to_owned()]]);
        assert!(!table.contains("<l>") && !table.contains("<h>") && !table.contains("<r>"));
    }
}
