//! [`Chart`]: lines over two axes. The lines are SVG and stretch with the page; the labels are
//! text of the page, so that they are read on a phone as on a wide screen.

use std::fmt::Write;

use super::page::{cards, escape};

/// The lines' own units across the plot, in both directions.
const UNITS: f64 = 1000.0;
/// A number's place on an axis, 0 to 1, and the numbers that are written there.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Label and place.
    pub ticks: Vec<(String, f64)>,
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// A named line; its points have places on the axes already.
#[derive(Clone, Debug)]
pub struct Line {
    /// As the legend says it.
    pub name: String,
    /// How it looks: colour by target, dash by load.
    pub class: String,
    /// Its stretches: between two of them nothing was measured.
    pub stretches: Vec<Vec<(f64, f64)>>,
    /// Single points that are marked, with what is written there.
    pub marks: Vec<((f64, f64), String)>,
}

/// What a chart's table holds: the same in numbers.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Heads of the columns.
    pub head: Vec<String>,
    /// Rows, the line's name first.
    pub rows: Vec<Vec<String>>,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Unique on the page.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Left to right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What the numbers of both axes are: for who points at the picture.
    pub units: [&'static str; 2],
    /// The lines.
    pub lines: Vec<Line>,
    /// The same in numbers.
    pub figures: Figures,
}

impl Axis {
    /// From 0 to a round number that is not below `high`.
    pub fn linear(high: f64, label: impl Fn(f64) -> String) -> Axis {
        let high = if high > 0.0 { high } else { 1.0 };
        let rough = high / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let count = (high / step).ceil() as usize;
        let top = step * count as f64;
        let ticks = (0..=count).map(|n| (label(step * n as f64), n as f64 / count as f64));
        Axis { ticks: ticks.collect(), low: 0.0, high: top, logarithmic: false }
    }

    /// From 0 to `high`, whose ticks are given.
    pub fn with_ticks(high: f64, ticks: impl Iterator<Item = (String, f64)>) -> Axis {
        let ticks = ticks.map(|(label, at)| (label, at / high)).collect();
        Axis { ticks, low: 0.0, high, logarithmic: false }
    }

    /// By powers of ten, from below `low` to above `high`; both more than 0.
    pub fn logarithmic(low: f64, high: f64, label: impl Fn(f64) -> String) -> Axis {
        let (low, high) = (low.log10(), high.max(low * 1.01).log10());
        // Where there are few powers of ten, steps between them are written too.
        let factors: &[f64] = if high - low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all = (low.floor() as i32..=high.ceil() as i32)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        let all: Vec<f64> = all.collect();
        let first = all.iter().rposition(|tick| tick.log10() <= low + 1e-9).unwrap_or(0);
        let last = all.iter().position(|tick| tick.log10() >= high - 1e-9);
        let ticks = &all[first..=last.unwrap_or(all.len() - 1).max(first + 1).min(all.len() - 1)];
        let (low, high) = (ticks[0].log10(), ticks[ticks.len() - 1].log10());
        let place = |tick: f64| (tick.log10() - low) / (high - low);
        let ticks = ticks.iter().map(|tick| (label(*tick), place(*tick))).collect();
        Axis { ticks, low, high, logarithmic: true }
    }

    /// The numbers that are written there where a label takes this share of the axis: those at both
    /// ends, and as many between them as have room.
    pub fn labels(&self, width: f64) -> Vec<(&str, f64)> {
        let mut kept: Vec<(&str, f64)> = Vec::new();
        let end = self.ticks.len().saturating_sub(1);
        for (index, (label, at)) in self.ticks.iter().enumerate() {
            let near = |kept: &[(&str, f64)]| kept.last().is_some_and(|last| at - last.1 < width);
            if index == end && kept.len() > 1 && near(&kept) {
                kept.pop();
            }
            if index == end || !near(&kept) {
                kept.push((label, *at));
            }
        }
        kept
    }

    /// A number's place.
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

impl Chart {
    /// The chart, its legend, and its numbers folded away.
    pub fn render(&self) -> String {
        let mut html = String::new();
        let (id, title, note) = (&self.id, escape(&self.title), escape(&self.note));
        let _ = writeln!(html, "<figure><figcaption>{title}<span>{note}</span></figcaption>");
        let _ = writeln!(html, "<div class=\"plot\"{}>", self.data());
        let _ = writeln!(
            html,
            "<svg viewBox=\"0 0 {UNITS} {UNITS}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\"><title id=\"{id}-title\">{title}</title>\
             <desc id=\"{id}-desc\">{note} The table below the chart has the same in numbers.\
             </desc>"
        );
        let _ = writeln!(html, "<path class=\"grid\" d=\"{}\"/>", self.grid());
        for line in &self.lines {
            let (class, name) = (&line.class, escape(&line.name));
            let path: String = line.stretches.iter().map(|stretch| path(stretch)).collect();
            let _ =
                writeln!(html, "<path class=\"line {class}\" data-name=\"{name}\" d=\"{path}\"/>");
        }
        html.push_str("</svg>\n");
        for line in &self.lines {
            for ((x, y), text) in &line.marks {
                let (x, y, class, text) = (x * 100.0, y * 100.0, &line.class, escape(text));
                let _ = writeln!(
                    html,
                    "<i class=\"mark {class}\" style=\"left:{x:.2}%;bottom:{y:.2}%\" \
                     title=\"{text}\"></i>"
                );
            }
        }
        for (label, at) in &self.y.ticks {
            let (label, at) = (escape(label), at * 100.0);
            let _ = writeln!(
                html,
                "<span class=\"y\" aria-hidden=\"true\" style=\"bottom:{at:.2}%\">{label}</span>"
            );
        }
        for (label, at) in &self.x.ticks {
            let (label, at) = (escape(label), at * 100.0);
            let _ = writeln!(
                html,
                "<span class=\"x\" aria-hidden=\"true\" style=\"left:{at:.2}%\">{label}</span>"
            );
        }
        html.push_str("</div>\n<ul class=\"legend\">");
        for line in &self.lines {
            let (class, name) = (&line.class, escape(&line.name));
            let _ = write!(
                html,
                "<li><svg aria-hidden=\"true\" viewBox=\"0 0 32 12\"><path class=\"{class}\" \
                 d=\"M0 6H32\"/></svg>{name}</li>"
            );
        }
        html.push_str("</ul>\n<details><summary>In numbers</summary>\n");
        html.push_str(&cards(&self.title, &self.figures.head, &self.figures.rows));
        html.push_str("</details></figure>\n");
        html
    }

