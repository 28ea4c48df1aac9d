//! Every input of the formats' golden cases through what the fuzz targets check, with every choice
//! of target: the checks hold before a fuzzer looks for an input that breaks them.

use std::error::Error;
use std::fs;
use std::path::Path;

/// The formats of clients, in the order of `INBOUND`.
const CLIENTS: &[&str] = &[
    "openai/chat",
    "openai/responses",
    "anthropic/messages",
    "google/generate_content",
    "anthropic/messages",
    "google/generate_content",
    "openai/embeddings",
];
/// The formats of providers, in the order of `OUTBOUND`.
const PROVIDERS: &[&str] = &[
    "openai/chat",
    "openai/responses",
    "anthropic/messages",
    "google/generate_content",
    "aws/converse",
    "anthropic/messages",
    "google/generate_content",
    "openai/embeddings",
    "google/embeddings",
    "aws/embeddings",
];
/// How many of [`PROVIDERS`] stream.
const STREAMED: usize = 5;

/// Calls `check` with each input of `kind` for each of `formats`, behind the byte that chooses the
/// format and each second byte that is a multiple of `step`. Returns the number of inputs.
fn replay(
    kind: &str,
    formats: &[&str],
    step: usize,
    check: fn(&[u8]),
) -> Result<usize, Box<dyn Error>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/formats/tests/golden");
    let mut inputs = 0;
    for (number, format) in (0_u8..).zip(formats) {
        // Not every format has cases of every kind.
        let Ok(cases) = fs::read_dir(golden.join(format).join(kind)) else { continue };
        for case in cases {
            for file in fs::read_dir(case?.path())? {
                let path = file?.path();
                if path.ends_with("expected.txt") {
                    continue;
                }

                let bytes = fs::read(&path)?;
                for how in (0..=u8::MAX).step_by(step) {
                    check(&[&[number, how], bytes.as_slice()].concat());
                }
                inputs += 1;
            }
        }
    }
    Ok(inputs)
}

#[test]
fn requests_are_encoded_for_every_provider() -> Result<(), Box<dyn Error>> {
    assert!(replay("request", CLIENTS, 85, fuzz_checks::request)? > 50);
    Ok(())
}

#[test]
fn responses_and_errors_are_encoded_for_every_client() -> Result<(), Box<dyn Error>> {
    assert!(replay("response", PROVIDERS, 85, fuzz_checks::answer)? > 30);
    assert!(replay("error", PROVIDERS, 85, fuzz_checks::answer)? > 10);
    Ok(())
}

#[test]
fn streams_are_encoded_for_every_client_however_they_are_cut() -> Result<(), Box<dyn Error>> {
    assert!(replay("stream", &PROVIDERS[..STREAMED], 51, fuzz_checks::stream)? > 30);
    Ok(())
}
