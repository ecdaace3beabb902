//! Two looks at a node as text, 80 columns wide where its numbers are of the usual size.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::figures::{Buckets, Figures, quantile_ms};

/// Requests that are shown: those that come most often.
const REQUESTS_SHOWN: usize = 8;
/// Partitions that are shown: those that grow fastest.
const PARTITIONS_SHOWN: usize = 10;

/// What a figure of a shard is: its column's head, its name, and how it is written.
type Column = (&'static str, &'static str, Kind);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// As it is now.
    Count,
    /// The same, in bytes.
    Bytes,
    /// A second, since the look before.
    Rate,
    /// The same, in bytes.
    ByteRate,
}

const COLUMNS: [Column; 10] = [
    ("parts", "partitions", Kind::Count),
    ("conns", "connections", Kind::Count),
    ("recs/s", "records_in_total", Kind::Rate),
    ("in/s", "bytes_in_total", Kind::ByteRate),
    ("out/s", "bytes_out_total", Kind::ByteRate),
    ("syncs/s", "syncs_total", Kind::Rate),
    ("work", "requests_in_work", Kind::Count),
    ("memory", "request_bytes", Kind::Bytes),
    ("calls", "calls_waiting", Kind::Count),
    ("dirty", "dirty_bytes", Kind::Bytes),
];

/// The later look, with rates since the earlier.
pub fn render(address: &str, before: &Figures, now: &Figures) -> String {
    let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-9);
    let offline = match now.offline {
        0.0 => String::new(),
        offline => format!(" ({offline} OFFLINE)"),
    };
    let mut text = format!(
        "ringlog at {address}: shards {}, partitions {}{offline}; over {seconds:.1} s\n\n",
        now.shards.len(),
        now.partitions.len() as f64 + now.offline,
    );
    text.push_str(&align(&shards(before, now, seconds), false));
    text.push('\n');
    text.push_str(&align(&requests(before, now, seconds), true));
    text.push('\n');
    text.push_str(&align(&partitions(before, now, seconds), true));
    text
}

fn shards(before: &Figures, now: &Figures, seconds: f64) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["shard".to_owned()]];
    rows[0].extend(COLUMNS.iter().map(|(head, ..)| (*head).to_owned()));
    let mut all = [0.0; COLUMNS.len()];
    let row = |name: String, figures: &[f64]| {
        let texts = figures.iter().zip(COLUMNS).map(|(figure, (.., kind))| match kind {
            Kind::Count | Kind::Rate => format!("{figure:.0}"),
            Kind::Bytes | Kind::ByteRate => bytes(*figure),
        });
        std::iter::once(name).chain(texts).collect::<Vec<String>>()
    };
    for (shard, figures) in &now.shards {
        let of = |figures: Option<&BTreeMap<String, f64>>, name| {
            figures.and_then(|figures| figures.get(name)).copied().unwrap_or(0.0)
        };
        let mine = COLUMNS.map(|(_, name, kind)| match kind {
            Kind::Count | Kind::Bytes => of(Some(figures), name),
            Kind::Rate | Kind::ByteRate => {
                let came = of(Some(figures), name) - of(before.shards.get(shard), name);
                came.max(0.0) / seconds
            }
        });
        all.iter_mut().zip(mine).for_each(|(sum, one)| *sum += one);
        rows.push(row(shard.to_string(), &mine));
    }
    rows.push(row("all".to_owned(), &all));
    rows
}

/// In powers of 1024, with three digits.
fn bytes(mut value: f64) -> String {
    let mut units = ["B", "K", "M", "G", "T"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match value {
        0.0 => "0".to_owned(),
        _ if unit == "B" || value >= 99.95 => format!("{value:.0}{unit}"),
        value if value >= 9.995 => format!("{value:.1}{unit}"),
        value => format!("{value:.2}{unit}"),
    }
}

fn requests(before: &Figures, now: &Figures, seconds: f64) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for (request, buckets) in &now.requests {
        let earlier = before.requests.get(request);
        let count = |buckets: Option<&Buckets>| {
            buckets.and_then(|buckets| buckets.get(&u64::MAX)).copied().unwrap_or(0.0)
        };
        let rate = (count(Some(buckets)) - count(earlier)).max(0.0) / seconds;
        let at = |share| match quantile_ms(earlier, buckets, share) {
            Some(ms) if ms.is_finite() => format!("<{ms:.3}"),
            Some(_) => "more".to_owned(),
            None => "-".to_owned(),
        };
        rows.push((rate, [format!("{rate:.1}"), at(0.5), at(0.99), at(0.999), request.clone()]));
    }
    let head = ["requests/s", "p50 ms", "p99 ms", "p99.9 ms", "request"];
    with_head(head, highest(rows, REQUESTS_SHOWN))
}

