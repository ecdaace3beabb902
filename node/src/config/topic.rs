//! A topic's configuration, every key resolved: what is set for the topic, else what the broker has
//! for it, else the default.
//!
//! segment.bytes is the one key whose name on disk differs. Kafka 4.1 refuses one below 1 MiB, and
//! would not start on a metadata log that holds it; but it honours internal.segment.bytes of any
//! size. So a small segment.bytes is stored under that name ([`stored_name`]) and shown under its
//! own ([`shown_overrides`]).

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::keys::{self, KAFKA_SEGMENT_BYTES_MIN, Resource};
use super::raw::RawConfig;
use super::synonyms::TOPIC_SYNONYMS;
use super::text;
use super::value::Value;

/// What is set for a topic, by name.
pub type Overrides = BTreeMap<String, String>;

const SEGMENT_BYTES: &str = "segment.bytes";
const INTERNAL_SEGMENT_BYTES: &str = "internal.segment.bytes";

/// How stored batches are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopicCompression {
    /// As the producer sent them.
    Producer,
    /// Not at all.
    Uncompressed,
    /// With gzip, at this level; -1 is the library's own.
    Gzip(i32),
    /// With snappy.
    Snappy,
    /// With lz4, at this level.
    Lz4(i32),
    /// With zstd, at this level.
    Zstd(i32),
}

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, when it appends.
    LogAppendTime,
}

/// What happens to old segments. Both may be set, or neither.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CleanupPolicy {
    /// Only the last record of each key is kept.
    pub compact: bool,
    /// Segments are deleted by age and size.
    pub delete: bool,
}

/// Replicas of a topic whose replication is throttled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ThrottledReplicas {
    /// All.
    All,
    /// These pairs of partition and broker; maybe none.
    Listed(Vec<(u32, u32)>),
}

/// What a topic does about remote storage. Limits are resolved: they are the topic's own retention
/// where nothing else is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RemoteConfig {
    /// Segments are copied to remote storage.
    pub storage_enable: bool,
    /// No more segments are copied.
    pub copy_disable: bool,
    /// Switching remote storage off deletes what is there.
    pub delete_on_disable: bool,
    /// Age at which copied segments are deleted locally.
    pub local_retention_ms: Option<u64>,
    /// Local size above which copied segments are deleted.
    pub local_retention_bytes: Option<u64>,
}

/// A topic's configuration. `None` of a limit means that there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// Size at which a segment rolls.
    pub segment_bytes: u32,
    /// Age at which a segment rolls.
    pub segment_ms: u64,
    /// Random time by which it rolls earlier.
    pub segment_jitter_ms: u64,
    /// Largest offset index; a full one makes the segment roll.
    pub segment_index_bytes: u32,
    /// Bytes of records between two index entries.
    pub index_interval_bytes: u32,
    /// Records until a flush; `u64` of Kafka's largest long means never.
    pub flush_messages: u64,
    /// Time until a flush; Kafka's largest long means never.
    pub flush_ms: u64,
    /// Age at which a segment is deleted.
    pub retention_ms: Option<u64>,
    /// Size of the partition above which segments are deleted.
    pub retention_bytes: Option<u64>,
    /// What happens to old segments.
    pub cleanup_policy: CleanupPolicy,
    /// Largest batch accepted.
    pub max_message_bytes: u32,
    /// In-sync replicas that a write with acks=all needs.
    pub min_insync_replicas: u32,
    /// How stored batches are compressed.
    pub compression: TopicCompression,
    /// Whose time a record carries.
    pub message_timestamp_type: TimestampType,
    /// How far in the past a record's time may lie.
    pub message_timestamp_before_max_ms: u64,
    /// How far in the future a record's time may lie.
    pub message_timestamp_after_max_ms: u64,
    /// How long tombstones and markers outlive compaction.
    pub delete_retention_ms: u64,
    /// Pause between taking a segment out of the log and deleting it.
    pub file_delete_delay_ms: u64,
    /// Age before which a record is not compacted.
    pub min_compaction_lag_ms: u64,
    /// Age at which a record makes its log due for compaction.
    pub max_compaction_lag_ms: u64,
    /// Share of dirty bytes from which a log is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// Files get their full size when they are created.
    pub preallocate: bool,
    /// A replica that was not in sync may become leader.
    pub unclean_leader_election_enable: bool,
    /// Remote storage.
    pub remote: RemoteConfig,
    /// Replicas whose leaders send slowly.
    pub leader_throttled: ThrottledReplicas,
    /// Replicas that fetch slowly.
    pub follower_throttled: ThrottledReplicas,
}

