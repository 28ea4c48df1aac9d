//! See `fuzz_checks::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_checks::answer(input));
