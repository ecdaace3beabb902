//! The writer under every encoder: appends to a buffer that its caller owns.

use crate::{Codec, EncodeError, Layout, Uuid};

/// An appender of Kafka's primitives.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// Where a struct's tagged fields begin: the place of their count.
#[derive(Debug, Clone, Copy)]
pub struct Tags(usize);

impl<'a> Writer<'a> {
    /// Appends to what is in the buffer.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// How many bytes are in the buffer, those from before included.
    #[must_use]
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Bytes as they are, without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// One for true, zero for false.
    pub fn bool(&mut self, value: bool) {
        self.raw(&[u8::from(value)]);
    }

    /// An int8.
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// An int16.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// A uint16.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// An int32.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// A uint32.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// An int64.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A float64.
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    /// A uuid.
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(&value.0);
    }

    /// An unsigned varint of at most 5 bytes.
    pub fn uvarint(&mut self, value: u32) {
        self.uvarlong(u64::from(value));
    }

    /// An unsigned varint of at most 10 bytes.
    pub fn uvarlong(&mut self, value: u64) {
        let (bytes, length) = base128(value);
        self.raw(&bytes[..length]);
    }

    /// A zigzag varint of at most 5 bytes.
    pub fn varint(&mut self, value: i32) {
        self.uvarint(((value << 1) ^ (value >> 31)).cast_unsigned());
    }

    /// A zigzag varint of at most 10 bytes.
    pub fn varlong(&mut self, value: i64) {
        self.uvarlong(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// A string.
    pub fn string(&mut self, at: Layout, value: &str) -> Result<(), EncodeError> {
        let length = value.len();
        let short = i16::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        match at.flexible {
            true => self.uvarint(u32::from(short.unsigned_abs()) + 1),
            false => self.i16(short),
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// A string, or null.
    pub fn nullable_string(&mut self, at: Layout, value: Option<&str>) -> Result<(), EncodeError> {
        match (value, at.flexible) {
            (Some(value), _) => return self.string(at, value),
            (None, true) => self.uvarint(0),
            (None, false) => self.i16(-1),
        }
        Ok(())
    }

    /// A byte string; records are one too.
    pub fn bytes(&mut self, at: Layout, value: &[u8]) -> Result<(), EncodeError> {
        self.length(at, value.len())?;
        self.raw(value);
        Ok(())
    }

    /// A byte string, or null.
    pub fn nullable_bytes(&mut self, at: Layout, value: Option<&[u8]>) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(at, value),
            None => self.null_length(at),
        }
    }

    /// An array.
    pub fn array<T: Codec>(&mut self, at: Layout, values: &[T]) -> Result<(), EncodeError> {
        self.length(at, values.len())?;
        for value in values {
            value.write(self, at)?;
        }
        Ok(())
    }

    /// An array, or null.
    pub fn nullable_array<T: Codec>(
        &mut self,
        at: Layout,
        values: Option<&[T]>,
    ) -> Result<(), EncodeError> {
        match values {
            Some(values) => self.array(at, values),
            None => self.null_length(at),
        }
    }

    /// A struct behind the byte that says whether there is one.
    pub fn nullable_struct<T: Codec>(
        &mut self,
        at: Layout,
        value: Option<&T>,
    ) -> Result<(), EncodeError> {
        self.i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| value.write(self, at))
    }

    /// The same in a tagged field, where the marker is a varint.
    pub fn nullable_tagged_struct<T: Codec>(
        &mut self,
        at: Layout,
        value: Option<&T>,
    ) -> Result<(), EncodeError> {
        self.uvarint(u32::from(value.is_some()));
        value.map_or(Ok(()), |value| value.write(self, at))
    }

    /// Begins a struct's tagged fields: none so far.
    pub fn tags(&mut self) -> Tags {
        self.raw(&[0]);
        Tags(self.out.len() - 1)
    }

    /// Adds a tagged field. Tags must come in ascending order, and a struct has fewer than 128, so
    /// that the count stays one byte.
    pub fn tag(
        &mut self,
        tags: Tags,
        tag: u32,
        value: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.out[tags.0] += 1;
        assert!(self.out[tags.0] < 128, "more tagged fields than a byte can count");
        self.uvarint(tag);
        let start = self.out.len();
        value(self)?;
        let length = self.out.len() - start;
        let size = u32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        let (prefix, prefix_length) = base128(u64::from(size));
        self.out.splice(start..start, prefix[..prefix_length].iter().copied());
        Ok(())
    }

    /// The length of bytes or an array.
    fn length(&mut self, at: Layout, length: usize) -> Result<(), EncodeError> {
        let value = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
        match at.flexible {
            true => self.uvarint(value.unsigned_abs() + 1),
            false => self.i32(value),
        }
        Ok(())
    }

    fn null_length(&mut self, at: Layout) -> Result<(), EncodeError> {
        match at.flexible {
            true => self.uvarint(0),
            false => self.i32(-1),
        }
        Ok(())
    }
}

/// The bytes of an unsigned varint and how many they are.
fn base128(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut length = 0;
    while value >= 0x80 {
        bytes[length] = (value & 0x7f) as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    bytes[length] = value as u8;
    (bytes, length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;

    #[test]
    fn varints_come_back() {
        let mut edges = vec![0, -1, 1, i64::MIN, i64::MAX];
        edges.extend((0..63).flat_map(|bit| [1 << bit, (1 << bit) - 1, -(1 << bit)]));
        for value in edges {
            let mut out = Vec::new();
            let narrow = value as i32;
            let mut w = Writer::new(&mut out);
            w.varlong(value);
            w.uvarlong(value.cast_unsigned());
            w.varint(narrow);
            w.uvarint(narrow.cast_unsigned());
            let mut r = Reader::new(&out, 0);
            assert_eq!(r.varlong(), Ok(value));
            assert_eq!(r.uvarlong(), Ok(value.cast_unsigned()));
            assert_eq!(r.varint(), Ok(narrow));
            assert_eq!(r.uvarint(), Ok(narrow.cast_unsigned()));
            assert_eq!(r.remaining(), 0);
        }
    }

    #[test]
    fn strings_have_a_longest() {
        let flexible = Layout { version: 0, flexible: true };
        let long = "x".repeat(0x8000);
        let mut out = Vec::new();
        assert_eq!(Writer::new(&mut out).string(flexible, &long[1..]), Ok(()));
        let refused = Writer::new(&mut out).string(flexible, &long);
        assert_eq!(refused, Err(EncodeError::TooLong { length: 0x8000 }));
    }

    #[test]
    fn a_tag_is_counted_and_sized() {
        let mut out = vec![0xaa];
        let mut w = Writer::new(&mut out);
        let tags = w.tags();
        let text = "y".repeat(200);
        let at = Layout { version: 0, flexible: true };
        assert_eq!(w.tag(tags, 0, |w| w.string(at, &text)), Ok(()));
        assert_eq!(w.tag(tags, 3, |w| w.string(at, "")), Ok(()));
        assert_eq!(out[..6], [0xaa, 2, 0, 0xca, 1, 0xc9]);
        assert_eq!(out[out.len() - 3..], [3, 1, 1]);
    }
}
