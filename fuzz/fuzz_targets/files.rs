//! See `ringlog_fuzz_bodies::files`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringlog_fuzz_bodies::files(data));
