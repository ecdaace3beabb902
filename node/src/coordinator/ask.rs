//! How an API reaches the coordinator of a group, on whichever shard it is.

use std::pin::Pin;
use std::rc::Rc;

use super::OFFSETS_TOPIC;
use crate::broker::{Broker, Call, Reply};
use crate::error_code::ErrorCode;
use crate::features::GROUP_VERSION;
use crate::group::{GroupAnswer, GroupRequest, partition_of};

/// A coordinator's answer, to be awaited.
pub type GroupAnswerFuture = Pin<Box<dyn Future<Output = GroupAnswer>>>;

impl Broker {
    /// Whether the consumer protocol is finalized for the cluster, and wanted here.
    pub fn serves_consumer_groups(&self) -> bool {
        let level = self.image().features.get(GROUP_VERSION).copied().unwrap_or(0);
        let config = self.config();
        let wanted = config.current().list("group.coordinator.rebalance.protocols");
        level >= 1 && wanted.iter().any(|name| name == "consumer")
    }

    /// Asks the coordinator of a group. The request has its place in the order of requests once
    /// the outer future is done.
    pub async fn ask_group(self: &Rc<Self>, id: &str, request: GroupRequest) -> GroupAnswerFuture {
        let partitions =
            self.image().topic_by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
        self.ask_coordinator(partition_of(id, partitions as i32), request).await
    }

    /// Asks all coordinators.
    pub async fn ask_all_groups(self: &Rc<Self>, request: &GroupRequest) -> Vec<GroupAnswerFuture> {
        let partitions: Vec<i32> = match self.image().topic_by_name(OFFSETS_TOPIC) {
            Some(topic) => topic.partitions.keys().copied().collect(),
            None => Vec::new(),
        };
        let mut answers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            answers.push(self.ask_coordinator(partition, request.clone()).await);
        }
        answers
    }

    async fn ask_coordinator(
        self: &Rc<Self>,
        partition: i32,
        request: GroupRequest,
    ) -> GroupAnswerFuture {
        let Some(topic) = self.image().topic_by_name(OFFSETS_TOPIC).map(|topic| topic.id) else {
            let unavailable = GroupAnswer::Unavailable(ErrorCode::NotCoordinator);
            return Box::pin(async move { unavailable });
        };
        let call = Call::Group { topic, partition, request: Box::new(request) };
        let answer = self.call(self.owner_of(topic, partition), call).await;
        Box::pin(async move {
            match answer.await {
                Reply::Group(answer) => answer,
                _ => unreachable!("a call of a group has a group's answer"),
            }
        })
    }
}
