//! The fuzz targets on stable: over every input that once made one fail (fuzz/regressions), and
//! over valid input with random damage.

#![allow(clippy::disallowed_methods, reason = "a test reads the corpora")]

use std::path::Path;

use ringlog_engine::stdx::prng::Prng;
use ringlog_fuzz_bodies::TARGETS;
use ringlog_fuzz_bodies::seeds::seeds;

#[test]
fn every_committed_input_is_survived() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions");
    for (name, target) in TARGETS {
        let Ok(inputs) = std::fs::read_dir(corpora.join(name)) else { continue };
        for input in inputs {
            let path = input.expect("a file").path();
            eprintln!("{}", path.display());
            target(&std::fs::read(&path).expect("readable"));
        }
    }
}

#[test]
fn damaged_valid_input_is_survived() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        seeds.iter().for_each(|seed| target(seed));
        let rounds = if *name == "segment" { 300 } else { 3000 };
        let mut prng = Prng::new(0xF022);
        for _ in 0..rounds {
            let mut input = seeds[prng.index(seeds.len())].clone();
            for _ in 0..prng.between(1, 4) {
                damage(&mut input, &mut prng);
            }
            target(&input);
        }
    }
}

fn damage(input: &mut Vec<u8>, prng: &mut Prng) {
    if input.is_empty() {
        return;
    }
    let at = prng.index(input.len());
    match prng.below(5) {
        0 => input[at] ^= 1 << prng.below(8),
        1 => input[at] = [0, 0x7f, 0x80, 0xff][prng.index(4)],
        2 => input.truncate(at),
        3 => input.insert(at, prng.next_u64() as u8),
        _ => {
            let other = prng.index(input.len());
            input.swap(at, other);
        }
    }
}
