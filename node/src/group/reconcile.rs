//! One step of a member towards its target (Kafka's `CurrentAssignmentBuilder`). A partition is
//! given to a member only once whoever had it has said that it let go: no two members read the
//! same partition.

use std::collections::BTreeSet;

use ringlog_wire::Uuid;

use super::consumer::{Assignment, ConsumerGroup, ConsumerMember, MemberState};

/// The member after its next step. `owned` is what it says that it has, if it says so.
pub(super) fn step(
    group: &ConsumerGroup,
    member: &ConsumerMember,
    target: &Assignment,
    owned: Option<&[(Uuid, Vec<i32>)]>,
) -> ConsumerMember {
    match member.state {
        MemberState::Stable if member.epoch == group.target_epoch => member.clone(),
        MemberState::Stable | MemberState::Unreleased => {
            towards(group, member, target, owned, member.epoch)
        }
        MemberState::Unrevoked if holds(owned, &member.revoking) => member.clone(),
        MemberState::Unrevoked => towards(group, member, target, owned, member.epoch + 1),
    }
}

/// Whether a member may still have some of these.
fn holds(owned: Option<&[(Uuid, Vec<i32>)]>, revoking: &Assignment) -> bool {
    let Some(owned) = owned else { return true };
    owned.iter().any(|(topic, partitions)| {
        let revoking = revoking.get(topic);
        revoking.is_some_and(|revoking| partitions.iter().any(|p| revoking.contains(p)))
    })
}

fn towards(
    group: &ConsumerGroup,
    member: &ConsumerMember,
    target: &Assignment,
    owned: Option<&[(Uuid, Vec<i32>)]>,
    epoch: i32,
) -> ConsumerMember {
    let (mut kept, mut revoking, mut coming) =
        (Assignment::new(), Assignment::new(), Assignment::new());
    let mut unreleased = false;
    let topics: BTreeSet<&Uuid> = target.keys().chain(member.assigned.keys()).collect();
    let none = BTreeSet::new();
    for topic in topics {
        let wanted = target.get(topic).unwrap_or(&none);
        let has = member.assigned.get(topic).unwrap_or(&none);
        for &partition in has {
            let to = if wanted.contains(&partition) { &mut kept } else { &mut revoking };
            to.entry(*topic).or_default().insert(partition);
        }
        for &partition in wanted.difference(has) {
            match group.is_owned(*topic, partition) {
                true => unreleased = true,
                false => {
                    coming.entry(*topic).or_default().insert(partition);
                }
            }
        }
    }
    let mut next = member.clone();
    if !revoking.is_empty() && holds(owned, &revoking) {
        next.state = MemberState::Unrevoked;
        (next.assigned, next.revoking) = (kept, revoking);
        move_to(&mut next, epoch);
        return next;
    }
    for (topic, partitions) in coming {
        kept.entry(topic).or_default().extend(partitions);
    }
    next.state = if unreleased { MemberState::Unreleased } else { MemberState::Stable };
    (next.assigned, next.revoking) = (kept, Assignment::new());
    move_to(&mut next, group.target_epoch);
    next
}

fn move_to(member: &mut ConsumerMember, epoch: i32) {
    if member.epoch != epoch {
        member.previous_epoch = member.epoch;
        member.epoch = epoch;
    }
}
