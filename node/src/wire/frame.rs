//! Request headers, and the outgoing form of responses.

use ringlog_engine::io::{Buf, Chunk};
use ringlog_engine::shard::sync::Share;
use ringlog_wire::{ApiKey, EncodeError, Message, Writer};

use crate::broker::LentRange;
use crate::wire::versions::is_known;

/// Memory a request's decoding may take, as a multiple of its size and at least this much.
const DECODE_BUDGET_MIN: usize = 64 << 10;
const DECODE_BUDGET_FACTOR: usize = 32;

/// What a decoder may allocate for a request of `len` bytes.
pub fn decode_budget(len: usize) -> usize {
    DECODE_BUDGET_MIN + len * DECODE_BUDGET_FACTOR
}

/// The header of a request (`RequestHeader` v1 and v2; v0 has been gone since 4.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The raw key, which may be unknown.
    pub api_key: i16,
    /// The version of key's request.
    pub version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// Where the body starts.
    pub body_at: usize,
}

/// A request frame and its share of the memory budget.
pub struct RequestFrame {
    bytes: Buf,
    share: Share,
}

impl RequestFrame {
    /// The bytes after the length, and what they were charged to.
    pub fn new(bytes: Buf, share: Share) -> Self {
        Self { bytes, share }
    }

    /// Both apart; the share must be kept as long as the bytes are.
    pub fn into_parts(self) -> (Buf, Share) {
        (self.bytes, self.share)
    }
}

/// The bytes are not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRequest;

impl RequestHeader {
    /// Reads the header. For a key or version that is not served the body's start is not known; it
    /// is set to the end of the frame.
    pub fn parse(frame: &[u8]) -> Result<RequestHeader, MalformedRequest> {
        let i16_at = |at: usize| {
            let bytes = frame.get(at..at + 2).ok_or(MalformedRequest)?;
            Ok(i16::from_be_bytes(bytes.try_into().expect("two bytes")))
        };
        let (api_key, version) = (i16_at(0)?, i16_at(2)?);
        let correlation: [u8; 4] =
            frame.get(4..8).ok_or(MalformedRequest)?.try_into().expect("four bytes");
        let correlation_id = i32::from_be_bytes(correlation);
        let header = |client_id, body_at| RequestHeader {
            api_key,
            version,
            correlation_id,
            client_id,
            body_at,
        };
        // The shape of a header is known only where the version is.
        let known = ApiKey::try_from(api_key).ok().filter(|key| is_known(*key, version));
        let Some(key) = known else { return Ok(header(None, frame.len())) };
        let mut at = 10;
        let client_id = match i16_at(8)? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| MalformedRequest)?;
                let bytes = frame.get(at..at + length).ok_or(MalformedRequest)?;
                at += length;
                Some(std::str::from_utf8(bytes).map_err(|_| MalformedRequest)?.to_owned())
            }
        };
        if key.request_header_version(version) >= 2 {
            let mut r = ringlog_wire::Reader::new(&frame[at..], 0);
            r.skip_tags().map_err(|_| MalformedRequest)?;
            at += r.position();
        }
        Ok(header(client_id, at))
    }
}

/// A part of a response on its way out.
pub enum Part {
    /// Bytes in memory.
    Bytes(Chunk),
    /// Bytes of a segment.
    File(LentRange),
}

/// A whole response frame.
pub struct Response {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// What pays for the memory of its records until they are sent.
    pub share: Option<Share>,
}

/// Room for the length that precedes every response.
pub const LENGTH_BYTES: usize = 4;

/// Starts a response in `out`: room for the length, then the header.
pub fn start_response(out: &mut Vec<u8>, key: ApiKey, version: i16, correlation_id: i32) {
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.extend_from_slice(&correlation_id.to_be_bytes());
    if key.response_header_version(version) >= 1 {
        out.push(0);
    }
}

/// Sets the length of a response of which `out` holds the first part and `rest` bytes follow.
pub fn set_length(out: &mut [u8], rest: usize) {
    let length = (out.len() - LENGTH_BYTES + rest) as i32;
    out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

impl Response {
    /// A response that is all in memory.
    pub fn of_bytes(bytes: &[u8]) -> Response {
        Response { parts: vec![Part::Bytes(Chunk::from(Buf::copy_of(bytes)))], share: None }
    }

    /// Encodes a generated message as a response.
    pub fn encode<M: Message>(
        message: &M,
        key: ApiKey,
        version: i16,
        correlation_id: i32,
    ) -> Result<Response, EncodeError> {
        let mut out = Vec::with_capacity(256);
        start_response(&mut out, key, version, correlation_id);
        message.encode(&mut Writer::new(&mut out), version)?;
        set_length(&mut out, 0);
        Ok(Response::of_bytes(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_garbage_refused() {
        let mut frame = vec![0, 3, 0, 12, 0, 0, 0, 7, 0, 2, b'm', b'e', 0, 99];
        let header = RequestHeader::parse(&frame).expect("a header");
        assert_eq!((header.api_key, header.version, header.correlation_id), (3, 12, 7));
        assert_eq!((header.client_id.as_deref(), header.body_at), (Some("me"), 13));
        frame[9] = 200;
        assert_eq!(RequestHeader::parse(&frame), Err(MalformedRequest));
        for cut in 0..12 {
            assert_eq!(RequestHeader::parse(&frame[..cut]), Err(MalformedRequest), "{cut}");
        }
        let unknown = RequestHeader::parse(&[1, 244, 0, 0, 0, 0, 0, 1]).expect("a header");
        assert_eq!((unknown.api_key, unknown.body_at), (500, 8));
    }
}
