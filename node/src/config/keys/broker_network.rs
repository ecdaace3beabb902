//! Listeners, sockets and connections. Addresses to listen on and to advertise, and limits on
//! connections.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("listeners", String, Text("PLAINTEXT://:9092"), High, PerBroker).acts().doc(
        "Addresses to listen on, as `NAME://host:port` separated by commas. An empty host means \
        all interfaces. Each name needs its own port. Ringlog opens listeners at start only.",
    ),
    key("advertised.listeners", String, Null, High, ReadOnly).acts().doc(
        "Addresses that clients and other nodes connect to, in the format of listeners. The \
        default is the value of listeners.",
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
    key("inter.broker.listener.name", String, Null, Medium, ReadOnly).acts().doc(
        "Listener for connections between brokers. The default is the listener named after \
        security.inter.broker.protocol. The limits on connections of the whole broker do not \
        apply to it.",
    ),
    key("security.inter.broker.protocol", String, Text("PLAINTEXT"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .acts()
        .doc(
            "Security protocol of connections between brokers. It is used if \
            inter.broker.listener.name is not set.",
        ),
    key("num.network.threads", Int, Text("3"), High, ClusterWide).at_least(1).stored(SHARDS).doc(
        "In Kafka, the number of threads per listener that read and write sockets. Here each shard \
        serves its own connections.",
    ),
    key("socket.send.buffer.bytes", Int, Text("102400"), High, ReadOnly).acts().doc(
        "SO_SNDBUF of accepted connections. If the key is -1 or not set, the operating system \
        chooses the size, because Kafka's default is smaller than a large request.",
    ),
    key("socket.receive.buffer.bytes", Int, Text("102400"), High, ReadOnly).acts().doc(
        "SO_RCVBUF of accepted connections. If the key is -1 or not set, the operating system \
        chooses the size, because Kafka's default is smaller than a large request.",
    ),
    key("socket.request.max.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Maximum size of a request. A larger request closes the connection."),
    key("socket.listen.backlog.size", Int, Text("50"), Medium, ReadOnly).at_least(1).acts().doc(
        "Maximum number of connections that wait to be accepted. The operating system's own limit \
        also applies.",
    ),
    key("max.connections.per.ip", Int, Text("2147483647"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "Maximum number of connections from one IP address. 0 is allowed only with \
            max.connections.per.ip.overrides.",
        ),
    key("max.connections.per.ip.overrides", String, Text(""), Medium, ClusterWide).acts().doc(
        "Limits for individual hosts, as `host:count` separated by commas. They replace \
        max.connections.per.ip.",
    ),
    key("max.connections", Int, Text("2147483647"), Medium, ClusterWide).at_least(0).acts().doc(
        "Maximum number of connections to this broker, over all listeners. The prefix \
        `listener.name.<name>.` sets a limit for one listener.",
    ),
    key("max.connection.creation.rate", Int, Text("2147483647"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "Maximum number of new connections per second to this broker. The prefix \
            `listener.name.<name>.` sets a limit for one listener.",
        ),
    key("connections.max.idle.ms", Long, Text("600000"), Medium, ReadOnly)
        .acts()
        .doc("A connection without traffic for this long is closed. A negative value means never."),
    key("connections.max.reauth.ms", Long, Text("0"), Medium, ReadOnly).doc(
        "Maximum time between two authentications of a SASL connection. 0 means that clients never \
        authenticate again.",
    ),
    key("connection.failed.authentication.delay.ms", Int, Text("100"), Low, ReadOnly)
        .at_least(0)
        .doc(
            "Delay before a connection that failed to authenticate is closed. It slows down \
            guessing.",
        ),
    key("queued.max.requests", Int, Text("500"), High, ReadOnly).at_least(1).acts().doc(
        "Maximum number of requests that wait to be processed. At the limit, the broker stops \
        reading from connections.",
    ),
    key("queued.max.request.bytes", Long, Text("-1"), Medium, ReadOnly).acts().doc(
        "Maximum number of bytes of requests in memory. At the limit, the broker stops reading \
        from connections. -1 means no limit in Kafka. Here it means a quarter of \
        ringlog.memory.limit.bytes.",
    ),
];
