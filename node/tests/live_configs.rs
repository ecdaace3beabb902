//! Keys of a topic that are changed while it is used: each shows at once, in answers or in files.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use ringlog_engine::batch::{BatchBuilder, BatchHeader, Codec, RecordFields};
use support::{Client, Node, PATIENCE, alter_topic, unix_ms};

const NONE: i16 = 0;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const HOUR_MS: i64 = 3_600_000;

/// Waits for what a topic is about to become.
fn until(topic: &Topic, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        let late = Instant::now() >= deadline;
        assert!(!late, "{what}: {:?} {}", topic.files(), topic.node.log());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A batch of one record with a key, of this size, at this time.
fn batch_at(time: i64, size: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    let (key, value) = (&b"key"[..], vec![7; size]);
    builder.append(time, &RecordFields { key: Some(key), value: Some(&value), headers: &[] });
    builder.build().expect("uncompressed")
}

/// One topic of a node, its files, and who writes to it.
struct Topic {
    node: Node,
    client: Client,
}

impl Topic {
    fn set(&mut self, configs: &[(&str, &str)]) {
        alter_topic(&mut self.client, "t", configs);
    }

    fn error_of(&mut self, batch: Vec<u8>) -> i16 {
        self.client.produce("t", 0, -1, batch).error
    }

    fn produce(&mut self, batch: Vec<u8>) -> i64 {
        let produced = self.client.produce("t", 0, -1, batch);
        assert_eq!(produced.error, NONE);
        produced.offset
    }

    /// The header of the batch at an offset.
    fn header(&mut self, offset: i64) -> BatchHeader {
        let (error, bytes) = self.client.fetch("t", 0, offset);
        assert_eq!(error, NONE);
        BatchHeader::parse_whole(&bytes).expect("a batch").0
    }

    fn files(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.node.data().join("t-0")).expect("readable");
        entries.map(|e| e.expect("readable").file_name().into_string().expect("text")).collect()
    }

    /// Base offsets of its segments.
    fn segments(&self) -> Vec<i64> {
        let base = |name: &String| name.strip_suffix(".log")?.parse().ok();
        self.files().iter().filter_map(base).collect()
    }

    /// Bytes of all segments.
    fn bytes(&self) -> u64 {
        let dir = self.node.data().join("t-0");
        let names = self.files().into_iter().filter(|name| name.ends_with(".log"));
        names.filter_map(|name| Some(std::fs::metadata(dir.join(name)).ok()?.len())).sum()
    }

    /// Writes until a segment is begun, at most so many batches; how many it took.
    fn until_rolled(&mut self, batches_max: usize, mut next: impl FnMut() -> Vec<u8>) -> usize {
        let before = self.segments().len();
        for count in 1..=batches_max {
            let offset = self.produce(next());
            // The files are made behind the append; a later batch cannot be read before.
            assert!(self.header(offset).base_offset.0 <= offset);
            if self.segments().len() > before {
                return count;
            }
        }
        panic!("no segment after {batches_max} batches: {:?}", self.segments());
    }
}

fn topic() -> Topic {
    let node = Node::start(&[
        "log.initial.task.delay.ms=0",
        "log.retention.check.interval.ms=10",
        "log.cleaner.backoff.ms=20",
        "log.flush.scheduler.interval.ms=10",
        "log.flush.offset.checkpoint.interval.ms=10",
        "ringlog.durability=replicated",
        "ringlog.io.mode=buffered",
    ]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("retention.ms", "-1")]);
    Topic { node, client }
}

#[test]
fn every_key_of_a_topic_takes_effect_while_it_is_used() {
    let mut topic = topic();
    batches_are_judged_and_packed_anew(&mut topic);
    segments_roll_anew(&mut topic);
    files_are_laid_out_and_flushed_anew(&mut topic);
    records_go_anew(&mut topic);
}

fn batches_are_judged_and_packed_anew(topic: &mut Topic) {
    let now = unix_ms();
    for (name, codec) in [("zstd", Codec::Zstd), ("gzip", Codec::Gzip), ("lz4", Codec::Lz4)] {
        topic.set(&[("compression.type", name)]);
        let offset = topic.produce(batch_at(now, 500));
        assert_eq!(topic.header(offset).codec(), Some(codec));
    }
    topic.set(&[("compression.type", "producer")]);
    let offset = topic.produce(batch_at(now, 500));
    assert_eq!(topic.header(offset).codec(), Some(Codec::None));
    // Whose clock counts, and how far off it may be.
    let old = now - 2 * HOUR_MS;
    topic.set(&[("message.timestamp.type", "LogAppendTime")]);
    let offset = topic.produce(batch_at(old, 10));
    assert!(topic.header(offset).max_timestamp >= now);
    topic.set(&[("message.timestamp.type", "CreateTime")]);
    let offset = topic.produce(batch_at(old, 10));
    assert_eq!(topic.header(offset).max_timestamp, old);
    topic.set(&[("message.timestamp.before.max.ms", "3600000")]);
    assert_eq!(topic.error_of(batch_at(old, 10)), INVALID_TIMESTAMP);
    topic.set(&[("message.timestamp.before.max.ms", "9000000")]);
    topic.produce(batch_at(old, 10));
    let soon = now + HOUR_MS / 2;
    topic.produce(batch_at(soon, 10));
    topic.set(&[("message.timestamp.after.max.ms", "1000")]);
    assert_eq!(topic.error_of(batch_at(soon, 10)), INVALID_TIMESTAMP);
    topic.set(&[("message.timestamp.after.max.ms", "3600000")]);
    // How large a batch may be.
    topic.set(&[("max.message.bytes", "1000")]);
    assert_eq!(topic.error_of(batch_at(now, 1000)), MESSAGE_TOO_LARGE);
    topic.set(&[("max.message.bytes", "2000")]);
    topic.produce(batch_at(now, 1000));
    topic.set(&[("max.message.bytes", "1048588")]);
}

