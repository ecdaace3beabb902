//! Power cuts under a real node: an ext4 file system on a loop device is shut down between two
//! instants (FS_IOC_SHUTDOWN without flushing its journal), the process is killed, the file system
//! is mounted again. Everything that was acknowledged under `sync` must be there.
//!
//! Needs root, a loop device and mkfs.ext4. `POWER_CUT_ROUNDS=n` sets how often
//! (scripts/power_cut.sh does).

#![allow(clippy::disallowed_methods, reason = "tests start processes and look at the clock")]

mod support;

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringlog_engine::batch::BatchHeader;
use ringlog_engine::stdx::prng::Prng;
use support::{Client, Node, PATIENCE, batch, produce_request, read_values, run, text};

const ROUNDS: usize = 2;
const PARTITIONS: i32 = 3;
const IMAGE_MIB: u64 = 256;
/// `_IOR('X', 125, u32)`, and its flag for: without flushing the journal.
const FS_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// An ext4 file system in a file.
struct LoopDisk {
    device: String,
    at: PathBuf,
}

impl LoopDisk {
    fn make(image: &Path, at: PathBuf) -> Option<LoopDisk> {
        let file = std::fs::File::create(image).expect("a file");
        file.set_len(IMAGE_MIB << 20).expect("grown");
        let mkfs = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).output();
        let device = Command::new("losetup").args(["-f", "--show"]).arg(image).output();
        let worked = |output: &std::io::Result<std::process::Output>| {
            output.as_ref().is_ok_and(|output| output.status.success())
        };
        if !worked(&mkfs) || !worked(&device) {
            eprintln!("SKIPPED: no loop device with ext4 can be had (not root?)");
            return None;
        }
        let device = String::from_utf8_lossy(&device.expect("it worked").stdout).trim().to_owned();
        std::fs::create_dir_all(&at).expect("made");
        let disk = LoopDisk { device, at };
        disk.mount();
        Some(disk)
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-t", "ext4", &self.device]).arg(&self.at));
    }

    /// From now on nothing reaches the device, not even what the journal holds.
    fn cut_power(&self) {
        let dir = std::fs::File::open(&self.at).expect("mounted");
        // SAFETY: the kernel reads four bytes from a number that outlives the call.
        let done = unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_SHUTDOWN, &NO_LOG_FLUSH) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    fn mount_again(&self) {
        // What the process had in flight lets go of its files a little after it is gone.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = Command::new("umount").arg(&self.at).output().expect("it runs");
            if output.status.success() {
                break;
            }
            assert!(Instant::now() < deadline, "{}", text(&output));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.mount();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
    }
}

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
    let mut node = Node::prepare(&["log.flush.offset.checkpoint.interval.ms=50"]);
    let image = node.dir.path().join("image");
    let Some(disk) = LoopDisk::make(&image, node.data()) else { return };
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
    eprintln!("{rounds} power cuts, {count} acknowledged records, none lost");
    node.stop();
    drop(node);
    drop(disk);
}

/// Under `replicated` a node of its own may lose what it has acknowledged, but only the end of each
/// log; nobody is served another record at an offset that a consumer has gone past unawares.
#[test]
fn d02_d03_power_cuts_under_replicated_take_the_end_of_each_log_and_no_more() {
    let mut node = Node::prepare(&["ringlog.durability=replicated"]);
    let image = node.dir.path().join("image");
    let Some(disk) = LoopDisk::make(&image, node.data()) else { return };
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
