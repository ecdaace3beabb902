//! Power cuts under a real node: a file system on a loop device (ext4 with a journal, and xfs) is
//! shut down between two instants without flushing its journal, the process is killed, the file
//! system is mounted again. Everything that was acknowledged under `sync` must be there.
//!
//! Needs root, a loop device, mkfs.ext4 and mkfs.xfs. `POWER_CUT_ROUNDS=n` sets how often
//! (scripts/power_cut.sh does).

#![allow(clippy::disallowed_methods, reason = "tests start processes and look at the clock")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use ringlog_engine::batch::BatchHeader;
use ringlog_engine::stdx::prng::Prng;
use support::loop_disk::{FileSystem, LoopDisk};
use support::{Client, Node, PATIENCE, batch, produce_request, read_values};

const ROUNDS: usize = 2;
const PARTITIONS: i32 = 3;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// Values by offset.
type Acknowledged = Vec<(i64, Vec<u8>)>;

/// Produces until the node is gone; gives what was acknowledged, by offset.
fn produce(port: u16, partition: i32, seed: u64, acked: &AtomicU64) -> Acknowledged {
    let mut prng = Prng::new(seed);
    let mut client = Client::try_connect(port).expect("the node listens");
    let mut done = Vec::new();
    for n in 0.. {
        let values: Vec<Vec<u8>> = (0..prng.between(1, 20))
            .map(|i| format!("{seed}:{n}:{i}:{:0>1$}", "", prng.index(300)).into_bytes())
            .collect();
        let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let request = produce_request("t", partition, -1, batch(&slices, None));
        let Some(response) = client.try_request(&request, 9) else { break };
        let answer = &response.responses[0].partition_responses[0];
        if answer.error_code != 0 {
            break;
        }
        done.extend((answer.base_offset..).zip(values));
        acked.fetch_add(1, Ordering::Relaxed);
    }
    done
}

/// Loads every partition, and comes back once so many batches are acknowledged.
fn load_until(node: &Node, prng: &mut Prng, enough: u64) -> Vec<JoinHandle<Acknowledged>> {
    let acked = Arc::new(AtomicU64::new(0));
    let port = node.port;
    let loads = (0..PARTITIONS).map(|partition| {
        let (seed, acked) = (prng.next_u64(), Arc::clone(&acked));
        std::thread::spawn(move || produce(port, partition, seed, &acked))
    });
    let loads = loads.collect();
    let deadline = Instant::now() + PATIENCE;
    while acked.load(Ordering::Relaxed) < enough {
        assert!(Instant::now() < deadline, "the load does not move: {}", node.log());
        std::thread::yield_now();
    }
    loads
}

#[test]
fn d01_d15_d16_power_cuts_lose_nothing_that_was_acknowledged() {
    let rounds = std::env::var("POWER_CUT_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    for file_system in FileSystem::ALL {
        for io_mode in ["buffered", "direct"] {
            cut_power(file_system, io_mode, rounds);
        }
    }
}

fn cut_power(file_system: FileSystem, io_mode: &str, rounds: usize) {
    let io_mode = format!("ringlog.io.mode={io_mode}");
    let mut node = Node::prepare(&["log.flush.offset.checkpoint.interval.ms=50", &io_mode]);
    let Some(disk) = LoopDisk::make(file_system, node.dir.path(), node.data()) else { return };
    node.format();
    node.restart();
    node.client().create_topic("t", PARTITIONS, &[("segment.bytes", "100000")]);
    let mut prng = Prng::new(u64::from(std::process::id()));
    let mut acknowledged: Vec<Acknowledged> = vec![Vec::new(); PARTITIONS as usize];
    for round in 0..rounds {
        let enough = 30 + prng.below(300);
        let loads = load_until(&node, &mut prng, enough);
        disk.cut_power();
        node.kill();
        for (all, load) in acknowledged.iter_mut().zip(loads) {
            all.extend(load.join().expect("the load does not panic"));
        }
        disk.mount_again();
        node.restart();
        let mut client = node.client();
        for (partition, stored) in (0..).zip(&acknowledged) {
            let (values, error) = read_values(&mut client, "t", partition);
            assert_eq!(error, 0, "round {round}, partition {partition}");
            for (offset, value) in stored {
                let found = values.get(*offset as usize);
                assert_eq!(found, Some(value), "round {round}, partition {partition}, {offset}");
            }
        }
    }
    let count: usize = acknowledged.iter().map(Vec::len).sum();
    eprintln!("{file_system:?}, {io_mode}: {rounds} power cuts, {count} acknowledged records");
    node.stop();
    drop(node);
    drop(disk);
}

