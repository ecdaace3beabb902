//! See `ringlog_fuzz_bodies::produce`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringlog_fuzz_bodies::produce(data));
