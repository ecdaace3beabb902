//! What a node knows of idempotent producers, over expiry, kills and lost snapshots.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

mod support;

use std::time::{Duration, Instant};

use support::{Node, PATIENCE, batch};

const OUT_OF_ORDER: i16 = 45;
const STALE_EPOCH: i16 = 47;

#[test]
fn t11_a_silent_producer_is_forgotten_after_its_time() {
    let check = "producer.id.expiration.check.interval.ms=10";
    let node = Node::start(&["producer.id.expiration.ms=1", check]);
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    assert_eq!(client.produce("t", 0, -1, batch(&[b"a"], Some((5, 0, 0)))).error, 0);
    // Sequence 9 does not follow 0, until nobody remembers 0.
    let deadline = Instant::now() + PATIENCE;
    while client.produce("t", 0, -1, batch(&[b"b"], Some((5, 0, 9)))).error == OUT_OF_ORDER {
        assert!(Instant::now() < deadline, "never forgotten");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(client.latest_offset("t", 0), 2);
}

#[test]
fn t02_t03_d13_sequences_wrap_and_survive_kills_and_the_loss_of_snapshots() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 1, &[("segment.bytes", "600")]);
    let last = i32::MAX - 2;
    let mut sequence = last;
    for i in 0..6 {
        let produced = client.produce("t", 0, -1, batch(&[b"v", b"w"], Some((5, 3, sequence))));
        assert_eq!((produced.error, produced.offset), (0, 2 * i), "at {sequence}");
        // After 2^31 - 1 comes 0.
        sequence = ((i64::from(sequence) + 2) % (1 << 31)) as i32;
    }
    let again = batch(&[b"v", b"w"], Some((5, 3, last + 2)));
    assert_eq!(client.produce("t", 0, -1, again.clone()).offset, 2, "across the wrap");
    for lose in [false, true] {
        node.kill();
        let dir = node.data().join("t-0");
        for entry in std::fs::read_dir(&dir).expect("readable") {
            let path = entry.expect("readable").path();
            if lose && path.extension().is_some_and(|suffix| suffix == "snapshot") {
                std::fs::remove_file(path).expect("removed");
            }
        }
        node.restart();
        let mut client = node.client();
        let produce = |client: &mut support::Client, epoch, sequence| {
            client.produce("t", 0, -1, batch(&[b"v", b"w"], Some((5, epoch, sequence))))
        };
        assert_eq!(produce(&mut client, 3, sequence + 1).error, OUT_OF_ORDER);
        assert_eq!(produce(&mut client, 2, 0).error, STALE_EPOCH);
        // The last batch is known in any case.
        assert_eq!(produce(&mut client, 3, sequence - 2).offset, client.latest_offset("t", 0) - 2);
        assert_eq!(produce(&mut client, 3, sequence).error, 0);
        sequence += 2;
    }
    assert_eq!(node.stop(), 0);
}
