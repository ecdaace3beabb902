//! The rules of the accumulator, with a clock that moves when told to.

use super::*;
use crate::producer::ProducerSettings;

const BROKER: NodeId = 7;
const OTHER: NodeId = 8;

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn accumulator(settings: &str, leaders: &[NodeId]) -> Accumulator {
    let settings: ProducerSettings = toml::from_str(settings).expect("valid settings");
    let config = settings.resolve(0, 100).expect("a valid configuration");
    let mut accumulator = Accumulator::new(config, leaders.len());
    for (index, leader) in leaders.iter().enumerate() {
        accumulator.set_leader(index, Some(*leader));
    }
    if accumulator.wants_identity() {
        accumulator.set_identity(1, 0);
    }
    accumulator
}

fn append(accumulator: &mut Accumulator, now: Mono, partition: usize, count: usize) {
    for _ in 0..count {
        let stamp = Stamp { at_ns: now.0, step_ns: 0, unix_ms: 0 };
        let appended = accumulator.append(now, partition, &stamp, None, &[b'x'; 100]);
        appended.expect("there is memory");
    }
}

fn base(batch: &Batch) -> i32 {
    batch.sequence.expect("an idempotent batch").base_sequence
}

#[test]
fn a_batch_waits_for_linger_or_to_be_full() {
    let mut acc = accumulator("\"linger.ms\" = 50\n\"batch.size\" = 1000", &[BROKER]);
    assert_eq!(acc.ready(BROKER, ms(0)), Ready::Idle);
    append(&mut acc, ms(10), 0, 1);
    assert_eq!(acc.ready(BROKER, ms(10)), Ready::At(ms(60)));
    assert_eq!(acc.ready(BROKER, ms(59)), Ready::At(ms(60)));
    assert_eq!(acc.ready(OTHER, ms(60)), Ready::Idle, "another broker has nothing to get");
    assert_eq!(acc.ready(BROKER, ms(60)), Ready::Now);
    // 8 records of 107 bytes and the header fit into 1000; the ninth opens a second batch.
    append(&mut acc, ms(11), 0, 7);
    assert_eq!(acc.ready(BROKER, ms(11)), Ready::At(ms(60)), "full is known when the next comes");
    append(&mut acc, ms(12), 0, 1);
    assert_eq!(acc.ready(BROKER, ms(12)), Ready::Now);
    let drained = acc.drain(BROKER, ms(12));
    assert_eq!(drained.iter().map(Batch::records).collect::<Vec<_>>(), [8]);
    assert_eq!(acc.ready(BROKER, ms(12)), Ready::At(ms(62)), "the second has its own linger");
}

#[test]
fn without_linger_everything_goes_at_once() {
    let mut acc = accumulator("\"linger.ms\" = 0", &[BROKER]);
    append(&mut acc, ms(5), 0, 1);
    assert_eq!(acc.ready(BROKER, ms(5)), Ready::Now);
}

#[test]
fn a_flush_and_a_wait_for_memory_make_everything_ready() {
    let mut acc = accumulator("\"linger.ms\" = 5000", &[BROKER]);
    append(&mut acc, ms(0), 0, 1);
    assert_eq!(acc.ready(BROKER, ms(1)), Ready::At(ms(5000)));
    acc.set_waiting(true);
    assert_eq!(acc.ready(BROKER, ms(1)), Ready::Now);
    acc.set_waiting(false);
    assert_eq!(acc.ready(BROKER, ms(1)), Ready::At(ms(5000)));
    acc.flush();
    assert_eq!(acc.ready(BROKER, ms(1)), Ready::Now);
}

#[test]
fn memory_is_taken_by_the_batch_and_given_back_when_it_is_complete() {
    let settings = "\"batch.size\" = 1000\n\"buffer.memory\" = 2500\n\"linger.ms\" = 0";
    let mut acc = accumulator(settings, &[BROKER, BROKER, BROKER]);
    append(&mut acc, ms(0), 0, 1);
    append(&mut acc, ms(0), 1, 1);
    assert_eq!(acc.memory_free(), 500);
    let stamp = Stamp::default();
    assert_eq!(acc.append(ms(0), 2, &stamp, None, b"x"), Err(NoMemory));
    append(&mut acc, ms(0), 1, 7);
    let drained = acc.drain(BROKER, ms(1));
    assert_eq!((drained.len(), acc.unfinished(), acc.memory_free()), (2, 2, 500));
    for batch in drained {
        acc.complete(batch);
    }
    assert_eq!((acc.unfinished(), acc.memory_free()), (0, 2500));
    append(&mut acc, ms(2), 2, 1);
}

