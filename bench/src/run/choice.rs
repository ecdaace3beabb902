//! [`TargetChoice`]: what a run measures, by the names of the command line and of profiles.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::batch::Codec;

use crate::client::{Durability, Endpoint};
use crate::profile::{Experiment, Kind, LoadedProfile, Mode, Profile, Property};
use crate::target::TargetKind;

/// Settings that only a Ringlog node has.
const RINGLOG: &str = "ringlog.";

/// A target of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetChoice {
    /// What it is.
    pub kind: TargetKind,
    /// As results name it.
    pub label: String,
    /// Properties over those of the profile and its experiments.
    pub broker: BTreeMap<String, Property>,
}

impl TargetChoice {
    /// Somebody's broker, and its process if that is to be watched.
    pub fn remote(bootstrap: Endpoint, pid: Option<u32>) -> TargetChoice {
        let kind = TargetKind::Remote(bootstrap, pid);
        TargetChoice { label: kind.label(), kind, broker: BTreeMap::new() }
    }

    /// The target that has this name: one of the profile's own, or one that every profile has.
    pub fn of_name(name: &str, profile: &Profile) -> Result<TargetChoice> {
        if let Some(own) = profile.target.get(name) {
            let kind = TargetKind::parse(&own.kind).filter(TargetKind::is_started);
            let kind = kind.with_context(|| {
                format!("target.{name}.kind = {:?}: expected node, kafka or kafka-tuned", own.kind)
            })?;
            return Ok(TargetChoice { kind, label: name.to_owned(), broker: own.broker.clone() });
        }
        let Some(kind) = TargetKind::parse(name) else {
            let own: String = profile.target.keys().map(|name| format!(", {name}")).collect();
            bail!(
                "--target {name}: expected node, kafka, kafka-tuned, null, kafka@RELEASE or \
                 iggy@FOLDER{own}"
            );
        };
        Ok(TargetChoice { label: kind.label(), kind, broker: BTreeMap::new() })
    }

