//! The committed profiles: each is read, and what it asks of a broker a node has a word for.

#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ringlog_bench::profile::{Driver, Kind, LoadedProfile};
use ringlog_node::config::{RawConfig, Resource, all_keys};

fn profiles() -> Vec<(PathBuf, LoadedProfile)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
    let names = fs::read_dir(dir).expect("profiles").flatten().map(|entry| entry.path());
    let toml = names.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let read = |path: PathBuf| match LoadedProfile::read(&path) {
        Ok(loaded) => (path, loaded),
        Err(error) => panic!("{error:#}"),
    };
    toml.map(read).collect()
}

#[test]
fn every_profile_is_valid_and_says_what_it_is_for() {
    let all = profiles();
    assert!(all.len() >= 8, "{}", all.len());
    let titles: BTreeSet<&str> = all.iter().map(|(_, l)| l.profile.title.as_str()).collect();
    assert_eq!(titles.len(), all.len(), "every title is another");
    for (path, loaded) in &all {
        assert!(!loaded.profile.description.is_empty(), "{}", path.display());
    }
    for kind in [Kind::Produce, Kind::CatchUp, Kind::Tail] {
        assert!(all.iter().any(|(_, l)| l.experiments.iter().any(|e| e.kind == kind)), "{kind:?}");
    }
    let by_java = |e: &ringlog_bench::profile::Experiment| e.driver == Driver::Java;
    assert!(all.iter().any(|(_, loaded)| loaded.experiments.iter().any(by_java)));
}

#[test]
fn a_node_knows_every_property_that_a_profile_sets() {
    let base = "process.roles=broker,controller\nnode.id=1\n\
                controller.quorum.voters=1@localhost:9093\ncontroller.listener.names=CONTROLLER\n\
                listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
                log.dirs=/tmp/x\n";
    for (path, loaded) in profiles() {
        for experiment in &loaded.experiments {
            let pairs: Vec<(String, String)> = experiment
                .broker
                .iter()
                .map(|(key, value)| (key.clone(), value.to_string()))
                .collect();
            let known = RawConfig::load(base.as_bytes(), &pairs);
            assert!(known.is_ok(), "{}: {}: {:?}", path.display(), experiment.name, known.err());
            for (key, _) in &pairs {
                let known = all_keys(Resource::Broker).any(|known| known.name == *key);
                assert!(known, "{}: {key} is no key", path.display());
            }
        }
    }
}