/// Values of all topic keys, by name.
pub(super) type TopicValues = BTreeMap<&'static str, Option<Value>>;

/// Kafka's `extractLogConfigMap`: the broker's value for each topic key that has one.
pub(super) fn broker_values(config: &RawConfig) -> BTreeMap<&'static str, Value> {
    let value = |topic_key: &'static str, broker_key: &str| match topic_key {
        "segment.ms" => Value::Long(config.log_roll_ms()),
        "segment.jitter.ms" => Value::Long(config.log_roll_jitter_ms()),
        "retention.ms" => Value::Long(config.log_retention_ms()),
        "flush.ms" => Value::Long(config.log_flush_interval_ms()),
        _ => config.value(broker_key).expect("no default of a topic is null").clone(),
    };
    TOPIC_SYNONYMS
        .iter()
        .map(|synonyms| (synonyms.topic_key, value(synonyms.topic_key, synonyms.broker_keys[0].0)))
        .collect()
}

/// Parses and checks every topic key: what is set for the topic, else the broker's value.
pub(super) fn resolve_values(
    config: &RawConfig,
    overrides: &Overrides,
) -> Result<TopicValues, ConfigError> {
    let broker = broker_values(config);
    let mut values = TopicValues::new();
    for key in keys::all(Resource::Topic) {
        let value = match (overrides.get(key.name), broker.get(key.name)) {
            (None, Some(value)) => {
                key.valid.check(key.name, Some(value))?;
                Some(value.clone())
            }
            (raw, _) => key.resolve(raw.map(String::as_str))?,
        };
        values.insert(key.name, value);
    }
    Ok(values)
}

impl TopicConfig {
    /// The configuration of a topic with these overrides on a broker configured like this. Names
    /// nobody knows are left alone: they may come from a newer broker.
    pub fn resolve(config: &RawConfig, overrides: &Overrides) -> Result<Self, ConfigError> {
        resolve_values(config, overrides).map(|values| Self::from_values(&values))
    }

    /// The configuration of a topic without overrides.
    pub(super) fn broker_defaults(config: &RawConfig) -> Result<Self, ConfigError> {
        let values = resolve_values(config, &Overrides::new())?;
        check_compaction_lag(&values)?;
        if config.boolean("remote.log.storage.system.enable") {
            check_local_retention(&values)?;
        }
        Ok(Self::from_values(&values))
    }

