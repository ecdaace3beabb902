//! Node, roles and request handling. Identity and roles of the node, and limits on the requests
//! it serves.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("process.roles", List, Required, High, ReadOnly)
        .valid(Valid::ListOf(&["broker", "controller"]))
        .stored(COMBINED)
        .doc(
            "Roles of this node: `broker` serves clients, `controller` keeps the cluster's \
            metadata. A node with both roles is a combined node. Required, because there is no \
            ZooKeeper mode.",
        ),
    key("node.id", Int, Required, High, ReadOnly)
        .at_least(0)
        .acts()
        .doc("Id of this node, unique in the cluster. Required unless broker.id is set."),
    key("broker.id", Int, Text("-1"), High, ReadOnly)
        .acts()
        .doc("Old name of node.id. If both are set, they must be equal."),
    key("broker.rack", String, Null, Medium, ReadOnly).stored(ONE_BROKER).doc(
        "Rack or zone of this node. Replicas of a partition are spread over racks, and a consumer \
        can fetch from a follower in its own rack.",
    ),
    key("initial.broker.registration.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc("How long a broker tries to register with the controllers at start before it exits."),
    key("broker.heartbeat.interval.ms", Int, Text("2000"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc("Interval between the heartbeats of a broker to the active controller."),
    key("broker.session.timeout.ms", Int, Text("9000"), Medium, ReadOnly).stored(ONE_BROKER).doc(
        "How long a broker can go without a heartbeat before the controller fences it and moves \
        its leaderships.",
    ),
    key("controlled.shutdown.enable", Boolean, Text("true"), Medium, ReadOnly)
        .stored(ONE_BROKER)
        .doc(
            "Whether a broker asks the controller to move its leaderships to other brokers before \
            it stops.",
        ),
    key("server.max.startup.time.ms", Long, Text("9223372036854775807"), Medium, ReadOnly)
        .at_least(0)
        .internal()
        .doc("Maximum time for the start of a node. Meant for tests."),
    key("unstable.api.versions.enable", Boolean, Text("false"), High, ReadOnly)
        .internal()
        .doc("Whether the node offers clients API versions that are still under development."),
    key("unstable.feature.versions.enable", Boolean, Text("false"), High, ReadOnly)
        .internal()
        .doc("Whether feature levels that are still under development can be finalized."),
    key("num.io.threads", Int, Text("8"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, the number of threads that process requests. Here each shard processes requests \
        on its own core.",
    ),
    key("background.threads", Int, Text("10"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, the number of threads for background tasks such as expiry and deletion. Here \
        the shards run these tasks.",
    ),
    key("request.timeout.ms", Int, Text("30000"), High, ReadOnly)
        .acts()
        .doc("How long this node waits for the response to a request it sends to another node."),
    key("socket.connection.setup.timeout.ms", Long, Text("10000"), Medium, ReadOnly).doc(
        "Timeout of the first attempt to connect to another node. Later attempts have a longer \
        timeout.",
    ),
    key("socket.connection.setup.timeout.max.ms", Long, Text("30000"), Medium, ReadOnly)
        .doc("Upper bound of the timeout of an attempt to connect to another node."),
    key("message.max.bytes", Int, Text("1048588"), High, ClusterWide).at_least(0).acts().doc(
        "Maximum size of a producer's record batch, after compression. A topic overrides it with \
        max.message.bytes.",
    ),
    key("compression.type", String, Text("producer"), High, ClusterWide)
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .acts()
        .doc(
            "How batches are stored: `producer` keeps them as the producer sent them, \
            `uncompressed` stores them without compression, and the name of a codec recompresses \
            them with it.",
        ),
    key("compression.gzip.level", Int, Text("-1"), Medium, ClusterWide)
        .valid(Valid::GzipLevel)
        .acts()
        .doc(
            "Level of gzip when this node compresses: 1 (fast) to 9 (small), or -1 for the \
            library's default.",
        ),
    key("compression.lz4.level", Int, Text("9"), Medium, ClusterWide)
        .between(1, 17)
        .acts()
        .doc("Level of lz4 when this node compresses: 1 (fast) to 17 (small)."),
    key("compression.zstd.level", Int, Text("3"), Medium, ClusterWide)
        .between(-131072, 22)
        .acts()
        .doc(
            "Level of zstd when this node compresses. Negative levels are faster and compress \
            less.",
        ),
    key("delete.topic.enable", Boolean, Text("true"), High, ReadOnly)
        .acts()
        .doc("Whether topics can be deleted. With `false`, DeleteTopics is refused."),
    key("fetch.max.bytes", Int, Text("57671680"), Medium, ReadOnly).at_least(1024).acts().doc(
        "Maximum size of the response to one Fetch request. A larger first batch is still sent, so \
        that the consumer cannot get stuck.",
    ),
    key("max.incremental.fetch.session.cache.slots", Int, Text("1000"), Medium, ReadOnly)
        .at_least(0)
        .acts()
        .doc("Maximum number of incremental fetch sessions that the broker keeps."),
    key("max.request.partition.size.limit", Int, Text("2000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Maximum number of partitions in one DescribeTopicPartitions response."),
    key("authorizer.class.name", String, Text(""), Low, ReadOnly).valid(Valid::NonNull).acts().doc(
        "Class that authorizes requests. An empty value disables authorization. Ringlog has no \
        authorizer: it refuses to start with any other value, or with ACLs in the metadata log.",
    ),
    key("early.start.listeners", String, Null, High, ReadOnly).doc(
        "Listeners that accept connections before the authorizer has loaded its ACLs. The default \
        is the controller's listeners.",
    ),
];
