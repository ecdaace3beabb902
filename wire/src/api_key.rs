//! The APIs: their keys, versions, headers and listeners.

use std::fmt;
use std::ops::RangeInclusive;

pub use crate::messages::api::ApiKey;
use crate::messages::api::TABLE;

/// What the schema says of one API.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) name: &'static str,
    pub(crate) first: i16,
    pub(crate) last: i16,
    pub(crate) last_is_unstable: bool,
    pub(crate) request_flexible_from: i16,
    pub(crate) response_flexible_from: i16,
    pub(crate) on_broker: bool,
    pub(crate) on_controller: bool,
}

impl ApiKey {
    fn api(self) -> &'static Api {
        let found = TABLE.binary_search_by_key(&(self as i16), |api| api.key as i16);
        // Every variant has its row: both are generated from one list.
        &TABLE[found.unwrap_or_else(|row| row)]
    }

    /// Kafka's name, such as `Fetch`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.api().name
    }

    /// The stable versions of its request and response. Empty where the only version is unstable.
    #[must_use]
    pub fn request_versions(self) -> RangeInclusive<i16> {
        let api = self.api();
        api.first..=api.last - i16::from(api.last_is_unstable)
    }

    /// Whether there is one more version, which may still change.
    #[must_use]
    pub fn latest_version_unstable(self) -> bool {
        self.api().last_is_unstable
    }

    /// The version of the header before a request of the given version.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.api().request_flexible_from { 2 } else { 1 }
    }

    /// The version of the header before a response of the given version. That of ApiVersions is
    /// always 0, for clients to read it before they know the broker's versions (KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != Self::ApiVersions && version >= self.api().response_flexible_from)
    }

    /// Whether brokers serve it.
    #[must_use]
    pub fn on_broker(self) -> bool {
        self.api().on_broker
    }

    /// Whether controllers serve it.
    #[must_use]
    pub fn on_controller(self) -> bool {
        self.api().on_controller
    }
}

impl TryFrom<i16> for ApiKey {
    type Error = i16;

    /// The API of a key; the key itself where there is none.
    fn try_from(key: i16) -> Result<Self, i16> {
        let found = TABLE.binary_search_by_key(&key, |api| api.key as i16);
        found.map(|row| TABLE[row].key).map_err(|_| key)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::try_from(*key as i16), Ok(*key));
            assert_eq!(format!("{key:?}"), key.name());
        }
        assert_eq!(ApiKey::try_from(4), Err(4), "LeaderAndIsr was removed");
        assert_eq!(ApiKey::try_from(-1), Err(-1));
        assert_eq!(ApiKey::ALL.first().map(|key| *key as i16), Some(0));
        assert_eq!(ApiKey::ALL.last().map(|key| *key as i16), Some(92));
    }

    #[test]
    fn headers_follow_flexibility() {
        assert_eq!(ApiKey::Fetch.request_header_version(11), 1);
        assert_eq!(ApiKey::Fetch.request_header_version(12), 2);
        assert_eq!(ApiKey::Fetch.response_header_version(11), 0);
        assert_eq!(ApiKey::Fetch.response_header_version(12), 1);
        assert_eq!(ApiKey::ApiVersions.request_header_version(4), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    }

    #[test]
    fn unstable_versions_are_left_out() {
        assert_eq!(ApiKey::Fetch.request_versions(), 4..=18);
        assert_eq!(ApiKey::OffsetCommit.request_versions(), 2..=9);
        assert!(ApiKey::OffsetCommit.latest_version_unstable());
        assert!(ApiKey::StreamsGroupHeartbeat.request_versions().is_empty());
    }

    #[test]
    fn listeners() {
        assert!(ApiKey::Fetch.on_broker() && ApiKey::Fetch.on_controller());
        assert!(!ApiKey::Vote.on_broker() && ApiKey::Vote.on_controller());
        assert!(ApiKey::Produce.on_broker() && !ApiKey::Produce.on_controller());
    }
}
