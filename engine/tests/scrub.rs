//! Scrubbing finds what a disk has done to sealed segments, and says where.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_engine::io::sim::{CrashProfile, World, block_on};
use ringlog_engine::io::{Buf, WritePath};
use ringlog_engine::log::{
    Committer, CommitterOptions, LoadOptions, Log, LogConfig, Origin, ReadError, Throttle,
};
use ringlog_engine::shard::Shard;
use ringlog_engine::types::{LeaderEpoch, Offset};

const DIR: &str = "/s-0";

async fn open(shard: &Shard) -> Rc<Log> {
    shard.make_dir_all(Path::new(DIR)).await.expect("mkdir");
    let options = CommitterOptions { write_path: WritePath::Ring, ..CommitterOptions::default() };
    let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let load = LoadOptions::unknown(config);
    let committer = Committer::start(shard, options);
    Log::open(shard, Path::new(DIR), &committer, load).await.expect("opens").log
}

/// Everything that scrubbing the log finds.
async fn scrub(shard: &Shard, log: &Rc<Log>) -> (u64, Vec<String>) {
    let throttle = Throttle::new(shard);
    let (mut bytes, mut found, mut from) = (0, Vec::new(), Some(Offset::ZERO));
    while let Some(at) = from {
        match log.scrub(at, &throttle).await {
            Ok(scrubbed) => {
                bytes += scrubbed.bytes;
                from = scrubbed.next;
            }
            Err(ReadError::Corrupt(what)) => {
                found.push(what);
                from = log.segment_after(at);
            }
            Err(error) => panic!("{error}"),
        }
    }
    (bytes, found)
}

fn segment(base: i64) -> PathBuf {
    PathBuf::from(format!("{DIR}/{base:020}.log"))
}

#[test]
fn d11_d23_damage_in_sealed_segments_is_found_and_named() {
    let world = World::new(3, 1, CrashProfile::Ext4);
    let disk = Rc::clone(&world);
    block_on(&world, move |shard| async move {
        let log = open(&shard).await;
        for i in 0..40u8 {
            let mut builder = BatchBuilder::default();
            let value = [i; 200];
            builder.append(1000, &RecordFields { value: Some(&value), ..Default::default() });
            let bytes = Buf::copy_of(&builder.build().expect("packs"));
            log.append(bytes, Origin::Client, LeaderEpoch(0)).expect("acceptable");
        }
        log.flush().await.expect("the disk works");
        let (bytes, found) = scrub(&shard, &log).await;
        assert!(bytes > 8000 && found.is_empty(), "{bytes} {found:?}");
        // Segments hold three batches each: one bit, in the second batch of the second.
        let rotten = segment(3);
        let mut content = disk.borrow().disk.content(&rotten).expect("there").to_vec();
        let size = content.len() / 3;
        content[size + 150] ^= 4;
        disk.borrow_mut().disk.overwrite(&rotten, content);
        // What should have gone to another place went here.
        let other = disk.borrow().disk.content(&segment(12)).expect("there").to_vec();
        disk.borrow_mut().disk.overwrite(&segment(9), other);
        let (_, found) = scrub(&shard, &log).await;
        assert_eq!(found.len(), 2, "{found:?}");
        let place = format!("{}: byte {size}, offset 4: ", rotten.display());
        assert!(found[0].starts_with(&place), "{found:?}");
        assert!(found[1].contains(&segment(9).display().to_string()), "{found:?}");
    });
}
