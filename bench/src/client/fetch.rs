//! What everything of the harness that fetches keeps to.

use anyhow::Result;
use ringlog_wire::ApiKey;

use super::Connection;

/// What a fetched batch may unpack to.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 20;
/// The oldest Fetch that brings batches of magic 2, and the newest that goes by names.
const FETCH_FIRST: i16 = 4;
const FETCH_BY_NAME: i16 = 12;

/// The version to fetch with: topics go by their names, batches are of magic 2.
pub fn fetch_version(connection: &Connection) -> Result<i16> {
    connection.version(ApiKey::Fetch, FETCH_FIRST, FETCH_BY_NAME)
}
