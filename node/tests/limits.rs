//! What a peer or the machine can run a node out of: memory, descriptors, space, time. Named by
//! the ids of docs/TESTING.md.

#![allow(clippy::disallowed_methods, reason = "tests start processes, open sockets, take time")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use ringlog_wire::messages::{ApiVersionsRequest, FetchRequest, ProduceRequest, fetch_request};
use support::small_disk::SmallDisk;
use support::{
    Client, Node, PATIENCE, batch, fetch_request_of, produce_request, read_values, run, text,
};

const STORAGE_ERROR: i16 = 56;
const SIGABRT: i32 = 6;
const MIB: u64 = 1 << 20;
/// What a connection may cost that does nothing.
const CONNECTION_BYTES_MAX: u64 = 48 << 10;

fn assert_well(node: &mut Node, topic: &str) {
    assert!(node.is_alive(), "the node died: {}", node.log());
    let mut client = node.client();
    let produced = client.produce(topic, 0, -1, batch(&[b"decent"], None));
    assert_eq!(produced.error, 0, "{produced:?}");
    let (error, records) = client.fetch(topic, 0, produced.offset);
    assert_eq!((error, records.is_empty()), (0, false));
}

/// Writes until the peer takes no more for a while; how many bytes it took.
fn write_until_stuck(client: &mut Client, bytes: &[u8], most: usize) -> usize {
    client.socket.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut written = 0;
    while written < most {
        let at = written % bytes.len();
        match client.socket.write(&bytes[at..]) {
            Ok(count) => written += count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) => panic!("the node closed: {e}"),
        }
    }
    written
}

#[test]
fn x01_requests_that_are_sent_and_never_read_stop_at_a_bound_and_are_all_answered() {
    let mut node = Node::start(&["ringlog.shards=2"]);
    node.client().create_topic("t", 1, &[]);
    let before = node.memory("VmRSS:");
    let mut client = node.client();
    // All frames are the same, so that the bytes can go round.
    let frame = client.frame(&ApiVersionsRequest::default(), 2);
    let frames = frame.repeat(10_000);
    let written = write_until_stuck(&mut client, &frames, 400 << 20);
    assert!(written < 100 << 20, "{written} bytes were taken in without an answer being read");
    let grown = node.peak_memory() - before;
    assert!(grown < 24 * MIB, "{grown} bytes for one connection");
    assert_well(&mut node, "t");
    // What was sent whole is answered, in order and whole.
    let whole = written / frame.len();
    for i in 0..whole {
        assert!(client.read_frame().is_some(), "answer {i} of {whole}");
    }
}

#[test]
fn x01_full_mailboxes_and_budgets_hold_producers_back_and_keep_their_order() {
    let small = [
        "ringlog.shards=2",
        "socket.request.max.bytes=100000",
        "queued.max.request.bytes=200000",
        "queued.max.requests=20",
    ];
    let mut node = Node::start(&small);
    node.client().create_topic("t", 8, &[]);
    let port = node.port;
    const CLIENTS: i32 = 40;
    const EACH: i32 = 150;
    let producers: Vec<_> = (0..CLIENTS)
        .map(|id| {
            std::thread::spawn(move || {
                let mut client = Client::try_connect(port).expect("the node listens");
                let mut sent = Vec::new();
                for i in 0..EACH {
                    let value = format!("{id}:{i}:{}", "x".repeat(300));
                    let records = batch(&[value.as_bytes()], None);
                    let request = produce_request("t", id % 8, -1, records);
                    sent.push(client.send(&request, 9));
                }
                for correlation in sent {
                    let response = client.receive::<ProduceRequest>(9, correlation);
                    let response = response.expect("an answer");
                    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
                }
            })
        })
        .collect();
    for producer in producers {
        producer.join().expect("every request is answered");
    }
    let mut next = vec![0; CLIENTS as usize];
    for partition in 0..8 {
        let (values, error) = read_values(&mut node.client(), "t", partition);
        assert_eq!(error, 0);
        for value in values {
            let text = String::from_utf8(value).expect("as it was sent");
            let mut parts = text.split(':').map(str::parse::<i32>);
            let (Some(Ok(id)), Some(Ok(i))) = (parts.next(), parts.next()) else {
                panic!("{text}")
            };
            assert_eq!(i, next[id as usize], "in the order of client {id}");
            next[id as usize] += 1;
        }
    }
    assert_eq!(next, vec![EACH; CLIENTS as usize]);
    assert_well(&mut node, "t");
}

