//! [`apply`] and [`undo`]: changing the kernel's settings, and putting back what was there.
//!
//! What was there is on disk before the first setting is changed, so that a change can be undone
//! however the program ends. If a setting cannot be changed, those before it are put back.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::settings::chosen;
use super::{Finding, Remedy, State, Tune, check};

/// A setting, what was there, and what is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    path: PathBuf,
    before: String,
    after: String,
}

/// Changes what can be changed. Returns a line for each change.
pub fn apply(tune: &Tune) -> Result<Vec<String>, String> {
    let changes = changes(&check(tune))?;
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    if tune.state.exists() {
        return Err(format!(
            "{} holds what was there before an earlier --apply: --undo that first",
            tune.state.display()
        ));
    }
    // Whether all of them may be written is asked before any is.
    for change in &changes {
        OpenOptions::new()
            .write(true)
            .open(&change.path)
            .map_err(|error| format!("{}: {error}; nothing was changed", change.path.display()))?;
    }
    save(&tune.state, &changes)?;
    for (index, change) in changes.iter().enumerate() {
        if let Err(error) = write(&change.path, &change.after) {
            let unchanged = put_back(&changes[..index]);
            if unchanged.is_empty() {
                // Everything is as it was: there is nothing to undo.
                remove(&tune.state)?;
                return Err(format!("{error}; what had been changed was put back"));
            }
            return Err(format!("{error}; not put back: {}", unchanged.join("; ")));
        }
    }
    let line = |c: &Change| format!("{}: {} -> {}", c.path.display(), c.before, c.after);
    Ok(changes.iter().map(line).collect())
}

/// Puts back what an earlier `apply` has changed. Returns a line for each setting.
pub fn undo(tune: &Tune) -> Result<Vec<String>, String> {
    let changes = load(&tune.state)?;
    let failed = put_back(&changes);
    if !failed.is_empty() {
        // Kept: it can be tried again.
        return Err(format!("not put back: {}", failed.join("; ")));
    }
    remove(&tune.state)?;
    let line = |c: &Change| format!("{}: {}", c.path.display(), c.before);
    Ok(changes.iter().map(line).collect())
}

fn changes(findings: &[Finding]) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    for finding in findings.iter().filter(|finding| finding.state == State::Off) {
        let Remedy::Write { path, value } = &finding.remedy else { continue };
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let before = chosen(&text).to_owned();
        changes.push(Change { path: path.clone(), before, after: value.clone() });
    }
    Ok(changes)
}

/// The latest first. Returns what could not be put back.
fn put_back(changes: &[Change]) -> Vec<String> {
    let back = |change: &Change| write(&change.path, &change.before).err();
    changes.iter().rev().filter_map(back).collect()
}

fn write(path: &Path, value: &str) -> Result<(), String> {
    fs::write(path, value).map_err(|error| format!("{}: {error}", path.display()))
}