fn partitions(before: &Figures, now: &Figures, seconds: f64) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for (place, (end, size)) in &now.partitions {
        let was = before.partitions.get(place).map_or(*end, |partition| partition.0);
        let rate = (end - was).max(0.0) / seconds;
        let name = format!("{}-{}", place.0, place.1);
        rows.push((rate, [format!("{rate:.0}"), format!("{end:.0}"), bytes(*size), name]));
    }
    with_head(["recs/s", "end offset", "size", "partition"], highest(rows, PARTITIONS_SHOWN))
}

/// The rows with the highest numbers.
fn highest<const N: usize>(mut rows: Vec<(f64, [String; N])>, count: usize) -> Vec<[String; N]> {
    rows.sort_by(|one, other| other.0.total_cmp(&one.0));
    rows.into_iter().take(count).map(|(_, row)| row).collect()
}

fn with_head<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> Vec<Vec<String>> {
    let head = head.map(str::to_owned);
    std::iter::once(head).chain(rows).map(Vec::from).collect()
}

/// Numbers to the right. Names, in the last column, to the left: however long one is, it hides no
/// number.
fn align(rows: &[Vec<String>], names_last: bool) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:>width$}"),
                last if names_last && last + 1 == columns => write!(text, "  {cell}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Two looks at a node of so many shards, two seconds apart.
    fn shown(shards: u32, partitions: u32, records: u64) -> String {
        let page = |look: u64| {
            let mut page = String::new();
            for shard in 0..shards {
                for (_, name, _) in COLUMNS {
                    let _ = writeln!(page, "ringlog_shard_{name}{{shard=\"{shard}\"}} {records}");
                }
                let _ = writeln!(
                    page,
                    "ringlog_shard_records_in_total{{shard=\"{shard}\"}} {}\n\
                     ringlog_shard_dirty_bytes{{shard=\"{shard}\"}} 1572864\n\
                     ringlog_request_seconds_bucket{{request=\"Fetch\",le=\"0.016\"}} {look}\n\
                     ringlog_request_seconds_bucket{{request=\"Fetch\",le=\"+Inf\"}} {look}\n\
                     ringlog_request_seconds_bucket{{request=\"Metadata\",le=\"+Inf\"}} 7",
                    look * records,
                );
            }
            for index in 0..partitions {
                let labels = format!("topic=\"{}\",partition=\"{index}\"", "t".repeat(100));
                let end = look * u64::from(index) * 2;
                let _ = writeln!(page, "kafka_log_log_logendoffset{{{labels}}} {end}");
            }
            Figures::parse(&page).expect("metrics")
        };
        let (before, mut now) = (page(1), page(3));
        now.at = before.at + Duration::from_secs(2);
        render("here:1", &before, &now)
    }

    /// The words of the only line that ends, or begins, so.
    fn words(text: &str, is: impl Fn(&str) -> bool) -> Vec<String> {
        let lines: Vec<&str> = text.lines().filter(|line| is(line)).collect();
        let [line] = lines[..] else { panic!("{lines:?} in\n{text}") };
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn rates_are_over_the_time_between_the_looks() {
        let text = shown(2, 20, 100);
        let shard = words(&text, |line| line.starts_with("    1"));
        assert_eq!(shard, "1 100 100 100 0 0 0 100 100B 100 1.50M".split(' ').collect::<Vec<_>>());
        let all = words(&text, |line| line.starts_with("  all"));
        assert_eq!((all[3].as_str(), all[10].as_str()), ("200", "3.00M"), "{text}");
        let fetch = words(&text, |line| line.ends_with("Fetch"));
        assert_eq!(fetch[..2], ["2.0", "<16.000"], "{text}");
        assert_eq!(words(&text, |line| line.ends_with("Metadata"))[..2], ["0.0", "-"], "{text}");
        // The fastest come first, and no more of them than can be read.
        let fastest = text.lines().skip_while(|line| !line.ends_with("partition")).nth(1);
        assert!(fastest.is_some_and(|line| line.ends_with("t-19") && line.contains(" 38 ")));
        assert_eq!(text.lines().filter(|line| line.contains("tt-")).count(), PARTITIONS_SHOWN);
    }

    #[test]
    fn numbers_of_a_busy_node_fit_into_eighty_columns() {
        let text = shown(16, 1, 5_000);
        let wide = |line: &&str| !line.contains('t') && line.chars().count() > 80;
        assert_eq!(text.lines().find(wide), None, "{text}");
    }

    #[test]
    fn bytes_have_three_digits() {
        let shown = [0.0, 0.4, 999.0, 1000.0, 10_235.0, 102_400.0, 1_048_576.0, 5e15].map(bytes);
        assert_eq!(shown, ["0", "0B", "999B", "0.98K", "10.0K", "100K", "1.00M", "4547T"]);
    }
}
