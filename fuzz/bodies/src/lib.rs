//! Bodies of the fuzz targets: each takes any bytes, must not panic, and must not keep what it
//! could not verify. cargo-fuzz runs them on a nightly compiler; `cargo test` runs them on stable
//! over the corpora and over mutated valid input.

pub mod seeds;

use std::path::{Path, PathBuf};

use ringlog_engine::batch::{
    AppendRules, BATCH_HEADER_BYTES, BatchHeader, TimestampType, decompress, records,
    validate_for_append, validate_stored,
};
use ringlog_engine::dirs::{MetaProperties, OffsetCheckpoint, parse_directory_name};
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::log::{
    Committer, CommitterOptions, LeaderEpochs, LoadOptions, Log, LogConfig, Producers, ReadLimits,
};
use ringlog_node::config::{RawConfig, parse_properties};
use ringlog_node::quorum::ElectionState;
use ringlog_node::wire::frame::{RequestHeader, decode_budget};
use ringlog_node::wire::hot::produce::ProduceRequest;
use ringlog_node::wire::versions::BROKER_APIS;
use ringlog_wire::messages as m;
use ringlog_wire::records::metadata::MetadataRecord;
use ringlog_wire::{ApiKey, Reader, Request};

/// What a target does with its input.
pub type Body = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Body)] = &[
    ("request", request),
    ("produce", produce),
    ("batch", batch),
    ("segment", segment),
    ("files", files),
    ("metadata_record", metadata_record),
];

/// A request frame: header, then the body in the version it claims.
pub fn request(frame: &[u8]) {
    let Ok(header) = RequestHeader::parse(frame) else { return };
    let Ok(key) = ApiKey::try_from(header.api_key) else { return };
    assert!(header.body_at <= frame.len(), "the body starts inside the frame");
    let body = &frame[header.body_at..];
    let version = header.version;
    match key {
        ApiKey::Produce => decode::<m::ProduceRequest>(body, version),
        ApiKey::Fetch => decode::<m::FetchRequest>(body, version),
        ApiKey::ListOffsets => decode::<m::ListOffsetsRequest>(body, version),
        ApiKey::Metadata => decode::<m::MetadataRequest>(body, version),
        ApiKey::ApiVersions => decode::<m::ApiVersionsRequest>(body, version),
        ApiKey::CreateTopics => decode::<m::CreateTopicsRequest>(body, version),
        ApiKey::DeleteTopics => decode::<m::DeleteTopicsRequest>(body, version),
        ApiKey::InitProducerId => decode::<m::InitProducerIdRequest>(body, version),
        ApiKey::DescribeConfigs => decode::<m::DescribeConfigsRequest>(body, version),
        ApiKey::CreatePartitions => decode::<m::CreatePartitionsRequest>(body, version),
        ApiKey::DescribeCluster => decode::<m::DescribeClusterRequest>(body, version),
        ApiKey::DescribeTopicPartitions => {
            decode::<m::DescribeTopicPartitionsRequest>(body, version);
        }
        _ => {}
    }
}

fn decode<R: Request>(body: &[u8], version: i16) {
    let mut r = Reader::new(body, decode_budget(body.len()));
    if let Ok(request) = R::decode(&mut r, version) {
        // What was understood can be said again.
        request.to_vec(version).expect("a decoded request encodes in its version");
    }
}

/// The body of a Produce request; the first byte picks the version.
pub fn produce(data: &[u8]) {
    let Some((version, body)) = data.split_first() else { return };
    let served = BROKER_APIS.iter().find(|s| s.key == ApiKey::Produce).expect("it is served");
    let version = 3 + i16::from(*version) % (served.max - 2);
    if let Ok(request) = ProduceRequest::parse(body, version) {
        for partition in &request.partitions {
            let end = partition.start + partition.len.unwrap_or(0);
            assert!(end <= body.len() && partition.topic < request.topics.len());
        }
    }
}

