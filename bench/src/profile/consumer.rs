//! [`ConsumerConfig`]: what the native consumers are told, under Kafka's names.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Consumers of one experiment at most.
const CONSUMERS_MAX: u32 = 1_000;
/// Records that are stored for consumers to catch up with at most.
const FILL_RECORDS_MAX: u64 = 1_000_000_000;

/// What a profile says about consumers. What it leaves out is Kafka's default.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ConsumerSettings {
    /// How many, each of which reads every partition: 1.
    pub consumers: Option<u32>,
    /// Records that are stored before consumers catch up: 1,000,000.
    pub fill_records: Option<u64>,
    /// Bytes that a fetch waits for, 1.
    #[serde(rename = "fetch.min.bytes")]
    pub fetch_min_bytes: Option<u32>,
    /// How long it waits for them, 500.
    #[serde(rename = "fetch.max.wait.ms")]
    pub fetch_max_wait_ms: Option<u32>,
    /// Bytes of an answer, 50 MiB.
    #[serde(rename = "fetch.max.bytes")]
    pub fetch_max_bytes: Option<u32>,
    /// Bytes of a partition in an answer, 1 MiB.
    #[serde(rename = "max.partition.fetch.bytes")]
    pub max_partition_fetch_bytes: Option<u32>,
}

/// The same, checked.
#[allow(missing_docs, reason = "the fields are those of ConsumerSettings")]
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerConfig {
    pub consumers: usize,
    pub fill_records: u64,
    pub fetch_min_bytes: i32,
    pub fetch_max_wait_ms: i32,
    pub fetch_max_bytes: i32,
    pub max_partition_fetch_bytes: i32,
}

impl ConsumerSettings {
    /// These settings, and those of `base` where these say nothing.
    #[must_use]
    pub fn over(&self, base: &ConsumerSettings) -> ConsumerSettings {
        ConsumerSettings {
            consumers: self.consumers.or(base.consumers),
            fill_records: self.fill_records.or(base.fill_records),
            fetch_min_bytes: self.fetch_min_bytes.or(base.fetch_min_bytes),
            fetch_max_wait_ms: self.fetch_max_wait_ms.or(base.fetch_max_wait_ms),
            fetch_max_bytes: self.fetch_max_bytes.or(base.fetch_max_bytes),
            max_partition_fetch_bytes: self
                .max_partition_fetch_bytes
                .or(base.max_partition_fetch_bytes),
        }
    }

    /// With Kafka's defaults, checked.
    pub fn resolve(&self) -> Result<ConsumerConfig> {
        let consumers = self.consumers.unwrap_or(1);
        ensure!(
            (1..=CONSUMERS_MAX).contains(&consumers),
            "consumers = {consumers}: expected 1 to {CONSUMERS_MAX}"
        );
        let fill_records = self.fill_records.unwrap_or(1_000_000);
        ensure!(
            (1..=FILL_RECORDS_MAX).contains(&fill_records),
            "fill_records = {fill_records}: expected 1 to {FILL_RECORDS_MAX}"
        );
        let bytes = |key: &str, value: Option<u32>, default: i32| -> Result<i32> {
            let value = value.map_or(Ok(default), i32::try_from);
            value.ok().filter(|n| *n >= 0).ok_or_else(|| anyhow::anyhow!("{key} is too large"))
        };
        let at_least_one = |key: &str, value: i32| {
            ensure!(value > 0, "{key} = 0: expected at least 1");
            Ok(value)
        };
        Ok(ConsumerConfig {
            consumers: consumers as usize,
            fill_records,
            fetch_min_bytes: bytes("fetch.min.bytes", self.fetch_min_bytes, 1)?,
            fetch_max_wait_ms: bytes("fetch.max.wait.ms", self.fetch_max_wait_ms, 500)?,
            fetch_max_bytes: at_least_one(
                "fetch.max.bytes",
                bytes("fetch.max.bytes", self.fetch_max_bytes, 50 << 20)?,
            )?,
            max_partition_fetch_bytes: at_least_one(
                "max.partition.fetch.bytes",
                bytes("max.partition.fetch.bytes", self.max_partition_fetch_bytes, 1 << 20)?,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kafkas_and_errors_name_the_key() {
        let config = ConsumerSettings::default().resolve().expect("defaults");
        assert_eq!((config.fetch_min_bytes, config.fetch_max_wait_ms), (1, 500));
        assert_eq!(
            (config.fetch_max_bytes, config.max_partition_fetch_bytes),
            (52_428_800, 1 << 20)
        );
        for (text, expected) in [
            ("consumers = 0", "consumers = 0"),
            ("fill_records = 0", "fill_records = 0"),
            ("\"fetch.max.bytes\" = 0", "fetch.max.bytes = 0"),
            ("\"fetch.min.bytes\" = 3000000000", "fetch.min.bytes"),
            ("\"fetch.min\" = 1", "fetch.min"),
        ] {
            let settings = toml::from_str::<ConsumerSettings>(text);
            let resolved = settings.map_err(anyhow::Error::from).and_then(|s| s.resolve());
            let error = format!("{:#}", resolved.expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