fn remove(path: &Path) -> Result<(), String> {
    fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn save(path: &Path, changes: &[Change]) -> Result<(), String> {
    let entry = |change: &Change| {
        json!({
            "path": change.path.to_string_lossy(),
            "before": change.before,
            "after": change.after,
        })
    };
    let all: Vec<Value> = changes.iter().map(entry).collect();
    let saved = (|| {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let unnamed = path.with_extension("part");
        let mut file = File::create(&unnamed)?;
        file.write_all(format!("{:#}\n", Value::Array(all)).as_bytes())?;
        file.sync_all()?;
        fs::rename(&unnamed, path)
    })();
    saved.map_err(|error: std::io::Error| {
        format!("{}: {error}; nothing was changed", path.display())
    })
}

fn load(path: &Path) -> Result<Vec<Change>, String> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{}: nothing was applied", path.display()),
        _ => format!("{}: {error}", path.display()),
    })?;
    let damaged = || format!("{} is damaged: it is not what --apply wrote", path.display());
    let all: Value = serde_json::from_str(&text).map_err(|_| damaged())?;
    let entry = |value: &Value| {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some(Change { path: text("path")?.into(), before: text("before")?, after: text("after")? })
    };
    let all = all.as_array().ok_or_else(damaged)?;
    all.iter().map(|value| entry(value).ok_or_else(damaged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOVERNOR: &str = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
    const SWAPPINESS: &str = "proc/sys/vm/swappiness";
    const PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";

    /// A copy of what a kernel shows, in a folder.
    fn host() -> (tempfile::TempDir, Tune) {
        let dir = tempfile::tempdir().expect("a folder");
        for (path, value) in [
            (GOVERNOR, "powersave\n"),
            (SWAPPINESS, "60\n"),
            (PAGES, "[always] madvise never\n"),
            ("proc/sys/net/core/somaxconn", "4096\n"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, value).expect("written");
        }
        let tune = Tune {
            root: dir.path().to_owned(),
            data_dir: dir.path().to_owned(),
            state: dir.path().join("var/tune.json"),
        };
        (dir, tune)
    }

    fn value(tune: &Tune, path: &str) -> String {
        fs::read_to_string(tune.root.join(path)).expect("there").trim().to_owned()
    }

    #[test]
    fn findings_say_what_is_off_and_why() {
        let (_dir, tune) = host();
        let findings = check(&tune);
        let of = |name: &str| findings.iter().find(|f| f.name == name).expect(name);
        assert_eq!(of("vm.swappiness").state, State::Off);
        let text = of("vm.swappiness").to_string();
        assert!(text.contains("60 (wanted: at most 1)") && text.contains("stalls"), "{text}");
        assert_eq!(of("net.core.somaxconn").state, State::Good);
        assert_eq!(of("vm.zone_reclaim_mode").state, State::Unknown);
        assert_eq!(of("transparent huge pages").found, "always");
    }

    #[test]
    fn what_was_there_comes_back() {
        let (_dir, tune) = host();
        assert!(undo(&tune).expect_err("nothing yet").contains("nothing was applied"));
        let lines = apply(&tune).expect("applied");
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(value(&tune, GOVERNOR), "performance");
        assert_eq!((value(&tune, SWAPPINESS), value(&tune, PAGES)), ("1".into(), "madvise".into()));
        assert!(apply(&tune).expect("nothing is left to do").is_empty());
        // Something is off again: what was there at first must not be overwritten.
        fs::write(tune.root.join(SWAPPINESS), "30").expect("written");
        assert!(apply(&tune).expect_err("not undone").contains("--undo that first"));
        assert_eq!(undo(&tune).expect("undone").len(), 3);
        assert_eq!(value(&tune, GOVERNOR), "powersave");
        assert_eq!((value(&tune, SWAPPINESS), value(&tune, PAGES)), ("60".into(), "always".into()));
        assert!(!tune.state.exists());
    }

    #[test]
    fn without_permission_nothing_is_changed_and_the_cause_is_named() {
        let (_dir, tune) = host();
        // A folder cannot be written to by anybody, root among them.
        let path = tune.root.join(SWAPPINESS);
        let mut all = changes(&check(&tune)).expect("changes");
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        assert!(write(&path, "1").is_err());
        // Where a file cannot be written after others were, those are put back.
        all.retain(|change| change.path != path);
        for change in &all {
            write(&change.path, &change.after).expect("written");
        }
        assert!(put_back(&all).is_empty());
        assert_eq!(value(&tune, GOVERNOR), "powersave");
        // Nor without a place to write down what was there.
        let tune = Tune { state: tune.root.join(GOVERNOR).join("tune.json"), ..tune };
        let error = apply(&tune).expect_err("no place");
        assert!(error.contains("nothing was changed"), "{error}");
        assert_eq!(value(&tune, GOVERNOR), "powersave");
    }

    #[test]
    fn a_damaged_record_is_named() {
        let (_dir, tune) = host();
        apply(&tune).expect("applied");
        for text in ["", "{}", "[{\"path\": 1}]"] {
            fs::write(&tune.state, text).expect("written");
            assert!(undo(&tune).expect_err(text).contains("is damaged"), "{text}");
        }
    }
}
