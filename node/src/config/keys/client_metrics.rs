//! Client metrics configs. Keys of a client metrics subscription.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("interval.ms", Int, Text("300000"), Medium, ClientMetrics)
        .doc("How often matching clients push their metrics, from 100 ms to an hour."),
    key("match", List, Text(""), Medium, ClientMetrics).doc(
        "Which clients match, as `attribute=regular expression` separated by commas. \
        Empty matches all.",
    ),
    key("metrics", List, Text(""), Medium, ClientMetrics).doc(
        "Prefixes of the metric names that are wanted, or `*` for all. Empty asks for \
        none.",
    ),
];
