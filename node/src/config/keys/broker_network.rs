//! Listeners, sockets and connections. Where a node listens, what it tells clients to connect
//! to, and limits per connection.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("listeners", String, Text("PLAINTEXT://:9092"), High, PerBroker).acts().doc(
        "Where to listen, as `NAME://host:port` separated by commas. An empty host means \
        all interfaces; each name needs its own port.",
    ),
    key("advertised.listeners", String, Null, High, ReadOnly).acts().doc(
        "What clients and other nodes are told to connect to, in the form of listeners. \
        By default the listeners themselves.",
    ),
    key(
        "listener.security.protocol.map",
        String,
        Text("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"),
        Low,
        PerBroker,
    )
    .acts()
    .doc("Security protocol of each listener name, as `NAME:PROTOCOL` separated by commas."),
    key("inter.broker.listener.name", String, Null, Medium, ReadOnly).stored(ONE_BROKER).doc(
        "Listener that brokers use among themselves. By default the one named after \
        security.inter.broker.protocol.",
    ),
    key("security.inter.broker.protocol", String, Text("PLAINTEXT"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .stored(ONE_BROKER)
        .doc(
            "Security protocol brokers use among themselves, if inter.broker.listener.name \
            does not say which listener.",
        ),
    key("num.network.threads", Int, Text("3"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, threads per listener that move bytes from and to sockets. Here every \
        shard serves its own connections.",
    ),
    key("socket.send.buffer.bytes", Int, Text("102400"), High, ReadOnly).acts().doc(
        "SO_SNDBUF of accepted connections. -1 leaves it to the system, and so does not \
            setting it: Kafka's default is less than a large request.",
    ),
    key("socket.receive.buffer.bytes", Int, Text("102400"), High, ReadOnly).acts().doc(
        "SO_RCVBUF of accepted connections. -1 leaves it to the system, and so does not \
            setting it: Kafka's default is less than a large request.",
    ),
    key("socket.request.max.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Largest request that is read from a connection; a larger one closes it."),
    key("socket.listen.backlog.size", Int, Text("50"), Medium, ReadOnly).at_least(1).acts().doc(
        "How many connections may wait to be accepted. The system's own limit applies \
        too.",
    ),
    key("max.connections.per.ip", Int, Text("2147483647"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "Most connections from one address. 0 is allowed only with \
        max.connections.per.ip.overrides.",
        ),
    key("max.connections.per.ip.overrides", String, Text(""), Medium, ClusterWide).acts().doc(
        "Limits for single hosts that replace max.connections.per.ip, as `host:count` \
        separated by commas.",
    ),
    key("max.connections", Int, Text("2147483647"), Medium, ClusterWide).at_least(0).acts().doc(
        "Most connections to this broker, over all listeners. A limit for one listener \
        has the prefix `listener.name.<name>.`.",
    ),
    key("max.connection.creation.rate", Int, Text("2147483647"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "Most new connections per second, for the broker or, with the prefix \
            `listener.name.<name>.`, for one listener.",
        ),
    key("connections.max.idle.ms", Long, Text("600000"), Medium, ReadOnly)
        .acts()
        .doc("A connection without traffic for this long is closed. Negative means never."),
    key("connections.max.reauth.ms", Long, Text("0"), Medium, ReadOnly).doc(
        "Longest time a SASL connection lives without authenticating again. 0 means that \
        it is never asked to.",
    ),
    key("connection.failed.authentication.delay.ms", Int, Text("100"), Low, ReadOnly)
        .at_least(0)
        .doc(
            "Pause before a connection that failed to authenticate is closed, to slow down \
            guessing.",
        ),
    key("queued.max.requests", Int, Text("500"), High, ReadOnly).at_least(1).acts().doc(
        "Most requests that wait to be worked on before connections are no longer read \
        from.",
    ),
    key("queued.max.request.bytes", Long, Text("-1"), Medium, ReadOnly).acts().doc(
        "Most bytes of requests in memory before connections are no longer read from; -1, \
        no limit in Kafka, means an eighth of the machine's memory here.",
    ),
];
