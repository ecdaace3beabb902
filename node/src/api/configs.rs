//! What the APIs that change configs have in common.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::Incoming;
use crate::broker::{Broker, ControlCall, ControlReply};
use crate::controller::{AlterConfigs, NewConfigs};
use crate::error_code::ErrorCode;
use crate::loggers::{self, LogLevel};

/// What is wanted of a resource.
pub(super) enum Wanted {
    /// These configs.
    Configs(NewConfigs),
    /// These levels of loggers; none takes away a logger's own.
    Loggers(Vec<(String, Option<LogLevel>)>),
    /// What makes no sense, and why.
    Refused(ErrorCode, Option<String>),
}

impl Wanted {
    /// What was read, or why it could not be.
    pub(super) fn of(read: Result<NewConfigs, String>) -> Wanted {
        match read {
            Ok(configs) => Wanted::Configs(configs),
            Err(message) => Wanted::Refused(ErrorCode::InvalidRequest, Some(message)),
        }
    }
}

/// Kafka's checks of the configs of a resource: their names, and those that lack a value.
pub(super) fn check(names: &[&str], without_value: &[&str]) -> Result<(), String> {
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return Err("Error due to duplicate config keys".to_owned());
    }
    match without_value {
        [] => Ok(()),
        null => Err(format!("Null value not supported for : {}", null.join(", "))),
    }
}

/// Asks the controller for what makes sense; gives for each resource its error and sentence.
pub(super) async fn alter_all(
    broker: &Rc<Broker>,
    incoming: &Incoming,
    wanted: Vec<(i8, String, Wanted)>,
    validate_only: bool,
) -> Vec<(ErrorCode, Option<String>)> {
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    for (kind, name, _) in &wanted {
        if !seen.insert((*kind, name.clone())) {
            repeated.insert((*kind, name.clone()));
        }
    }
    let (mut outcomes, mut resources) = (Vec::with_capacity(wanted.len()), Vec::new());
    for (kind, name, wanted) in wanted {
        let resource = (kind, name);
        outcomes.push(match wanted {
            _ if repeated.contains(&resource) => {
                let message = "Each resource must appear at most once.".to_owned();
                Some((ErrorCode::InvalidRequest, Some(message)))
            }
            Wanted::Refused(error, message) => Some((error, message)),
            Wanted::Loggers(levels) => {
                if !validate_only {
                    loggers::set(&levels);
                }
                Some((ErrorCode::None, None))
            }
            Wanted::Configs(configs) => {
                let (kind, name) = resource;
                resources.push(AlterConfigs { kind, name, configs });
                None
            }
        });
    }
    let asked = resources.len();
    let call = ControlCall::AlterConfigs { resources, validate_only };
    let decided = match incoming.ask_controller(broker, call).await {
        ControlReply::Altered(decided) => decided,
        ControlReply::Refused(fault) => vec![Err(fault); asked],
        _ => unreachable!("altering configs has its own reply"),
    };
    let mut decided = decided.into_iter();
    let mut next = || match decided.next().expect("every resource is decided on") {
        Ok(()) => (ErrorCode::None, None),
        Err(fault) => (fault.error, fault.message),
    };
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(&mut next)).collect()
}
