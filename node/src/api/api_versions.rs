//! ApiVersions: what this node serves (KIP-35, KIP-511, KIP-584).

use ringlog_wire::ApiKey;
use ringlog_wire::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use ringlog_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Incoming, Outcome, OutcomeFuture, RequestContext, apis_of};
use crate::broker::Broker;
use crate::error_code::ErrorCode;
use crate::features::{FEATURES, KRAFT_VERSION};
use crate::wire::frame::Response;
use crate::wire::versions::Served;

/// From here on clients read a supported range that begins at 0 (KAFKA-17492).
const MIN_VERSION_ZERO_FROM: i16 = 4;
/// From here on the client says what it is.
const SOFTWARE_FROM: i16 = 3;

fn entry(served: &Served) -> ApiVersion {
    ApiVersion { api_key: served.key as i16, min_version: served.min, max_version: served.max }
}

pub(super) fn answer(
    broker: &Broker,
    context: &RequestContext,
    incoming: &Incoming,
) -> Option<Outcome> {
    let version = incoming.header.version;
    let request: ApiVersionsRequest = incoming.decode()?;
    if version >= SOFTWARE_FROM
        && !(is_software(&request.client_software_name)
            && is_software(&request.client_software_version))
    {
        let error_code = ErrorCode::InvalidRequest.code();
        return Some(
            incoming.respond(&ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() }),
        );
    }
    let image = broker.image();
    let supported = FEATURES
        .iter()
        .filter(|(_, min, _)| *min > 0 || version >= MIN_VERSION_ZERO_FROM)
        .map(|(name, min_version, max_version)| SupportedFeatureKey {
            name: (*name).to_owned(),
            min_version: *min_version,
            max_version: *max_version,
        });
    // Levels that the log has finalized and that work here.
    let kraft = Some((KRAFT_VERSION, image.kraft_version)).filter(|(_, level)| *level > 0);
    let levels = image.features.iter().map(|(name, level)| (name.as_str(), *level));
    let finalized = levels.chain(kraft).filter_map(|(name, level)| {
        let (_, min, max) = FEATURES.iter().find(|(feature, ..)| *feature == name)?;
        (*min <= level && level <= *max).then(|| FinalizedFeatureKey {
            name: name.to_owned(),
            max_version_level: level,
            min_version_level: level,
        })
    });
    Some(incoming.respond(&ApiVersionsResponse {
        error_code: ErrorCode::None.code(),
        api_keys: apis_of(context.kind).iter().map(entry).collect(),
        supported_features: supported.collect(),
        finalized_features_epoch: image.end_offset - 1,
        finalized_features: finalized.collect(),
        ..ApiVersionsResponse::default()
    }))
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// A version of ApiVersions that is not known is answered in version 0, with the range that is.
pub(super) fn unsupported_version(apis: &[Served], correlation_id: i32) -> OutcomeFuture {
    let own = apis.iter().filter(|served| served.key == ApiKey::ApiVersions);
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: own.map(entry).collect(),
        ..ApiVersionsResponse::default()
    };
    let encoded = Response::encode(&response, ApiKey::ApiVersions, 0, correlation_id);
    let outcome = encoded.map_or(Outcome::Close, Outcome::Respond);
    Box::pin(async move { outcome })
}
