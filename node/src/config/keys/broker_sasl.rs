//! SASL, delegation tokens and principals. How clients prove who they are. Most keys can be set
//! per listener with the prefix `listener.name.<name>.`.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("sasl.enabled.mechanisms", List, Text("GSSAPI"), Medium, PerBroker)
        .doc("SASL mechanisms that clients may use."),
    key("sasl.mechanism.inter.broker.protocol", String, Text("GSSAPI"), Medium, PerBroker).doc(
        "SASL mechanism that brokers use among themselves. It must be one of the enabled \
        ones.",
    ),
    key("sasl.jaas.config", Password, Null, Medium, PerBroker).doc(
        "Login module and its options, in JAAS format. On a listener it has the prefix \
        `listener.name.<name>.<mechanism>.`.",
    ),
    key("sasl.server.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that checks the credentials of a mechanism."),
    key("sasl.client.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that supplies credentials where the broker is a SASL client."),
    key("sasl.login.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that performs the login of a mechanism."),
    key("sasl.login.callback.handler.class", Class, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that supplies the login of a mechanism."),
    key("sasl.server.max.receive.size", Int, Text("524288"), Medium, ReadOnly)
        .doc("Largest SASL message accepted before a client has authenticated."),
    key("sasl.kerberos.service.name", String, Null, Medium, PerBroker)
        .doc("Service name of the broker's Kerberos principal."),
    key("sasl.kerberos.kinit.cmd", String, Text("/usr/bin/kinit"), Medium, PerBroker)
        .doc("Path of the kinit command."),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Text("0.8"), Medium, PerBroker)
        .doc("Share of a ticket's life after which it is renewed."),
    key("sasl.kerberos.ticket.renew.jitter", Double, Text("0.05"), Medium, PerBroker)
        .doc("Random share added to the time at which a ticket is renewed."),
    key("sasl.kerberos.min.time.before.relogin", Long, Text("60000"), Medium, PerBroker)
        .doc("Least time between two attempts to renew a ticket."),
    key("sasl.kerberos.principal.to.local.rules", List, Text("DEFAULT"), Medium, PerBroker)
        .doc("Rules that shorten Kerberos principals to user names, first match first."),
    key("sasl.login.refresh.window.factor", Double, Text("0.8"), Medium, PerBroker)
        .doc("Share of a token's life after which the broker's own login is refreshed."),
    key("sasl.login.refresh.window.jitter", Double, Text("0.05"), Medium, PerBroker)
        .doc("Random share of a token's life added to the time of refresh."),
    key("sasl.login.refresh.min.period.seconds", Short, Text("60"), Medium, PerBroker)
        .doc("Least time between two refreshes of the broker's own login."),
    key("sasl.login.refresh.buffer.seconds", Short, Text("300"), Medium, PerBroker)
        .doc("Time before a token's end within which a refresh is no longer put off."),
    key("sasl.login.connect.timeout.ms", Int, Null, Low, ReadOnly)
        .doc("How long opening a connection to the identity provider may take."),
    key("sasl.login.read.timeout.ms", Int, Null, Low, ReadOnly)
        .doc("How long reading from the identity provider may take."),
    key("sasl.login.retry.backoff.ms", Long, Text("100"), Low, ReadOnly)
        .doc("First pause before a failed request to the identity provider is repeated."),
    key("sasl.login.retry.backoff.max.ms", Long, Text("10000"), Low, ReadOnly).doc(
        "Upper bound of the pause before a failed request to the identity provider is \
        repeated.",
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
    .doc("Java class that derives the principal of a connection."),
    key("delegation.token.secret.key", Password, Null, Medium, ReadOnly).doc(
        "Secret that delegation tokens are signed with, the same on all nodes. Without \
        it, tokens are switched off.",
    ),
    key("delegation.token.max.lifetime.ms", Long, Text("604800000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Age at which a delegation token can no longer be renewed."),
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
