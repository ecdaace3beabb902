//! What consumers of the classic protocol say to each other inside of JoinGroup and SyncGroup
//! (Kafka's `ConsumerProtocol`), as far as a coordinator must read and write it when such members
//! are in a group of the consumer protocol. Every version begins like the ones before.

use std::collections::{BTreeMap, BTreeSet};

use ringlog_wire::{DecodeError, Layout, Reader};

use super::consumer::Assignment;
use crate::metadata::MetadataImage;

/// What decoding may allocate, besides a multiple of the bytes.
const BUDGET_BYTES: usize = 1024;
const BUDGET_FACTOR: usize = 32;
const OWNED_FROM: i16 = 1;
const GENERATION_FROM: i16 = 2;
const RACK_FROM: i16 = 3;
const CLASSIC: Layout = Layout { version: 0, flexible: false };

/// Partitions by topic's name.
type ByName = BTreeMap<String, Vec<i32>>;

/// What a consumer says when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub version: i16,
    pub topics: BTreeSet<String>,
    pub owned: ByName,
    pub rack: Option<String>,
}

fn reader(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, BUDGET_BYTES + BUDGET_FACTOR * bytes.len())
}

fn partitions(r: &mut Reader<'_>) -> Result<ByName, DecodeError> {
    let mut found = ByName::new();
    let count = r.i32()?;
    for _ in 0..count.max(0) {
        let topic = r.string(CLASSIC)?;
        found.insert(topic, r.array(CLASSIC)?);
    }
    Ok(found)
}

pub(super) fn subscription(bytes: &[u8]) -> Result<Subscription, DecodeError> {
    let r = &mut reader(bytes);
    let version = r.i16()?;
    let topics = r.array::<String>(CLASSIC)?.into_iter().collect();
    let mut read = Subscription { version, topics, ..Subscription::default() };
    r.nullable_bytes(CLASSIC)?;
    if version >= OWNED_FROM {
        read.owned = partitions(r)?;
    }
    if version >= GENERATION_FROM {
        r.i32()?;
    }
    if version >= RACK_FROM {
        read.rack = r.nullable_string(CLASSIC)?;
    }
    Ok(read)
}

/// What a leader has assigned to a member; `None` if it says more than partitions.
pub(super) fn assignment(bytes: &[u8]) -> Result<Option<ByName>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Some(ByName::new()));
    }
    let r = &mut reader(bytes);
    r.i16()?;
    let partitions = partitions(r)?;
    let more = r.nullable_bytes(CLASSIC)?.is_some_and(|more| !more.is_empty());
    Ok((!more).then_some(partitions))
}

/// The same, to a member that speaks this version.
pub(super) fn to_assignment(assigned: &Assignment, version: i16, image: &MetadataImage) -> Vec<u8> {
    let topics: Vec<_> =
        assigned.iter().filter_map(|(id, ps)| Some((&image.topic(*id)?.name, ps))).collect();
    let mut out = version.to_be_bytes().to_vec();
    out.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    for (name, partitions) in topics {
        out.extend_from_slice(&(name.len() as i16).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(partitions.len() as i32).to_be_bytes());
        partitions.iter().for_each(|p| out.extend_from_slice(&p.to_be_bytes()));
    }
    // No more to say.
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out
}

/// Topics by their ids, without those that are gone.
pub(super) fn by_id(named: &ByName, image: &MetadataImage) -> Assignment {
    let known = named.iter().filter_map(|(name, partitions)| {
        Some((image.topic_by_name(name)?.id, partitions.iter().copied().collect()))
    });
    known.collect()
}
