//! [`DotPlot`]: every round a dot, the interval of their mean a bar across them. One glance tells
//! which target is where, and whether that could be chance.

use std::fmt::Write;

use super::chart::Axis;
use super::entry::{Differences, Entry};
use super::page::escape;
use crate::figures::{BYTES_PER_MB, figure, plain};
use crate::profile::Mode;
use crate::results::RoundFigures;
use crate::stats::{Interval, mean_interval, median};

/// From this spread on an axis is logarithmic: on another, small values would lie on its edge.
const SPREAD_MAX: f64 = 30.0;
/// What a label takes of an axis on a phone.
const LABEL_WIDTH: f64 = 0.2;

/// One target's rounds.
#[derive(Clone, Debug)]
pub struct DotRow {
    /// What sets it apart from the rows beside it.
    pub name: String,
    /// Of its target.
    pub colour: usize,
    /// Of each round that counts.
    pub values: Vec<f64>,
    /// Of those before the target was warm.
    pub cold: Vec<f64>,
    /// Of their geometric mean.
    pub interval: Option<Interval>,
}

/// Rows that belong together.
#[derive(Clone, Debug)]
pub struct DotGroup {
    /// The experiment.
    pub title: String,
    /// A row for each target.
    pub rows: Vec<DotRow>,
}

/// Groups over one axis.
#[derive(Clone, Debug)]
pub struct DotPlot {
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Left to right.
    pub axis: Axis,
    /// From top to bottom.
    pub groups: Vec<DotGroup>,
}

/// What is read of a round.
type Value = fn(&RoundFigures) -> f64;

/// The figures that loads are for, of all entries: rates, latencies, and what they cost.
pub fn glance(entries: &[Entry<'_>]) -> Vec<DotPlot> {
    let of_mode = |modes: &[Mode]| -> Vec<Entry<'_>> {
        entries.iter().filter(|entry| modes.contains(&entry.measured.mode)).copied().collect()
    };
    let rate: Value = |round| round.records_per_second;
    let p99: Value = |round| round.latency_ms.p99;
    let cpu: Value = |round| round.broker_cpu_seconds_per_gib.unwrap_or(f64::NAN);
    let cost: Value = |round| round.broker_cpu_us_per_record.unwrap_or(f64::NAN);
    let (closed, paced) = (of_mode(&[Mode::Closed, Mode::Sustain]), of_mode(&[Mode::Open]));
    let (events, full): (Vec<_>, Vec<_>) =
        closed.into_iter().partition(|entry| entry.measured.kind.is_event());
    let (starts, groups): (Vec<_>, Vec<_>) =
        events.iter().copied().partition(|entry| entry.measured.kind.is_start());
    let start: Value = |round| round.latency_ms.max;
    let memory: Value =
        |round| round.broker_rss_bytes.map_or(f64::NAN, |bytes| bytes as f64 / BYTES_PER_MB);
    let plots = [
        ("Records a second", "More is better.", &full, rate),
        ("Members a second", "More is better.", &groups, rate),
        ("99th percentile of latency, ms", "Less is better.", &paced, p99),
        ("Until all partitions are served, ms", "Less is better.", &starts, start),
        ("Processor time of the broker, s for each GiB of values", "Less is better.", &full, cpu),
        ("Processor time of the broker, µs for each record", "Less is better.", &paced, cost),
        ("Processor time of the broker, µs for each partition", "Less is better.", &starts, cost),
        ("Processor time of the broker, µs for each member", "Less is better.", &groups, cost),
        ("Memory of the broker, MiB", "Less is better.", &events, memory),
    ];
    plots.into_iter().filter_map(|(title, note, of, value)| plot(title, note, of, value)).collect()
}

