//! Metadata quorum and controller. Discovery of the controllers, elections of their leader, and
//! storage of the metadata log.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("controller.quorum.voters", List, Text(""), High, ReadOnly)
        .valid(Valid::Voters)
        .stored(ONE_VOTER)
        .doc("Voters of a quorum with static membership, as `id@host:port` separated by commas."),
    key("controller.quorum.bootstrap.servers", List, Text(""), High, ReadOnly)
        .valid(Valid::BootstrapServers)
        .doc(
            "Endpoints (`host:port`) through which a node finds the controllers of a quorum with \
            dynamic membership.",
        ),
    key("controller.listener.names", String, Null, High, ReadOnly).acts().doc(
        "Names of the controllers' listeners. They must not serve clients. A broker connects to \
        the controllers through the first one.",
    ),
    key("sasl.mechanism.controller.protocol", String, Text("GSSAPI"), High, ReadOnly)
        .doc("SASL mechanism of connections to the controllers."),
    key("controller.quorum.election.timeout.ms", Int, Text("1000"), High, ReadOnly)
        .at_least(0)
        .doc("How long a voter can go without contact to a leader before it starts an election."),
    key("controller.quorum.fetch.timeout.ms", Int, Text("2000"), High, ReadOnly).at_least(0).doc(
        "How long a follower can go without a successful fetch before it becomes a candidate. A \
        leader that gets no fetches from a majority for this long resigns.",
    ),
    key("controller.quorum.election.backoff.max.ms", Int, Text("1000"), High, ReadOnly)
        .at_least(0)
        .doc("Upper bound of the random pause between elections without a winner."),
    key("controller.quorum.append.linger.ms", Int, Text("25"), Medium, ReadOnly).at_least(0).doc(
        "How long the leader collects records before it writes them to the metadata log as one \
        batch.",
    ),
    key("controller.quorum.request.timeout.ms", Int, Text("2000"), Medium, ReadOnly)
        .at_least(0)
        .doc(
            "How long a member of the quorum waits for the response to a request to another \
            member.",
        ),
    key("controller.quorum.retry.backoff.ms", Int, Text("20"), Low, ReadOnly)
        .at_least(0)
        .doc("Pause before a failed request to a member of the quorum is retried."),
    key("controller.socket.timeout.ms", Int, Text("30000"), Medium, ReadOnly)
        .doc("How long a broker waits for the response of a controller."),
    key("controller.performance.sample.period.ms", Long, Text("60000"), Medium, ReadOnly)
        .at_least(100)
        .internal()
        .doc(
            "Interval between two log lines about the processing time of the controller's events.",
        ),
    key("controller.performance.always.log.threshold.ms", Long, Text("2000"), Medium, ReadOnly)
        .at_least(0)
        .internal()
        .doc("A controller event that takes longer than this is always logged."),
    key("create.topic.policy.class.name", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that can reject the creation of a topic."),
    key("alter.config.policy.class.name", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that can reject a change of configuration."),
    key("leader.imbalance.check.interval.seconds", Long, Text("300"), High, ReadOnly)
        .at_least(1)
        .doc(
            "How often the controller looks for partitions whose leader is not their preferred \
            replica.",
        ),
    key("auto.leader.rebalance.enable", Boolean, Text("true"), High, ReadOnly).doc(
        "Whether the controller automatically moves leadership back to the preferred replicas.",
    ),
    key("unclean.leader.election.interval.ms", Long, Text("300000"), Medium, ReadOnly)
        .at_least(1)
        .internal()
        .doc("How often the controller looks for partitions that need an unclean election."),
    key("metadata.log.dir", String, Null, High, ReadOnly)
        .acts()
        .doc("Directory of the metadata log. The default is the first directory of log.dirs."),
    key("metadata.log.max.record.bytes.between.snapshots", Long, Text("20971520"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Number of bytes of new records after which a snapshot of the metadata is written."),
    key("metadata.log.max.snapshot.interval.ms", Long, Text("3600000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Maximum time between two snapshots if there were changes. With 0, time alone never \
            causes a snapshot.",
        ),
    key("metadata.log.segment.bytes", Int, Text("1073741824"), High, ReadOnly)
        .at_least(8388608)
        .acts()
        .doc("Size at which the metadata log starts a new segment."),
    key("metadata.log.segment.ms", Long, Text("604800000"), High, ReadOnly)
        .acts()
        .doc("Age at which the metadata log starts a new segment."),
    key("metadata.max.retention.bytes", Long, Text("104857600"), High, ReadOnly).acts().doc(
        "Maximum size of the metadata log and its snapshots together. Above it, the oldest ones \
        are deleted.",
    ),
    key("metadata.max.retention.ms", Long, Text("604800000"), High, ReadOnly)
        .acts()
        .doc("Age at which segments and snapshots of the metadata are deleted."),
    key("metadata.max.idle.interval.ms", Int, Text("500"), Low, ReadOnly).at_least(0).acts().doc(
        "Time after which an idle leader writes a no-op record, so that followers can see how far \
        behind they are. 0 disables it.",
    ),
    key("internal.metadata.log.segment.bytes", Int, Null, Low, ReadOnly)
        .internal()
        .acts()
        .doc("Segment size of the metadata log, without the usual lower bound. Meant for tests."),
    key("internal.metadata.max.batch.size.in.bytes", Int, Text("8388608"), Low, ReadOnly)
        .internal()
        .doc("Maximum size of a batch of the metadata log. Meant for tests."),
    key("internal.metadata.max.fetch.size.in.bytes", Int, Text("8388608"), Low, ReadOnly)
        .internal()
        .doc("Maximum number of bytes that one fetch of the metadata log reads. Meant for tests."),
    key("internal.metadata.delete.delay.millis", Long, Text("60000"), Low, ReadOnly)
        .internal()
        .doc("How long a removed file of the metadata log stays on disk. Meant for tests."),
];