    /// What a pointer needs to read values off the picture.
    fn data(&self) -> String {
        let axis = |name: &str, axis: &Axis, unit: &str| {
            let (low, high, log) = (axis.low, axis.high, u8::from(axis.logarithmic));
            format!(" data-{name}=\"{low} {high} {log}\" data-{name}-unit=\"{unit}\"")
        };
        axis("x", &self.x, self.units[0]) + &axis("y", &self.y, self.units[1])
    }

    fn grid(&self) -> String {
        let mut path = String::new();
        for (_, at) in &self.y.ticks {
            let _ = write!(path, "M0 {:.1}H{UNITS}", (1.0 - at) * UNITS);
        }
        for (_, at) in &self.x.ticks {
            let _ = write!(path, "M{:.1} 0V{UNITS}", at * UNITS);
        }
        path
    }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{:.1} {:.1}", x * UNITS, (1.0 - y) * UNITS);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(label, _)| label.as_str()).collect()
    }

    #[test]
    fn axes_end_at_round_numbers_and_hold_what_they_show() {
        let axis = Axis::linear(5_154_030.0, |value| format!("{}", value / 1e6));
        assert_eq!(labels(&axis), ["0", "2", "4", "6"]);
        assert_eq!((axis.place(0.0), axis.place(3e6), axis.place(9e9)), (0.0, 0.5, 1.0));
        let axis = Axis::linear(0.0, |value| format!("{value}"));
        assert_eq!(axis.ticks.first().map(|tick| tick.1), Some(0.0));
        let axis = Axis::logarithmic(0.15, 60.0, |value| format!("{value}"));
        assert_eq!(labels(&axis), ["0.1", "1", "10", "100"]);
        assert!((axis.place(1.0) - 1.0 / 3.0).abs() < 1e-9);
        let axis = Axis::logarithmic(3.0, 11.0, |value| format!("{value}"));
        assert_eq!(labels(&axis), ["2", "5", "10", "20"]);
        for value in [0.001, 1.0, 1.5, 2.0, 7.0, 1e6] {
            let axis = Axis::logarithmic(value, value, |value| format!("{value}"));
            assert!(axis.ticks.len() >= 2 && (0.0..=1.0).contains(&axis.place(value)), "{value}");
        }
    }

    #[test]
    fn labels_have_room_and_both_ends_are_among_them() {
        let axis = Axis::logarithmic(1.0, 100.0, |value| format!("{value}"));
        let kept: Vec<&str> = axis.labels(0.2).into_iter().map(|(label, _)| label).collect();
        assert_eq!((axis.ticks.len(), kept), (7, vec!["1", "5", "20", "100"]));
        let axis = Axis::logarithmic(1.0, 70.0, |value| format!("{value}"));
        let places: Vec<f64> = axis.labels(0.2).into_iter().map(|(_, at)| at).collect();
        assert_eq!((places[0], places[places.len() - 1]), (0.0, 1.0));
        assert!(places.windows(2).all(|two| two[1] - two[0] >= 0.2), "{places:?}");
    }

    #[test]
    fn a_chart_names_its_lines_and_escapes_them() {
        let chart = Chart {
            id: "c".to_owned(),
            title: "A & B".to_owned(),
            note: "note".to_owned(),
            x: Axis::linear(1.0, |value| value.to_string()),
            y: Axis::linear(1.0, |value| value.to_string()),
            units: ["s", "ms"],
            lines: vec![Line {
                name: "<b>".to_owned(),
                class: "c0".to_owned(),
                stretches: vec![vec![(0.0, 0.0), (1.0, 1.0)]],
                marks: vec![((1.0, 1.0), "max".to_owned())],
            }],
            figures: Figures::default(),
        };
        let html = chart.render();
        assert!(html.contains("A &amp; B") && html.contains("&lt;b&gt;") && !html.contains("<b>"));
        assert!(html.contains("M0.0 1000.0L1000.0 0.0"), "{html}");
        assert!(html.contains("role=\"img\"") && html.contains("aria-labelledby"));
    }
}
