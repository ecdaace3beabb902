//! UpdateFeatures: which levels of features the cluster has (KIP-584).

use std::collections::BTreeSet;
use std::rc::Rc;

use ringlog_wire::messages::update_features_request::FeatureUpdateKey;
use ringlog_wire::messages::update_features_response::UpdatableFeatureResult;
use ringlog_wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::{Incoming, Outcome};
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::{FeatureUpdate, UpgradeType};
use crate::error_code::ErrorCode;

/// From here on nothing is said of single features.
const NO_RESULTS_FROM: i16 = 2;

pub(super) async fn answer(broker: &Rc<Broker>, incoming: &Incoming) -> Option<Outcome> {
    let request: UpdateFeaturesRequest = incoming.decode()?;
    // Of several for one feature the last counts, in its place.
    let mut seen = BTreeSet::new();
    let last_first = request.feature_updates.iter().rev();
    let mut updates: Vec<FeatureUpdate> =
        last_first.filter(|asked| seen.insert(&asked.feature)).map(update).collect();
    updates.reverse();
    let call = ControlCall::UpdateFeatures { updates, validate_only: request.validate_only };
    let mut response = UpdateFeaturesResponse { error_message: None, ..Default::default() };
    match incoming.ask_controller(broker, call).await {
        ControlReply::Refused(fault) => {
            response.error_code = fault.error.code();
            let of_a_feature = fault.error == ErrorCode::InvalidUpdateVersion;
            response.error_message = fault.message.map(|message| match of_a_feature {
                true => format!(
                    "The update failed for all features since the following feature had an \
                     error: {message}"
                ),
                false => message,
            });
        }
        _ if incoming.header.version >= NO_RESULTS_FROM => {}
        _ => {
            let done = |feature| UpdatableFeatureResult {
                feature,
                error_code: ErrorCode::None.code(),
                error_message: Some("NONE".to_owned()),
            };
            let names = request.feature_updates.into_iter().map(|asked| asked.feature);
            response.results = names.map(done).collect();
        }
    }
    Some(incoming.respond(&response))
}

fn update(asked: &FeatureUpdateKey) -> FeatureUpdate {
    FeatureUpdate {
        name: asked.feature.clone(),
        level: asked.max_version_level,
        upgrade: match asked.upgrade_type {
            1 => UpgradeType::Upgrade,
            2 => UpgradeType::SafeDowngrade,
            3 => UpgradeType::UnsafeDowngrade,
            _ => UpgradeType::Unknown,
        },
    }
}
