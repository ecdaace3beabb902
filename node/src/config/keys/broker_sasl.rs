//! SASL, delegation tokens and principals. Authentication of clients. Most keys can be set per
//! listener with the prefix `listener.name.<name>.`.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("sasl.enabled.mechanisms", List, Text("GSSAPI"), Medium, PerBroker)
        .doc("SASL mechanisms that clients can use."),
    key("sasl.mechanism.inter.broker.protocol", String, Text("GSSAPI"), Medium, PerBroker).doc(
        "SASL mechanism of connections between brokers. It must be one of the enabled mechanisms.",
    ),
    key("sasl.jaas.config", Password, Null, Medium, PerBroker).doc(
        "Login module and its options, in JAAS format. For a listener, the key has the prefix \
        `listener.name.<name>.<mechanism>.`.",
    ),
    key("sasl.server.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that checks clients' credentials for a mechanism."),
    key("sasl.client.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that supplies the broker's credentials when the broker is a SASL client."),
    key("sasl.login.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that performs the login for a mechanism."),
    key("sasl.login.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that supplies the credentials for the login of a mechanism."),
    key("sasl.server.max.receive.size", Int, Text("524288"), Medium, ReadOnly)
        .doc("Maximum size of a SASL message from a client that has not authenticated."),
    key("sasl.kerberos.service.name", String, Null, Medium, PerBroker)
        .doc("Service name of the broker's Kerberos principal."),
    key("sasl.kerberos.kinit.cmd", String, Text("/usr/bin/kinit"), Medium, PerBroker)
        .doc("Path of the kinit command."),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Text("0.8"), Medium, PerBroker)
        .doc("Fraction of a ticket's lifetime after which it is renewed."),
    key("sasl.kerberos.ticket.renew.jitter", Double, Text("0.05"), Medium, PerBroker)
        .doc("Random fraction that is added to the time at which a ticket is renewed."),
    key("sasl.kerberos.min.time.before.relogin", Long, Text("60000"), Medium, PerBroker)
        .doc("Minimum time between two attempts to renew a ticket."),
    key("sasl.kerberos.principal.to.local.rules", List, Text("DEFAULT"), Medium, PerBroker).doc(
        "Rules that map Kerberos principals to user names. The first rule that matches is used.",
    ),
    key("sasl.login.refresh.window.factor", Double, Text("0.8"), Medium, PerBroker)
        .doc("Fraction of a token's lifetime after which the broker refreshes its own login."),
    key("sasl.login.refresh.window.jitter", Double, Text("0.05"), Medium, PerBroker)
        .doc("Random fraction of a token's lifetime that is added to the time of the refresh."),
    key("sasl.login.refresh.min.period.seconds", Short, Text("60"), Medium, PerBroker)
        .doc("Minimum time between two refreshes of the broker's own login."),
    key("sasl.login.refresh.buffer.seconds", Short, Text("300"), Medium, PerBroker)
        .doc("Time before a token's expiry within which a refresh is no longer postponed."),
    key("sasl.login.connect.timeout.ms", Int, Null, Low, ReadOnly)
        .doc("Timeout of connecting to the identity provider."),
    key("sasl.login.read.timeout.ms", Int, Null, Low, ReadOnly)
        .doc("Timeout of reading from the identity provider."),
    key("sasl.login.retry.backoff.ms", Long, Text("100"), Low, ReadOnly)
        .doc("First pause before a failed request to the identity provider is retried."),
    key("sasl.login.retry.backoff.max.ms", Long, Text("10000"), Low, ReadOnly).doc(
        "Upper bound of the pause before a failed request to the identity provider is retried.",
    ),
    key(
        "principal.builder.class",
        Class,
        Text(concat!(
            "org.apache.kafka.common.security.authenticator.",
            "DefaultKafkaPrincipalBuilder"
        )),
        Medium,
        PerBroker,
    )
    .stored(JAVA_CLASS)
    .doc("Java class that determines the principal of a connection."),
    key("delegation.token.secret.key", Password, Null, Medium, ReadOnly).doc(
        "Secret that signs delegation tokens. All nodes must have the same one. If it is not set, \
        delegation tokens are disabled.",
    ),
    key("delegation.token.max.lifetime.ms", Long, Text("604800000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Maximum lifetime of a delegation token. An older token cannot be renewed."),
    key("delegation.token.expiry.time.ms", Long, Text("86400000"), Medium, ReadOnly)
        .at_least(1)
        .doc("How long a delegation token is valid before it must be renewed."),
    key("delegation.token.expiry.check.interval.ms", Long, Text("3600000"), Low, ReadOnly)
        .at_least(1)
        .doc("How often expired delegation tokens are removed."),
    key("security.providers", String, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java security providers to load."),
];
