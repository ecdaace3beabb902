//! Why a configuration was refused: one sentence in Kafka's own wording, and which of the two
//! error codes the wire answers with. Only api/ turns the kind into a code.

use std::fmt;

/// Which of Kafka's errors a refused configuration is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConfigErrorKind {
    /// INVALID_CONFIG: a name or value that no node would take.
    InvalidConfig,
    /// INVALID_REQUEST: a well-formed value that cannot be applied here.
    InvalidRequest,
    /// UNKNOWN_SERVER_ERROR: input that Kafka itself trips over.
    Unexpected,
}

/// A refused configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    message: String,
}

impl ConfigError {
    /// An INVALID_CONFIG error with this sentence.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ConfigErrorKind::InvalidConfig, message: message.into() }
    }

    /// An INVALID_REQUEST error with this sentence.
    pub fn request(message: impl Into<String>) -> Self {
        Self { kind: ConfigErrorKind::InvalidRequest, message: message.into() }
    }

    /// An UNKNOWN_SERVER_ERROR with this sentence.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self { kind: ConfigErrorKind::Unexpected, message: message.into() }
    }

    /// Kafka's `ConfigException(name, value, reason)`.
    pub(super) fn value(name: &str, value: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::invalid(format!("Invalid value {value} for configuration {name}: {reason}"))
    }

    /// The sentence of Scala's `require`, which Kafka's cross-key checks are written with.
    pub(super) fn requirement(message: impl fmt::Display) -> Self {
        Self::invalid(format!("requirement failed: {message}"))
    }

    /// The same sentence as another kind of error.
    pub(super) fn of_kind(mut self, kind: ConfigErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// Which error the wire answers with.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}
