//! The same requests to Apache Kafka and to a node, at every version of every API that is
//! advertised; the answers must be the same, but for what cannot be: ids, ports, paths.
//!
//! One test, so that one stock broker serves all of it. What differs is collected and shown at the
//! end, so that a run names everything.

#![allow(clippy::disallowed_methods, reason = "tests read files and look at the clock")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod cluster;
mod configs;
mod consumer_groups;
mod deletion;
mod features;
mod fetch;
mod groups;
mod list_offsets;
mod pair;
mod produce;
mod stored;
mod topics;
mod transactions;

use pair::Pair;
use support::have_kafka;

#[test]
fn answers_are_those_of_kafka() {
    if !have_kafka() {
        return;
    }
    let mut pair = Pair::start();
    cluster::compare(&mut pair);
    topics::compare(&mut pair);
    produce::compare(&mut pair);
    list_offsets::compare(&mut pair);
    fetch::compare(&mut pair);
    stored::compare(&mut pair);
    transactions::compare(&mut pair);
    deletion::compare(&mut pair);
    configs::compare(&mut pair);
    admin::compare(&mut pair);
    groups::compare(&mut pair);
    consumer_groups::compare(&mut pair);
    topics::compare_tools(&mut pair);
    features::compare(&mut pair);
    pair.finish();
}
