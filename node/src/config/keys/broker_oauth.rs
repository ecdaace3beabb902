//! OAuth. Keys of the OAUTHBEARER mechanism: checking tokens of clients, and obtaining the
//! broker's own.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("sasl.oauthbearer.token.endpoint.url", String, Null, Medium, ReadOnly).doc(
        "Where the identity provider hands out tokens; a file URL names a file with a \
        token.",
    ),
    key("sasl.oauthbearer.jwks.endpoint.url", String, Null, Medium, ReadOnly)
        .doc("Where the identity provider publishes the keys that tokens are signed with."),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Text("3600000"), Low, ReadOnly)
        .doc("How often the identity provider's keys are fetched again."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Text("100"), Low, ReadOnly)
        .doc("First pause before fetching the keys is repeated."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Text("10000"), Low, ReadOnly)
        .doc("Upper bound of the pause before fetching the keys is repeated."),
    key("sasl.oauthbearer.scope.claim.name", String, Text("scope"), Low, ReadOnly)
        .doc("Claim of a token that holds its scope."),
    key("sasl.oauthbearer.sub.claim.name", String, Text("sub"), Low, ReadOnly)
        .doc("Claim of a token that holds the user."),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Text("30"), Low, ReadOnly)
        .doc("Difference between the clocks of broker and identity provider that is tolerated."),
    key("sasl.oauthbearer.expected.audience", List, Null, Low, ReadOnly)
        .doc("Audiences of which a token must name one. Not checked if it is not set."),
    key("sasl.oauthbearer.expected.issuer", String, Null, Low, ReadOnly)
        .doc("Issuer a token must name. Not checked if it is not set."),
    key(
        "sasl.oauthbearer.jwt.retriever.class",
        Class,
        Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Medium,
        ReadOnly,
    )
    .stored(JAVA_CLASS)
    .doc("Java class that fetches the broker's own token."),
    key(
        "sasl.oauthbearer.jwt.validator.class",
        Class,
        Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Medium,
        ReadOnly,
    )
    .stored(JAVA_CLASS)
    .doc("Java class that checks tokens."),
    key("sasl.oauthbearer.scope", String, Null, Medium, ReadOnly)
        .doc("Scope the broker's own token is asked for with."),
    key("sasl.oauthbearer.client.credentials.client.id", String, Null, Medium, ReadOnly)
        .doc("Client id the broker asks for its own token with."),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, Null, Medium, ReadOnly)
        .doc("Secret the broker asks for its own token with."),
    key("sasl.oauthbearer.assertion.algorithm", String, Text("RS256"), Medium, ReadOnly)
        .valid(Valid::OneOfAnyCase(&["ES256", "RS256"]))
        .doc("Algorithm the broker signs its assertion with."),
    key("sasl.oauthbearer.assertion.file", String, Null, Medium, ReadOnly)
        .doc("File with a finished assertion. The other assertion keys are not used then."),
    key("sasl.oauthbearer.assertion.template.file", String, Null, Medium, ReadOnly)
        .doc("File with headers and claims that go into the broker's assertion as they are."),
    key("sasl.oauthbearer.assertion.private.key.file", String, Null, Medium, ReadOnly)
        .doc("File with the key the broker signs its assertion with, in PEM format."),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Password, Null, Medium, ReadOnly)
        .doc("Passphrase of sasl.oauthbearer.assertion.private.key.file."),
    key("sasl.oauthbearer.assertion.claim.aud", String, Null, Medium, ReadOnly)
        .doc("Audience in the broker's assertion."),
    key("sasl.oauthbearer.assertion.claim.iss", String, Null, Medium, ReadOnly)
        .doc("Issuer in the broker's assertion."),
    key("sasl.oauthbearer.assertion.claim.sub", String, Null, Medium, ReadOnly)
        .doc("Subject in the broker's assertion."),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Text("300"), Low, ReadOnly)
        .between(0, 86400)
        .doc("How long the broker's assertion is valid."),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Text("60"), Low, ReadOnly)
        .between(0, 3600)
        .doc("How far in the past the broker's assertion begins to be valid."),
    key("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Text("false"), Medium, ReadOnly)
        .doc("Whether the broker's assertion has an id of its own."),
];