#[test]
fn x02_consumers_that_never_read_hold_bounded_memory() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 16, &[]);
    let value = vec![b'x'; 700_000];
    for partition in 0..16 {
        for _ in 0..8 {
            let produced = client.produce("t", partition, -1, batch(&[&value], None));
            assert_eq!(produced.error, 0);
        }
    }
    let before = node.memory("VmRSS:");
    let mut request: FetchRequest = fetch_request_of("t", 0, 0);
    let one = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = (0..16)
        .map(|partition| {
            let mut partition_of = one.clone();
            (partition_of.partition, partition_of.partition_max_bytes) = (partition, 8 << 20);
            partition_of
        })
        .collect();
    let mut greedy: Vec<Client> = (0..60).map(|_| node.client()).collect();
    for client in &mut greedy {
        // 50 MB each, twenty times over.
        for _ in 0..20 {
            client.send(&request, 11);
        }
    }
    for client in &mut greedy {
        // The answer has begun.
        client.socket.read_exact(&mut [0; 8]).expect("an answer");
    }
    assert_well(&mut node, "t");
    let grown = node.peak_memory().saturating_sub(before);
    assert!(grown < 150 * MIB, "{grown} bytes for 60 consumers");
}

/// Requests that do not come to their end, large ones, and answers that nobody reads, all at once.
#[test]
fn x01_x02_a_node_stays_within_its_memory_limit() {
    const LIMIT: u64 = 48 * MIB;
    let mut node =
        Node::start(&["ringlog.shards=2", &format!("ringlog.memory.limit.bytes={LIMIT}")]);
    let mut client = node.client();
    client.create_topic("t", 64, &[]);
    let value = vec![b'x'; 30_000];
    for partition in 0..64 {
        let produced = client.produce("t", partition, -1, batch(&[&value], None));
        assert_eq!(produced.error, 0);
    }
    let before = node.memory("VmRSS:");
    // Records of every partition are copied for each of them: 190 MB in all.
    let mut request: FetchRequest = fetch_request_of("t", 0, 0);
    let one = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = (0..64)
        .map(|partition| fetch_request::FetchPartition { partition, ..one.clone() })
        .collect();
    let mut greedy: Vec<Client> = (0..100).map(|_| node.client()).collect();
    for client in &mut greedy {
        client.send(&request, 11);
        client.send(&request, 11);
    }
    // 60 frames of a megabyte each, all but the last byte.
    let large = vec![b'y'; 1_000_000];
    let frame = client.frame(&produce_request("t", 0, -1, batch(&[&large], None)), 9);
    let port = node.port;
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let frame = frame.clone();
            std::thread::spawn(move || {
                let mut client = Client::try_connect(port).expect("the node listens");
                let most = frame.len() - 1;
                let taken = write_until_stuck(&mut client, &frame[..most], most);
                (client, taken)
            })
        })
        .collect();
    let slow: Vec<_> = slow.into_iter().map(|thread| thread.join().expect("writes")).collect();
    let whole = slow.iter().filter(|(_, taken)| *taken == frame.len() - 1).count();
    assert!(whole > 0, "some are taken in");
    let grown = node.peak_memory().saturating_sub(before);
    // Connections cost what they cost.
    let of_connections = (slow.len() + greedy.len()) as u64 * CONNECTION_BYTES_MAX;
    let most = LIMIT + of_connections;
    assert!(grown < most, "{grown} bytes with a limit of {LIMIT} and {of_connections}");
    drop((slow, greedy));
    assert_well(&mut node, "t");
    // A frame that has no room in it is refused, and not taken for the node's end.
    let huge = vec![b'z'; 8 << 20];
    let mut client = node.client();
    assert!(client.try_request(&produce_request("t", 0, -1, huge), 9).is_none());
    assert_well(&mut node, "t");
}

