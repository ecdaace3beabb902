//! See `ringlog_fuzz_bodies::metadata_record`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringlog_fuzz_bodies::metadata_record(data));