/// Record bytes as a client sends them; the first byte picks the topic's rules.
pub fn batch(data: &[u8]) {
    let Some((flags, bytes)) = data.split_first() else { return };
    let rules = AppendRules {
        batch_bytes_max: 1 << 20,
        compacted: flags & 1 != 0,
        timestamp_type: match flags & 2 {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        allow_control: flags & 4 != 0,
    };
    let mut bytes = bytes.to_vec();
    let Ok(validated) = validate_for_append(&mut bytes, &rules, 1_700_000_000_000) else { return };
    // What a leader takes, everyone can read.
    let header = validate_stored(&bytes).expect("accepted, so it can be stored");
    assert_eq!(header, validated.header);
    let codec = header.codec().expect("accepted, so the codec is known");
    let packed = &bytes[BATCH_HEADER_BYTES..header.size];
    let unpacked = decompress(codec, packed, 1 << 30).expect("accepted, so it unpacks");
    let count = records(&header, &unpacked).filter(Result::is_ok).count();
    assert_eq!(count, header.records_count as usize);
}

/// Bytes of a segment and its indexes as a start finds them. The first three bytes divide the rest.
pub fn segment(data: &[u8]) {
    let Some((split, rest)) = data.split_first_chunk::<3>() else { return };
    let (at, clean) = (usize::from(split[0]) * rest.len() / 255, split[2] & 1 == 1);
    let (log, rest) = rest.split_at(at);
    let (index, times) = rest.split_at(usize::from(split[1]) * rest.len() / 255);
    let world = World::new(1, 1, CrashProfile::Ext4);
    let files = [("log", log), ("index", index), ("timeindex", times)];
    let files = files.map(|(suffix, bytes)| (format!("{:020}.{suffix}", 0), bytes.to_vec()));
    block_on(&world, move |shard| async move {
        let dir = PathBuf::from("/t-0");
        shard.make_dir(&dir).await.expect("the disk works");
        for (name, bytes) in files {
            shard.replace_file(&dir.join(name), bytes).await.expect("the disk works");
        }
        let committer = Committer::start(&shard, CommitterOptions::default());
        let load = LoadOptions { clean, ..LoadOptions::unknown(LogConfig::default()) };
        let loaded = Log::open(&shard, Path::new("/t-0"), &committer, load).await;
        let Ok(loaded) = loaded else { return };
        if !clean {
            read_everything(&loaded.log).await;
        }
    });
}

/// After an unclean start every byte that can be read is of a batch with its CRC.
async fn read_everything(log: &std::rc::Rc<Log>) {
    let (mut at, end) = (log.ends().log_start_offset, log.ends().log_end_offset);
    while at < end {
        let limits = ReadLimits { bytes_max: 1 << 16, at_least_one_batch: true };
        let Ok(plan) = log.plan_read(at, end, limits).await else { return };
        let bytes = log.read(&plan).await.expect("the disk works");
        let Ok((header, batch)) = BatchHeader::parse_whole(&bytes) else {
            // Offsets may have gaps where compaction was at work; then there is nothing here.
            assert!(plan.is_empty(), "bytes that are no batch are served");
            return;
        };
        assert!(header.crc_is_valid(batch), "bytes without their CRC are served");
        at = header.next_offset().max(at.plus(1));
    }
}

/// The small files of a log directory, and the configuration.
pub fn files(data: &[u8]) {
    if let Ok(epochs) = LeaderEpochs::parse(data) {
        assert_eq!(LeaderEpochs::parse(epochs.render().as_bytes()), Ok(epochs));
    }
    if let Some(producers) = Producers::decode_snapshot(data) {
        assert_eq!(Producers::decode_snapshot(&producers.encode_snapshot()), Some(producers));
    }
    if let Ok(offsets) = OffsetCheckpoint::parse(data) {
        let text = OffsetCheckpoint::render(&offsets);
        assert_eq!(OffsetCheckpoint::parse(text.as_bytes()), Ok(offsets));
    }
    // Any outcome is right; a panic is not.
    let _ = MetaProperties::parse(data);
    let _ = ElectionState::parse(data);
    let _ = parse_properties(data);
    let _ = RawConfig::load(data, &[]);
    if let Ok(name) = std::str::from_utf8(data) {
        let _ = parse_directory_name(name);
    }
}

/// The value of a metadata record.
pub fn metadata_record(data: &[u8]) {
    if let Ok((record, version)) = MetadataRecord::decode_frame(data) {
        let mut out = Vec::new();
        record.encode_frame(version, &mut out).expect("a decoded record encodes in its version");
    }
}