/// Producers that want no answer, and send faster than the disk writes past the page cache: what
/// waits to be written is within the limit, whether they hear of it or not.
#[test]
fn e05_records_that_nobody_wants_an_answer_for_are_paid_for_until_they_are_written() {
    const LIMIT: u64 = 48 * MIB;
    const CLIENTS: u64 = 4;
    let mut node = Node::start(&[
        "ringlog.shards=2",
        "ringlog.io.mode=direct",
        &format!("ringlog.memory.limit.bytes={LIMIT}"),
    ]);
    node.client().create_topic("t", 2, &[]);
    let before = node.memory("VmRSS:");
    let value = vec![b'x'; 1_000_000];
    let port = node.port;
    let floods: Vec<_> = (0..CLIENTS)
        .map(|i| {
            let partition = (i % 2) as i32;
            // One wants no answer, the other does not wait for it.
            let acks = if i < 2 { 0 } else { 1 };
            let records = batch(&[&value], None);
            std::thread::spawn(move || {
                let mut client = Client::try_connect(port).expect("the node listens");
                let request = ProduceRequest {
                    timeout_ms: 0,
                    ..produce_request("t", partition, acks, records)
                };
                let frame = client.frame(&request, 9);
                for _ in 0..200 {
                    client.socket.write_all(&frame).expect("the node reads on");
                }
            })
        })
        .collect();
    floods.into_iter().for_each(|flood| flood.join().expect("sends"));
    assert_well(&mut node, "t");
    let grown = node.peak_memory().saturating_sub(before);
    let most = LIMIT + CLIENTS * CONNECTION_BYTES_MAX;
    assert!(grown < most, "{grown} bytes with a limit of {LIMIT}");
}

/// The test runs itself again, to be the process that ends.
#[test]
fn p05_a_panic_in_any_thread_ends_the_process() {
    const CHILD: &str = "RINGLOG_TEST_PANICS";
    if std::env::var_os(CHILD).is_some() {
        ringlog_node::boot::abort_on_panic();
        let ended = std::thread::spawn(|| panic!("planted")).join();
        println!("alive after {ended:?}");
        return;
    }
    let own = std::env::current_exe().expect("this test");
    let output = Command::new(own)
        .args(["--exact", "p05_a_panic_in_any_thread_ends_the_process", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("it runs");
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    assert!(text(&output).contains("planted"), "it says why");
}

#[test]
fn x02_thousands_of_connections_that_trickle_or_do_nothing_cost_little_each() {
    raise_own_limit();
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 1, &[]);
    let before = node.memory("VmRSS:");
    const CONNECTIONS: usize = 3000;
    let mut all: Vec<Client> = (0..CONNECTIONS).map(|_| node.client()).collect();
    let frame = all[0].frame(&ApiVersionsRequest::default(), 2);
    for (i, client) in all.iter_mut().enumerate() {
        // Nothing; a byte of the length; half a frame, byte by byte; a large frame's beginning.
        let bytes: &[u8] = match i % 4 {
            0 => &[],
            1 => &frame[..1],
            2 => &frame[..frame.len() / 2],
            _ => &[0, 1, 0, 0, 9, 9],
        };
        bytes.iter().for_each(|byte| client.socket.write_all(&[*byte]).expect("sends"));
    }
    assert_well(&mut node, "t");
    // Those in the middle of a frame go on where they were.
    for client in all.iter_mut().skip(2).step_by(4) {
        client.socket.write_all(&frame[frame.len() / 2..]).expect("sends");
        assert!(client.read_frame().is_some());
    }
    let grown = node.peak_memory().saturating_sub(before);
    let each = grown / CONNECTIONS as u64;
    assert!(each < CONNECTION_BYTES_MAX, "{each} bytes for each connection");
    drop(all);
    assert_well(&mut node, "t");
}

fn raise_own_limit() {
    // A node of its own process raises its limit by itself; a test has to ask.
    let pid = std::process::id().to_string();
    run(Command::new("sh").args(["-c", &format!("prlimit --pid {pid} --nofile=16384:")]));
}

#[test]
fn p06_connections_beyond_the_descriptors_are_shed_and_files_still_open() {
    let mut node = Node::start(&[]);
    assert_eq!(node.stop(), 0);
    node.limits = "ulimit -n 200;".to_owned();
    node.restart();
    node.client().create_topic("before", 1, &[]);
    let mut early = node.client();
    let mut crowd: Vec<Client> = (0..400).map(|_| node.client()).collect();
    let mut served = Vec::new();
    for (i, client) in crowd.iter_mut().enumerate() {
        let frame = client.frame(&ApiVersionsRequest::default(), 2);
        // One that is shed may be gone already.
        if client.socket.write_all(&frame).is_ok() && client.read_frame().is_some() {
            served.push(i);
        }
    }
    assert!((50..200).contains(&served.len()), "{} of 400 served", served.len());
    // Those who are in are served, and there are descriptors for new files.
    early.create_topic("during", 4, &[]);
    assert_eq!(early.produce("during", 3, -1, batch(&[b"v"], None)).error, 0);
    drop(crowd);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = node.client();
        let frame = client.frame(&ApiVersionsRequest::default(), 2);
        if client.socket.write_all(&frame).is_ok() && client.read_frame().is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "nobody is let in any more");
    }
    assert_well(&mut node, "during");
}

