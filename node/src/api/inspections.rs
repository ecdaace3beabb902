//! How an API looks at partitions by their topics' names, on whichever shard they are.

use std::collections::BTreeMap;
use std::rc::Rc;

use ringlog_engine::types::ShardId;
use ringlog_wire::Uuid;

use crate::broker::{Broker, CALL_PARTITIONS_MAX, Call, Inspected, Inspection, Reply};
use crate::error_code::ErrorCode;

/// Where in the request, and what is asked.
type Routed = (Vec<usize>, Vec<(Uuid, i32, Inspection)>);

/// Looks at all of them; the answers are in the order of the questions.
pub(super) async fn inspect(
    broker: &Rc<Broker>,
    asked: &[(String, i32, Inspection)],
) -> Vec<Result<Inspected, ErrorCode>> {
    let image = broker.image();
    let mut answers = vec![Err(ErrorCode::UnknownTopicOrPartition); asked.len()];
    let mut by_shard: BTreeMap<ShardId, Routed> = BTreeMap::new();
    for (slot, (name, index, inspection)) in asked.iter().enumerate() {
        let topic = image.topic_by_name(name);
        let Some(topic) = topic.filter(|topic| topic.partitions.contains_key(index)) else {
            continue;
        };
        let (slots, routed) = by_shard.entry(broker.owner_of(topic.id, *index)).or_default();
        slots.push(slot);
        routed.push((topic.id, *index, *inspection));
    }
    for (shard, (slots, inspections)) in by_shard {
        let some = inspections.chunks(CALL_PARTITIONS_MAX);
        for (slots, inspections) in slots.chunks(CALL_PARTITIONS_MAX).zip(some) {
            let inspections = inspections.to_vec();
            let answer = broker.call(shard, Call::Inspect { inspections }).await;
            let Reply::Inspect(found) = answer.await else {
                unreachable!("an inspection has an inspection's reply")
            };
            slots.iter().zip(found).for_each(|(slot, found)| answers[*slot] = found);
            broker.shard.yield_now().await;
        }
    }
    answers
}
