//! Changes of finalized features: what becomes of UpdateFeatures (Kafka's `FeatureControlManager`,
//! KIP-584, KIP-778).

use ringlog_engine::stdx::java::java_map_order;
use ringlog_wire::records::metadata::{FeatureLevelRecord, MetadataRecord, NoOpRecord};

use super::topics::TopicFault;
use crate::error_code::ErrorCode;
use crate::features::{
    FEATURES, KNOWN_FEATURES, KRAFT_VERSION, METADATA_VERSION, METADATA_VERSION_CHANGES,
};
use crate::metadata::MetadataImage;

/// Which way a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up.
    Upgrade,
    /// Down, if nothing gets lost.
    SafeDowngrade,
    /// Down in any case.
    UnsafeDowngrade,
    /// None that Kafka knows.
    Unknown,
}

/// A level that a feature shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name.
    pub name: String,
    /// The level.
    pub level: i16,
    /// How it may get there.
    pub upgrade: UpgradeType,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureChanges {
    /// Records of the new levels.
    pub records: Vec<MetadataRecord>,
    /// Besides, the voters move into the log. No record of the image says so.
    pub kraft_upgrade: bool,
}

/// Decides on all of them: one that is refused refuses all.
pub fn update_features(
    image: &MetadataImage,
    node_id: i32,
    updates: &[FeatureUpdate],
) -> Result<FeatureChanges, TopicFault> {
    let mut changes = FeatureChanges::default();
    // The first that is refused is the one that is told of.
    for update in java_map_order(updates, |update| &update.name) {
        decide(image, node_id, update, &mut changes).map_err(|message| TopicFault {
            error: ErrorCode::InvalidUpdateVersion,
            message: Some(message),
        })?;
    }
    Ok(changes)
}

fn decide(
    image: &MetadataImage,
    node_id: i32,
    update: &FeatureUpdate,
    changes: &mut FeatureChanges,
) -> Result<(), String> {
    let FeatureUpdate { name, level, upgrade } = update;
    let refuse =
        |why: &str| Err(format!("Invalid update version {level} for feature {name}. {why}"));
    let current = match name.as_str() {
        KRAFT_VERSION => image.kraft_version,
        name => image.features.get(name).copied().unwrap_or(0),
    };
    if *upgrade == UpgradeType::Unknown {
        return refuse("The controller does not support the given upgrade type.");
    }
    if *level < 0 {
        return refuse("A feature version cannot be less than 0.");
    }
    if let Some(why) = why_not_supported(name, *level) {
        return refuse(&format!("Local controller {node_id} {why}"));
    }
    if *level < current && *upgrade == UpgradeType::Upgrade {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    if *level > current && *upgrade != UpgradeType::Upgrade {
        return refuse("Can't downgrade to a newer version.");
    }
    match name.as_str() {
        METADATA_VERSION => check_metadata_version(current, *level, *upgrade)?,
        KRAFT_VERSION if *upgrade == UpgradeType::Upgrade => {
            changes.kraft_upgrade |= *level > current;
            // There is something to wait for even if nothing changes.
            changes.records.push(NoOpRecord::default().into());
            return Ok(());
        }
        KRAFT_VERSION if *level < current => {
            return refuse("Can't downgrade the version of this feature.");
        }
        KRAFT_VERSION => return Ok(()),
        name if !KNOWN_FEATURES.contains(&name) => {
            return refuse(&format!("Feature {name} not found."));
        }
        _ => {}
    }
    let record = FeatureLevelRecord { name: name.clone(), feature_level: *level };
    changes.records.push(record.into());
    Ok(())
}

fn why_not_supported(name: &str, level: i16) -> Option<String> {
    let range = FEATURES.iter().find(|(feature, ..)| *feature == name);
    match range {
        Some((_, min, max)) if *min <= level && level <= *max => None,
        Some((_, min, max)) => Some(format!("only supports versions {min}-{max}")),
        // Level 0 is to not have it.
        None => (level != 0).then(|| "does not support this feature.".to_owned()),
    }
}

/// Down only as far as the records stay what they are.
fn check_metadata_version(current: i16, level: i16, upgrade: UpgradeType) -> Result<(), String> {
    if !METADATA_VERSION_CHANGES.iter().any(|change| level < *change && *change <= current) {
        return Ok(());
    }
    let why = match upgrade {
        UpgradeType::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        _ => {
            "Refusing to perform the requested downgrade because it might delete metadata \
             information."
        }
    };
    Err(format!("Invalid metadata.version {level}. {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(name: &str, level: i16, upgrade: UpgradeType) -> Result<FeatureChanges, String> {
        let mut image = MetadataImage::default();
        image.features.insert("metadata.version".to_owned(), 27);
        image.features.insert("transaction.version".to_owned(), 2);
        let update = FeatureUpdate { name: name.to_owned(), level, upgrade };
        update_features(&image, 1, &[update]).map_err(|fault| fault.message.expect("a sentence"))
    }

    #[test]
    fn what_another_version_has_finalized_can_be_let_go_of() {
        let changes = updated("transaction.version", 0, UpgradeType::SafeDowngrade);
        let record =
            FeatureLevelRecord { name: "transaction.version".to_owned(), feature_level: 0 };
        assert_eq!(changes.expect("taken").records, [record.into()]);
    }

    #[test]
    fn the_metadata_goes_down_to_where_its_records_changed() {
        assert!(updated("metadata.version", 23, UpgradeType::SafeDowngrade).is_ok());
        let refused = updated("metadata.version", 22, UpgradeType::SafeDowngrade);
        assert!(refused.expect_err("refused").contains("might delete metadata"));
    }

    #[test]
    fn moving_the_voters_into_the_log_is_no_record_of_the_image() {
        let changes = updated("kraft.version", 1, UpgradeType::Upgrade).expect("taken");
        assert!(changes.kraft_upgrade);
        assert_eq!(changes.records, [NoOpRecord::default().into()]);
    }
}
