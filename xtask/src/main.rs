//! Development commands of the Ringlog workspace: `cargo xtask COMMAND`.
//!
//! Each command lives in a module of its own; this file only names them.

#![allow(clippy::disallowed_methods, reason = "a development tool reads and writes files itself")]

mod codegen;
mod import;
mod json;
mod naming;
mod schema;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command answers: nothing, or one line saying what went wrong and where.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "usage: cargo xtask COMMAND
  import-schema DIR...   rewrite wire/schema/kafka.schema from Kafka's message folders
  codegen [--check]      write the Rust of the schema, or fail if the committed one is stale
  tidy                   check the house rules (docs/STYLE.md)";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["import-schema", dirs @ ..] if !dirs.is_empty() => import::run(&root(), dirs),
        ["codegen"] => codegen::write(&root()),
        ["codegen", "--check"] => codegen::check(&root()),
        ["tidy"] => tidy::run(&root()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: xtask is one level below it.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
