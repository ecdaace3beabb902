//! Zig-zag LEB128, as record batches use it (Kafka's `ByteUtils.readVarint` and `readVarlong`).

/// Why a varint could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VarintError {
    /// The bytes ended inside it.
    Truncated,
    /// It does not end within the length its type allows.
    TooLong,
}

/// Reads a zig-zag varint of at most 5 bytes at `*at` and moves `at` past it.
#[inline(always)]
pub fn read_varint(bytes: &[u8], at: &mut usize) -> Result<i32, VarintError> {
    let raw = match read_short(bytes, at) {
        Some(raw) => raw,
        None => read_long(bytes, at, 5)? as u32,
    };
    Ok(unzigzag(raw))
}

/// The zig-zag varint at the low end of `word`, if it has three bytes at most, and where it ends if
/// it begins at `at`.
#[inline(always)]
pub fn short_varint(word: u64, at: usize) -> Option<(i32, usize)> {
    let (raw, len) = short(word as u32)?;
    Some((unzigzag(raw), at + len))
}

#[inline(always)]
fn unzigzag(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// Reads a zig-zag varlong of at most 10 bytes at `*at` and moves `at` past it.
#[inline(always)]
pub fn read_varlong(bytes: &[u8], at: &mut usize) -> Result<i64, VarintError> {
    let raw = match read_short(bytes, at) {
        Some(raw) => u64::from(raw),
        None => read_long(bytes, at, 10)?,
    };
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// One of up to three bytes, which nearly every number of a record is, out of one load.
#[inline(always)]
fn read_short(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let (value, len) = short(u32::from_le_bytes(*bytes.get(*at..)?.first_chunk()?))?;
    *at += len;
    Some(value)
}

/// Up to three bytes at the low end of `word`, and how many.
#[inline(always)]
fn short(word: u32) -> Option<(u32, usize)> {
    if word & 0x80 == 0 {
        Some((word & 0x7f, 1))
    } else if word & 0x8000 == 0 {
        Some((word & 0x7f | word >> 1 & 0x3f80, 2))
    } else if word & 0x80_0000 == 0 {
        Some((word & 0x7f | word >> 1 & 0x3f80 | word >> 2 & 0x1f_c000, 3))
    } else {
        None
    }
}

/// Any length, byte by byte; also whatever is close to the end of the bytes.
#[inline(never)]
fn read_long(bytes: &[u8], at: &mut usize, max_len: usize) -> Result<u64, VarintError> {
    let mut value = 0u64;
    for i in 0..max_len {
        let byte = *bytes.get(*at + i).ok_or(VarintError::Truncated)?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *at += i + 1;
            return Ok(value);
        }
    }
    Err(VarintError::TooLong)
}

/// Appends a zig-zag varint.
#[inline]
pub fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_raw(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a zig-zag varlong.
#[inline]
pub fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_raw(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[inline]
fn write_raw(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The encoded length of a zig-zag varint, in bytes.
#[inline]
pub fn varint_len(value: i32) -> usize {
    raw_len(u64::from(((value << 1) ^ (value >> 31)) as u32))
}

/// The encoded length of a zig-zag varlong, in bytes.
#[inline]
pub fn varlong_len(value: i64) -> usize {
    raw_len(((value << 1) ^ (value >> 63)) as u64)
}

#[inline]
fn raw_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let near_powers = (0..31).flat_map(|bits| [-2, -1, 0, 1].map(|d| (1 << bits) + d));
        for value in near_powers.flat_map(|v: i32| [v, -v]).chain([i32::MAX, i32::MIN]) {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            let len = out.len();
            assert_eq!(len, varint_len(value));
            // With and without bytes behind it: both ways of reading.
            for padding in 0..4 {
                out.resize(len + padding, 0xff);
                let mut at = 0;
                assert_eq!((read_varint(&out, &mut at), at), (Ok(value), len));
            }
        }
        for value in [0, 1, -1, i64::from(i32::MAX) + 1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_varlong(&mut out, value);
            assert_eq!(out.len(), varlong_len(value));
            let mut at = 0;
            assert_eq!((read_varlong(&out, &mut at), at), (Ok(value), out.len()));
        }
    }

    #[test]
    fn bad_input_is_an_error() {
        assert_eq!(read_varint(&[0x80], &mut 0), Err(VarintError::Truncated));
        assert_eq!(read_varint(&[0xff; 6], &mut 0), Err(VarintError::TooLong));
        assert_eq!(read_varlong(&[0xff; 11], &mut 0), Err(VarintError::TooLong));
        assert_eq!(read_varint(&[], &mut 0), Err(VarintError::Truncated));
    }
}