/// Under `replicated` a node of its own may lose what it has acknowledged, but only the end of each
/// log; nobody is served another record at an offset that a consumer has gone past unawares.
#[test]
fn d02_d03_power_cuts_under_replicated_take_the_end_of_each_log_and_no_more() {
    FileSystem::ALL.into_iter().for_each(cut_power_under_replicated);
}

fn cut_power_under_replicated(file_system: FileSystem) {
    let mut node = Node::prepare(&["ringlog.durability=replicated"]);
    let Some(disk) = LoopDisk::make(file_system, node.dir.path(), node.data()) else { return };
    node.format();
    node.restart();
    node.client().create_topic("t", PARTITIONS, &[("segment.bytes", "100000")]);
    let mut prng = Prng::new(u64::from(std::process::id()) + 1);
    for round in 0..ROUNDS {
        let starts: Vec<i64> =
            (0..PARTITIONS).map(|p| node.client().latest_offset("t", p)).collect();
        let loads = load_until(&node, &mut prng, 300);
        disk.cut_power();
        node.kill();
        let acknowledged: Vec<_> =
            loads.into_iter().map(|load| load.join().expect("the load does not panic")).collect();
        disk.mount_again();
        node.restart();
        let mut client = node.client();
        for (partition, stored) in (0..).zip(&acknowledged) {
            let (values, error) = read_values(&mut client, "t", partition);
            assert_eq!(error, 0, "round {round}, partition {partition}");
            let end = values.len() as i64;
            assert!(end >= starts[partition as usize], "what a start has found it keeps");
            for (offset, value) in stored.iter().filter(|(offset, _)| *offset < end) {
                assert_eq!(&values[*offset as usize], value, "{partition}: {offset}");
            }
            // Whoever has read further hears of it, and the epoch is another.
            assert_eq!(client.latest_offset("t", partition), end);
            let beyond = stored.last().map_or(end, |(offset, _)| *offset) + 1;
            if beyond > end {
                assert_eq!(client.fetch("t", partition, beyond).0, OFFSET_OUT_OF_RANGE);
            }
            let produced = client.produce("t", partition, -1, batch(&[b"next"], None));
            assert_eq!((produced.error, produced.offset), (0, end));
            let (_, bytes) = client.fetch("t", partition, end);
            let (header, _) = BatchHeader::parse_whole(&bytes).expect("a batch");
            assert_eq!(header.leader_epoch.0, round as i32 + 1, "a new leader epoch");
        }
    }
    node.stop();
    drop(node);
    drop(disk);
}

/// What is written over zeros that are laid out is on the device, and in its cache: an
/// acknowledgement is one flush of the device at least, whatever the file system's journal is at.
#[test]
fn e01_every_acknowledgement_in_direct_mode_has_flushed_the_device() {
    const LAID_OUT_FROM: usize = 200_000;
    const ACKNOWLEDGEMENTS: usize = 300;
    for file_system in FileSystem::ALL {
        let mut node = Node::prepare(&["ringlog.io.mode=direct"]);
        let Some(disk) = LoopDisk::make(file_system, node.dir.path(), node.data()) else { return };
        node.format();
        node.restart();
        let mut client = node.client();
        client.create_topic("t", 1, &[]);
        let value = vec![b'x'; LAID_OUT_FROM];
        for _ in 0..4 {
            assert_eq!(client.produce("t", 0, -1, batch(&[&value], None)).error, 0);
        }
        let mut without = 0;
        for _ in 0..ACKNOWLEDGEMENTS {
            let before = disk.flushes();
            assert_eq!(client.produce("t", 0, -1, batch(&[b"small"], None)).error, 0);
            without += usize::from(disk.flushes() == before);
        }
        assert_eq!(without, 0, "of {ACKNOWLEDGEMENTS} on {file_system:?} had no flush");
        node.stop();
    }
}
