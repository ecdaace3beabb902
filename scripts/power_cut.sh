#!/usr/bin/env bash
# Cuts the power of a file system under a loaded node, many times: node/tests/power_cut.rs.
#   scripts/power_cut.sh [ROUNDS]     50 unless said
# Needs root, a loop device and mkfs.ext4.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
POWER_CUT_ROUNDS=${1:-50} RUST_TEST_THREADS=1 \
  cargo test --locked -p ringlog-node --test power_cut -- --nocapture
