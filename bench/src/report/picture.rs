//! The same dots as a picture of its own, for a README: SVG that needs no page around it, for light
//! and for dark paper.

use std::fmt::Write;

use super::dots::{DotPlot, DotRow};
use super::page::escape;

const WIDTH: f64 = 880.0;
/// Where names end, and where the axis ends.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 790.0;
const ROW: f64 = 22.0;
const GROUP: f64 = 30.0;
const HEAD: f64 = 64.0;
const FOOT: f64 = 40.0;

/// Colours of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    paper: &'static str,
    ink: &'static str,
    soft: &'static str,
    rule: &'static str,
    targets: [&'static str; 6],
}

/// On white paper. The colours are those of style.css.
pub const LIGHT: Theme = Theme {
    paper: "#ffffff",
    ink: "#1b1f24",
    soft: "#57606a",
    rule: "#d4d9df",
    targets: ["#0b63b5", "#b35900", "#7d8590", "#00795a", "#a8327f", "#6e40c9"],
};

/// On dark paper.
pub const DARK: Theme = Theme {
    paper: "#12161b",
    ink: "#e3e8ee",
    soft: "#9aa4af",
    rule: "#343b44",
    targets: ["#6cb2f7", "#f0a050", "#8b949e", "#4cc9a0", "#ee8fcb", "#b99cf7"],
};

/// The plot, below a headline that says what was found.
pub fn svg(plot: &DotPlot, headline: &str, theme: Theme) -> String {
    let rows: usize = plot.groups.iter().map(|group| group.rows.len()).sum();
    let body = rows as f64 * ROW + plot.groups.len() as f64 * GROUP;
    let height = HEAD + body + FOOT;
    let (paper, ink, soft) = (theme.paper, theme.ink, theme.soft);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <title>{headline}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{paper}\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"17\" font-weight=\"600\" fill=\"{ink}\">{headline}\
         </text>\n<text x=\"20\" y=\"50\" fill=\"{soft}\">{}</text>\n",
        escape(&plot.title),
        headline = escape(headline),
    );
    for (label, at) in &plot.axis.ticks {
        let (x, bottom) = (LEFT + at * (RIGHT - LEFT), HEAD + body);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {HEAD}V{bottom:.1}\" stroke=\"{}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{soft}\">{}</text>",
            theme.rule,
            bottom + 20.0,
            escape(label),
        );
    }
    let mut y = HEAD;
    for group in &plot.groups {
        y += GROUP;
        let _ = writeln!(
            svg,
            "<text x=\"20\" y=\"{:.1}\" font-weight=\"600\" fill=\"{ink}\">{}</text>",
            y - 9.0,
            escape(&group.title)
        );
        for line in &group.rows {
            row(&mut svg, plot, line, y, theme);
            y += ROW;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn row(svg: &mut String, plot: &DotPlot, row: &DotRow, top: f64, theme: Theme) {
    let place = |value: f64| LEFT + plot.axis.place(value) * (RIGHT - LEFT);
    let (y, colour) = (top + ROW / 2.0, theme.targets[row.colour]);
    let _ = writeln!(
        svg,
        "<text x=\"32\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
        y + 5.0,
        escape(&row.name)
    );
    if let Some(interval) = row.interval {
        let (low, high) = (place(interval.low), place(interval.high));
        let _ = writeln!(
            svg,
            "<path d=\"M{low:.1} {y:.1}H{:.1}\" stroke=\"{colour}\" stroke-width=\"8\" \
             stroke-opacity=\".35\"/>",
            high.max(low + 2.0)
        );
    }
    for value in &row.values {
        let x = place(*value);
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{}\" font-weight=\"600\">{}</text>",
        RIGHT + 12.0,
        y + 5.0,
        theme.ink,
        escape(&row.middle())
    );
}

#[cfg(test)]
mod tests {
    use super::super::chart::Axis;
    use super::super::dots::DotGroup;
    use super::*;

    #[test]
    fn a_picture_is_whole_and_escaped() {
        let row = DotRow {
            name: "<ringlog>".to_owned(),
            colour: 0,
            values: vec![1.0, 2.0],
            cold: vec![0.5],
            interval: None,
        };
        let plot = DotPlot {
            title: "Records".to_owned(),
            note: String::new(),
            axis: Axis::linear(2.0, |value| value.to_string()),
            groups: vec![DotGroup { title: "16384/0".to_owned(), rows: vec![row] }],
        };
        for theme in [LIGHT, DARK] {
            let svg = svg(&plot, "A & B", theme);
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(svg.contains("A &amp; B") && svg.contains("&lt;ringlog&gt;"), "{svg}");
            assert_eq!(svg.matches("<circle").count(), 2, "cold rounds are for the page");
        }
    }
}
