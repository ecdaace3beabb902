//! DescribeLogDirs: which partitions are in which directory, and how much room there is (KIP-113,
//! KIP-827).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ringlog_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ringlog_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::inspections::inspect;
use super::{Incoming, Outcome};
use crate::broker::{Broker, Inspected, Inspection};
use crate::error_code::ErrorCode;

type ByTopic = BTreeMap<String, Vec<DescribeLogDirsPartition>>;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: DescribeLogDirsRequest = incoming.decode()?;
    let partitions: BTreeSet<(String, i32)> = match request.topics {
        Some(topics) => topics
            .into_iter()
            .flat_map(|topic| topic.partitions.into_iter().map(move |p| (topic.topic.clone(), p)))
            .collect(),
        None => {
            let image = broker.image();
            let topics = image.topics_by_name();
            topics.flat_map(|t| t.partitions.keys().map(|p| (t.name.clone(), *p))).collect()
        }
    };
    let mut by_dir = find(broker, partitions).await;
    let mut results = Vec::new();
    for (index, dir) in broker.settings.dirs[..broker.settings.data_dirs].iter().enumerate() {
        let log_dir = dir.path.display().to_string();
        let topics = by_dir.remove(&index).unwrap_or_default().into_iter();
        let topics = topics.map(|(name, partitions)| DescribeLogDirsTopic { name, partitions });
        results.push(match broker.shard.space(&dir.path).await {
            Ok((total, usable)) => DescribeLogDirsResult {
                error_code: ErrorCode::None.code(),
                log_dir,
                topics: topics.collect(),
                total_bytes: i64::try_from(total).unwrap_or(i64::MAX),
                usable_bytes: i64::try_from(usable).unwrap_or(i64::MAX),
            },
            Err(error) => {
                tracing::warn!(%error, "log_dir_not_described");
                let error_code = ErrorCode::KafkaStorageError.code();
                DescribeLogDirsResult { error_code, log_dir, ..Default::default() }
            }
        });
    }
    Some(incoming.respond(&DescribeLogDirsResponse { results, ..Default::default() }))
}

/// What is in each directory. What could not be opened is in none.
async fn find(
    broker: &Rc<Broker>,
    partitions: BTreeSet<(String, i32)>,
) -> BTreeMap<usize, ByTopic> {
    let asked: Vec<(String, i32, Inspection)> =
        partitions.into_iter().map(|(name, index)| (name, index, Inspection::Size)).collect();
    let found = inspect(broker, &asked).await;
    let mut by_dir: BTreeMap<usize, ByTopic> = BTreeMap::new();
    for (found, (name, partition_index, _)) in found.into_iter().zip(asked) {
        if let Ok(Inspected::Size { dir, bytes }) = found {
            let of = by_dir.entry(dir).or_default().entry(name).or_default();
            of.push(DescribeLogDirsPartition {
                partition_index,
                partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
                offset_lag: 0,
                is_future_key: false,
            });
        }
    }
    by_dir
}