#[test]
fn a_request_takes_one_batch_of_each_partition_up_to_its_size() {
    let settings = "\"batch.size\" = 1000\n\"max.request.size\" = 2500\n\"linger.ms\" = 0";
    let mut acc = accumulator(settings, &[BROKER, OTHER, BROKER, BROKER, BROKER]);
    for partition in 0..5 {
        append(&mut acc, ms(0), partition, 20);
    }
    let mut requests = Vec::new();
    while acc.ready(BROKER, ms(0)) == Ready::Now {
        let drained = acc.drain(BROKER, ms(0));
        requests.push(drained.iter().map(|batch| batch.partition).collect::<Vec<_>>());
    }
    // Each begins where the one before ended for lack of room; the last batches are half full.
    let expected: [&[usize]; 5] = [&[0, 2], &[3, 4], &[0, 2], &[3, 4, 0], &[2, 3, 4]];
    assert_eq!(requests, expected);
    assert_eq!(acc.drain(OTHER, ms(0)).len(), 1);
}

#[test]
fn batches_that_are_not_full_go_along() {
    let mut acc = accumulator("\"batch.size\" = 1000\n\"linger.ms\" = 500", &[BROKER, BROKER]);
    append(&mut acc, ms(0), 0, 20);
    append(&mut acc, ms(0), 1, 1);
    let sizes: Vec<u32> = acc.drain(BROKER, ms(1)).iter().map(Batch::records).collect();
    assert_eq!(sizes, [8, 1], "as Java's drain, which asks nobody whether he is ready");
}

#[test]
fn sequences_count_records_per_partition_and_wrap() {
    let mut acc = accumulator("\"batch.size\" = 1000\n\"linger.ms\" = 0", &[BROKER, BROKER]);
    append(&mut acc, ms(0), 0, 17);
    append(&mut acc, ms(0), 1, 3);
    let first = acc.drain(BROKER, ms(0));
    assert_eq!(first.iter().map(base).collect::<Vec<_>>(), [0, 0]);
    let second = acc.drain(BROKER, ms(0));
    assert_eq!(second.iter().map(base).collect::<Vec<_>>(), [8]);
    assert_eq!(add_sequence(i32::MAX, 1), 0);
    assert_eq!(add_sequence(i32::MAX - 2, 5), 2);
}

#[test]
fn retries_keep_their_order_and_go_one_at_a_time() {
    let settings = "\"batch.size\" = 1000\n\"linger.ms\" = 0\n\"retry.backoff.ms\" = 100";
    let mut acc = accumulator(settings, &[BROKER]);
    append(&mut acc, ms(0), 0, 8 * 4 + 1);
    let mut sent: Vec<Batch> = (0..3).flat_map(|_| acc.drain(BROKER, ms(0))).collect();
    assert_eq!(sent.iter().map(base).collect::<Vec<_>>(), [0, 8, 16]);
    // The second and then the first fail; the third is still on the wire.
    let third = sent.pop().expect("three");
    acc.retry(sent.pop().expect("two"), ms(1));
    acc.retry(sent.pop().expect("one"), ms(1));
    assert_eq!(acc.ready(BROKER, ms(1)), Ready::At(ms(101)), "backing off");
    assert!(acc.drain(BROKER, ms(1)).is_empty());
    let first = acc.drain(BROKER, ms(101)).pop().expect("due");
    assert_eq!((base(&first), first.attempts), (0, 1));
    assert_eq!(acc.ready(BROKER, ms(101)), Ready::Idle, "the next waits for its predecessor");
    acc.complete(first);
    assert_eq!(acc.ready(BROKER, ms(101)), Ready::Now);
    let second = acc.drain(BROKER, ms(101)).pop().expect("its turn");
    assert_eq!(base(&second), 8);
    acc.complete(second);
    acc.complete(third);
    let fourth = acc.drain(BROKER, ms(101)).pop().expect("a fresh one");
    assert_eq!((base(&fourth), fourth.attempts), (24, 0));
}

#[test]
fn backoff_doubles_up_to_its_bound() {
    let settings = "\"retry.backoff.ms\" = 100\n\"retry.backoff.max.ms\" = 350";
    let acc = accumulator(settings, &[BROKER]);
    let waits: Vec<u64> = (1..6).map(|attempts| acc.backoff_ms(attempts)).collect();
    assert_eq!(waits, [100, 200, 350, 350, 350]);
}

#[test]
fn one_in_flight_means_one() {
    let settings = "\"batch.size\" = 1000\n\"linger.ms\" = 0\n\
                    \"max.in.flight.requests.per.connection\" = 1";
    let mut acc = accumulator(settings, &[BROKER]);
    append(&mut acc, ms(0), 0, 17);
    let first = acc.drain(BROKER, ms(0)).pop().expect("ready");
    assert_eq!(acc.ready(BROKER, ms(0)), Ready::Idle);
    assert!(acc.drain(BROKER, ms(0)).is_empty());
    acc.complete(first);
    assert_eq!(acc.ready(BROKER, ms(0)), Ready::Now);
}

