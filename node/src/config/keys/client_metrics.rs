//! Client metrics configs. Configuration of a client metrics subscription.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("interval.ms", Int, Text("300000"), Medium, ClientMetrics)
        .doc("Interval at which matching clients push their metrics, from 100 ms to an hour."),
    key("match", List, Text(""), Medium, ClientMetrics).doc(
        "Selection of clients, as `attribute=regular expression` separated by commas. An empty \
        value matches all clients.",
    ),
    key("metrics", List, Text(""), Medium, ClientMetrics).doc(
        "Prefixes of the requested metric names, or `*` for all. An empty value requests none.",
    ),
];
