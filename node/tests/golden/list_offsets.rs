//! ListOffsets.

use ringlog_wire::messages::ListOffsetsRequest;
use ringlog_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use crate::pair::Pair;
use crate::produce::{TIMES, batch_at, produce_both};

pub fn compare(pair: &mut Pair) {
    pair.create_topic("bare", 1, &[]);
    pair.create_topic("timed", 1, &[]);
    pair.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    for time in TIMES {
        produce_both(pair, "timed", batch_at(&[time, time + 5]));
        produce_both(pair, "stamped", batch_at(&[time]));
    }
    let times = [-1, -2, -3, -4, -5, -6, -100, 0, TIMES[0], TIMES[0] + 3, TIMES[2], i64::MAX];
    for version in 1..=10 {
        for topic in ["bare", "timed", "stamped", "nope", ""] {
            for timestamp in times {
                for (partition_index, isolation_level, current_leader_epoch) in
                    [(0, 0, -1), (0, 1, 0), (0, 0, 1), (9, 0, -1)]
                {
                    let what = format!(
                        "{topic}-{partition_index} {timestamp} isolation {isolation_level} epoch \
                         {current_leader_epoch}"
                    );
                    ask(
                        pair,
                        &what,
                        version,
                        topic,
                        ListOffsetsPartition {
                            partition_index,
                            timestamp,
                            current_leader_epoch: if version >= 4 {
                                current_leader_epoch
                            } else {
                                -1
                            },
                        },
                        if version >= 2 { isolation_level } else { 0 },
                    );
                }
            }
        }
    }
}

fn ask(
    pair: &mut Pair,
    what: &str,
    version: i16,
    topic: &str,
    partition: ListOffsetsPartition,
    isolation_level: i8,
) {
    pair.same_but(
        what,
        version,
        |_| ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: vec![partition.clone()],
            }],
            timeout_ms: 5000,
        },
        |response| {
            // Log append times are each side's own clock's.
            let stamped = response.topics.iter_mut().filter(|topic| topic.name == "stamped");
            for partition in stamped.flat_map(|topic| &mut topic.partitions) {
                partition.timestamp = partition.timestamp.min(0);
                if partition.offset > 0 {
                    partition.offset = partition.offset.min(1);
                }
            }
        },
    );
}
