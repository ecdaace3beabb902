//! The crash model against itself: bugs that a log could have, each of which it must catch within
//! the time that scripts/test has. A log that forgets a sync and a disk that leaves one out are
//! the same to the disk, so most are planted below the log (`DiskLies`), and the log has no switch
//! for them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, RecordFields};
use ringlog_engine::io::sim::CrashProfile;

use crate::HONEST;
use crate::model::{Plant, Promise, one_run};

/// How many seeds may pass before a bug is caught. The rarest shows in one of some 200, and any
/// change of the code shuffles which: so many seeds take less than half a minute, and are enough.
const SEEDS_MAX: u64 = 4000;

/// What is behind a log's end in a block that held batches before: one that would fit there.
fn stale_batch(block: &mut [u8]) {
    let end = block.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let batch = (0..end.saturating_sub(BATCH_HEADER_BYTES)).find_map(|at| {
        let (header, bytes) = BatchHeader::parse_whole(&block[at..end]).ok()?;
        (at + header.size == end && header.crc_is_valid(bytes)).then_some(header)
    });
    let Some(last) = batch else { return };
    let mut builder = BatchBuilder::default();
    builder.base_offset = last.next_offset();
    builder.leader_epoch = last.leader_epoch;
    let value = u64::MAX.to_be_bytes();
    builder.append(5000, &RecordFields { value: Some(&value), ..Default::default() });
    let stale = builder.build().expect("packs");
    if let Some(room) = block.get_mut(end..end + stale.len()) {
        room.copy_from_slice(&stale);
    }
}

const PLANTED: &[(&str, Plant)] = &[
    ("acknowledged when it was appended", |_, model| model.promise = Promise::Appended),
    ("the high watermark from the written end under sync", |_, model| {
        model.promise = Promise::Written;
    }),
    ("a sync of a file left out", |lies, _| lies.syncs = true),
    ("a sync of a directory left out", |lies, _| lies.dir_syncs = true),
    ("a failed sync tried again and believed", |lies, _| lies.sync_retries = true),
    ("a cut left out: a suffix comes back", |lies, _| lies.cuts = true),
    ("blocks that were not zeroed", |lies, _| lies.padding = Some(stale_batch)),
    ("corruption below the recovery point cut off", |_, model| model.plants.cuts_corrupt = true),
    ("producers not restored", |_, model| model.plants.forgets_producers = true),
];

#[test]
fn every_planted_bug_is_caught() {
    let caught = |plant: Plant, seed: u64| {
        let profiles = [CrashProfile::Ext4, CrashProfile::Hostile];
        profiles.into_iter().any(|profile| {
            catch_unwind(AssertUnwindSafe(|| one_run(seed, profile, None, plant))).is_err()
        })
    };
    for (name, plant) in PLANTED {
        let seed = (0..SEEDS_MAX).find(|seed| caught(*plant, *seed));
        assert!(seed.is_some(), "not caught: {name}");
        eprintln!("caught with seed {}: {name}", seed.expect("it was"));
    }
    assert!(!caught(HONEST, 0), "without one there is nothing to catch");
}
