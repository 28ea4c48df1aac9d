//! Request bodies that are compressed: gzip, deflate, br and zstd (RFC 9110, section 8.4).

use std::io::{self, Read};

use canonical::{Error, ErrorKind, Result};
use http::{HeaderMap, header};

/// How many codings one body may have on top of each other.
const MAX_CODINGS: usize = 3;
/// How much a zstd decoder may remember: 8 MB, as HTTP has it (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;
/// How many bytes are decompressed at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A way in which a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of a body, the outermost first.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>> {
    let mut codings = vec![];
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                _ => return Err(refused("must be gzip, deflate, br or zstd")),
            }
        }
    }
    if MAX_CODINGS < codings.len() {
        return Err(refused("has too many codings"));
    }
    // The header lists codings in the order in which they were applied (RFC 9110, section 8.4).
    codings.reverse();
    Ok(codings)
}

/// Decompresses a body in chunks. `take` gets each chunk and refuses what is too much.
pub(crate) fn decompress(
    coding: Coding,
    compressed: &[u8],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = reader(coding, compressed).map_err(not_decompressed)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk).map_err(not_decompressed)? {
            0 => return Ok(()),
            length => take(chunk.get(..length).unwrap_or_default())?,
        }
    }
}

fn reader<'a>(coding: Coding, compressed: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match coding {
        // Several gzip members in a row are one body (RFC 1952, section 2.2).
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(compressed)),
        // RFC 9110 means zlib; some clients send the bare stream, which cannot begin like zlib.
        Coding::Deflate if compressed.first().is_some_and(|first| first & 0x0f == 8) => {
            Box::new(flate2::read::ZlibDecoder::new(compressed))
        }
        Coding::Deflate => Box::new(flate2::read::DeflateDecoder::new(compressed)),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(compressed, 4096)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
            // A frame names its own window; without a bound a few bytes could ask for gigabytes.
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

fn not_decompressed(error: io::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, "The request body cannot be decompressed.")
        .caused_by(error)
}

fn refused(why: &str) -> Error {
    Error::invalid("Content-Encoding", format!("The header `Content-Encoding` {why}."))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};

    use super::*;

    const TEXT: &[u8] = br#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}"#;
    /// The text above, compressed by the reference tools `brotli` and `zstd`.
    const BROTLI: &[u8] = include_bytes!("compression/hello.br");
    const ZSTD: &[u8] = include_bytes!("compression/hello.zst");

    fn decompressed(coding: Coding, compressed: &[u8]) -> Result<Vec<u8>> {
        let mut text = vec![];
        decompress(coding, compressed, |chunk| {
            text.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(text)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut writer = write::GzEncoder::new(vec![], Compression::default());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn each_coding_is_decompressed() {
        let mut zlib = write::ZlibEncoder::new(vec![], Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut deflate = write::DeflateEncoder::new(vec![], Compression::default());
        deflate.write_all(TEXT).unwrap();
        for (coding, compressed) in [
            (Coding::Gzip, gzip(TEXT)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, deflate.finish().unwrap()),
            (Coding::Brotli, BROTLI.to_vec()),
            (Coding::Zstd, ZSTD.to_vec()),
        ] {
            assert_eq!(decompressed(coding, &compressed).unwrap(), TEXT, "{coding:?}");
        }
    }

    #[test]
    fn what_is_not_compressed_so_is_refused() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let error = decompressed(coding, b"{\"model\": \"m\"}").unwrap_err();
            assert_eq!(error.status(), 400, "{coding:?}");
        }
        let mut cut = gzip(TEXT);
        cut.truncate(20);
        assert!(decompressed(Coding::Gzip, &cut).is_err());
    }

    #[test]
    fn what_comes_out_can_be_refused_on_the_way() {
        let bomb = gzip(&vec![b'x'; 10 * CHUNK_BYTES]);
        let mut taken = 0;
        let outcome = decompress(Coding::Gzip, &bomb, |chunk| {
            taken += chunk.len();
            if CHUNK_BYTES < taken { Err(refused("is too much")) } else { Ok(()) }
        });
        assert!(outcome.is_err());
        assert!(taken <= 3 * CHUNK_BYTES);
    }

    #[test]
    fn codings_are_undone_from_the_last_to_the_first() {
        let of = |value: &'static str| {
            let value = http::HeaderValue::from_static(value);
            codings(&HeaderMap::from_iter([(header::CONTENT_ENCODING, value)]))
        };
        assert_eq!(of("gzip, BR").unwrap(), [Coding::Brotli, Coding::Gzip]);
        assert_eq!(of("identity").unwrap(), []);
        assert_eq!(of("compress").unwrap_err().param.as_deref(), Some("Content-Encoding"));
        assert!(of("gzip,gzip,gzip,gzip").is_err());
    }
}
