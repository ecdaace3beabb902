//! Node, roles and request handling. What a node is, which roles it plays, and limits on the
//! requests it serves.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("process.roles", List, Required, High, ReadOnly)
        .valid(Valid::ListOf(&["broker", "controller"]))
        .stored(COMBINED)
        .doc(
            "What this node does: `broker` serves clients, `controller` keeps the cluster's \
            metadata, and both together make a combined node. Required, because there is no \
            ZooKeeper mode.",
        ),
    key("node.id", Int, Required, High, ReadOnly).at_least(0).acts().doc(
        "Number of this node, unique in the cluster. Required unless the old name \
        broker.id is set.",
    ),
    key("broker.id", Int, Text("-1"), High, ReadOnly)
        .acts()
        .doc("Old name of node.id. If both are set they must agree."),
    key("broker.rack", String, Null, Medium, ReadOnly).stored(ONE_BROKER).doc(
        "Rack or zone of this node. Replicas of a partition are spread over racks, and a \
        follower near a consumer can be picked by it.",
    ),
    key("initial.broker.registration.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc(
            "How long a starting broker keeps trying to register with the controllers before \
        it gives up and exits.",
        ),
    key("broker.heartbeat.interval.ms", Int, Text("2000"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc("Pause between two heartbeats of a broker to the active controller."),
    key("broker.session.timeout.ms", Int, Text("9000"), Medium, ReadOnly).stored(ONE_BROKER).doc(
        "How long the controller goes without a heartbeat before it fences the broker and \
        moves its leaderships.",
    ),
    key("controlled.shutdown.enable", Boolean, Text("true"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc(
            "Whether a broker asks the controller to move its leaderships away before it \
        stops.",
        ),
    key("server.max.startup.time.ms", Long, Text("9223372036854775807"), Medium, ReadOnly)
        .at_least(0)
        .internal()
        .doc("Limit on the time a node may take to start. Meant for tests."),
    key("unstable.api.versions.enable", Boolean, Text("false"), High, ReadOnly)
        .internal()
        .doc("Whether API versions that are still under development are offered to clients."),
    key("unstable.feature.versions.enable", Boolean, Text("false"), High, ReadOnly)
        .internal()
        .doc("Whether feature levels that are still under development may be finalized."),
    key("num.io.threads", Int, Text("8"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, threads that work on requests. Here every shard does that work on its \
        own core.",
    ),
    key("background.threads", Int, Text("10"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, threads for background chores such as expiry and deletion. Here the \
        shards do them.",
    ),
    key("request.timeout.ms", Int, Text("30000"), High, ReadOnly)
        .acts()
        .doc("How long a request that this node sends to another one may stay unanswered."),
    key("socket.connection.setup.timeout.ms", Long, Text("10000"), Medium, ReadOnly).doc(
        "How long the first attempt to open a connection to another node may take. Later \
        attempts wait longer.",
    ),
    key("socket.connection.setup.timeout.max.ms", Long, Text("30000"), Medium, ReadOnly).doc(
        "Upper bound of the time given to an attempt to open a connection to another \
        node.",
    ),
    key("message.max.bytes", Int, Text("1048588"), High, ClusterWide).at_least(0).acts().doc(
        "Largest record batch accepted from a producer, after compression. A topic \
        overrides it with max.message.bytes.",
    ),
    key("compression.type", String, Text("producer"), High, ClusterWide)
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .acts()
        .doc(
            "How batches are stored: as the producer sent them (`producer`), uncompressed, or \
            recompressed with one codec.",
        ),
    key("compression.gzip.level", Int, Text("-1"), Medium, ClusterWide)
        .valid(Valid::GzipLevel)
        .acts()
        .doc(
            "Level used when this node compresses with gzip: 1 (fast) to 9 (small), or -1 for \
            the library's default.",
        ),
    key("compression.lz4.level", Int, Text("9"), Medium, ClusterWide)
        .between(1, 17)
        .acts()
        .doc("Level used when this node compresses with lz4: 1 (fast) to 17 (small)."),
    key("compression.zstd.level", Int, Text("3"), Medium, ClusterWide)
        .between(-131072, 22)
        .acts()
        .doc(
            "Level used when this node compresses with zstd. Negative levels trade size for \
        speed.",
        ),
    key("delete.topic.enable", Boolean, Text("true"), High, ReadOnly)
        .acts()
        .doc("Whether topics can be deleted. With `false`, DeleteTopics is refused."),
    key("fetch.max.bytes", Int, Text("57671680"), Medium, ReadOnly).at_least(1024).acts().doc(
        "Largest answer to one Fetch request. A first batch that is larger is still sent, \
        so that a consumer cannot get stuck.",
    ),
    key("max.incremental.fetch.session.cache.slots", Int, Text("1000"), Medium, ReadOnly)
        .at_least(0)
        .acts()
        .doc("Number of incremental fetch sessions that are remembered between requests."),
    key("max.request.partition.size.limit", Int, Text("2000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Most partitions that one DescribeTopicPartitions answer contains."),
    key("authorizer.class.name", String, Text(""), Low, ReadOnly).valid(Valid::NonNull).acts().doc(
        "Class that decides who may do what. Empty switches authorization off; anything \
            else, and a metadata log that has ACLs, is refused at the start: there is no \
            authorizer yet.",
    ),
    key("early.start.listeners", String, Null, High, ReadOnly).doc(
        "Listeners that accept connections before the authorizer has loaded its ACLs. By \
        default those of the controller.",
    ),
];
