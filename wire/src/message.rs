//! What the generated types have in common.

use std::fmt::Debug;

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// How a value is laid out: the message's version, and whether that version is flexible (KIP-482:
/// compact lengths, tagged fields).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The version of the message around the value.
    pub version: i16,
    /// Whether lengths are compact and structs end with tagged fields.
    pub flexible: bool,
}

impl Layout {
    /// The same version with the lengths of old: the client id of a request header is written so
    /// even in flexible versions, for brokers to read it whatever the version.
    #[must_use]
    pub const fn classic(self) -> Self {
        Self { flexible: false, ..self }
    }
}

/// A value that may stand in an array: a struct or a primitive.
pub trait Codec: Sized {
    /// The fewest bytes an encoded value takes in any version, at least 1.
    const MIN_BYTES: usize;

    /// Reads one value.
    fn read(r: &mut Reader<'_>, at: Layout) -> Result<Self, DecodeError>;

    /// Writes one value.
    fn write(&self, w: &mut Writer<'_>, at: Layout) -> Result<(), EncodeError>;
}

/// A whole message: a request, a response, a header, or a record.
pub trait Message: Codec + Default + Clone + Debug + PartialEq {
    /// Kafka's name for it.
    const NAME: &'static str;
    /// The oldest version there is.
    const MIN_VERSION: i16;
    /// The newest version there is, stable or not.
    const MAX_VERSION: i16;
    /// The first flexible version; `i16::MAX` if there is none.
    const FLEXIBLE_FROM: i16;

    /// Reads the message in the given version. What follows it is left to the caller.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        match layout::<Self>(version) {
            Some(at) => Self::read(r, at),
            None => Err(DecodeError::Version { name: Self::NAME, version }),
        }
    }

    /// Appends the message in the given version. After an error the output holds a part of it.
    fn encode(&self, w: &mut Writer<'_>, version: i16) -> Result<(), EncodeError> {
        match layout::<Self>(version) {
            Some(at) => self.write(w, at),
            None => Err(EncodeError::Version { name: Self::NAME, version }),
        }
    }

    /// The message's bytes in the given version.
    fn to_vec(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode(&mut Writer::new(&mut out), version)?;
        Ok(out)
    }
}

fn layout<M: Message>(version: i16) -> Option<Layout> {
    let known = M::MIN_VERSION <= version && version <= M::MAX_VERSION;
    known.then_some(Layout { version, flexible: version >= M::FLEXIBLE_FROM })
}

/// A request, tied to its key and its response.
pub trait Request: Message {
    /// The key in the request's header.
    const API_KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// Implements [`Codec`] for a primitive through the reader's and writer's method of its name.
macro_rules! primitive {
    ($ty:ty, $method:ident, $bytes:expr) => {
        impl Codec for $ty {
            const MIN_BYTES: usize = $bytes;

            fn read(r: &mut Reader<'_>, _: Layout) -> Result<Self, DecodeError> {
                r.$method()
            }

            fn write(&self, w: &mut Writer<'_>, _: Layout) -> Result<(), EncodeError> {
                w.$method(*self);
                Ok(())
            }
        }
    };
}

primitive!(bool, bool, 1);
primitive!(i8, i8, 1);
primitive!(i16, i16, 2);
primitive!(i32, i32, 4);
primitive!(i64, i64, 8);
primitive!(u16, u16, 2);
primitive!(u32, u32, 4);
primitive!(f64, f64, 8);
primitive!(crate::Uuid, uuid, 16);

impl Codec for String {
    const MIN_BYTES: usize = 1;

    fn read(r: &mut Reader<'_>, at: Layout) -> Result<Self, DecodeError> {
        r.string(at)
    }

    fn write(&self, w: &mut Writer<'_>, at: Layout) -> Result<(), EncodeError> {
        w.string(at, self)
    }
}

/// What every generated module uses.
pub(crate) mod prelude {
    pub(crate) use super::{absent, required};
    pub(crate) use crate::{
        ApiKey, Codec, DecodeError, EncodeError, Json, Layout, Message, Reader, Request, ToJson,
        Uuid, Writer,
    };
}

/// A field that this version cannot leave null.
pub(crate) fn required<'a, T: ?Sized>(
    value: Option<&'a T>,
    field: &'static str,
    at: Layout,
) -> Result<&'a T, EncodeError> {
    value.ok_or(EncodeError::Null { field, version: at.version })
}

/// A field that this version lacks: fine unless it is set.
pub(crate) fn absent(is_set: bool, field: &'static str, at: Layout) -> Result<(), EncodeError> {
    if is_set { Err(EncodeError::Field { field, version: at.version }) } else { Ok(()) }
}
