//! ConsumerGroupDescribe: groups of the consumer protocol (KIP-848).

use std::rc::Rc;

use ringlog_wire::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use ringlog_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::{GROUP_OPERATIONS, Incoming, Outcome};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::group::{self, DescribedConsumer, DescribedConsumerGroup, GroupAnswer, GroupRequest};
use crate::metadata::MetadataImage;

/// From here on a member's protocol is told.
const MEMBER_TYPE_FROM: i16 = 1;
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;
const MEMBER_TYPE_UNKNOWN: i8 = -1;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: ConsumerGroupDescribeRequest = incoming.decode()?;
    let image = broker.image();
    let enabled = broker.serves_consumer_groups();
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        if !enabled {
            groups.push(refused(id, ErrorCode::UnsupportedVersion, None));
            continue;
        }
        if id.is_empty() {
            groups.push(refused(id, ErrorCode::InvalidGroupId, None));
            continue;
        }
        let describe = GroupRequest::DescribeConsumers { groups: vec![id.clone()] };
        let described = match broker.ask_group(&id, describe).await.await {
            GroupAnswer::ConsumersDescribed(mut described) => described.pop(),
            GroupAnswer::Unavailable(error) => {
                groups.push(refused(id, error, None));
                continue;
            }
            other => unreachable!("a description has its own answer, not {other:?}"),
        };
        groups.push(match described.expect("a group is asked for") {
            Ok(described) => {
                let allowed = request.include_authorized_operations;
                let mut group = found(&image, id, described, incoming.header.version);
                group.authorized_operations = if allowed { GROUP_OPERATIONS } else { i32::MIN };
                group
            }
            Err(why) => refused(id, ErrorCode::GroupIdNotFound, Some(why)),
        });
    }
    Some(incoming.respond(&ConsumerGroupDescribeResponse { groups, throttle_time_ms: 0 }))
}

fn refused(group_id: String, error: ErrorCode, error_message: Option<String>) -> DescribedGroup {
    let error_code = error.code();
    DescribedGroup { error_code, error_message, group_id, ..DescribedGroup::default() }
}

fn found(
    image: &MetadataImage,
    group_id: String,
    group: DescribedConsumerGroup,
    version: i16,
) -> DescribedGroup {
    let members = group.members.into_iter().map(|DescribedConsumer { member, target }| Member {
        instance_id: member.instance,
        rack_id: member.rack,
        member_epoch: member.epoch,
        client_id: member.client_id,
        client_host: member.client_host,
        subscribed_topic_names: member.topics.into_iter().collect(),
        subscribed_topic_regex: member.regex,
        assignment: assignment(image, &member.assigned),
        target_assignment: assignment(image, &target),
        member_type: match (version, member.classic.is_some()) {
            (..MEMBER_TYPE_FROM, _) => MEMBER_TYPE_UNKNOWN,
            (_, true) => CLASSIC_MEMBER,
            (_, false) => CONSUMER_MEMBER,
        },
        member_id: member.id,
    });
    DescribedGroup {
        group_id,
        group_state: group.state.to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: group.assignor.to_owned(),
        members: members.collect(),
        ..DescribedGroup::default()
    }
}

/// Topics that are gone are not shown.
fn assignment(image: &MetadataImage, assignment: &group::Assignment) -> Assignment {
    let topics = assignment.iter().filter_map(|(topic_id, partitions)| {
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: image.topic(*topic_id)?.name.clone(),
            partitions: partitions.iter().copied().collect(),
        })
    });
    Assignment { topic_partitions: topics.collect() }
}