    fn from_values(values: &TopicValues) -> Self {
        let segment_bytes = match values[INTERNAL_SEGMENT_BYTES] {
            Some(Value::Int(bytes)) => Value::Int(bytes),
            _ => values[SEGMENT_BYTES].clone().expect("checked: it is not null"),
        };
        let policies: Vec<String> =
            list(values, "cleanup.policy").iter().map(|policy| policy.to_lowercase()).collect();
        Self {
            // A negative internal.segment.bytes rolls at every batch, as a small one does.
            segment_bytes: whole(&segment_bytes).clamp(0, i64::from(i32::MAX)) as u32,
            segment_ms: count(values, "segment.ms"),
            segment_jitter_ms: count(values, "segment.jitter.ms"),
            segment_index_bytes: size(values, "segment.index.bytes"),
            index_interval_bytes: size(values, "index.interval.bytes"),
            flush_messages: count(values, "flush.messages"),
            flush_ms: count(values, "flush.ms"),
            retention_ms: limit(long(values, "retention.ms")),
            retention_bytes: limit(long(values, "retention.bytes")),
            cleanup_policy: CleanupPolicy {
                compact: policies.iter().any(|policy| policy == "compact"),
                delete: policies.iter().any(|policy| policy == "delete"),
            },
            max_message_bytes: size(values, "max.message.bytes"),
            min_insync_replicas: size(values, "min.insync.replicas"),
            compression: compression(values),
            message_timestamp_type: match word(values, "message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            message_timestamp_before_max_ms: count(values, "message.timestamp.before.max.ms"),
            message_timestamp_after_max_ms: count(values, "message.timestamp.after.max.ms"),
            delete_retention_ms: count(values, "delete.retention.ms"),
            file_delete_delay_ms: count(values, "file.delete.delay.ms"),
            min_compaction_lag_ms: count(values, "min.compaction.lag.ms"),
            max_compaction_lag_ms: count(values, "max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: ratio(values, "min.cleanable.dirty.ratio"),
            preallocate: flag(values, "preallocate"),
            unclean_leader_election_enable: flag(values, "unclean.leader.election.enable"),
            remote: RemoteConfig {
                storage_enable: flag(values, "remote.storage.enable"),
                copy_disable: flag(values, "remote.log.copy.disable"),
                delete_on_disable: flag(values, "remote.log.delete.on.disable"),
                local_retention_ms: local_limit(values, "local.retention.ms", "retention.ms"),
                local_retention_bytes: local_limit(
                    values,
                    "local.retention.bytes",
                    "retention.bytes",
                ),
            },
            leader_throttled: throttled(list(values, "leader.replication.throttled.replicas")),
            follower_throttled: throttled(list(values, "follower.replication.throttled.replicas")),
        }
    }

    /// Age at which a segment must roll: a compacted log's segments must also become eligible for
    /// compaction in time.
    pub fn segment_roll_ms(&self) -> u64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

fn get<'a>(values: &'a TopicValues, name: &str) -> &'a Value {
    values[name].as_ref().unwrap_or_else(|| panic!("{name} is null"))
}

fn whole(value: &Value) -> i64 {
    match *value {
        Value::Int(number) => i64::from(number),
        Value::Long(number) => number,
        ref other => panic!("{other:?} is not a whole number"),
    }
}

fn long(values: &TopicValues, name: &str) -> i64 {
    whole(get(values, name))
}

fn count(values: &TopicValues, name: &str) -> u64 {
    u64::try_from(long(values, name)).unwrap_or_else(|_| panic!("{name} is negative"))
}

fn size(values: &TopicValues, name: &str) -> u32 {
    u32::try_from(long(values, name)).unwrap_or_else(|_| panic!("{name} is negative"))
}

/// A limit; negative means none.
fn limit(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

/// A local limit; -2 means the same as the whole one.
fn local_limit(values: &TopicValues, local: &str, whole: &str) -> Option<u64> {
    match long(values, local) {
        -2 => limit(long(values, whole)),
        number => limit(number),
    }
}

fn flag(values: &TopicValues, name: &str) -> bool {
    matches!(get(values, name), Value::Boolean(true))
}

fn ratio(values: &TopicValues, name: &str) -> f64 {
    get(values, name).number().unwrap_or_else(|| panic!("{name} is not a number"))
}

fn word<'a>(values: &'a TopicValues, name: &str) -> &'a str {
    match get(values, name) {
        Value::String(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}

fn list<'a>(values: &'a TopicValues, name: &str) -> &'a [String] {
    match get(values, name) {
        Value::List(list) => list,
        other => panic!("{name} is {other:?}"),
    }
}

fn compression(values: &TopicValues) -> TopicCompression {
    let level = |name| i32::try_from(long(values, name)).expect("levels are ints");
    match word(values, "compression.type") {
        "uncompressed" => TopicCompression::Uncompressed,
        "gzip" => TopicCompression::Gzip(level("compression.gzip.level")),
        "snappy" => TopicCompression::Snappy,
        "lz4" => TopicCompression::Lz4(level("compression.lz4.level")),
        "zstd" => TopicCompression::Zstd(level("compression.zstd.level")),
        _ => TopicCompression::Producer,
    }
}