#[test]
fn p06_accepting_survives_the_lack_of_descriptors_without_spinning() {
    let mut node = Node::start(&["socket.listen.backlog.size=1000"]);
    assert_eq!(node.stop(), 0);
    node.limits = "ulimit -n 100;".to_owned();
    node.restart();
    let mut early = node.client();
    early.create_topic("t", 1, &[]);
    // More come at once than there are descriptors.
    let pid = node.pid().to_string();
    run(Command::new("kill").args(["-STOP", &pid]));
    let crowd: Vec<Client> = (0..300).map(|_| node.client()).collect();
    run(Command::new("kill").args(["-CONT", &pid]));
    let begun = Instant::now();
    let failures = || node.log().matches("accept_failed").count();
    while failures() < 1 {
        assert!(begun.elapsed() < PATIENCE, "{}", node.log());
        // Those who are in are served meanwhile.
        assert_eq!(early.produce("t", 0, -1, batch(&[b"v"], None)).error, 0);
    }
    // All of the crowd is let in or turned away in the end.
    let mut served = 0;
    for mut client in crowd {
        let frame = client.frame(&ApiVersionsRequest::default(), 2);
        if client.socket.write_all(&frame).is_ok() && client.read_frame().is_some() {
            served += 1;
        }
    }
    assert!((10..300).contains(&served), "{served} served");
    let (tries, waited_ms) = (failures(), begun.elapsed().as_millis() as usize);
    assert!(tries <= waited_ms / 50 + 3, "{tries} tries in {waited_ms} ms");
    assert_well(&mut node, "t");
}

#[test]
fn p06_more_partitions_than_descriptors_are_all_written_and_read() {
    const PARTITIONS: i32 = 120;
    const ROUNDS: u8 = 3;
    let mut node = Node::start(&["ringlog.shards=2"]);
    assert_eq!(node.stop(), 0);
    node.limits = "ulimit -n 110;".to_owned();
    node.restart();
    let mut client = node.client();
    client.create_topic("many", PARTITIONS, &[]);
    for round in 0..ROUNDS {
        for partition in 0..PARTITIONS {
            let produced = client.produce("many", partition, -1, batch(&[&[round; 600]], None));
            assert_eq!(produced.error, 0, "round {round}, partition {partition}: {}", node.log());
        }
    }
    assert!(node.log().contains("no descriptor is left for a file"), "{}", node.log());
    for partition in 0..PARTITIONS {
        assert_eq!(read_values(&mut client, "many", partition).0, values(ROUNDS));
    }
    // And so they are after a kill, and after a stop.
    node.kill();
    node.restart();
    for partition in (0..PARTITIONS).step_by(7) {
        assert_eq!(read_values(&mut node.client(), "many", partition), (values(ROUNDS), 0));
    }
    assert_eq!(node.stop(), 0, "{}", node.log());
    node.restart();
    assert_eq!(read_values(&mut node.client(), "many", PARTITIONS - 1), (values(ROUNDS), 0));
}