    /// The properties that it is started with for an experiment.
    pub fn properties(&self, experiment: &Experiment) -> Vec<(String, String)> {
        if matches!(self.kind, TargetKind::Iggy(_)) {
            return Vec::new();
        }
        // What a whole profile says of a node is nothing that Kafka has to know.
        let foreign = matches!(self.kind, TargetKind::Kafka(_));
        let mut all: BTreeMap<String, String> = experiment
            .broker
            .iter()
            .filter(|(key, _)| !(foreign && key.starts_with(RINGLOG)))
            .chain(&self.broker)
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect();
        if let Some(durability) = experiment.durability {
            let own = self.kind.broker_properties(durability).into_iter();
            all.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        all.into_iter().collect()
    }

    /// Configurations of an experiment's topic, over those of the profile.
    pub fn topic_configs(&self, durability: Option<Durability>) -> Vec<(String, String)> {
        let own = durability.map(|durability| self.kind.topic_configs(durability));
        let own = own.into_iter().flatten();
        own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// That the target can be what the profile asks for. What it cannot is refused: an experiment
    /// without it would be something else than it says.
    pub fn check(&self, loaded: &LoadedProfile, nodes: usize) -> Result<()> {
        let base = &loaded.profile.broker;
        for experiment in &loaded.experiments {
            let own = |(key, value): &(&String, &Property)| base.get(*key) != Some(*value);
            let mut swept = experiment.broker.iter().filter(own);
            let name = &experiment.name;
            ensure!(
                self.kind.is_started() || !experiment.kind.is_start(),
                "experiment {name}: {} cannot be stopped and started",
                self.label
            );
            ensure!(
                nodes == 1 || !experiment.kind.is_start(),
                "experiment {name}: kind = {:?} is for one node",
                experiment.kind.name()
            );
            ensure!(
                self.kind != TargetKind::Null || !experiment.kind.is_event(),
                "experiment {name}: a broker that stores nothing has no {}",
                experiment.kind.name()
            );
            ensure!(
                experiment.rtt_ms == 0 || !matches!(self.kind, TargetKind::Remote(..)),
                "experiment {name}: link.rtt_ms is for targets that are started here"
            );
            match self.kind {
                TargetKind::Kafka(_) => {
                    let foreign = |(key, _): &(&String, &Property)| key.starts_with(RINGLOG);
                    if let Some((key, _)) = swept.chain(&self.broker).find(foreign) {
                        bail!("experiment {name} sets {key}, which is no property of Apache Kafka");
                    }
                }
                TargetKind::Remote(..) => {
                    if let Some((key, _)) = swept.next() {
                        bail!(
                            "experiment {name} sets {key}, which cannot be set at a broker of \
                             one's own"
                        );
                    }
                }
                TargetKind::Iggy(_) => {
                    let lacks = |what: &str| format!("experiment {name}: iggy-bench has no {what}");
                    let kind = experiment.kind.name();
                    ensure!(experiment.kind == Kind::Produce, lacks(&format!("kind = {kind:?}")));
                    let sustain =
                        loaded.profile.loads.iter().any(|load| load.mode == Mode::Sustain);
                    ensure!(!sustain, lacks("mode = \"sustain\""));
                    ensure!(experiment.values.keys == 0, lacks("keys"));
                    let producers = experiment.producers.unwrap_or(1);
                    ensure!(producers == 1, lacks("producers: it has one for each partition"));
                    let packed = experiment.producer.compression != Codec::None;
                    ensure!(!packed, lacks("compression.type"));
                    if let Some((key, _)) = swept.next() {
                        bail!("experiment {name} sets {key}, which Apache Iggy does not have");
                    }
                }
                TargetKind::Node | TargetKind::Null => {}
            }
        }
        Ok(())
    }

    /// That acknowledgements mean what the experiment asks for.
    pub fn check_durability(&self, asked: Option<Durability>, found: Durability) -> Result<()> {
        let says = !matches!(self.kind, TargetKind::Null | TargetKind::Iggy(_));
        let Some(asked) = asked.filter(|_| says) else { return Ok(()) };
        ensure!(
            asked == found,
            "acknowledgements of {} mean {found:?}, and the profile asks for {asked:?}",
            self.label
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "title = \"t\"\ndurability = [\"replicated\", \"sync\"]\n\
        [topic]\npartitions = 1\n[records]\nvalue_bytes = 10\n[measure]\nseconds = 1\n\
        [[load]]\nmode = \"closed\"\n[target.direct]\nkind = \"node\"\n\
        broker = { \"ringlog.io.mode\" = \"direct\" }\n";

    fn loaded(more: &str) -> LoadedProfile {
        LoadedProfile::of_text("t", &format!("{PROFILE}{more}")).expect("valid")
    }

    #[test]
    fn each_target_has_its_own_means_for_the_same_promise() {
        let loaded = loaded("[[experiment]]\nname = \"a\"\n");
        let [replicated, sync] = loaded.experiments.as_slice() else { panic!("two promises") };
        let of = |name: &str| TargetChoice::of_name(name, &loaded.profile).expect("a target");
        let pairs = |all: Vec<(String, String)>| -> Vec<String> {
            all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
        };
        let (node, kafka) = (of("node"), of("kafka"));
        assert_eq!(pairs(node.properties(replicated)), ["ringlog.durability=replicated"]);
        assert_eq!(pairs(node.properties(sync)), ["ringlog.durability=sync"]);
        assert!(node.topic_configs(sync.durability).is_empty());
        assert!(kafka.properties(replicated).is_empty());
        assert!(kafka.topic_configs(replicated.durability).is_empty());
        assert_eq!(pairs(kafka.properties(sync)), ["log.flush.interval.messages=1"]);
        assert_eq!(pairs(kafka.topic_configs(sync.durability)), ["flush.messages=1"]);
        let direct = ["ringlog.durability=sync", "ringlog.io.mode=direct"];
        assert_eq!(pairs(of("direct").properties(sync)), direct);
        assert_eq!(
            [of("kafka@3.9.1").label, of("kafka-tuned").label],
            ["kafka-3.9.1", "kafka-tuned"]
        );
        let error = TargetChoice::of_name("kafak", &loaded.profile).expect_err("misspelt");
        assert!(format!("{error}").contains("direct"), "{error}");
        assert!(kafka.check_durability(sync.durability, Durability::Replicated).is_err());
        assert!(kafka.check_durability(sync.durability, Durability::Sync).is_ok());
    }

    #[test]
    fn what_kafka_has_no_word_for_is_refused() {
        let more = "[sweep.broker]\n\"ringlog.shards\" = [1, 2]\n";
        let plain = "[[experiment]]\nname = \"a\"\n[broker]\n\"ringlog.shards\" = 2\n";
        let (loaded, plain) = (loaded(more), loaded(plain));
        let kafka = TargetChoice::of_name("kafka", &loaded.profile).expect("a target");
        let error = kafka.check(&loaded, 1).expect_err("no such property").to_string();
        assert!(error.contains("ringlog.shards"), "{error}");
        let node = TargetChoice::of_name("node", &loaded.profile).expect("a target");
        assert!(node.check(&loaded, 1).is_ok() && kafka.check(&plain, 1).is_ok());
        assert!(kafka.properties(&plain.experiments[0]).is_empty());
    }
}
