//! Everything that a log does by itself, at once and as fast as the host gives: appends from
//! several connections, rolls, recovery points, retention, compaction and kills.
//! FULL_SPEED_SECONDS says for how long in each mode.

#![allow(clippy::disallowed_methods, reason = "tests start processes and threads")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchHeader, records};
use ringlog_engine::stdx::prng::Prng;
use ringlog_wire::messages::ProduceRequest;
use support::txn::batch_of;
use support::{Client, Node, PATIENCE, batch, produce_request, read_values};

const SECONDS: u64 = 4;
/// Requests of a producer that are under way at a time.
const PIPELINE: usize = 4;
const VALUE_BYTES: usize = 1000;
const KEYS: u64 = 500;
/// Kept by retention: what is older may be gone when it is looked for.
const RETENTION_BYTES: &str = "150000000";

/// A topic, and how its records are written.
struct Load {
    topic: &'static str,
    partitions: i32,
    keyed: bool,
    /// Records of a batch.
    values: u64,
    configs: &'static [(&'static str, &'static str)],
}

const LOADS: [Load; 3] = [
    // A segment ends with the batch after which a recovery point is due: 50 of them are a little
    // more than 32 MiB.
    Load {
        topic: "rolls",
        partitions: 4,
        keyed: false,
        values: 670,
        configs: &[("segment.bytes", "34000000"), ("retention.bytes", RETENTION_BYTES)],
    },
    Load {
        topic: "small",
        partitions: 1,
        keyed: false,
        values: 200,
        configs: &[
            ("segment.bytes", "1048576"),
            ("retention.bytes", "20000000"),
            ("file.delete.delay.ms", "10"),
        ],
    },
    Load {
        topic: "compacted",
        partitions: 1,
        keyed: true,
        values: 200,
        configs: &[
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("file.delete.delay.ms", "10"),
        ],
    },
];

/// What a producer of one partition was told.
#[derive(Default)]
struct Acknowledged {
    /// Offset and number of the first record of each batch, in order.
    batches: Vec<(i64, u64)>,
}

fn value_of(number: u64) -> Vec<u8> {
    let mut value = vec![b'v'; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_be_bytes());
    value
}

fn request_of(load: &Load, partition: i32, first: u64) -> ProduceRequest {
    let values: Vec<Vec<u8>> = (first..first + load.values).map(value_of).collect();
    let bytes = if load.keyed {
        let keys: Vec<[u8; 8]> =
            (first..first + load.values).map(|number| (number % KEYS).to_be_bytes()).collect();
        let pairs = keys.iter().zip(&values).map(|(key, value)| (&key[..], Some(&value[..])));
        batch_of(-1, -1, false, &pairs.collect::<Vec<_>>())
    } else {
        batch(&values.iter().map(Vec::as_slice).collect::<Vec<_>>(), None)
    };
    produce_request(load.topic, partition, -1, bytes)
}

/// Writes as fast as it is answered, over kills and starts.
fn produce(
    port: u16,
    load: &Load,
    partition: i32,
    stop: &AtomicBool,
    end: &AtomicI64,
) -> Acknowledged {
    let mut told = Acknowledged::default();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(mut client) = Client::try_connect(port) else {
            std::thread::park_timeout(Duration::from_millis(1));
            continue;
        };
        let mut under_way = std::collections::VecDeque::new();
        loop {
            while under_way.len() < PIPELINE && !stop.load(Ordering::Relaxed) {
                let frame = client.frame(&request_of(load, partition, next), 9);
                if std::io::Write::write_all(&mut client.socket, &frame).is_err() {
                    break;
                }
                under_way.push_back((client.last_correlation(), next));
                next += load.values;
            }
            let Some((correlation, first)) = under_way.pop_front() else { break };
            let Some(response) = client.receive::<ProduceRequest>(9, correlation) else { break };
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, 0, "{}-{partition}: {response:?}", load.topic);
            told.batches.push((answer.base_offset, first));
            end.store(answer.base_offset + load.values as i64, Ordering::Relaxed);
        }
    }
    told
}

/// Reads as fast as it can, wherever the log is.
fn consume(port: u16, load: &Load, partition: i32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Some(mut client) = Client::try_connect(port) else {
            std::thread::park_timeout(Duration::from_millis(1));
            continue;
        };
        let mut at = 0;
        while !stop.load(Ordering::Relaxed) {
            let request = support::fetch_request_of(load.topic, partition, at);
            let Some(response) = client.try_request(&request, 11) else { break };
            let partition = &response.responses[0].partitions[0];
            assert!([0, 1].contains(&partition.error_code), "{}: {partition:?}", load.topic);
            let bytes = partition.records.as_deref().unwrap_or_default();
            match BatchHeader::parse_whole(bytes) {
                Ok((header, batch)) => {
                    assert!(header.crc_is_valid(batch));
                    at = header.next_offset().0;
                }
                // Deleted meanwhile, or at the end.
                Err(_) => at = partition.log_start_offset.max(0),
            }
        }
    }
}