#[test]
fn a_lost_batch_costs_the_identity_and_sequences_begin_again() {
    let mut acc = accumulator("\"batch.size\" = 1000\n\"linger.ms\" = 0", &[BROKER]);
    append(&mut acc, ms(0), 0, 25);
    let first = acc.drain(BROKER, ms(0)).pop().expect("ready");
    let second = acc.drain(BROKER, ms(0)).pop().expect("ready");
    acc.fail(first);
    assert_eq!(acc.identity(), Identity::Wanted(Some((1, 0))));
    assert!(!acc.wants_identity(), "one is still on the wire");
    assert_eq!(acc.ready(BROKER, ms(0)), Ready::Idle);
    acc.retry(second, ms(1));
    assert!(acc.wants_identity());
    acc.set_identity(1, 1);
    let again = acc.drain(BROKER, ms(500)).pop().expect("ready");
    let sequence = again.sequence.expect("idempotent");
    assert_eq!((sequence.base_sequence, sequence.producer_epoch), (0, 1));
    let header = ringlog_engine::batch::BatchHeader::parse(again.sealed()).expect("sealed");
    assert_eq!((header.base_sequence, header.producer_epoch.0), (0, 1), "and the bytes say so");
    assert!(header.crc_is_valid(again.sealed()));
}

#[test]
fn what_is_next_follows_from_what_was_acknowledged() {
    let mut acc = accumulator("\"batch.size\" = 1000\n\"linger.ms\" = 0", &[BROKER]);
    append(&mut acc, ms(0), 0, 17);
    let first = acc.drain(BROKER, ms(0)).pop().expect("ready");
    let second = acc.drain(BROKER, ms(0)).pop().expect("ready");
    assert!(acc.is_next(&first) && !acc.is_next(&second));
    acc.complete(first);
    assert!(acc.is_next(&second));
    acc.complete(second);
}

#[test]
fn old_batches_expire() {
    let settings = "\"delivery.timeout.ms\" = 1000\n\"request.timeout.ms\" = 500\n\
                    \"linger.ms\" = 0\n\"batch.size\" = 1000";
    let mut acc = accumulator(settings, &[BROKER]);
    acc.set_leader(0, None);
    append(&mut acc, ms(0), 0, 10);
    append(&mut acc, ms(600), 0, 10);
    assert!(acc.lacks_leader());
    assert_eq!(acc.expire(ms(999)), 0);
    assert_eq!(acc.expire(ms(1000)), 16, "two batches were begun at 0");
    assert_eq!(acc.expire(ms(5000)), 4);
    assert_eq!((acc.unfinished(), acc.memory_free()), (0, 32 << 20));
}

#[test]
fn nothing_is_lost_whatever_happens() {
    use ringlog_engine::stdx::prng::Prng;
    for seed in 0..300 {
        let mut prng = Prng::new(seed);
        let settings = "\"batch.size\" = 400\n\"buffer.memory\" = 8000\n\"linger.ms\" = 3\n\
                        \"max.request.size\" = 900";
        let mut acc = accumulator(settings, &[BROKER, OTHER, BROKER]);
        let (mut appended, mut done, mut wire) = (0u64, 0u64, Vec::new());
        for step in 0..400 {
            let now = ms(step);
            match prng.below(5) {
                0 | 1 => {
                    let stamp = Stamp { at_ns: now.0, step_ns: 0, unix_ms: 0 };
                    let partition = prng.index(3);
                    let result = acc.append(now, partition, &stamp, None, &[b'x'; 100]);
                    appended += u64::from(result.is_ok());
                }
                2 => wire.extend(acc.drain(if prng.chance(1, 2) { BROKER } else { OTHER }, now)),
                3 if !wire.is_empty() => {
                    let batch: Batch = wire.remove(0);
                    done += u64::from(batch.records());
                    acc.complete(batch);
                }
                4 if !wire.is_empty() => acc.retry(wire.remove(prng.index(wire.len())), now),
                _ => {}
            }
        }
        for batch in wire {
            acc.retry(batch, ms(400));
        }
        acc.flush();
        let mut clock = 400;
        while acc.unfinished() > 0 {
            clock += 100;
            for node in [BROKER, OTHER] {
                for batch in acc.drain(node, ms(clock)) {
                    done += u64::from(batch.records());
                    acc.complete(batch);
                }
            }
            assert!(clock < 1_000_000, "seed {seed} does not end");
        }
        assert_eq!((done, acc.memory_free()), (appended, 8000), "seed {seed}");
    }
}
