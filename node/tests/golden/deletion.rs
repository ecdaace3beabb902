//! DeleteRecords.

use ringlog_wire::messages::DeleteRecordsRequest;
use ringlog_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};

use crate::pair::Pair;
use crate::produce::{TIMES, batch_at, produce_both};

pub fn compare(pair: &mut Pair) {
    pair.create_topic("shrinking", 1, &[]);
    pair.create_topic("keyed", 1, &[("cleanup.policy", "compact")]);
    pair.create_topic("both", 1, &[("cleanup.policy", "compact,delete")]);
    for _ in 0..5 {
        produce_both(pair, "shrinking", batch_at(&TIMES));
    }
    let asked = [
        ("shrinking", 0, 0),
        ("shrinking", 0, 2),
        ("shrinking", 0, 1),
        ("shrinking", 0, -2),
        ("shrinking", 0, 1000),
        ("shrinking", 7, 0),
        ("keyed", 0, 0),
        ("both", 0, 0),
        ("nope", 0, 0),
        ("", 0, 0),
        ("shrinking", 0, 4),
        ("shrinking", 0, -1),
    ];
    for version in 0..=2 {
        for (topic, partition_index, offset) in asked {
            let what = format!("{topic}-{partition_index} up to {offset}");
            let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
            let topics = vec![DeleteRecordsTopic { name: topic.to_owned(), partitions }];
            let request = DeleteRecordsRequest { topics, timeout_ms: 5000 };
            pair.same_but(&what, version, |_| request.clone(), |_| {});
        }
    }
}
