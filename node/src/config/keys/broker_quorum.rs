//! Metadata quorum and controller. How the controllers find each other and elect a leader, and
//! where and how long the metadata log is kept.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("controller.quorum.voters", List, Text(""), High, ReadOnly)
        .valid(Valid::Voters)
        .stored(ONE_VOTER)
        .doc("Voters of a quorum with fixed membership, as `id@host:port` separated by commas."),
    key("controller.quorum.bootstrap.servers", List, Text(""), High, ReadOnly)
        .valid(Valid::BootstrapServers)
        .doc(
            "Endpoints (`host:port`) where the controllers of a quorum with dynamic \
            membership can be found.",
        ),
    key("controller.listener.names", String, Null, High, ReadOnly).acts().doc(
        "Listeners that controllers speak on. They must not serve clients, and a broker \
        uses the first one to reach the controllers.",
    ),
    key("sasl.mechanism.controller.protocol", String, Text("GSSAPI"), High, ReadOnly)
        .doc("SASL mechanism of connections to the controllers."),
    key("controller.quorum.election.timeout.ms", Int, Text("1000"), High, ReadOnly)
        .at_least(0)
        .doc(
            "How long a voter goes without hearing from a leader before it starts an \
            election.",
        ),
    key("controller.quorum.fetch.timeout.ms", Int, Text("2000"), High, ReadOnly).at_least(0).doc(
        "How long a follower goes without a successful fetch before it becomes a \
        candidate, and a leader without fetches of a majority before it resigns.",
    ),
    key("controller.quorum.election.backoff.max.ms", Int, Text("1000"), High, ReadOnly)
        .at_least(0)
        .doc("Upper bound of the random pause between elections that nobody won."),
    key("controller.quorum.append.linger.ms", Int, Text("25"), Medium, ReadOnly).at_least(0).doc(
        "How long the leader gathers records before it writes them to the metadata log in \
        one go.",
    ),
    key("controller.quorum.request.timeout.ms", Int, Text("2000"), Medium, ReadOnly)
        .at_least(0)
        .doc("How long a request between members of the quorum may stay unanswered."),
    key("controller.quorum.retry.backoff.ms", Int, Text("20"), Low, ReadOnly)
        .at_least(0)
        .doc("Pause before a failed request to a member of the quorum is repeated."),
    key("controller.socket.timeout.ms", Int, Text("30000"), Medium, ReadOnly)
        .doc("How long a broker waits for the answer of a controller."),
    key("controller.performance.sample.period.ms", Long, Text("60000"), Medium, ReadOnly)
        .at_least(100)
        .internal()
        .doc("Pause between two log lines about how long the controller's events took."),
    key("controller.performance.always.log.threshold.ms", Long, Text("2000"), Medium, ReadOnly)
        .at_least(0)
        .internal()
        .doc("A controller event that takes longer than this is always logged."),
    key("create.topic.policy.class.name", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that may refuse to create a topic."),
    key("alter.config.policy.class.name", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that may refuse a change of configuration."),
    key("leader.imbalance.check.interval.seconds", Long, Text("300"), High, ReadOnly)
        .at_least(1)
        .doc(
            "How often the controller looks for partitions that are not led by their \
            preferred replica.",
        ),
    key("auto.leader.rebalance.enable", Boolean, Text("true"), High, ReadOnly)
        .doc("Whether the controller moves leaderships back to preferred replicas by itself."),
    key("unclean.leader.election.interval.ms", Long, Text("300000"), Medium, ReadOnly)
        .at_least(1)
        .internal()
        .doc("How often the controller looks for partitions that need an unclean election."),
    key("metadata.log.dir", String, Null, High, ReadOnly)
        .acts()
        .doc("Directory of the metadata log. By default the first of log.dirs."),
    key("metadata.log.max.record.bytes.between.snapshots", Long, Text("20971520"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Bytes of new records after which a snapshot of the metadata is written."),
    key("metadata.log.max.snapshot.interval.ms", Long, Text("3600000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Longest time between two snapshots if there were changes; 0 means that time \
            alone never causes one.",
        ),
    key("metadata.log.segment.bytes", Int, Text("1073741824"), High, ReadOnly)
        .at_least(8388608)
        .acts()
        .doc("Size at which the metadata log starts a new segment."),
    key("metadata.log.segment.ms", Long, Text("604800000"), High, ReadOnly)
        .acts()
        .doc("Age at which the metadata log starts a new segment."),
    key("metadata.max.retention.bytes", Long, Text("104857600"), High, ReadOnly).acts().doc(
        "Size of metadata log and snapshots together above which the oldest ones are \
        deleted.",
    ),
    key("metadata.max.retention.ms", Long, Text("604800000"), High, ReadOnly)
        .acts()
        .doc("Age at which segments and snapshots of the metadata are deleted."),
    key("metadata.max.idle.interval.ms", Int, Text("500"), Low, ReadOnly).at_least(0).acts().doc(
        "Pause after which an idle leader writes a no-op record, so that followers can \
        tell how far behind they are. 0 switches it off.",
    ),
    key("internal.metadata.log.segment.bytes", Int, Null, Low, ReadOnly)
        .internal()
        .acts()
        .doc("Segment size of the metadata log without the usual lower bound, for tests."),
    key("internal.metadata.max.batch.size.in.bytes", Int, Text("8388608"), Low, ReadOnly)
        .internal()
        .doc("Largest batch of the metadata log, for tests."),
    key("internal.metadata.max.fetch.size.in.bytes", Int, Text("8388608"), Low, ReadOnly)
        .internal()
        .doc("Most bytes read for one fetch of the metadata log, for tests."),
    key("internal.metadata.delete.delay.millis", Long, Text("60000"), Low, ReadOnly)
        .internal()
        .doc("Pause before a removed file of the metadata log is deleted from disk, for tests."),
];
