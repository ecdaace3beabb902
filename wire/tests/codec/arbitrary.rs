//! Random values with a seed: what the generated constructors draw from.

use std::any::{Any, type_name};
use std::fmt::Debug;
use std::ops::RangeInclusive;

use ringlog_wire::{Codec, DecodeError, EncodeError, Message, Reader, Uuid};

/// A value that can be drawn at random, as the given version can say it.
pub trait Arbitrary: Sized {
    fn arbitrary(g: &mut Gen, version: i16) -> Self;
}

/// A message whose type is forgotten: the tests go over hundreds of them.
pub trait AnyMessage: Debug {
    fn to_vec(&self, version: i16) -> Result<Vec<u8>, EncodeError>;
    fn equals(&self, other: &dyn AnyMessage) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<M: Message + 'static> AnyMessage for M {
    fn to_vec(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        Message::to_vec(self, version)
    }

    fn equals(&self, other: &dyn AnyMessage) -> bool {
        other.as_any().downcast_ref::<M>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub type Decoded = Result<Box<dyn AnyMessage>, DecodeError>;

/// A type of message, as values.
pub struct Subject {
    pub name: &'static str,
    /// Kafka's class for it.
    pub java_class: String,
    pub versions: RangeInclusive<i16>,
    pub default: fn() -> Box<dyn AnyMessage>,
    pub decode: fn(&mut Reader<'_>, i16) -> Decoded,
    /// Decodes and forgets, so that all memory is the decoder's.
    pub probe: fn(&mut Reader<'_>, i16) -> Result<(), DecodeError>,
    draw: fn(&mut Gen, i16) -> Box<dyn AnyMessage>,
}

impl Subject {
    /// The n-th random instance in a version, and the generator it left.
    pub fn instance(&self, version: i16, n: u64) -> (Box<dyn AnyMessage>, Gen) {
        let mut g = Gen::new(self.name, version, n);
        let value = (self.draw)(&mut g, version);
        (value, g)
    }

    /// An instance with its bytes.
    pub fn encoded(&self, version: i16, n: u64) -> (Vec<u8>, Gen) {
        let (value, g) = self.instance(version, n);
        let bytes = value.to_vec(version);
        (bytes.unwrap_or_else(|e| panic!("{} v{version}: {e}: {value:?}", self.name)), g)
    }
}

/// A message whose class in Kafka is in the given package, its name with something behind it.
pub fn subject<M: Message + Arbitrary + 'static>(package: &str, suffix: &str) -> Subject {
    Subject {
        name: M::NAME,
        java_class: format!("org.apache.kafka.{package}.{}{suffix}", M::NAME),
        versions: M::MIN_VERSION..=M::MAX_VERSION,
        default: || Box::new(M::default()),
        decode: |r, version| M::decode(r, version).map(|m| Box::new(m) as Box<dyn AnyMessage>),
        probe: |r, version| M::decode(r, version).map(|_| ()),
        draw: |g, version| Box::new(M::arbitrary(g, version)),
    }
}

/// A struct's size in memory and the fewest bytes it decodes from.
pub struct Size {
    pub name: &'static str,
    pub memory_bytes: usize,
    pub min_bytes: usize,
}

pub fn size<T: Codec>() -> Size {
    Size { name: type_name::<T>(), memory_bytes: size_of::<T>(), min_bytes: T::MIN_BYTES }
}

/// The seed of this run.
pub fn seed() -> u64 {
    match std::env::var("RINGLOG_SEED") {
        Ok(text) => text.parse().expect("RINGLOG_SEED is a number"),
        Err(_) => 0x52_69_6e_67,
    }
}

/// A generator of random numbers (SplitMix64) and of what is made from them.
pub struct Gen {
    state: u64,
    /// How many more array elements the message may have: what keeps deep structs small.
    fuel: u32,
}

/// Array elements per message.
const FUEL: u32 = 60;

impl Gen {
    /// The generator for the n-th instance of a message in a version.
    pub fn new(name: &str, version: i16, n: u64) -> Self {
        let mut g = Self { state: seed(), fuel: FUEL };
        for byte in name.bytes() {
            g.state = g.next().wrapping_add(u64::from(byte));
        }
        let version = u64::from(version.unsigned_abs());
        g.state = g.next().wrapping_add(version << 32).wrapping_add(n);
        g
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    pub fn value<T: Arbitrary>(&mut self, version: i16) -> T {
        T::arbitrary(self, version)
    }

    pub fn nullable<T: Arbitrary>(&mut self, version: i16) -> Option<T> {
        (self.below(4) > 0).then(|| T::arbitrary(self, version))
    }

    /// A length: mostly short, now and then past what one byte of a varint says.
    fn length(&mut self) -> usize {
        match self.below(16) {
            0 => 0,
            1 => 120 + self.below(16),
            2 => 200 + self.below(200),
            _ => self.below(12),
        }
    }
}

macro_rules! integers {
    ($($ty:ident)+) => {
        $(impl Arbitrary for $ty {
            fn arbitrary(g: &mut Gen, _: i16) -> Self {
                match g.below(8) {
                    0 => 0,
                    1 => $ty::MIN,
                    2 => $ty::MAX,
                    3 => (0 as $ty).wrapping_sub(1),
                    4 | 5 => g.below(100) as $ty,
                    _ => g.next() as $ty,
                }
            }
        })+
    };
}

integers!(i8 i16 i32 i64 u8 u16 u32);

impl Arbitrary for bool {
    fn arbitrary(g: &mut Gen, _: i16) -> Self {
        g.coin()
    }
}

impl Arbitrary for f64 {
    /// Finite, for it must equal itself.
    fn arbitrary(g: &mut Gen, _: i16) -> Self {
        match g.below(4) {
            0 => 0.0,
            1 => -1.5,
            _ => (g.next() >> 12) as Self / 1024.0,
        }
    }
}

impl Arbitrary for Uuid {
    fn arbitrary(g: &mut Gen, _: i16) -> Self {
        match g.below(4) {
            0 => Self::ZERO,
            _ => Self::from_u64s(g.next(), g.next()),
        }
    }
}

impl Arbitrary for String {
    fn arbitrary(g: &mut Gen, _: i16) -> Self {
        const LETTERS: [char; 8] = ['a', 'Z', '0', '-', '_', '\u{e9}', '\u{20ac}', '\u{1f980}'];
        let length = g.length();
        (0..length).map(|_| LETTERS[g.below(LETTERS.len())]).collect()
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    fn arbitrary(g: &mut Gen, version: i16) -> Self {
        let is_bytes = size_of::<T>() == 1;
        let length = if is_bytes { g.length() } else { g.below(4).min(g.fuel as usize) };
        g.fuel -= if is_bytes { 0 } else { length as u32 };
        (0..length).map(|_| T::arbitrary(g, version)).collect()
    }
}
