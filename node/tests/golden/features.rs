//! UpdateFeatures, and what ApiVersions says afterwards. It comes late: it changes the cluster.

use ringlog_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use ringlog_wire::messages::update_features_request::FeatureUpdateKey;
use ringlog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeQuorumRequest, UpdateFeaturesRequest,
};

use crate::pair::Pair;

const UPGRADE: i8 = 1;
const SAFE: i8 = 2;
const UNSAFE: i8 = 3;

/// Names, levels and how to get there.
type Updates<'a> = &'a [(&'a str, i16, i8)];

pub fn compare(pair: &mut Pair) {
    let refused: &[Updates<'_>] = &[
        &[],
        &[("nonsense", 1, UPGRADE)],
        &[("nonsense", 0, UPGRADE)],
        &[("nonsense", 0, SAFE)],
        &[("", 1, UPGRADE)],
        &[("group.version", -1, UPGRADE)],
        &[("group.version", 2, UPGRADE)],
        &[("group.version", 1, SAFE)],
        &[("group.version", 1, UNSAFE)],
        &[("group.version", 0, UPGRADE)],
        &[("group.version", 1, 0)],
        &[("group.version", 1, 9)],
        &[("metadata.version", 6, SAFE)],
        &[("metadata.version", 22, SAFE)],
        &[("metadata.version", 22, UNSAFE)],
        &[("metadata.version", 27, SAFE)],
        &[("metadata.version", 28, UPGRADE)],
        &[("metadata.version", 26, UPGRADE)],
        &[("kraft.version", 2, UPGRADE)],
        &[("kraft.version", 0, SAFE)],
        &[("kraft.version", 1, SAFE)],
        &[("streams.version", 1, UPGRADE)],
        &[("streams.version", 0, SAFE)],
        // Which of several is told of.
        &[("zebra", 1, UPGRADE), ("apple", 1, UPGRADE), ("group.version", 9, UPGRADE)],
        &[("group.version", 1, UPGRADE), ("group.version", 9, UPGRADE)],
        &[("group.version", 9, UPGRADE), ("group.version", 1, UPGRADE)],
        &[("metadata.version", 26, SAFE), ("nonsense", 1, UPGRADE)],
    ];
    for updates in refused {
        update(pair, updates, true);
        update(pair, updates, false);
    }
    levels(pair, "nothing has changed");
    update(pair, &[("metadata.version", 26, SAFE), ("group.version", 0, SAFE)], true);
    levels(pair, "validated only");
    update(pair, &[("metadata.version", 26, SAFE), ("group.version", 0, SAFE)], false);
    levels(pair, "down");
    update(pair, &[("metadata.version", 27, UPGRADE), ("group.version", 1, UPGRADE)], false);
    levels(pair, "up");
    // The voters move into the log.
    update(pair, &[("kraft.version", 1, UPGRADE)], true);
    levels(pair, "validated only");
    update(pair, &[("kraft.version", 1, UPGRADE)], false);
    levels(pair, "voters in the log");
    update(pair, &[("kraft.version", 1, UPGRADE)], false);
    update(pair, &[("kraft.version", 0, SAFE)], false);
    quorum(pair);
}

fn update(pair: &mut Pair, updates: Updates<'_>, validate_only: bool) {
    for version in 0..=2 {
        if version == 0 && (validate_only || updates.iter().any(|(.., kind)| *kind != UPGRADE)) {
            continue;
        }
        let keys = updates.iter().map(|(feature, level, kind)| FeatureUpdateKey {
            feature: (*feature).to_owned(),
            max_version_level: *level,
            allow_downgrade: false,
            upgrade_type: if version == 0 { UPGRADE } else { *kind },
        });
        let feature_updates: Vec<_> = keys.collect();
        pair.same(&format!("{updates:?} {validate_only}"), version, |_| UpdateFeaturesRequest {
            timeout_ms: 10_000,
            feature_updates: feature_updates.clone(),
            validate_only,
        });
    }
}

fn levels(pair: &mut Pair, what: &str) {
    let ask = || ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
    };
    // A broker follows a moment after the controller has answered.
    std::thread::park_timeout(std::time::Duration::from_millis(50));
    pair.same_but(
        what,
        4,
        |_| ask(),
        |response: &mut ApiVersionsResponse| {
            response.api_keys.clear();
            response.supported_features.clear();
            response.finalized_features_epoch = 0;
            response.finalized_features.sort_by(|a, b| a.name.cmp(&b.name));
        },
    );
}

fn quorum(pair: &mut Pair) {
    let Pair { stock, ours, .. } = pair;
    for side in [stock, ours] {
        let text = std::fs::read_to_string(side.node.data().join("meta.properties"));
        let text = text.expect("readable");
        let id = text.lines().find_map(|line| line.strip_prefix("directory.id="));
        let id: ringlog_wire::Uuid = id.expect("an id").parse().expect("an id");
        side.mask(format!("{id:?}"), "DIRECTORY".to_owned());
    }
    pair.same_but(
        "voters",
        2,
        |_| DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: "__cluster_metadata".to_owned(),
                partitions: vec![PartitionData { partition_index: 0 }],
            }],
        },
        |response| {
            for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                (partition.high_watermark, partition.leader_epoch) = (0, 0);
                for voter in &mut partition.current_voters {
                    voter.log_end_offset = 0;
                    (voter.last_fetch_timestamp, voter.last_caught_up_timestamp) = (0, 0);
                }
            }
        },
    );
}
