//! The bounded reader under every decoder.
//!
//! Lengths and counts come from the peer, so each is held against the bytes that are left before
//! anything is allocated for it, and every allocation is charged to a budget: a 27-byte Fetch that
//! claims four billion topics costs an error, not 400 GB.

use crate::{Codec, DecodeError, Layout, Uuid};

/// A cursor over bytes that nobody vouches for.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    budget_bytes: usize,
}

/// Kafka writes the length of a string as an int16 once and refuses longer ones ever since.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

impl<'a> Reader<'a> {
    /// Starts at the first of the bytes; what is decoded may allocate `budget_bytes` in all.
    #[must_use]
    pub fn new(bytes: &'a [u8], budget_bytes: usize) -> Self {
        Self { bytes, position: 0, budget_bytes }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is left of the allocation budget.
    #[must_use]
    pub fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// The next bytes, where they lie.
    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..length) else {
            return Err(DecodeError::Truncated { missing_bytes: length - rest.len() });
        };
        self.position += length;
        Ok(taken)
    }

    /// Passes over bytes.
    pub fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        self.take(length).map(|_| ())
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.first_chunk::<N>() else {
            return Err(DecodeError::Truncated { missing_bytes: N - rest.len() });
        };
        self.position += N;
        Ok(*taken)
    }

    /// A byte that is zero for false and anything else for true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.fixed::<1>().map(|[byte]| byte != 0)
    }

    /// An int8.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// An int16.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// A uint16.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// An int32.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// A uint32.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// An int64.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// A float64.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// A uuid.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    /// An unsigned varint of at most 5 bytes.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let value = self.base128(5)?;
        u32::try_from(value).map_err(|_| DecodeError::Varint)
    }

    /// An unsigned varint of at most 10 bytes.
    pub fn uvarlong(&mut self) -> Result<u64, DecodeError> {
        self.base128(10)
    }

    /// A zigzag varint of at most 5 bytes.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let raw = self.uvarint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A zigzag varint of at most 10 bytes.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let raw = self.base128(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn base128(&mut self, bytes_max: u32) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for index in 0..bytes_max {
            let [byte] = self.fixed::<1>()?;
            let bits = u64::from(byte & 0x7f);
            if index == 9 && bits > 1 {
                return Err(DecodeError::Varint);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// A string.
    pub fn string(&mut self, at: Layout) -> Result<String, DecodeError> {
        self.nullable_string(at)?.ok_or(DecodeError::Null)
    }

    /// A string, or null.
    pub fn nullable_string(&mut self, at: Layout) -> Result<Option<String>, DecodeError> {
        let length = match at.flexible {
            true => self.compact_length()?,
            false => usize::try_from(self.i16()?).ok(),
        };
        let Some(length) = length else { return Ok(None) };
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::StringLength { length });
        }
        let bytes = self.take(length)?;
        let text = str::from_utf8(bytes).map_err(|_| DecodeError::Utf8)?;
        self.charge(length)?;
        Ok(Some(text.to_owned()))
    }

    /// A byte string; records are one too.
    pub fn bytes(&mut self, at: Layout) -> Result<Vec<u8>, DecodeError> {
        self.nullable_bytes(at)?.ok_or(DecodeError::Null)
    }

    /// A byte string, or null.
    pub fn nullable_bytes(&mut self, at: Layout) -> Result<Option<Vec<u8>>, DecodeError> {
        let Some(length) = self.length(at)? else { return Ok(None) };
        let bytes = self.take(length)?;
        self.charge(length)?;
        Ok(Some(bytes.to_vec()))
    }

    /// An array.
    pub fn array<T: Codec>(&mut self, at: Layout) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(at)?.ok_or(DecodeError::Null)
    }

    /// An array, or null.
    pub fn nullable_array<T: Codec>(&mut self, at: Layout) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(at)? else { return Ok(None) };
        let remaining_bytes = self.remaining();
        if count > remaining_bytes / T::MIN_BYTES {
            return Err(DecodeError::Count { count, remaining_bytes });
        }
        self.charge(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(self, at)?);
        }
        Ok(Some(elements))
    }

    /// A struct after the byte that says whether there is one.
    pub fn nullable_struct<T: Codec>(&mut self, at: Layout) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 { Ok(None) } else { T::read(self, at).map(Some) }
    }

    /// The same in a tagged field, where the marker is a varint.
    pub fn nullable_tagged_struct<T: Codec>(
        &mut self,
        at: Layout,
    ) -> Result<Option<T>, DecodeError> {
        if self.uvarint()? == 0 { Ok(None) } else { T::read(self, at).map(Some) }
    }

    /// The tagged fields at the end of a struct. `known` reads the value of a tag it knows and
    /// answers whether it did; the others are skipped. As in Kafka, a known field's own encoding
    /// says where it ends, not the size before it.
    pub fn tags(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.uvarint()?;
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            if !known(self, tag)? {
                self.skip(size)?;
            }
        }
        Ok(())
    }

    /// The tagged fields of a struct that knows none.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(false))
    }

    /// The length of bytes or an array; none is null.
    fn length(&mut self, at: Layout) -> Result<Option<usize>, DecodeError> {
        match at.flexible {
            true => self.compact_length(),
            false => Ok(usize::try_from(self.i32()?).ok()),
        }
    }

    /// A length plus one, where zero is null.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    fn charge(&mut self, wanted_bytes: usize) -> Result<(), DecodeError> {
        match self.budget_bytes.checked_sub(wanted_bytes) {
            Some(left) => self.budget_bytes = left,
            None => return Err(DecodeError::Budget { wanted_bytes }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: Layout = Layout { version: 0, flexible: false };
    const FLEXIBLE: Layout = Layout { version: 0, flexible: true };

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(bytes, 64)
    }

    #[test]
    fn varints_end_within_their_type() {
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint(), Ok(u32::MAX));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(), Ok(i32::MIN));
        assert_eq!(reader(&[0x03]).varint(), Ok(-2));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).uvarint(), Err(DecodeError::Varint));
        assert_eq!(reader(&[0x80; 6]).uvarint(), Err(DecodeError::Varint));
        let mut long = [0xff_u8; 10];
        long[9] = 1;
        assert_eq!(reader(&long).uvarlong(), Ok(u64::MAX));
        assert_eq!(reader(&long).varlong(), Ok(i64::MIN));
        long[9] = 2;
        assert_eq!(reader(&long).varlong(), Err(DecodeError::Varint));
        assert_eq!(reader(&[0x80; 11]).varlong(), Err(DecodeError::Varint));
        assert_eq!(reader(&[0x80]).uvarint(), Err(DecodeError::Truncated { missing_bytes: 1 }));
    }

    #[test]
    fn lengths_are_held_against_the_bytes() {
        assert_eq!(
            reader(&[0, 1]).string(CLASSIC),
            Err(DecodeError::Truncated { missing_bytes: 1 })
        );
        assert_eq!(reader(&[0xff, 0xff]).nullable_string(CLASSIC), Ok(None));
        assert_eq!(reader(&[0xff, 0xff]).string(CLASSIC), Err(DecodeError::Null));
        assert_eq!(reader(&[0]).string(FLEXIBLE), Err(DecodeError::Null));
        assert_eq!(reader(&[2, 0xff]).string(FLEXIBLE), Err(DecodeError::Utf8));
        let long = reader(&[0x81, 0x80, 0x02]).string(FLEXIBLE);
        assert_eq!(long, Err(DecodeError::StringLength { length: 0x8000 }));
        let bomb = reader(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0]).array::<i32>(CLASSIC);
        assert_eq!(bomb, Err(DecodeError::Count { count: 0x7fff_ffff, remaining_bytes: 3 }));
    }

    #[test]
    fn allocations_are_charged() {
        let mut bytes = vec![65];
        bytes.resize(65, b'x');
        assert_eq!(reader(&bytes).string(FLEXIBLE).map(|s| s.len()), Ok(64));
        let mut r = Reader::new(&bytes, 63);
        assert_eq!(r.string(FLEXIBLE), Err(DecodeError::Budget { wanted_bytes: 64 }));
        let strings = Reader::new(&[3, 1, 1], 47).array::<String>(FLEXIBLE);
        assert_eq!(strings, Err(DecodeError::Budget { wanted_bytes: 48 }));
    }

    #[test]
    fn unknown_tags_are_skipped() {
        let mut r = reader(&[2, 0, 1, 7, 9, 2, 1, 2]);
        let mut seen = 0;
        let done = r.tags(|r, tag| {
            if tag == 0 {
                seen = r.i8()?;
            }
            Ok(tag == 0)
        });
        assert_eq!((done, seen, r.remaining()), (Ok(()), 7, 0));
        let cut = reader(&[1, 9, 2, 1]).skip_tags();
        assert_eq!(cut, Err(DecodeError::Truncated { missing_bytes: 1 }));
        assert!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).skip_tags().is_err());
    }
}
