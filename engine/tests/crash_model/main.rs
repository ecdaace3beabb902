//! The log against a vector, on a disk that tears.
//!
//! A script of random operations runs on a simulated disk; the model is the list of what was
//! appended. At any point the power fails, or the process is killed, or the log is closed; it is
//! opened again and must hold a prefix of the list that has everything it ever promised. Seeds are
//! printed; `CRASH_SEED=n` repeats one, `CRASH_RUNS=n` sets how many are run.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment and its own clock")]

mod actors;
mod model;
mod planted;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::{
    DIR, Disk, Plant, Shared, batch, check_reopened, config, one_run, open, read_all, run_script,
};
use ringlog_engine::batch::BatchHeader;
use ringlog_engine::io::WritePath;
use ringlog_engine::io::sim::{CrashProfile, World, block_on, run_turns};
use ringlog_engine::log::{
    Committer, CommitterOptions, LoadOptions, Log, LogConfig, Origin, ReadLimits,
};
use ringlog_engine::stdx::prng::Prng;
use ringlog_engine::types::{LeaderEpoch, Offset};

/// Nothing is wrong.
const HONEST: Plant = |_, _| ();

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn d01_d04_d07_d13_d14_d15_d16_d18_d19_random_scripts_survive_power_cuts() {
    if let Some(seed) = env("CRASH_SEED") {
        one_run(seed, CrashProfile::Ext4, None, HONEST);
        one_run(seed, CrashProfile::Hostile, None, HONEST);
        return;
    }
    let runs = env("CRASH_RUNS").unwrap_or(400);
    for seed in 0..runs {
        for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
            let result = std::panic::catch_unwind(|| one_run(seed, profile, None, HONEST));
            assert!(result.is_ok(), "failed: CRASH_SEED={seed} {profile:?}");
        }
    }
}

#[test]
fn every_crash_point_of_small_scripts() {
    for seed in 0..4 {
        for turns in 0..150 {
            for profile in [CrashProfile::Ext4, CrashProfile::Hostile] {
                let result =
                    std::panic::catch_unwind(|| one_run(seed, profile, Some(turns), HONEST));
                assert!(result.is_ok(), "failed: seed {seed}, turn {turns}, {profile:?}");
            }
        }
    }
}

#[test]
fn p01_a_kill_loses_nothing_that_was_written_under_replicated() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        run_turns(&world, prng.below(200), move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, false).await;
            let mut prng = Prng::new(seed);
            for _ in 0..30 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
                shard.sleep_ms(prng.below(2)).await;
                shared.borrow_mut().promised = log.committed_end_offset().0;
            }
        });
        world.borrow_mut().kill();
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &model, &config).await;
        });
    }
}

#[test]
fn d08_after_a_failed_sync_nothing_is_promised_and_nothing_is_retried() {
    for seed in 0..100 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        let failing = Rc::clone(&world);
        block_on(&world, move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, true).await;
            let after = prng.below(6);
            failing.borrow_mut().disk.faults.sync_error_after = Some(after);
            let mut failed = false;
            for _ in 0..30 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                let appended = log.append(bytes, Origin::Client, LeaderEpoch(0));
                let flushed = log.flush().await;
                assert!(!failed || flushed.is_err(), "a second sync is not believed");
                failed |= flushed.is_err();
                if failed {
                    assert!(log.failure().is_some());
                    assert!(flushed.is_err() || appended.is_err());
                }
                shared.borrow_mut().note_promise(log.ends());
            }
            assert!(failed, "the planned failure came");
        });
        world.borrow_mut().crash();
        block_on(&world, move |shard| async move {
            check_reopened(&shard, &model, &config).await;
        });
    }
}

#[test]
fn p01_after_a_kill_only_what_lies_behind_the_noted_point_is_read() {
    let world = World::new(11, 1, CrashProfile::Ext4);
    let model: Shared = Rc::default();
    let config = LogConfig { producer_expiration_ms: i64::MAX, ..LogConfig::default() };
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let log = open(&shard, &shared, &config_of_run, true).await;
        let mut prng = Prng::new(1);
        let append = |prng: &mut Prng| {
            let bytes = batch(&mut shared.borrow_mut(), prng);
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        };
        (0..100).for_each(|_| append(&mut prng));
        assert_eq!(log.bytes_to_recover(), log.size_bytes());
        log.note_recovery_point().await.expect("the disk works");
        (0..10).for_each(|_| append(&mut prng));
        assert!(log.bytes_to_recover() < log.size_bytes() / 5);
        log.flush().await.expect("the disk works");
        shared.borrow_mut().note_promise(log.ends());
    });
    world.borrow_mut().crash();
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let committer = Committer::start(&shard, CommitterOptions::default());
        let load = LoadOptions::unknown(config_of_run);
        let loaded = Log::open(&shard, Path::new(DIR), &committer, load).await.expect("opens");
        let (read, all) = (loaded.scanned_bytes, loaded.log.size_bytes());
        assert!(0 < read && read < all / 3, "{read} of {all} bytes were read");
        assert_eq!(read_all(&loaded.log).await, shared.borrow().values);
    });
    world.borrow_mut().kill();
    block_on(&world, move |shard| async move {
        check_reopened(&shard, &model, &config).await;
    });
}