fn segments_roll_anew(topic: &mut Topic) {
    let now = unix_ms();
    assert_eq!(topic.segments(), [0]);
    topic.set(&[("segment.bytes", "20000")]);
    topic.until_rolled(9, || batch_at(now, 6000));
    assert!((2..=4).contains(&topic.until_rolled(9, || batch_at(now, 6000))));
    topic.set(&[("segment.bytes", "1000000")]);
    for _ in 0..9 {
        topic.produce(batch_at(now, 6000));
    }
    // By the time of records; with a jitter the segments after this one end at times of their own.
    topic.set(&[("segment.ms", "1000"), ("segment.jitter.ms", "0")]);
    let mut time = now;
    let mut later = || {
        time += 600;
        batch_at(time, 10)
    };
    topic.until_rolled(4, &mut later);
    topic.set(&[("segment.jitter.ms", "1000")]);
    let counts: Vec<usize> = (0..3).map(|_| topic.until_rolled(4, &mut later)).collect();
    assert!(counts.iter().all(|count| *count <= 3), "{counts:?}");
    topic.set(&[("segment.ms", "604800000"), ("segment.jitter.ms", "0")]);
    // By how much an index holds: every batch has an entry, and there is room for four.
    topic.set(&[("index.interval.bytes", "0"), ("segment.index.bytes", "36")]);
    topic.until_rolled(9, || batch_at(now, 10));
    assert!(topic.until_rolled(9, || batch_at(now, 10)) <= 6);
    topic.set(&[("segment.index.bytes", "10485760"), ("segment.ms", "1000")]);
    time = now + HOUR_MS / 3;
    topic.until_rolled(4, || {
        time += 600;
        batch_at(time, 10)
    });
    topic.set(&[("segment.ms", "604800000"), ("index.interval.bytes", "10000000")]);
    let base = *topic.segments().last().expect("one");
    for _ in 0..20 {
        topic.produce(batch_at(time, 10));
    }
    topic.set(&[("segment.bytes", "20000")]);
    topic.until_rolled(9, || batch_at(time, 6000));
    let index = topic.node.data().join(format!("t-0/{base:020}.index"));
    let entries = std::fs::metadata(index).expect("there").len() / 8;
    assert!(entries <= 4, "{entries} entries for an interval of 10 MB");
}

fn files_are_laid_out_and_flushed_anew(topic: &mut Topic) {
    let now = unix_ms();
    // The blocks of the next segments are reserved; their length is what is in them.
    topic.set(&[("preallocate", "true"), ("segment.bytes", "400000")]);
    topic.until_rolled(9, || batch_at(now, 90_000));
    let base = *topic.segments().last().expect("one");
    let log = topic.node.data().join(format!("t-0/{base:020}.log"));
    until(topic, "reserved", || {
        let stat = std::fs::metadata(&log).expect("there");
        stat.len() < 200_000 && stat.blocks() * 512 >= 400_000
    });
    topic.set(&[("preallocate", "false")]);
    // Nothing is flushed that does not say so: the node acknowledges what is written.
    topic.set(&[("flush.messages", "1")]);
    let flushed = |topic: &Topic| {
        let file = topic.node.data().join("recovery-point-offset-checkpoint");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("t 0 ")).map(str::to_owned);
        line.and_then(|offset| offset.parse::<i64>().ok()).unwrap_or(0)
    };
    let offset = topic.produce(batch_at(now, 10));
    until(topic, "flushed with its batch", || flushed(topic) == offset + 1);
    topic.set(&[("flush.messages", "1000000")]);
    let offset = topic.produce(batch_at(now, 10));
    assert!(flushed(topic) <= offset, "nobody has asked for it");
    topic.set(&[("flush.ms", "1")]);
    until(topic, "flushed in its time", || flushed(topic) == offset + 1);
}

fn records_go_anew(topic: &mut Topic) {
    let now = unix_ms();
    let count = topic.segments().len();
    assert!(count > 5, "{:?}", topic.segments());
    topic.set(&[("file.delete.delay.ms", "3600000"), ("retention.bytes", "1000")]);
    let deleted = |topic: &Topic| topic.files().iter().filter(|n| n.ends_with(".deleted")).count();
    until(topic, "by size", || deleted(topic) > 0 && topic.segments().len() == 1);
    topic.set(&[("retention.bytes", "-1"), ("file.delete.delay.ms", "0")]);
    let waiting = deleted(topic);
    let end = topic.produce(batch_at(now, 6000)) + 1;
    topic.set(&[("retention.ms", "1")]);
    until(topic, "by time", || topic.segments() == [end]);
    until(topic, "at once", || deleted(topic) <= waiting);
    // Compaction leaves one record of the one key, once enough is dirty and old enough.
    topic.set(&[("retention.ms", "-1"), ("min.cleanable.dirty.ratio", "1.0")]);
    topic.set(&[("cleanup.policy", "compact"), ("segment.bytes", "20000")]);
    let dirty = |topic: &mut Topic| {
        for _ in 0..12 {
            topic.produce(batch_at(unix_ms(), 6000));
        }
        topic.bytes()
    };
    let before = dirty(topic);
    topic.set(&[("min.cleanable.dirty.ratio", "0.01")]);
    until(topic, "enough is dirty", || topic.bytes() < before / 2);
    topic.set(&[("min.compaction.lag.ms", "3600000")]);
    let before = dirty(topic);
    topic.set(&[("min.compaction.lag.ms", "0")]);
    until(topic, "old enough", || topic.bytes() < before / 2);
}