fn values(rounds: u8) -> Vec<Vec<u8>> {
    (0..rounds).map(|round| vec![round; 600]).collect()
}

/// Fills a partition until it answers with an error; what was acknowledged.
fn fill_until_refused(node: &Node, topic: &str) -> Vec<Vec<u8>> {
    let mut client = node.client();
    let mut stored = Vec::new();
    for i in 0..100_000 {
        let value = format!("{i}:").into_bytes().repeat(2000);
        let produced = client.produce(topic, 0, -1, batch(&[&value], None));
        if produced.error != 0 {
            assert_eq!(produced.error, STORAGE_ERROR);
            // It stays so: nothing is written behind a write that failed.
            let again = client.produce(topic, 0, -1, batch(&[b"small"], None));
            assert_eq!(again.error, STORAGE_ERROR);
            return stored;
        }
        assert_eq!(produced.offset, stored.len() as i64);
        stored.push(value);
    }
    panic!("never full");
}

fn assert_holds(node: &Node, topic: &str, stored: &[Vec<u8>]) {
    let (values, error) = read_values(&mut node.client(), topic, 0);
    assert_eq!(error, 0);
    // The batch that failed may be there in the end: it was never refused for good.
    assert!(values.len() >= stored.len(), "{} of {}", values.len(), stored.len());
    assert_eq!(values[..stored.len()], stored[..], "everything acknowledged");
}

#[test]
fn p06_a_file_that_may_not_grow_fails_its_partition_and_loses_nothing() {
    let mut node = Node::start(&[]);
    node.client().create_topic("t", 1, &[]);
    node.client().create_topic("other", 1, &[]);
    assert_eq!(node.stop(), 0);
    // Kilobytes, in dash and bash alike 512 or 1024 bytes each.
    node.limits = "ulimit -f 2000;".to_owned();
    node.restart();
    let stored = fill_until_refused(&node, "t");
    assert!(stored.len() > 10);
    assert_well(&mut node, "other");
    node.kill();
    node.limits.clear();
    node.restart();
    assert_holds(&node, "t", &stored);
    assert_well(&mut node, "t");
}

#[test]
fn p06_d19_a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_took() {
    let mut node = Node::prepare(&[]);
    let Some(disk) = SmallDisk::mount(&node.data(), 12) else { return };
    node.format();
    node.restart();
    node.client().create_topic("t", 1, &[("segment.bytes", "3000000")]);
    let stored = fill_until_refused(&node, "t");
    assert!(stored.len() > 10);
    let (values, error) = read_values(&mut node.client(), "t", 0);
    assert_eq!((error == 0 || error == STORAGE_ERROR, values.len() <= stored.len()), (true, true));
    assert!(node.is_alive(), "{}", node.log());
    // Its stop cannot write everything down, and says so; or it is killed. Either way:
    node.kill();
    disk.resize(64);
    node.restart();
    assert_holds(&node, "t", &stored);
    assert_well(&mut node, "t");
    assert_eq!(node.stop(), 0);
    drop(node);
    drop(disk);
}

/// Stops one thread of a process, as nothing but a debugger can; it is let go when this is dropped.
struct Stuck(i32);

