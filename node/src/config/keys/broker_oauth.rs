//! OAuth. The OAUTHBEARER mechanism: validation of clients' tokens, and the broker's own token.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("sasl.oauthbearer.token.endpoint.url", String, Null, Medium, ReadOnly).doc(
        "URL of the identity provider's token endpoint. A file URL names a file that contains a \
        token.",
    ),
    key("sasl.oauthbearer.jwks.endpoint.url", String, Null, Medium, ReadOnly)
        .doc("URL of the identity provider's signing keys (JWKS)."),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Text("3600000"), Low, ReadOnly)
        .doc("How often the broker fetches the identity provider's keys again."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Text("100"), Low, ReadOnly)
        .doc("First pause before the broker retries to fetch the keys."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Text("10000"), Low, ReadOnly)
        .doc("Upper bound of the pause before the broker retries to fetch the keys."),
    key("sasl.oauthbearer.scope.claim.name", String, Text("scope"), Low, ReadOnly)
        .doc("Name of the token's claim that contains the scope."),
    key("sasl.oauthbearer.sub.claim.name", String, Text("sub"), Low, ReadOnly)
        .doc("Name of the token's claim that contains the user."),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Text("30"), Low, ReadOnly)
        .doc("Tolerated difference between the clocks of the broker and the identity provider."),
    key("sasl.oauthbearer.expected.audience", List, Null, Low, ReadOnly).doc(
        "Accepted audiences. A token must name one of them. Not checked if the key is not set.",
    ),
    key("sasl.oauthbearer.expected.issuer", String, Null, Low, ReadOnly)
        .doc("Issuer that a token must name. Not checked if the key is not set."),
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
    .doc("Java class that validates tokens."),
    key("sasl.oauthbearer.scope", String, Null, Medium, ReadOnly)
        .doc("Scope in the broker's request for its own token."),
    key("sasl.oauthbearer.client.credentials.client.id", String, Null, Medium, ReadOnly)
        .doc("Client id in the broker's request for its own token."),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, Null, Medium, ReadOnly)
        .doc("Client secret in the broker's request for its own token."),
    key("sasl.oauthbearer.assertion.algorithm", String, Text("RS256"), Medium, ReadOnly)
        .valid(Valid::OneOfAnyCase(&["ES256", "RS256"]))
        .doc("Algorithm with which the broker signs its assertion."),
    key("sasl.oauthbearer.assertion.file", String, Null, Medium, ReadOnly).doc(
        "File with a complete assertion. If it is set, the other assertion keys are not used.",
    ),
    key("sasl.oauthbearer.assertion.template.file", String, Null, Medium, ReadOnly)
        .doc("File with headers and claims that are copied into the broker's assertion."),
    key("sasl.oauthbearer.assertion.private.key.file", String, Null, Medium, ReadOnly)
        .doc("File with the private key that signs the broker's assertion, in PEM format."),
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
        .doc("How far in the past the validity of the broker's assertion begins."),
    key("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Text("false"), Medium, ReadOnly)
        .doc("Whether the broker's assertion contains a unique id."),
];