fn plot(title: &str, better: &str, entries: &[Entry<'_>], value: Value) -> Option<DotPlot> {
    let among = Differences::among(entries);
    let mut groups: Vec<DotGroup> = Vec::new();
    for entry in entries {
        let of = |counted: bool| -> Vec<f64> {
            let rounds = entry.measured.rounds.iter().filter(|round| round.counted == counted);
            rounds.map(value).filter(|value| value.is_finite() && *value > 0.0).collect()
        };
        let (values, cold) = (of(true), of(false));
        if values.is_empty() {
            continue;
        }
        let interval = mean_interval(&values);
        let title = among.without_target().name(entry);
        let (name, colour) = (entry.target.to_owned(), entry.colour);
        let row = DotRow { name, colour, values, cold, interval };
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.rows.push(row),
            None => groups.push(DotGroup { title, rows: vec![row] }),
        }
    }
    let all = || groups.iter().flat_map(|group| &group.rows).flat_map(|row| &row.values);
    let high = all().copied().fold(0.0, f64::max);
    let low = all().copied().fold(f64::MAX, f64::min);
    let count = all().count();
    if count == 0 {
        return None;
    }
    let (axis, scale) = match high / low > SPREAD_MAX {
        true => (Axis::logarithmic(low, high, short_label), " The axis is logarithmic."),
        false => (Axis::linear(high, short_label), ""),
    };
    let rounds = match count > groups.iter().map(|group| group.rows.len()).sum() {
        true => {
            " Each dot is a round, the bar the 95 % interval of their mean; hollow dots are \
                 rounds before the target was warm."
        }
        false => "",
    };
    Some(DotPlot {
        title: title.to_owned(),
        note: format!("{better}{rounds}{scale}"),
        axis,
        groups,
    })
}

fn short_label(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", plain(v / 1e6)),
        v if v >= 1e4 => format!("{} k", plain(v / 1e3)),
        v => plain(v),
    }
}

impl DotRow {
    /// The middle of the rounds that count, as it is written beside them.
    pub fn middle(&self) -> String {
        let middle = median(&self.values);
        if middle >= 1e4 { short_label_of_middle(middle) } else { figure(middle) }
    }
}

/// Three digits that count.
fn short_label_of_middle(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", figure(v / 1e6)),
        v => format!("{} k", figure(v / 1e3)),
    }
}

impl DotPlot {
    /// As a part of the page.
    pub fn render(&self) -> String {
        let (title, note) = (escape(&self.title), escape(&self.note));
        let mut html = format!(
            "<figure class=\"dots\"><figcaption>{title}<span>{note}</span></figcaption>\n\
             <div class=\"dotplot\">\n"
        );
        for group in &self.groups {
            let _ = writeln!(html, "<div class=\"dotgroup\"><p>{}</p>", escape(&group.title));
            group.rows.iter().for_each(|row| self.row(&mut html, row));
            html.push_str("</div>\n");
        }
        html.push_str("<div class=\"dotaxis\" aria-hidden=\"true\"><span></span><div>");
        for (label, at) in self.axis.labels(LABEL_WIDTH) {
            let (label, at) = (escape(label), at * 100.0);
            let _ = write!(html, "<span style=\"left:{at:.2}%\">{label}</span>");
        }
        html.push_str("</div><span></span></div>\n</div></figure>\n");
        html
    }

    fn row(&self, html: &mut String, row: &DotRow) {
        let (name, colour, middle) = (escape(&row.name), row.colour, row.middle());
        let _ = write!(
            html,
            "<div class=\"dotrow t{colour}\"><span>{name}</span><div class=\"strip\" role=\"img\" \
             aria-label=\"{name}: {middle}\">"
        );
        for (_, at) in &self.axis.ticks {
            let _ = write!(html, "<u style=\"left:{:.2}%\"></u>", at * 100.0);
        }
        if let Some(interval) = row.interval {
            let (low, high) =
                (self.axis.place(interval.low) * 100.0, self.axis.place(interval.high) * 100.0);
            let _ = write!(html, "<b style=\"left:{low:.2}%;width:{:.2}%\"></b>", high - low);
        }
        for (values, class) in [(&row.cold, " class=\"cold\""), (&row.values, "")] {
            for value in values {
                let at = self.axis.place(*value) * 100.0;
                let _ = write!(html, "<i{class} style=\"left:{at:.2}%\"></i>");
            }
        }
        let _ = writeln!(html, "</div><strong>{middle}</strong></div>");
    }
}
