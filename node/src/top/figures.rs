//! [`Figures`]: a page of metrics, taken apart.

use std::collections::BTreeMap;
use std::time::Instant;

/// Counts by upper bound, in seconds.
pub type Buckets = BTreeMap<u64, f64>;

/// What a page said, and when.
pub struct Figures {
    /// When it was read.
    pub at: Instant,
    /// By shard, then by name without `ringlog_shard_`.
    pub shards: BTreeMap<u32, BTreeMap<String, f64>>,
    /// By request: how many were answered within each bound, over all shards. Bounds are in
    /// nanoseconds; the last one is [`u64::MAX`].
    pub requests: BTreeMap<String, Buckets>,
    /// End offset and size, by topic and number.
    pub partitions: BTreeMap<(String, u32), (f64, f64)>,
    /// Partitions that cannot be used.
    pub offline: f64,
}

impl Figures {
    /// `None`: not the metrics of a node.
    pub fn parse(page: &str) -> Option<Figures> {
        let mut figures = Figures {
            #[allow(clippy::disallowed_methods, reason = "a client of its own, without a driver")]
            at: Instant::now(),
            shards: BTreeMap::new(),
            requests: BTreeMap::new(),
            partitions: BTreeMap::new(),
            offline: 0.0,
        };
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            figures.take(line)?;
        }
        (!figures.shards.is_empty()).then_some(figures)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        if line.contains(char::is_control) {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let value: f64 = value.parse().ok()?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let label = |wanted: &str| {
            let mut all = labels.split(',').filter_map(|label| label.split_once('='));
            all.find(|(key, _)| *key == wanted).map(|(_, text)| text.trim_matches('"'))
        };
        if let Some(name) = name.strip_prefix("ringlog_shard_") {
            let shard = label("shard")?.parse().ok()?;
            self.shards.entry(shard).or_default().insert(name.to_owned(), value);
        } else if name == "ringlog_request_seconds_bucket" {
            let bound = match label("le")? {
                "+Inf" => u64::MAX,
                le => (le.parse::<f64>().ok()? * 1e9).round() as u64,
            };
            let buckets = self.requests.entry(label("request")?.to_owned()).or_default();
            *buckets.entry(bound).or_default() += value;
        } else if let Some(what) = name.strip_prefix("kafka_log_log_") {
            let place = (label("topic")?.to_owned(), label("partition")?.parse().ok()?);
            let partition = self.partitions.entry(place).or_default();
            match what {
                "logendoffset" => partition.0 = value,
                "size" => partition.1 = value,
                _ => {}
            }
        } else if name == "kafka_log_offline_partitions" {
            self.offline = value;
        }
        Some(())
    }
}

/// What came to the buckets between two looks; the bound within which this share of it lies, in
/// milliseconds. `None`: nothing came. Beyond the last bound it is infinite.
pub fn quantile_ms(before: Option<&Buckets>, now: &Buckets, share: f64) -> Option<f64> {
    let came = |bound: &u64, count: f64| {
        count - before.and_then(|before| before.get(bound)).copied().unwrap_or(0.0)
    };
    let all = now.get(&u64::MAX).map_or(0.0, |count| came(&u64::MAX, *count));
    if all <= 0.0 {
        return None;
    }
    let within = now.iter().find(|(bound, count)| came(bound, **count) >= share * all);
    within.map(|(bound, _)| if *bound == u64::MAX { f64::INFINITY } else { *bound as f64 / 1e6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE ringlog_shard_connections gauge
ringlog_shard_connections{shard=\"0\"} 3
ringlog_shard_connections{shard=\"1\"} 4
ringlog_request_seconds_bucket{shard=\"0\",request=\"Fetch\",le=\"0.001\"} 5
ringlog_request_seconds_bucket{shard=\"0\",request=\"Fetch\",le=\"+Inf\"} 9
ringlog_request_seconds_bucket{shard=\"1\",request=\"Fetch\",le=\"0.001\"} 1
ringlog_request_seconds_bucket{shard=\"1\",request=\"Fetch\",le=\"+Inf\"} 1
ringlog_request_seconds_sum{shard=\"0\",request=\"Fetch\"} 1.5
kafka_log_log_logendoffset{topic=\"a.b\",partition=\"7\"} 11
kafka_log_offline_partitions 2
";

    #[test]
    fn a_page_is_taken_apart() {
        let figures = Figures::parse(PAGE).expect("metrics");
        assert_eq!(figures.shards[&1]["connections"], 4.0);
        assert_eq!(figures.requests["Fetch"], Buckets::from([(1_000_000, 6.0), (u64::MAX, 10.0)]));
        assert_eq!(figures.partitions[&("a.b".to_owned(), 7)].0, 11.0);
        assert_eq!(figures.offline, 2.0);
        let escape = PAGE.replace("a.b", "\x1b[2J");
        for page in ["", "hello", "<html>", "ringlog_shard_connections 3", &escape] {
            assert!(Figures::parse(page).is_none(), "{page}");
        }
    }

    #[test]
    fn quantiles_are_of_what_came_meanwhile() {
        let before = Buckets::from([(1_000_000, 100.0), (2_000_000, 100.0), (u64::MAX, 100.0)]);
        let now = Buckets::from([(1_000_000, 105.0), (2_000_000, 109.0), (u64::MAX, 110.0)]);
        let at = |share| quantile_ms(Some(&before), &now, share);
        assert_eq!((at(0.5), at(0.9), at(0.99)), (Some(1.0), Some(2.0), Some(f64::INFINITY)));
        assert_eq!(quantile_ms(Some(&now), &now, 0.5), None);
        assert_eq!(quantile_ms(None, &now, 0.5), Some(1.0));
    }
}
