//! TLS. Certificates and protocol versions. Most keys can be set per listener with the prefix
//! `listener.name.<name>.`.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("ssl.client.auth", String, Text("none"), Medium, PerBroker)
        .valid(Valid::OneOf(&["required", "requested", "none"]))
        .doc(
            "Whether clients must present a certificate (`required`), can present one \
            (`requested`) or need none (`none`).",
        ),
    key("ssl.protocol", String, Text("TLSv1.3"), Medium, PerBroker)
        .doc("Protocol version for which the TLS context is created."),
    key("ssl.enabled.protocols", List, Text("TLSv1.2,TLSv1.3"), Medium, PerBroker)
        .doc("Protocol versions that connections can use."),
    key("ssl.cipher.suites", List, Text(""), Medium, PerBroker)
        .doc("Cipher suites that connections can use. An empty value means the library's default."),
    key("ssl.keystore.type", String, Text("JKS"), Medium, PerBroker)
        .doc("Format of the key store: JKS, PKCS12 or PEM."),
    key("ssl.keystore.location", String, Null, Medium, PerBroker)
        .doc("Path of the key store's file."),
    key("ssl.keystore.password", Password, Null, Medium, PerBroker)
        .doc("Password of the key store. Not used with PEM."),
    key("ssl.keystore.key", Password, Null, Medium, PerBroker)
        .doc("Private key in PEM format, as the value itself."),
    key("ssl.keystore.certificate.chain", Password, Null, Medium, PerBroker)
        .doc("Certificate chain in PEM format, as the value itself."),
    key("ssl.key.password", Password, Null, Medium, PerBroker).doc("Password of the private key."),
    key("ssl.truststore.type", String, Text("JKS"), Medium, PerBroker)
        .doc("Format of the trust store: JKS, PKCS12 or PEM."),
    key("ssl.truststore.location", String, Null, Medium, PerBroker)
        .doc("Path of the trust store's file."),
    key("ssl.truststore.password", Password, Null, Medium, PerBroker)
        .doc("Password of the trust store. Not used with PEM."),
    key("ssl.truststore.certificates", Password, Null, Medium, PerBroker)
        .doc("Trusted certificates in PEM format, as the value itself."),
    key("ssl.endpoint.identification.algorithm", String, Text("https"), Low, PerBroker).doc(
        "How a server's host name is checked against its certificate. An empty value disables the \
        check.",
    ),
    key("ssl.principal.mapping.rules", String, Text("DEFAULT"), Low, ReadOnly).doc(
        "Rules that map the name in a client's certificate to a user name. The first rule that \
        matches is used.",
    ),
    key("ssl.allow.dn.changes", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether a key store that is replaced at run time can have a different distinguished name.",
    ),
    key("ssl.allow.san.changes", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether a key store that is replaced at run time can lack alternative names of the old \
        one.",
    ),
    key("ssl.provider", String, Null, Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java security provider for TLS."),
    key("ssl.keymanager.algorithm", String, Text("SunX509"), Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Algorithm of Java's key manager."),
    key("ssl.trustmanager.algorithm", String, Text("PKIX"), Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Algorithm of Java's trust manager."),
    key("ssl.secure.random.implementation", String, Null, Low, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java random number generator for TLS."),
    key("ssl.engine.factory.class", Class, Null, Low, PerBroker)
        .stored(JAVA_CLASS)
        .doc("Java class that creates TLS engines."),
];
