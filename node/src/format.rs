//! Formatting log directories, as kafka-storage does: `meta.properties`, the bootstrap file with
//! the cluster's first records, and, for a quorum whose voters are in the log, their first
//! snapshot.

use std::path::{Path, PathBuf};

use ringlog_engine::dirs::MetaProperties;
use ringlog_engine::shard::{IoError, Shard};
use ringlog_engine::types::TopicId;
use ringlog_wire::Uuid;
use ringlog_wire::messages::VotersRecord;
use ringlog_wire::messages::voters_record::{Endpoint, KRaftVersionFeature, Voter};
use ringlog_wire::records::metadata::{FeatureLevelRecord, MetadataRecord};
use thiserror::Error;

use crate::broker::snapshot_bytes;
use crate::config::RawConfig;
use crate::features::{FEATURES, GROUP_VERSION, METADATA_VERSION_MAX, METADATA_VERSION_MIN};

/// Releases that name a metadata.version, the newest last.
const RELEASES: &[(&str, i16)] = &[
    ("3.3-IV3", 7),
    ("3.4-IV0", 8),
    ("3.5-IV2", 11),
    ("3.6-IV2", 14),
    ("3.7-IV4", 19),
    ("3.8-IV0", 20),
    ("3.9-IV0", 21),
    ("4.0-IV3", 25),
    ("4.1-IV1", 27),
];

/// Why formatting did not happen.
#[derive(Debug, Error)]
pub enum FormatError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The request does not make sense.
    #[error("{0}")]
    Refused(String),
}

/// From 4.0 on new clusters have the consumer protocol.
const METADATA_VERSION_4_0: i16 = 22;

/// What to format.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// The cluster's id.
    pub cluster_id: String,
    /// This node is the first and only voter of a quorum whose voters are in the log.
    pub standalone: bool,
    /// Voters of such a quorum: `id@host:port:directory-id`.
    pub initial_controllers: Option<String>,
    /// Feature levels, `name=level`.
    pub features: Vec<String>,
    /// A release whose features are taken.
    pub release_version: Option<String>,
    /// Leave directories that are formatted already.
    pub ignore_formatted: bool,
}

/// The features of a new cluster without a bootstrap file.
pub fn default_features() -> Vec<MetadataRecord> {
    vec![feature("metadata.version", METADATA_VERSION_MAX), feature(GROUP_VERSION, 1)]
}

fn feature(name: &str, feature_level: i16) -> MetadataRecord {
    FeatureLevelRecord { name: name.to_owned(), feature_level }.into()
}

fn random_id(shard: &Shard) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&shard.random().to_be_bytes());
    bytes[8..].copy_from_slice(&shard.random().to_be_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid(bytes)
}