/// The numbers of the records of the batch that holds an offset, by offset, and the offset after
/// the batch; `None` if it has been deleted.
fn numbers_at(
    client: &mut Client,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Option<(BTreeMap<i64, u64>, i64)> {
    let (error, bytes) = client.fetch(topic, partition, offset);
    if error == 1 {
        return None;
    }
    assert_eq!(error, 0, "{topic}-{partition} at {offset}");
    let (header, batch) = BatchHeader::parse_whole(&bytes).expect("a batch");
    let number = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().expect("eight bytes"));
    let numbers = records(&header, &batch[BATCH_HEADER_BYTES..header.size])
        .map(|record| record.expect("whole"))
        .map(|record| (record.offset.0, number(record.value.expect("a value"))));
    Some((numbers.collect(), header.next_offset().0))
}

/// What was acknowledged is there, but for what retention has deleted: the last batch always is.
fn assert_kept(node: &Node, load: &Load, partition: i32, told: &Acknowledged, prng: &mut Prng) {
    let (topic, mut client) = (load.topic, node.client());
    let &(last, _) = told.batches.last().expect("something was acknowledged");
    let end = client.latest_offset(topic, partition);
    assert!(
        end >= last + load.values as i64,
        "{topic}-{partition} ends at {end}, {last} is missing"
    );
    if load.keyed {
        return assert_newest(&mut client, load, told);
    }
    let count = told.batches.len();
    let some = (0..50).map(|_| prng.below(count as u64) as usize).chain([count - 1]);
    for (offset, number) in some.map(|at| told.batches[at]) {
        let Some((found, _)) = numbers_at(&mut client, topic, partition, offset) else {
            assert!(offset != last, "{topic}-{partition}: the last batch, at {offset}");
            continue;
        };
        assert_eq!(found.get(&offset), Some(&number), "{topic}-{partition} at {offset}");
    }
}

/// Every key has its newest acknowledged value, or one that was sent later.
fn assert_newest(client: &mut Client, load: &Load, told: &Acknowledged) {
    let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut at, end) = (0, client.latest_offset(load.topic, 0));
    while at < end {
        let found = numbers_at(client, load.topic, 0, at);
        let (numbers, next) = found.expect("compaction leaves the ends where they are");
        at = next;
        for number in numbers.into_values() {
            newest.insert(number % KEYS, number);
        }
    }
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    for (_, first) in &told.batches {
        (*first..first + load.values).for_each(|number| {
            expected.insert(number % KEYS, number);
        });
    }
    for (key, number) in expected {
        let found = newest.get(&key).copied();
        assert!(found >= Some(number), "key {key}: {found:?} instead of {number}");
    }
}

fn run_in(mode: &str, seconds: u64, prng: &mut Prng) {
    let mut node = Node::start(&[
        &format!("ringlog.io.mode={mode}"),
        "ringlog.shards=2",
        "log.initial.task.delay.ms=50",
        "log.retention.check.interval.ms=50",
        "log.cleaner.backoff.ms=10",
        "log.flush.offset.checkpoint.interval.ms=50",
        "metadata.log.max.record.bytes.between.snapshots=20000",
    ]);
    for load in &LOADS {
        node.client().create_topic(load.topic, load.partitions, load.configs);
    }
    let (port, stop) = (node.port, Arc::new(AtomicBool::new(false)));
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for load in &LOADS {
        for partition in 0..load.partitions {
            let end = Arc::new(AtomicI64::new(0));
            let (flag, seen) = (Arc::clone(&stop), Arc::clone(&end));
            let thread = std::thread::spawn(move || produce(port, load, partition, &flag, &seen));
            producers.push((load, partition, end, thread));
        }
        let flag = Arc::clone(&stop);
        consumers.push(std::thread::spawn(move || consume(port, load, 0, &flag)));
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        // It is to be killed at full speed: a segment of `rolls` and more later.
        let ends = || producers.iter().map(|(_, _, end, _)| end.load(Ordering::Relaxed));
        let (before, more) = (ends().max(), 10_000 + prng.below(300_000) as i64);
        let patience = Instant::now() + PATIENCE;
        while ends().max() < before.map(|end| end + more) {
            assert!(node.is_alive(), "{mode}: the node ended: {}", node.log());
            assert!(Instant::now() < patience, "{mode}: the load does not move: {}", node.log());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        node.kill();
        node.restart();
    }
    stop.store(true, Ordering::Relaxed);
    consumers.into_iter().for_each(|consumer| consumer.join().expect("it reads"));
    let mut records = 0;
    for (load, partition, _, thread) in producers {
        let told = thread.join().expect("it writes");
        assert_kept(&node, load, partition, &told, prng);
        records += told.batches.len() as u64 * load.values;
    }
    assert_eq!(node.stop(), 0);
    let log = node.log();
    assert!(!log.contains("ERROR"), "{log}");
    node.restart();
    assert_eq!(read_values(&mut node.client(), "compacted", 0).1, 0);
    eprintln!("{mode}: {records} records acknowledged");
}

#[test]
fn p01_d17_full_speed_in_both_modes_loses_nothing() {
    let from_env = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = from_env("FULL_SPEED_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let seconds = from_env("FULL_SPEED_SECONDS").unwrap_or(SECONDS);
    eprintln!("FULL_SPEED_SEED={seed}");
    let mut prng = Prng::new(seed);
    for mode in ["buffered", "direct"] {
        run_in(mode, seconds, &mut prng);
    }
}
