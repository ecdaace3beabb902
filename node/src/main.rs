//! `ringlog`: the node binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringlog_node::boot::run_cli(std::env::args().skip(1).collect())
}