#[test]
fn d12_corruption_below_the_recovery_point_is_refused_not_cut() {
    let world = World::new(9, 1, CrashProfile::Ext4);
    let model: Shared = Rc::default();
    let config = LogConfig { producer_expiration_ms: i64::MAX, ..LogConfig::default() };
    let (shared, config_of_run) = (Rc::clone(&model), config.clone());
    block_on(&world, move |shard| async move {
        let log = open(&shard, &shared, &config_of_run, true).await;
        let mut prng = Prng::new(1);
        for _ in 0..20 {
            let bytes = batch(&mut shared.borrow_mut(), &mut prng);
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        }
        log.flush().await.expect("the disk works");
        shared.borrow_mut().recovery_point = log.recovery_point().0;
    });
    world.borrow_mut().kill();
    let path = PathBuf::from(format!("{DIR}/00000000000000000000.log"));
    let mut bytes = world.borrow().disk.content(&path).expect("written").to_vec();
    let before = bytes.len();
    bytes[before / 2] ^= 1;
    world.borrow_mut().disk.overwrite(&path, bytes);
    block_on(&world, move |shard| async move {
        let options =
            CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
        let committer = Committer::start(&shard, options);
        let recovery_point = Offset(model.borrow().recovery_point);
        let load = LoadOptions { recovery_point, ..LoadOptions::unknown(config) };
        let error = Log::open(&shard, Path::new(DIR), &committer, load).await.err();
        let message = error.expect("refused").to_string();
        assert!(message.contains("below the recovery point"), "{message}");
    });
    let after = world.borrow().disk.content(&path).expect("still there").len();
    assert_eq!(after, before, "nothing was cut off");
}

/// The first batch after a start writes its leader epoch down first: the sync that a flush asks for
/// is over before the batch is written.
#[test]
fn a_flush_that_is_asked_for_before_the_write_still_ends() {
    for seed in 0..50 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        let flushed = run_turns(&world, 100_000, move |shard| async move {
            let log = open(&shard, &model, &config, false).await;
            for epoch in 0..5 {
                let bytes = batch(&mut model.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(epoch)).expect("acceptable");
                log.flush().await.expect("the disk works");
                assert_eq!(log.ends().durable_end_offset, log.ends().log_end_offset);
            }
        });
        assert!(flushed.is_some(), "seed {seed}: the flush never ends");
    }
}

/// Whenever the power fails while segments are deleted from the start: what is left has no hole.
#[test]
fn d16_a_crash_in_a_deletion_from_the_start_leaves_no_hole() {
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Hostile);
        let model: Shared = Rc::default();
        let config = LogConfig { segment_bytes: 2000, ..config(&mut prng) };
        let (shared, config_of_run) = (Rc::clone(&model), config.clone());
        let deleted: Rc<RefCell<(Offset, usize)>> = Rc::default();
        let start = Rc::clone(&deleted);
        run_turns(&world, 100 + prng.below(600), move |shard| async move {
            let log = open(&shard, &shared, &config_of_run, true).await;
            let mut prng = Prng::new(seed);
            for _ in 0..60 {
                let bytes = batch(&mut shared.borrow_mut(), &mut prng);
                log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
            }
            log.flush().await.expect("the disk works");
            shared.borrow_mut().promised = log.ends().durable_end_offset.0;
            for part in [4, 2, 1] {
                let to = Offset(log.ends().log_end_offset.0 / part);
                start.borrow_mut().0 = to;
                let count = log.delete_before(to).await.expect("the disk works");
                start.borrow_mut().1 += count;
                assert_eq!(log.ends().log_start_offset, to);
                assert!(log.first_segment_base() <= to);
            }
            assert_eq!(log.segment_count(), 1, "all but the active one");
        });
        world.borrow_mut().crash();
        let (start, count) = *deleted.borrow();
        block_on(&world, move |shard| async move {
            let log = open(&shard, &model, &config, true).await;
            let ends = log.ends();
            assert!(ends.log_start_offset <= start, "{ends:?} {start}");
            assert!(ends.log_end_offset.0 >= model.borrow().promised, "{ends:?}");
            assert!(count == 0 || ends.log_start_offset > Offset::ZERO, "it came back");
            for offset in ends.log_start_offset.0..ends.log_end_offset.0 {
                let limits = ReadLimits { bytes_max: 1, at_least_one_batch: true };
                let plan = log.plan_read(Offset(offset), ends.log_end_offset, limits).await;
                let bytes = log.read(&plan.expect("in range")).await.expect("readable");
                let (header, _) = BatchHeader::parse_whole(&bytes).expect("a whole batch");
                assert!(header.base_offset.0 <= offset && offset <= header.last_offset().0);
            }
        });
    }
}

/// D02, D03: under `replicated` a power cut takes records that were written. What is left is a
/// prefix, its producer's next sequence fits it, and it goes on under a new leader epoch.
#[test]
fn d02_d03_a_power_cut_under_replicated_takes_a_suffix_and_no_more() {
    let mut lost = 0;
    for seed in 0..200 {
        let mut prng = Prng::new(seed);
        let world = World::new(seed, 1, CrashProfile::Ext4);
        let model: Shared = Rc::default();
        let config = config(&mut prng);
        for _ in 0..3 {
            let (shared, config_of_run) = (Rc::clone(&model), config.clone());
            let script = prng.next_u64();
            run_turns(&world, prng.below(300), move |shard| async move {
                run_script(shard, shared, config_of_run, script, false, Disk::Works).await;
            });
            let written = model.borrow().values.len();
            world.borrow_mut().crash();
            let (shared, config_of_run) = (Rc::clone(&model), config.clone());
            block_on(&world, move |shard| async move {
                check_reopened(&shard, &shared, &config_of_run).await;
                shared.borrow_mut().epoch += 1;
            });
            lost += written - model.borrow().values.len();
            world.borrow_mut().kill();
        }
    }
    assert!(lost > 0, "otherwise nothing was tried");
}
