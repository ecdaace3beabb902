//! TLS. Certificates and protocol versions. Most keys can be set per listener with the prefix
//! `listener.name.<name>.`.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("ssl.client.auth", String, Text("none"), Medium, PerBroker)
        .valid(Valid::OneOf(&["required", "requested", "none"]))
        .doc(
            "Whether clients must (`required`), may (`requested`) or need not (`none`) show a \
            certificate.",
        ),
    key("ssl.protocol", String, Text("TLSv1.3"), Medium, PerBroker)
        .doc("Protocol version the TLS context is made for."),
    key("ssl.enabled.protocols", List, Text("TLSv1.2,TLSv1.3"), Medium, PerBroker)
        .doc("Protocol versions that connections may use."),
    key("ssl.cipher.suites", List, Text(""), Medium, PerBroker)
        .doc("Cipher suites that connections may use. Empty means the library's choice."),
    key("ssl.keystore.type", String, Text("JKS"), Medium, PerBroker)
        .doc("Format of the key store: JKS, PKCS12 or PEM."),
    key("ssl.keystore.location", String, Null, Medium, PerBroker).doc("File of the key store."),
    key("ssl.keystore.password", Password, Null, Medium, PerBroker)
        .doc("Password of the key store. Not used with PEM."),
    key("ssl.keystore.key", Password, Null, Medium, PerBroker)
        .doc("Private key itself, in PEM format."),
    key("ssl.keystore.certificate.chain", Password, Null, Medium, PerBroker)
        .doc("Certificate chain itself, in PEM format."),
    key("ssl.key.password", Password, Null, Medium, PerBroker).doc("Password of the private key."),
    key("ssl.truststore.type", String, Text("JKS"), Medium, PerBroker)
        .doc("Format of the trust store: JKS, PKCS12 or PEM."),
    key("ssl.truststore.location", String, Null, Medium, PerBroker).doc("File of the trust store."),
    key("ssl.truststore.password", Password, Null, Medium, PerBroker)
        .doc("Password of the trust store. Not used with PEM."),
    key("ssl.truststore.certificates", Password, Null, Medium, PerBroker)
        .doc("Trusted certificates themselves, in PEM format."),
    key("ssl.endpoint.identification.algorithm", String, Text("https"), Low, PerBroker).doc(
        "How a server's name is checked against its certificate. Empty switches the check \
        off.",
    ),
    key("ssl.principal.mapping.rules", String, Text("DEFAULT"), Low, ReadOnly).doc(
        "Rules that shorten the name in a client's certificate to a user name, first \
        match first.",
    ),
    key("ssl.allow.dn.changes", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether a key store that is replaced at run time may have another distinguished \
        name.",
    ),
    key("ssl.allow.san.changes", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether a key store that is replaced at run time may lack alternative names of \
        the old one.",
    ),
    key("ssl.provider", String, Null, Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java security provider of TLS."),
    key("ssl.keymanager.algorithm", String, Text("SunX509"), Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java's key manager algorithm."),
    key("ssl.trustmanager.algorithm", String, Text("PKIX"), Medium, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java's trust manager algorithm."),
    key("ssl.secure.random.implementation", String, Null, Low, PerBroker)
        .stored(JAVA_TLS)
        .doc("Java's random number generator for TLS."),
    key("ssl.engine.factory.class", Class, Null, Low, PerBroker)
        .stored(JAVA_CLASS)
        .doc("Java class that makes TLS engines."),
];
