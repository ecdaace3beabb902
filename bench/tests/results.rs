//! The results of this repository: their index, and the figures in its documents.

use std::path::Path;

use ringlog_bench::index::{IndexOptions, index};

#[test]
fn the_index_and_the_documents_say_what_the_results_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let checked = index(&IndexOptions { root, check: true, commits_max: None });
    if let Err(error) = checked {
        panic!("{error:#}");
    }
}