/// A random id in the form of Kafka's: never one whose text begins with a dash, which tools would
/// take for an option.
pub fn random_uuid(shard: &Shard) -> Uuid {
    loop {
        let id = random_id(shard);
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

/// Formats the directories that `config` names. Returns what it did, a line each.
///
/// # Errors
/// Nothing has been written if the request is refused.
pub async fn format(
    shard: &Shard,
    config: &RawConfig,
    options: &FormatOptions,
) -> Result<Vec<String>, FormatError> {
    if options.cluster_id.parse::<Uuid>().is_err() {
        return Err(FormatError::Refused(format!(
            "Cluster ID string {} does not appear to be a valid UUID: it is not 22 characters of \
             base64",
            options.cluster_id
        )));
    }
    let features = features_of(options)?;
    let level = features.first().map_or(METADATA_VERSION_MAX, |(_, level)| *level);
    let mut directories: Vec<PathBuf> = config.log_dirs().iter().map(PathBuf::from).collect();
    let metadata_dir = PathBuf::from(config.metadata_log_dir());
    if !directories.contains(&metadata_dir) {
        directories.push(metadata_dir.clone());
    }
    let mut fresh = Vec::new();
    for dir in &directories {
        match shard.stat(&dir.join("meta.properties")).await? {
            None => fresh.push(dir.clone()),
            Some(_) if options.ignore_formatted => {}
            Some(_) => {
                return Err(FormatError::Refused(format!(
                    "Log directory {} is already formatted. Use --ignore-formatted to ignore this \
                     directory and format the others.",
                    dir.display()
                )));
            }
        }
    }
    if fresh.is_empty() {
        return Ok(vec!["All of the log directories are already formatted.".to_owned()]);
    }
    let voters = voters_of(shard, config, options)?;
    let mut said = Vec::new();
    for dir in fresh {
        let of_metadata = dir == metadata_dir;
        let kind = match (of_metadata, &voters) {
            (true, Some(_)) => "dynamic metadata voter directory",
            (true, None) => "metadata directory",
            (false, _) => "data directory",
        };
        said.push(format!(
            "Formatting {kind} {} with metadata.version {}.",
            dir.display(),
            release_name(level)
        ));
        let directory_id = match (of_metadata, &voters) {
            (true, Some((_, own))) => *own,
            _ => random_uuid(shard),
        };
        format_dir(shard, &dir, config.node_id(), options, directory_id, &features).await?;
        if let (true, Some((voters, _))) = (of_metadata, &voters) {
            write_voters(shard, &dir, voters).await?;
        }
    }
    Ok(said)
}

fn release_name(level: i16) -> String {
    let named = RELEASES.iter().find(|(_, l)| *l == level);
    named.map_or_else(|| level.to_string(), |(name, _)| (*name).to_owned())
}

/// metadata.version first, then what was asked for.
fn features_of(options: &FormatOptions) -> Result<Vec<(String, i16)>, FormatError> {
    let refuse = |message: String| Err(FormatError::Refused(message));
    let mut metadata_version = METADATA_VERSION_MAX;
    if let Some(release) = &options.release_version {
        let found = RELEASES
            .iter()
            .rev()
            .find(|(name, _)| name == release || name.split('-').next() == Some(release.as_str()));
        match found {
            Some((_, level)) => metadata_version = *level,
            None => return refuse(format!("Unknown metadata.version '{release}'.")),
        }
    }
    let mut others = Vec::new();
    for given in &options.features {
        let Some((name, level)) = given.split_once('=') else {
            return refuse(format!(
                "Can't parse feature=level string {given}: equals sign not found."
            ));
        };
        let Ok(level) = level.trim().parse::<i16>() else {
            return refuse(format!("Can't parse feature=level string {given}: not a number."));
        };
        match FEATURES.iter().find(|(feature, ..)| *feature == name.trim()) {
            Some((_, min, max)) if *min <= level && level <= *max => {}
            Some((name, min, max)) => {
                return refuse(format!(
                    "{name} level {level} is not supported; it goes from {min} to {max} here."
                ));
            }
            None => return refuse(format!("Unsupported feature: {}.", name.trim())),
        }
        match name.trim() {
            "metadata.version" => metadata_version = level,
            // Said by how the directory is formatted, not by a record.
            "kraft.version" => {}
            name => others.push((name.to_owned(), level)),
        }
    }
    if metadata_version < METADATA_VERSION_MIN {
        return refuse(format!("metadata.version {metadata_version} is too old."));
    }
    let chosen = others.iter().any(|(name, _)| name == GROUP_VERSION);
    if !chosen && metadata_version >= METADATA_VERSION_4_0 {
        others.push((GROUP_VERSION.to_owned(), 1));
    }
    let mut features = vec![("metadata.version".to_owned(), metadata_version)];
    // Level 0 is what is not finalized.
    features.extend(others.into_iter().filter(|(_, level)| *level > 0));
    Ok(features)
}

/// The voters to write into the log, and the id of this node's metadata directory.
fn voters_of(
    shard: &Shard,
    config: &RawConfig,
    options: &FormatOptions,
) -> Result<Option<(VotersRecord, Uuid)>, FormatError> {
    let refuse = |message: &str| Err(FormatError::Refused(message.to_owned()));
    let static_voters = !config.voters().is_empty();
    let dynamic = options.standalone || options.initial_controllers.is_some();
    if static_voters && dynamic {
        return refuse(
            "You cannot specify controller.quorum.voters and format with --standalone, or with \
             --initial-controllers.",
        );
    }
    if !static_voters && !dynamic {
        return refuse(
            "Because controller.quorum.voters is not set on this controller, you must specify one \
             of the following: --standalone, --initial-controllers, or --no-initial-controllers.",
        );
    }
    if !dynamic {
        return Ok(None);
    }
    let listeners = config.advertised_controller_listeners();
    let name = config.controller_listener_names().into_iter().next().unwrap_or_default();
    if options.standalone {
        let own = random_uuid(shard);
        let endpoints = listeners.into_iter().map(|listener| Endpoint {
            name: listener.name,
            host: listener.host.unwrap_or_else(|| "localhost".to_owned()),
            port: listener.port,
        });
        let voter = voter(config.node_id(), own, endpoints.collect());
        return Ok(Some((VotersRecord { version: 0, voters: vec![voter] }, own)));
    }
    let mut voters = Vec::new();
    let mut own = None;
    for text in options.initial_controllers.as_deref().unwrap_or_default().split(',') {
        let parsed = parse_voter(text.trim(), &name);
        let Some(voter) = parsed else {
            return Err(FormatError::Refused(format!(
                "Cannot parse initial controller '{text}': it must be id@host:port:directory-id."
            )));
        };
        if voter.voter_id == config.node_id() {
            own = Some(voter.voter_directory_id);
        }
        voters.push(voter);
    }
    match own {
        Some(own) => Ok(Some((VotersRecord { version: 0, voters }, own))),
        None => refuse("This node is not among the initial controllers."),
    }
}

fn parse_voter(text: &str, listener: &str) -> Option<Voter> {
    let (id, rest) = text.split_once('@')?;
    let (address, directory) = rest.rsplit_once(':')?;
    let (host, port) = address.rsplit_once(':')?;
    let endpoint =
        Endpoint { name: listener.to_owned(), host: host.to_owned(), port: port.parse().ok()? };
    Some(voter(id.parse().ok()?, directory.parse().ok()?, vec![endpoint]))
}

fn voter(voter_id: i32, voter_directory_id: Uuid, endpoints: Vec<Endpoint>) -> Voter {
    let kraft_version_feature =
        KRaftVersionFeature { min_supported_version: 0, max_supported_version: 1 };
    Voter { voter_id, voter_directory_id, endpoints, kraft_version_feature }
}

async fn format_dir(
    shard: &Shard,
    dir: &Path,
    node_id: i32,
    options: &FormatOptions,
    directory_id: Uuid,
    features: &[(String, i16)],
) -> Result<(), FormatError> {
    shard.make_dir_all(dir).await?;
    let records: Vec<MetadataRecord> =
        features.iter().map(|(name, level)| feature(name, *level)).collect();
    let bytes = snapshot_bytes(&records, 0, 0, None, false, shard.unix_ms())
        .map_err(FormatError::Refused)?;
    shard.replace_file(&dir.join("bootstrap.checkpoint"), bytes).await?;
    let meta = MetaProperties {
        cluster_id: options.cluster_id.clone(),
        node_id,
        directory_id: Some(TopicId(directory_id.0)),
    };
    // ORDER: last, because it is what makes the directory formatted.
    shard.replace_file(&dir.join("meta.properties"), meta.render().into_bytes()).await?;
    Ok(())
}

async fn write_voters(shard: &Shard, dir: &Path, voters: &VotersRecord) -> Result<(), FormatError> {
    let log = dir.join("__cluster_metadata-0");
    shard.make_dir_all(&log).await?;
    let now_ms = shard.unix_ms();
    let bytes = snapshot_bytes(&[], now_ms, 0, Some(voters), false, now_ms)
        .map_err(FormatError::Refused)?;
    let name = "00000000000000000000-0000000000.checkpoint";
    Ok(shard.replace_file(&log.join(name), bytes).await?)
}
