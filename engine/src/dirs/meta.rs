//! `meta.properties`: which cluster, node and directory this is.

use thiserror::Error;

use crate::types::TopicId;

/// A directory's identity. Ids are kept as text, as Kafka does: only the directory's must parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster.
    pub cluster_id: String,
    /// The node.
    pub node_id: i32,
    /// The directory itself (KIP-858), if it has been given an id.
    pub directory_id: Option<TopicId>,
}

/// `meta.properties` says something else than it should.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MetaError {
    /// A property is missing.
    #[error("'{0}' was not found in meta.properties")]
    Missing(&'static str),
    /// A property is not what it should be.
    #[error("meta.properties: {name}={value} is not valid")]
    Invalid {
        /// Which.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// Not text.
    #[error("meta.properties is not text")]
    NotText,
}

impl MetaProperties {
    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetaError> {
        let text = std::str::from_utf8(bytes).map_err(|_| MetaError::NotText)?;
        let property = |name: &'static str| {
            text.lines().rev().filter(|line| !line.starts_with(['#', '!'])).find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| value.trim().replace('\\', ""))
            })
        };
        let invalid = |name, value| MetaError::Invalid { name, value };
        match property("version") {
            Some(version) if version == "1" => {}
            Some(version) => return Err(invalid("version", version)),
            None => return Err(MetaError::Missing("version")),
        }
        let cluster_id = property("cluster.id").ok_or(MetaError::Missing("cluster.id"))?;
        let node_id = property("node.id").ok_or(MetaError::Missing("node.id"))?;
        let node_id = node_id.parse().map_err(|_| invalid("node.id", node_id))?;
        let directory_id = match property("directory.id") {
            Some(id) => Some(TopicId::parse(&id).ok_or(invalid("directory.id", id))?),
            None => None,
        };
        Ok(Self { cluster_id, node_id, directory_id })
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let mut text = "#\n".to_owned();
        text.push_str(&format!("node.id={}\n", self.node_id));
        if let Some(id) = self.directory_id {
            text.push_str(&format!("directory.id={id}\n"));
        }
        text.push_str(&format!("version=1\ncluster.id={}\n", self.cluster_id));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_file_is_understood_and_ours_round_trips() {
        let kafka = b"#\n#Sat Nov 21 12:26:27 UTC 2026\nnode.id=1\n\
            directory.id=aolgbwjBT9KQJILXeDPIGg\nversion=1\ncluster.id=Nk018hRAQFytWskYqtQduw\n";
        let meta = MetaProperties::parse(kafka).expect("Kafka's own");
        assert_eq!((meta.node_id, meta.cluster_id.as_str()), (1, "Nk018hRAQFytWskYqtQduw"));
        assert_eq!(MetaProperties::parse(meta.render().as_bytes()), Ok(meta));
    }

    #[test]
    fn d14_garbage_is_named() {
        assert_eq!(MetaProperties::parse(b""), Err(MetaError::Missing("version")));
        assert_eq!(MetaProperties::parse(b"\xff"), Err(MetaError::NotText));
        let error = MetaProperties::parse(b"version=1\ncluster.id=x\nnode.id=one\n");
        assert!(matches!(error, Err(MetaError::Invalid { name: "node.id", .. })));
    }
}