impl Stuck {
    fn thread(pid: u32, name: &str) -> Stuck {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("running");
        let thread = tasks
            .map(|task| task.expect("a task").path())
            .find(|task| {
                let comm = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
                comm.trim() == name
            })
            .expect("it has such a thread");
        let thread: i32 = thread
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.parse().ok())
            .expect("a tid");
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: a system call on another process, with no memory of ours.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, nothing, nothing) };
        assert_eq!(seized, 0, "ptrace: {}", std::io::Error::last_os_error());
        // SAFETY: as above.
        let stopped = unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, nothing, nothing) };
        assert_eq!(stopped, 0, "ptrace: {}", std::io::Error::last_os_error());
        Stuck(thread)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above. A thread that died meanwhile cannot be let go, but must be reaped by
        // the one who held it: until then its process does not end.
        unsafe {
            if libc::ptrace(libc::PTRACE_DETACH, self.0, nothing, nothing) != 0 {
                libc::waitpid(self.0, std::ptr::null_mut(), libc::__WALL);
            }
        }
    }
}

#[test]
fn p05_a_stuck_shard_ends_the_process_and_says_what_it_did() {
    for thread in ["shard-0", "shard-1"] {
        let mut node = Node::start(&["ringlog.shards=2", "ringlog.watchdog.ms=800"]);
        node.client().create_topic("t", 4, &[]);
        let mut client = node.client();
        for partition in 0..4 {
            assert_eq!(client.produce("t", partition, -1, batch(&[b"kept"], None)).error, 0);
        }
        let stuck = Stuck::thread(node.pid(), thread);
        let log = || node.log();
        let deadline = Instant::now() + PATIENCE;
        while !log().contains("shard_stuck") {
            assert!(Instant::now() < deadline, "nobody notices: {}", log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
        drop(stuck);
        let status = node.wait();
        assert_eq!(status.signal(), Some(SIGABRT), "{}", node.log());
        let told = node.log();
        let line = told.lines().find(|line| line.contains("shard_stuck")).expect("seen");
        assert!(
            line.contains(&format!("shard={}", &thread[6..])) && line.contains("state "),
            "{line}"
        );
        node.restart();
        for partition in 0..4 {
            let kept = read_values(&mut node.client(), "t", partition);
            assert_eq!(kept, (vec![b"kept".to_vec()], 0));
        }
    }
}

#[test]
fn p05_a_process_that_was_stopped_as_a_whole_goes_on() {
    let mut node = Node::start(&["ringlog.watchdog.ms=400"]);
    node.client().create_topic("t", 1, &[]);
    let pid = node.pid().to_string();
    for _ in 0..3 {
        run(Command::new("kill").args(["-STOP", &pid]));
        let until = Instant::now() + Duration::from_millis(900);
        while Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        run(Command::new("kill").args(["-CONT", &pid]));
        assert_well(&mut node, "t");
    }
    assert!(!node.log().contains("stuck"), "{}", node.log());
}

#[test]
fn x03_an_operation_that_never_ends_ends_the_process() {
    let mut node = Node::start(&["ringlog.watchdog.ms=800"]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "20000"), ("index.interval.bytes", "100")]);
    let value = [b'v'; 3000];
    for _ in 0..30 {
        assert_eq!(client.produce("t", 0, -1, batch(&[&value], None)).error, 0);
    }
    // A sealed segment's index is read when it is needed. Opening a pipe that nobody writes to
    // never ends.
    assert_eq!(node.stop(), 0);
    node.restart();
    let mut client = node.client();
    let index = node.data().join("t-0/00000000000000000000.index");
    std::fs::remove_file(&index).expect("there");
    run(Command::new("mkfifo").arg(&index));
    client.send(&fetch_request_of("t", 0, 0), 11);
    let status = node.wait();
    assert_eq!(status.signal(), Some(SIGABRT), "{}", node.log());
    let told = node.log();
    assert!(told.contains("operation_never_ended") && told.contains("\"open\""), "{told}");
    std::fs::remove_file(&index).expect("there");
    node.restart();
    assert_eq!(read_values(&mut node.client(), "t", 0).0, vec![value.to_vec(); 30]);
}