/// Numbers too large for an id name no replica, so they are left out.
fn throttled(list: &[String]) -> ThrottledReplicas {
    if list.concat() == "*" {
        return ThrottledReplicas::All;
    }
    let pair = |element: &String| {
        let (partition, broker) = text::trim(element).split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    ThrottledReplicas::Listed(list.iter().filter_map(pair).collect())
}

/// Checks what a topic shall be set to, as a controller does before it stores it: names, values,
/// and values against each other. `existing` is what is set for the topic so far.
pub fn validate_overrides(
    config: &RawConfig,
    existing: &Overrides,
    new: &Overrides,
) -> Result<(), ConfigError> {
    for name in new.keys() {
        if keys::find(Resource::Topic, name).is_none() {
            return Err(ConfigError::invalid(format!("Unknown topic config name: {name}")));
        }
    }
    let values = resolve_values(config, new)?;
    check_compaction_lag(&values)?;
    if flag(&values, "remote.storage.enable") {
        check_remote(config, &values)
    } else {
        check_remote_off(existing, &values)
    }
}

fn check_compaction_lag(values: &TopicValues) -> Result<(), ConfigError> {
    let (min, max) = (long(values, "min.compaction.lag.ms"), long(values, "max.compaction.lag.ms"));
    if min <= max {
        return Ok(());
    }
    Err(ConfigError::invalid(format!(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms \
         ({max})"
    )))
}

fn check_remote(config: &RawConfig, values: &TopicValues) -> Result<(), ConfigError> {
    if !config.boolean("remote.log.storage.system.enable") {
        return Err(ConfigError::invalid(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured \
             with remote log storage.",
        ));
    }
    let policies = list(values, "cleanup.policy");
    if policies.is_empty() || policies.iter().any(|policy| policy.to_lowercase() != "delete") {
        return Err(ConfigError::invalid(
            "Remote log storage only supports topics with cleanup.policy=delete",
        ));
    }
    check_local_retention(values)?;
    if !flag(values, "remote.log.copy.disable") {
        return Ok(());
    }
    for (local, whole) in
        [("local.retention.bytes", "retention.bytes"), ("local.retention.ms", "retention.ms")]
    {
        let bytes = long(values, local);
        if bytes != -2 && bytes != long(values, whole) {
            return Err(ConfigError::invalid(format!(
                "When `remote.log.copy.disable` is set to true, the `{local}` and `{whole}` must \
                 be set to the identical value because there will be no more logs copied to the \
                 remote storage."
            )));
        }
    }
    Ok(())
}

fn check_local_retention(values: &TopicValues) -> Result<(), ConfigError> {
    for (local_key, whole_key) in
        [("local.retention.bytes", "retention.bytes"), ("local.retention.ms", "retention.ms")]
    {
        let (local, whole) = (long(values, local_key), long(values, whole_key));
        check_local_within((local_key, local), (whole_key, whole))?;
    }
    Ok(())
}

/// Local retention may not exceed the whole one.
pub(super) fn check_local_within(
    (local_key, local): (&str, i64),
    (whole_key, whole): (&str, i64),
) -> Result<(), ConfigError> {
    if whole < 0 || local == -2 {
        return Ok(());
    }
    if local == -1 {
        let reason = format!("Value must not be -1 as {whole_key} value is set as {whole}.");
        return Err(ConfigError::value(local_key, local, reason));
    }
    if local > whole {
        let reason = format!("Value must not be more than {whole_key} property value: {whole}");
        return Err(ConfigError::value(local_key, local, reason));
    }
    Ok(())
}

fn check_remote_off(existing: &Overrides, values: &TopicValues) -> Result<(), ConfigError> {
    let was_on = existing
        .get("remote.storage.enable")
        .is_some_and(|enabled| enabled.eq_ignore_ascii_case("true"));
    if !was_on || flag(values, "remote.log.delete.on.disable") {
        return Ok(());
    }
    Err(ConfigError::invalid(
        "It is invalid to disable remote storage without deleting remote data. If you want to keep \
         the remote data and turn to read only, please set \
         `remote.storage.enable=true,remote.log.copy.disable=true`. If you want to disable remote \
         storage and delete all remote data, please set \
         `remote.storage.enable=false,remote.log.delete.on.disable=true`.",
    ))
}

/// Whether this text is a segment size that Kafka takes only as internal.segment.bytes.
fn is_small_segment(raw: &str) -> bool {
    matches!(
        Value::parse(SEGMENT_BYTES, super::key::Kind::Int, raw),
        Ok(Value::Int(bytes)) if i64::from(bytes) < KAFKA_SEGMENT_BYTES_MIN
    )
}

/// The name a topic key is stored under, and one whose stored value must go with it.
pub fn stored_name<'a>(name: &'a str, value: Option<&str>) -> (&'a str, Option<&'static str>) {
    match (name, value) {
        (SEGMENT_BYTES, Some(raw)) if is_small_segment(raw) => {
            (INTERNAL_SEGMENT_BYTES, Some(SEGMENT_BYTES))
        }
        (SEGMENT_BYTES, _) => (SEGMENT_BYTES, Some(INTERNAL_SEGMENT_BYTES)),
        _ => (name, None),
    }
}

