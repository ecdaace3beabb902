//! Checks between the keys of the group coordinators: bounds that must enclose the value between
//! them, for consumer, share and streams groups.

use super::error::ConfigError;
use super::raw::RawConfig;

/// How a key must compare to another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    AtLeast,
    AtMost,
    Below,
    Above,
}

impl Order {
    pub(super) fn holds(self, left: i32, right: i32) -> bool {
        match self {
            Self::AtLeast => left >= right,
            Self::AtMost => left <= right,
            Self::Below => left < right,
            Self::Above => left > right,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::AtLeast => "greater than or equal to",
            Self::AtMost => "less than or equal to",
            Self::Below => "less than",
            Self::Above => "greater than",
        }
    }
}

type Rule = (&'static str, Order, &'static str);

/// What holds for consumer and share groups alike; the prefix is added.
macro_rules! group_rules {
    ($group:literal) => {
        [
            (
                concat!("group.", $group, ".max.heartbeat.interval.ms"),
                Order::AtLeast,
                concat!("group.", $group, ".min.heartbeat.interval.ms"),
            ),
            (
                concat!("group.", $group, ".heartbeat.interval.ms"),
                Order::AtLeast,
                concat!("group.", $group, ".min.heartbeat.interval.ms"),
            ),
            (
                concat!("group.", $group, ".heartbeat.interval.ms"),
                Order::AtMost,
                concat!("group.", $group, ".max.heartbeat.interval.ms"),
            ),
            (
                concat!("group.", $group, ".max.session.timeout.ms"),
                Order::AtLeast,
                concat!("group.", $group, ".min.session.timeout.ms"),
            ),
            (
                concat!("group.", $group, ".session.timeout.ms"),
                Order::AtLeast,
                concat!("group.", $group, ".min.session.timeout.ms"),
            ),
            (
                concat!("group.", $group, ".session.timeout.ms"),
                Order::AtMost,
                concat!("group.", $group, ".max.session.timeout.ms"),
            ),
            (
                concat!("group.", $group, ".heartbeat.interval.ms"),
                Order::Below,
                concat!("group.", $group, ".session.timeout.ms"),
            ),
        ]
    };
}

const CONSUMER: [Rule; 7] = group_rules!("consumer");
const SHARE: [Rule; 7] = group_rules!("share");
const STREAMS: [Rule; 7] = group_rules!("streams");

const STANDBY: Rule =
    ("group.streams.num.standby.replicas", Order::AtMost, "group.streams.max.standby.replicas");

const SHARE_LIMITS: [Rule; 3] = [
    (
        "group.share.record.lock.duration.ms",
        Order::AtLeast,
        "group.share.min.record.lock.duration.ms",
    ),
    (
        "group.share.max.record.lock.duration.ms",
        Order::AtLeast,
        "group.share.record.lock.duration.ms",
    ),
    ("group.share.max.share.sessions", Order::AtLeast, "group.share.max.size"),
];

fn hold(config: &RawConfig, rules: &[Rule]) -> Result<(), ConfigError> {
    for &(left, order, right) in rules {
        if !order.holds(config.int(left), config.int(right)) {
            return Err(ConfigError::invalid(format!("{left} must be {} {right}", order.words())));
        }
    }
    Ok(())
}

/// Assignors are named; classes of others cannot be loaded.
fn check_assignors(config: &RawConfig, key: &str, known: &[&str]) -> Result<(), ConfigError> {
    match config.list(key).iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ConfigError::invalid(format!("Class {name} cannot be found"))),
        None => Ok(()),
    }
}

/// Numbers of codecs in the protocol: none, gzip, snappy, lz4, zstd.
fn check_codec(config: &RawConfig, key: &str) -> Result<(), ConfigError> {
    let id = config.int(key);
    if (0..=4).contains(&id) {
        return Ok(());
    }
    Err(ConfigError::invalid(format!("Unknown compression type id: {id}")))
}

/// The checks of Kafka's GroupCoordinatorConfig, ShareGroupConfig and ShareCoordinatorConfig.
pub(super) fn check(config: &RawConfig) -> Result<(), ConfigError> {
    check_assignors(config, "group.consumer.assignors", &["uniform", "range"])?;
    check_codec(config, "offsets.topic.compression.codec")?;
    check_assignors(config, "group.share.assignors", &["simple"])?;
    hold(config, &CONSUMER)?;
    hold(config, &SHARE)?;
    let assignors = config.list("group.share.assignors").len();
    if assignors != 1 {
        return Err(ConfigError::invalid(format!(
            "group.share.assignors must contain exactly one assignor, but found {assignors}"
        )));
    }
    let (bounds, last) = STREAMS.split_at(6);
    hold(config, bounds)?;
    hold(config, &[STANDBY])?;
    hold(config, last)?;
    hold(config, &SHARE_LIMITS)?;
    check_codec(config, "share.coordinator.state.topic.compression.codec")?;
    let updates = "share.coordinator.snapshot.update.records.per.snapshot";
    if config.int(updates) > 500 {
        return Err(ConfigError::invalid(format!("{updates} must be between [0, 500]")));
    }
    Ok(())
}

/// The classic protocol is always served.
pub(super) fn check_protocols(config: &RawConfig) -> Result<(), ConfigError> {
    let protocols = config.list("group.coordinator.rebalance.protocols");
    if protocols.iter().any(|protocol| protocol == "classic") {
        return Ok(());
    }
    Err(ConfigError::invalid("Disabling the 'classic' protocol is not supported."))
}
