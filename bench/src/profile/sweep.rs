//! Sweeps: an experiment for every combination of values.
//!
//! `[sweep.producer]` with `"batch.size" = [16384, 200000]` is an axis: a table as an experiment
//! has it, whose values are lists. What comes out is read as an experiment is, so that a sweep can
//! do what an experiment can, and no key is misspelt unnoticed.

use anyhow::{Context, Result, bail, ensure};
use toml::{Table, Value};

use super::{Axis, ExperimentProfile};

/// Combinations of a sweep at most.
const COMBINATIONS_MAX: usize = 512;
/// Tables within tables at most: `[sweep.topic.configs]` is two.
const DEPTH_MAX: usize = 3;

/// Where a value goes, and which values there are.
struct Dimension {
    path: Vec<String>,
    values: Vec<Value>,
}

/// The experiments of a sweep; the last axis changes fastest.
pub fn experiments(sweep: &Table) -> Result<Vec<(ExperimentProfile, Vec<Axis>)>> {
    let mut axes = Vec::new();
    collect(sweep, &mut Vec::new(), &mut axes)?;
    if axes.is_empty() {
        return Ok(Vec::new());
    }
    let count = axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
    let count = count.filter(|count| *count <= COMBINATIONS_MAX);
    let Some(count) = count else {
        bail!("sweep: more than {COMBINATIONS_MAX} combinations");
    };
    (0..count).map(|index| combination(&axes, index)).collect()
}

fn collect(table: &Table, path: &mut Vec<String>, axes: &mut Vec<Dimension>) -> Result<()> {
    ensure!(path.len() < DEPTH_MAX, "sweep.{}: too many tables", path.join("."));
    for (key, value) in table {
        path.push(key.clone());
        let name = format!("sweep.{}", path.join("."));
        match value {
            Value::Table(inner) => collect(inner, path, axes)?,
            Value::Array(values) => {
                ensure!(!values.is_empty(), "{name}: an axis without values");
                axes.push(Dimension { path: path.clone(), values: values.clone() });
            }
            other => bail!("{name} = {other}: expected a list of values"),
        }
        path.pop();
    }
    Ok(())
}

fn combination(axes: &[Dimension], index: usize) -> Result<(ExperimentProfile, Vec<Axis>)> {
    let mut left = index;
    let mut chosen = Vec::new();
    for axis in axes.iter().rev() {
        chosen.push((axis, &axis.values[left % axis.values.len()]));
        left /= axis.values.len();
    }
    chosen.reverse();
    let mut experiment = Table::new();
    let mut places = Vec::new();
    for (axis, value) in &chosen {
        insert(&mut experiment, &axis.path, value)?;
        let key = axis.path.last().map_or("", String::as_str);
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let key = key.strip_prefix("ringlog.").unwrap_or(key).to_owned();
        places.push(Axis { key, value: text });
    }
    let settings = places.iter().map(|axis| format!("{}={}", axis.key, axis.value));
    let name = settings.collect::<Vec<_>>().join(" ");
    experiment.insert("name".to_owned(), Value::String(name.clone()));
    let experiment = experiment.try_into().with_context(|| format!("sweep, {name}"))?;
    Ok((experiment, places))
}

fn insert(table: &mut Table, path: &[String], value: &Value) -> Result<()> {
    let Some((key, outer)) = path.split_last() else { return Ok(()) };
    let mut inner = table;
    for name in outer {
        let next = inner.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Some(next) = next.as_table_mut() else { bail!("sweep.{name} is a table and a value") };
        inner = next;
    }
    inner.insert(key.clone(), value.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>> {
        let table: Table = toml::from_str(text)?;
        let all = experiments(&table)?;
        Ok(all.into_iter().map(|(experiment, _)| experiment.name.unwrap_or_default()).collect())
    }

    #[test]
    fn every_combination_is_an_experiment() {
        let found = names(
            "[producer]\n\"batch.size\" = [1, 2]\n\"linger.ms\" = [0, 5]\n\
             [topic.configs]\n\"flush.messages\" = [1]\n\
             [broker]\n\"ringlog.io.mode\" = [\"direct\"]",
        );
        assert_eq!(
            found.expect("valid"),
            [
                "io.mode=direct batch.size=1 linger.ms=0 flush.messages=1",
                "io.mode=direct batch.size=1 linger.ms=5 flush.messages=1",
                "io.mode=direct batch.size=2 linger.ms=0 flush.messages=1",
                "io.mode=direct batch.size=2 linger.ms=5 flush.messages=1",
            ]
        );
        assert!(names("").expect("valid").is_empty());
    }

    #[test]
    fn impossible_sweeps_are_named() {
        let many = format!("[topic]\npartitions = {:?}", (1..600).collect::<Vec<_>>());
        for (text, expected) in [
            ("[producer]\n\"batch.size\" = 5", "sweep.producer.batch.size = 5"),
            ("[producer]\n\"batch.size\" = []", "sweep.producer.batch.size"),
            ("[producer]\n\"batch.sise\" = [5]", "batch.sise"),
            ("[producer]\n\"batch.size\" = [\"big\"]", "batch.size=big"),
            ("[maschine]\nx = [5]", "maschine"),
            ("[a.b.c.d]\nx = [5]", "too many tables"),
            (many.as_str(), "more than 512"),
        ] {
            let error = format!("{:#}", names(text).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