/// What is stored for a topic, under the names that are shown.
pub fn shown_overrides(stored: &Overrides) -> Overrides {
    let mut shown = stored.clone();
    if let Some(raw) = stored.get(INTERNAL_SEGMENT_BYTES)
        && is_small_segment(raw)
        && keys::find(Resource::Topic, SEGMENT_BYTES).is_some_and(|key| key.parse(raw).is_ok())
    {
        shown.remove(INTERNAL_SEGMENT_BYTES);
        shown.insert(SEGMENT_BYTES.to_string(), raw.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::tests::node;

    fn overrides(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn topic(file: &str, pairs: &[(&str, &str)]) -> TopicConfig {
        TopicConfig::resolve(&node(file), &overrides(pairs)).unwrap()
    }

    #[test]
    fn a_topic_takes_what_the_broker_has() {
        let topic = topic(
            "log.roll.hours=1\nlog.retention.minutes=2\nmessage.max.bytes=9\n\
             log.cleanup.policy=compact\ncompression.type=zstd\ncompression.zstd.level=7",
            &[],
        );
        assert_eq!(topic.segment_ms, 3_600_000);
        assert_eq!(topic.retention_ms, Some(120_000));
        assert_eq!(topic.retention_bytes, None);
        assert_eq!(topic.max_message_bytes, 9);
        assert_eq!(topic.cleanup_policy, CleanupPolicy { compact: true, delete: false });
        assert_eq!(topic.compression, TopicCompression::Zstd(7));
        assert_eq!(topic.remote.local_retention_ms, Some(120_000));
    }

    #[test]
    fn a_topics_own_keys_win() {
        let topic = topic(
            "log.retention.ms=5\nlog.segment.bytes=20",
            &[
                ("retention.ms", "-1"),
                ("segment.bytes", "14"),
                ("local.retention.ms", "7"),
                ("message.timestamp.type", "LogAppendTime"),
                ("leader.replication.throttled.replicas", "0:1, 3:2"),
                ("follower.replication.throttled.replicas", "*"),
                ("from.a.newer.broker", "x"),
            ],
        );
        assert_eq!((topic.retention_ms, topic.segment_bytes), (None, 14));
        assert_eq!(topic.remote.local_retention_ms, Some(7));
        assert_eq!(topic.message_timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(topic.leader_throttled, ThrottledReplicas::Listed(vec![(0, 1), (3, 2)]));
        assert_eq!(topic.follower_throttled, ThrottledReplicas::All);
    }

    #[test]
    fn the_internal_segment_size_wins_over_the_public_one() {
        let pairs = [("segment.bytes", "2000000"), ("internal.segment.bytes", "3000000")];
        assert_eq!(topic("", &pairs).segment_bytes, 3_000_000);
        assert_eq!(topic("", &[("internal.segment.bytes", "-5")]).segment_bytes, 0);
    }

    #[test]
    fn compacted_segments_roll_in_time_for_compaction() {
        let pairs = [("max.compaction.lag.ms", "10"), ("segment.ms", "50")];
        assert_eq!(topic("", &pairs).segment_roll_ms(), 50);
        let compacted = [pairs[0], pairs[1], ("cleanup.policy", "compact")];
        assert_eq!(topic("", &compacted).segment_roll_ms(), 10);
    }

    #[test]
    fn only_small_segments_change_their_name() {
        assert_eq!(stored_name("segment.bytes", Some("50000")).0, "internal.segment.bytes");
        assert_eq!(stored_name("segment.bytes", Some("1048576")).0, "segment.bytes");
        assert_eq!(stored_name("segment.bytes", Some("abc")).0, "segment.bytes");
        assert_eq!(stored_name("segment.ms", Some("5")), ("segment.ms", None));
        let large = overrides(&[("internal.segment.bytes", "2000000")]);
        assert_eq!(shown_overrides(&large), large);
        let tiny = overrides(&[("internal.segment.bytes", "5")]);
        assert_eq!(shown_overrides(&tiny), tiny, "what segment.bytes refuses is not shown as it");
    }

    #[test]
    fn refused_topics_hear_why() {
        let refused = |pairs: &[(&str, &str)]| {
            let new = overrides(pairs);
            let error = validate_overrides(&node(""), &Overrides::new(), &new).unwrap_err();
            error.message().to_string()
        };
        assert_eq!(refused(&[("foo.bar", "1")]), "Unknown topic config name: foo.bar");
        assert_eq!(
            refused(&[("segment.bytes", "13")]),
            "Invalid value 13 for configuration segment.bytes: Value must be at least 14"
        );
        assert_eq!(
            refused(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)"
        );
    }
}
