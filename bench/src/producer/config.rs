//! [`ProducerConfig`]: what the native producer is told, under Kafka's names.
//!
//! [`ProducerSettings`] is what a profile says, key by key and all optional, so that an experiment
//! can be laid over the profile's defaults; [`ProducerConfig`] is what comes out, checked once.

use anyhow::{Result, bail, ensure};
use ringlog_engine::batch::Codec;
use serde::{Deserialize, Serialize};

use super::batch::size_with_one_record;

/// How many replicas must have a batch before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody answers: what is sent counts as delivered.
    None,
    /// The leader.
    Leader,
    /// Every in-sync replica.
    All,
}

impl Acks {
    /// As the wire says it.
    pub fn to_wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// A value that Kafka's own files write as a word or as a number.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged, expecting = "acks is \"all\", 0, 1 or -1")]
pub enum AcksSetting {
    /// `"all"`, `"1"`.
    Text(String),
    /// `1`.
    Number(i64),
}

/// Defines the settings struct, and how one is laid over another.
macro_rules! settings {
    ($($(#[$doc:meta])* $key:literal $field:ident: $ty:ty,)+) => {
        /// What a profile says about the producer. What it leaves out is Kafka's default.
        #[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
        #[serde(deny_unknown_fields)]
        pub struct ProducerSettings {
            $($(#[$doc])* #[serde(rename = $key)] pub $field: Option<$ty>,)+
        }

        impl ProducerSettings {
            /// These settings, and those of `base` where these say nothing.
            #[must_use]
            pub fn over(&self, base: &ProducerSettings) -> ProducerSettings {
                ProducerSettings {
                    $($field: self.$field.clone().or_else(|| base.$field.clone()),)+
                }
            }
        }
    };
}

settings! {
    /// Who is named in the broker's logs and quotas.
    "client.id" client_id: String,
    /// Default all.
    "acks" acks: AcksSetting,
    /// Default: true where acks=all and at most five requests are in flight.
    "enable.idempotence" enable_idempotence: bool,
    /// Bytes of a batch, 16384.
    "batch.size" batch_size: u32,
    /// Default 5.
    "linger.ms" linger_ms: u32,
    /// none, gzip, snappy, lz4 or zstd.
    "compression.type" compression: String,
    /// Bytes of unsent and unacknowledged batches, 32 MiB.
    "buffer.memory" buffer_memory: u32,
    /// Bytes of a request, 1 MiB.
    "max.request.size" max_request_size: u32,
    /// Requests a connection carries at a time, 5.
    "max.in.flight.requests.per.connection" max_in_flight: u32,
    /// How long a record waits for memory, 60000.
    "max.block.ms" max_block_ms: u32,
    /// How long a request waits for its answer, 30000.
    "request.timeout.ms" request_timeout_ms: u32,
    /// How long a record may take in all, 120000.
    "delivery.timeout.ms" delivery_timeout_ms: u32,
    /// Default 2147483647.
    "retries" retries: u32,
    /// First pause before a retry, 100.
    "retry.backoff.ms" retry_backoff_ms: u32,
    /// Longest pause, 1000.
    "retry.backoff.max.ms" retry_backoff_max_ms: u32,
    /// First pause before another connection, 50.
    "reconnect.backoff.ms" reconnect_backoff_ms: u32,
    /// Longest pause, 1000.
    "reconnect.backoff.max.ms" reconnect_backoff_max_ms: u32,
    /// Whether busier partitions get fewer records without a key, true.
    "partitioner.adaptive.partitioning.enable" adaptive_partitioning: bool,
}

/// The native producer's configuration.
#[allow(missing_docs, reason = "the fields are those of ProducerSettings")]
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerConfig {
    pub client_id: String,
    pub acks: Acks,
    pub enable_idempotence: bool,
    pub batch_size: usize,
    pub linger_ms: u64,
    pub compression: Codec,
    pub buffer_memory: usize,
    pub max_request_size: usize,
    pub max_in_flight: usize,
    pub max_block_ms: u64,
    pub request_timeout_ms: u64,
    pub delivery_timeout_ms: u64,
    pub retries: u32,
    pub retry_backoff_ms: u64,
    pub retry_backoff_max_ms: u64,
    pub reconnect_backoff_ms: u64,
    pub reconnect_backoff_max_ms: u64,
    pub adaptive_partitioning: bool,
}

/// The most requests in flight with which an idempotent producer keeps its order.
const IDEMPOTENT_IN_FLIGHT_MAX: u32 = 5;

impl ProducerSettings {
    /// What is set, as `key=value` for other clients.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let all = serde_json::to_value(self).ok();
        let all = all.as_ref().and_then(serde_json::Value::as_object);
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let pair = |(key, value): (&String, _)| Some((key.clone(), text(value)?));
        all.into_iter().flatten().filter_map(pair).collect()
    }

    /// The configuration for records of this size, checked as `ProducerConfig` of Kafka checks it.
    pub fn resolve(&self, key_bytes: usize, value_bytes: usize) -> Result<ProducerConfig> {
        let acks = match &self.acks {
            None => Acks::All,
            Some(setting) => parse_acks(setting)?,
        };
        let max_in_flight = self.max_in_flight.unwrap_or(5);
        let can_be_idempotent = acks == Acks::All && max_in_flight <= IDEMPOTENT_IN_FLIGHT_MAX;
        let enable_idempotence = self.enable_idempotence.unwrap_or(can_be_idempotent);
        if enable_idempotence && !can_be_idempotent {
            bail!(
                "enable.idempotence needs acks=all and max.in.flight.requests.per.connection of \
                 at most {IDEMPOTENT_IN_FLIGHT_MAX}"
            );
        }
        let ms = |value: Option<u32>, default: u64| value.map_or(default, u64::from);
        let config = ProducerConfig {
            client_id: self.client_id.clone().unwrap_or_else(|| "ringlog-bench".to_owned()),
            acks,
            enable_idempotence,
            batch_size: self.batch_size.unwrap_or(16_384) as usize,
            linger_ms: ms(self.linger_ms, 5),
            compression: parse_codec(self.compression.as_deref().unwrap_or("none"))?,
            buffer_memory: self.buffer_memory.unwrap_or(32 << 20) as usize,
            max_request_size: self.max_request_size.unwrap_or(1 << 20) as usize,
            max_in_flight: max_in_flight as usize,
            max_block_ms: ms(self.max_block_ms, 60_000),
            request_timeout_ms: ms(self.request_timeout_ms, 30_000),
            delivery_timeout_ms: ms(self.delivery_timeout_ms, 120_000),
            retries: self.retries.unwrap_or(i32::MAX as u32),
            retry_backoff_ms: ms(self.retry_backoff_ms, 100),
            retry_backoff_max_ms: ms(self.retry_backoff_max_ms, 1_000),
            reconnect_backoff_ms: ms(self.reconnect_backoff_ms, 50),
            reconnect_backoff_max_ms: ms(self.reconnect_backoff_max_ms, 1_000),
            adaptive_partitioning: self.adaptive_partitioning.unwrap_or(true),
        };
        config.check(key_bytes, value_bytes)?;
        Ok(config)
    }
}

impl ProducerConfig {
    fn check(&self, key_bytes: usize, value_bytes: usize) -> Result<()> {
        ensure!(self.max_in_flight > 0, "max.in.flight.requests.per.connection must be at least 1");
        let key = vec![0; key_bytes];
        let one = size_with_one_record(Some(&key), &vec![0; value_bytes]);
        ensure!(
            one <= self.max_request_size,
            "a record of {value_bytes} bytes needs a batch of {one}: more than max.request.size={}",
            self.max_request_size
        );
        let batch = self.batch_size.max(one);
        ensure!(
            batch <= self.buffer_memory,
            "a batch of {batch} bytes does not fit into buffer.memory={}",
            self.buffer_memory
        );
        let needed = self.linger_ms + self.request_timeout_ms;
        ensure!(
            self.delivery_timeout_ms >= needed,
            "delivery.timeout.ms={} must be at least linger.ms + request.timeout.ms = {needed}",
            self.delivery_timeout_ms
        );
        Ok(())
    }
}

fn parse_codec(name: &str) -> Result<Codec> {
    match Codec::ALL.iter().find(|codec| codec.name() == name) {
        Some(codec) => Ok(*codec),
        None => bail!("compression.type={name}: expected none, gzip, snappy, lz4 or zstd"),
    }
}

fn parse_acks(setting: &AcksSetting) -> Result<Acks> {
    let text = match setting {
        AcksSetting::Text(text) => text.clone(),
        AcksSetting::Number(number) => number.to_string(),
    };
    Ok(match text.as_str() {
        "all" | "-1" => Acks::All,
        "1" => Acks::Leader,
        "0" => Acks::None,
        other => bail!("acks={other}: expected all, 0, 1 or -1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<ProducerConfig> {
        toml::from_str::<ProducerSettings>(text)?.resolve(0, 100)
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = resolve("").expect("defaults");
        assert_eq!((config.batch_size, config.linger_ms, config.max_in_flight), (16_384, 5, 5));
        assert_eq!((config.buffer_memory, config.max_request_size), (33_554_432, 1_048_576));
        assert_eq!((config.acks, config.enable_idempotence), (Acks::All, true));
        assert!(!resolve("acks = 1").expect("acks=1").enable_idempotence);
        assert_eq!(resolve("acks = \"0\"").expect("acks=0").acks, Acks::None);
    }

    #[test]
    fn errors_name_the_key() {
        for (text, expected) in [
            ("\"batch.sise\" = 1", "batch.sise"),
            ("acks = 2", "acks=2"),
            ("\"compression.type\" = \"lzma\"", "compression.type=lzma"),
            ("acks = 1\n\"enable.idempotence\" = true", "enable.idempotence"),
            ("\"max.in.flight.requests.per.connection\" = 0", "max.in.flight"),
            ("\"buffer.memory\" = 1000", "buffer.memory=1000"),
            ("\"max.request.size\" = 100", "max.request.size=100"),
            ("\"linger.ms\" = 100000", "delivery.timeout.ms"),
            ("\"linger.ms\" = -1", "linger.ms"),
        ] {
            let error = format!("{:#}", resolve(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn an_experiment_is_laid_over_the_defaults() {
        let base: ProducerSettings =
            toml::from_str("\"batch.size\" = 1\n\"linger.ms\" = 2").expect("valid");
        let over: ProducerSettings = toml::from_str("\"linger.ms\" = 3").expect("valid");
        let both = over.over(&base);
        assert_eq!((both.batch_size, both.linger_ms), (Some(1), Some(3)));
    }
}
