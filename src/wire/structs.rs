//! The structs of an update (Yjs 13.6, `AbstractStruct.js`, `Item.js` and `Content*.js`), read one after the other and
//! borrowed from its bytes.
//!
//! - a struct is an info byte; the low five bits are its kind. 0 is GC and 10 is Skip, both varUint length. All
//!   others are items: 0x80 says that an origin follows, 0x40 a right origin, both as client and clock; with neither,
//!   a parent: varUint 1 and a root's name, or 0 and an id, then with 0x20 the key in it. Then the content.
//!
//! Nothing recurses, and nothing is allocated.

use super::lib0::Reader;
use super::{CLOCK_END, Refusal};
use crate::id::{ClientId, Clock};

/// Values may nest at most this deep whatever the limits say: reading keeps one number a level.
pub const DEPTH_END: usize = 256;
/// The flag that an origin follows.
pub const HAS_ORIGIN: u8 = 0x80;
/// The flag that a right origin follows.
pub const HAS_RIGHT_ORIGIN: u8 = 0x40;
/// The flag that it stands under a key.
pub const HAS_KEY: u8 = 0x20;

/// One unit of a client's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Whose it is.
    pub client: ClientId,
    /// Its clock, below 2^31.
    pub clock: Clock,
}

/// What a struct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// What was here is gone, with the type that it was in.
    Gc,
    /// What is here isn't in the update.
    Skip,
    /// Something within a shared type.
    Item(Item<'a>),
}

/// An item: where it stands, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The unit that it was put after.
    pub origin: Option<Id>,
    /// The unit that it was put before.
    pub right_origin: Option<Id>,
    /// The type that it's in. Only where there's neither origin nor right origin: else it's theirs.
    pub parent: Option<Parent<'a>>,
    /// The key that it stands under, as far as the parent's is told.
    pub key: Option<&'a str>,
    /// What it holds.
    pub content: Content<'a>,
    /// The bytes of the content.
    pub bytes: &'a [u8],
}

/// A shared type that something is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent<'a> {
    /// One at the top, by name.
    Root(&'a str),
    /// One that an item holds.
    Type(Id),
}

/// What an item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// It's deleted.
    Deleted,
    /// Values as JSON texts; what Yjs before 13.0 wrote. The texts follow each other, each behind its length.
    Json,
    /// Bytes.
    Binary,
    /// Text.
    Text(&'a str),
    /// A value within a text, as JSON.
    Embed(&'a str),
    /// From here on, text is formatted: a name, and a value as JSON.
    Format(&'a str, &'a str),
    /// A shared type.
    Type(Type<'a>),
    /// Values.
    Any,
    /// A document within the document, by its GUID.
    Doc(&'a str),
}

/// Which shared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type<'a> {
    /// Y.Array
    Array,
    /// Y.Map
    Map,
    /// Y.Text
    Text,
    /// Y.XmlElement of this name
    XmlElement(&'a str),
    /// Y.XmlFragment
    XmlFragment,
    /// Y.XmlText
    XmlText,
}

/// A struct with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struct<'a> {
    /// Its first clock.
    pub start: Clock,
    /// One more than its last.
    pub end: Clock,
    /// What it is.
    pub body: Body<'a>,
    /// All its bytes.
    pub bytes: &'a [u8],
}

/// Reads structs of one client, one after the other.
#[derive(Clone, Debug)]
pub struct Structs<'a> {
    reader: Reader<'a>,
    left: u64,
    clock: Clock,
    depth_max: usize,
}

impl<'a> Structs<'a> {
    /// So many structs, of which the first has this clock, from the front of `reader`.
    pub fn new(reader: Reader<'a>, structs: u64, clock: Clock, depth_max: usize) -> Self {
        Self { reader, left: structs, clock, depth_max: depth_max.min(DEPTH_END) }
    }

    /// What is left to read.
    pub fn reader(&self) -> Reader<'a> {
        self.reader
    }

    fn read(&mut self) -> Result<Struct<'a>, Refusal> {
        let from = self.reader.position();
        let mut one = One { reader: self.reader, depth_max: self.depth_max };
        let (length, body) = one.body()?;
        if length == 0 {
            return one.refuse("a struct has no length");
        }
        let end = one.advance(u64::from(self.clock), length)?;
        let start = std::mem::replace(&mut self.clock, end);
        self.reader = one.reader;
        self.left -= 1;
        Ok(Struct { start, end, body, bytes: self.reader.since(from) })
    }
}

impl<'a> Iterator for Structs<'a> {
    type Item = Result<Struct<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}

/// Steps over one value of lib0's `any`, however it nests.
///
/// # Errors
/// If there's none, or it nests deeper than this, or than [`DEPTH_END`].
pub fn skip_value(reader: &mut Reader<'_>, depth_max: usize) -> Result<(), Refusal> {
    let mut one = One { reader: *reader, depth_max: depth_max.min(DEPTH_END) };
    one.value()?;
    *reader = one.reader;
    Ok(())
}

/// Reads one struct.
struct One<'a> {
    reader: Reader<'a>,
    depth_max: usize,
}

impl<'a> One<'a> {
    fn refuse<T>(&self, what: &'static str) -> Result<T, Refusal> {
        Err(Refusal::Refused { what, at: self.reader.position() })
    }

    fn advance(&self, clock: u64, length: u64) -> Result<Clock, Refusal> {
        match clock.checked_add(length) {
            Some(end) if end < CLOCK_END => Ok(end as Clock),
            _ => self.refuse("a clock is 2^31 or more"),
        }
    }

    fn body(&mut self) -> Result<(u64, Body<'a>), Refusal> {
        let info = self.reader.u8()?;
        match info & 0x1f {
            0 | 10 if info > 10 => self.refuse("a GC or Skip struct has flags"),
            0 => Ok((self.reader.var_uint()?, Body::Gc)),
            10 => Ok((self.reader.var_uint()?, Body::Skip)),
            kind => {
                let (length, item) = self.item(info, kind)?;
                Ok((length, Body::Item(item)))
            }
        }
    }

    fn item(&mut self, info: u8, kind: u8) -> Result<(u64, Item<'a>), Refusal> {
        let origin = if info & HAS_ORIGIN != 0 { Some(self.id()?) } else { None };
        let right_origin = if info & HAS_RIGHT_ORIGIN != 0 { Some(self.id()?) } else { None };
        let (parent, key) = match (origin, right_origin) {
            (None, None) => self.place(info)?,
            _ => (None, None),
        };
        let from = self.reader.position();
        let (length, content) = self.content(kind)?;
        Ok((length, Item { origin, right_origin, parent, key, content, bytes: self.reader.since(from) }))
    }

    fn place(&mut self, info: u8) -> Result<(Option<Parent<'a>>, Option<&'a str>), Refusal> {
        let parent = match self.reader.var_uint()? {
            1 => Parent::Root(self.reader.var_string()?),
            0 => Parent::Type(self.id()?),
            _ => return Err(self.reader.fail("a parent is neither a name nor an id").into()),
        };
        let key = if info & HAS_KEY != 0 { Some(self.reader.var_string()?) } else { None };
        Ok((Some(parent), key))
    }

    fn id(&mut self) -> Result<Id, Refusal> {
        let client = ClientId(self.reader.var_uint()?);
        let clock = self.reader.var_uint()?;
        self.advance(clock, 1).map(|end| Id { client, clock: end - 1 })
    }

    /// An item's content, and how many units it has.
    fn content(&mut self, kind: u8) -> Result<(u64, Content<'a>), Refusal> {
        Ok(match kind {
            1 => (self.reader.var_uint()?, Content::Deleted),
            2 => (self.json_texts()?, Content::Json),
            3 => {
                self.reader.var_bytes()?;
                (1, Content::Binary)
            }
            4 => {
                let text = self.reader.var_string()?;
                (text.chars().map(|c| c.len_utf16() as u64).sum(), Content::Text(text))
            }
            5 => (1, Content::Embed(self.json()?)),
            6 => {
                let name = self.reader.var_string()?;
                (1, Content::Format(name, self.json()?))
            }
            7 => (1, Content::Type(self.shared_type()?)),
            8 => (self.values()?, Content::Any),
            9 => {
                let guid = self.reader.var_string()?;
                self.value()?;
                (1, Content::Doc(guid))
            }
            _ => return Err(self.reader.fail("a struct of unknown kind").into()),
        })
    }

    fn shared_type(&mut self) -> Result<Type<'a>, Refusal> {
        Ok(match self.reader.var_uint()? {
            0 => Type::Array,
            1 => Type::Map,
            2 => Type::Text,
            3 => Type::XmlElement(self.reader.var_string()?),
            4 => Type::XmlFragment,
            5 => return self.refuse("Y.XmlHook isn't supported"),
            6 => Type::XmlText,
            _ => return self.refuse("a shared type of unknown kind"),
        })
    }

    fn json_texts(&mut self) -> Result<u64, Refusal> {
        let texts = self.reader.count(1)?;
        for _ in 0..texts {
            self.json()?;
        }
        Ok(texts)
    }

    /// JSON text. It's parsed recursively later, so its depth is bounded like that of values.
    fn json(&mut self) -> Result<&'a str, Refusal> {
        let text = self.reader.var_string()?;
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > self.depth_max {
                return self.refuse("a value nests too deep");
            }
        }
        Ok(text)
    }

    fn values(&mut self) -> Result<u64, Refusal> {
        let values = self.reader.count(1)?;
        for _ in 0..values {
            self.value()?;
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<(), Refusal> {
        let mut open = [(0u64, false); DEPTH_END];
        let mut depth = 0;
        loop {
            match self.reader.u8()? {
                127 | 126 | 121 | 120 => {}
                125 => drop(self.reader.var_int()?),
                124 => drop(self.reader.take(4)?),
                123 | 122 => drop(self.reader.take(8)?),
                119 => drop(self.reader.var_string()?),
                116 => drop(self.reader.var_bytes()?),
                tag @ (118 | 117) => {
                    if depth == self.depth_max {
                        return self.refuse("a value nests too deep");
                    }
                    let is_object = tag == 118;
                    open[depth] = (self.reader.count(if is_object { 2 } else { 1 })?, is_object);
                    depth += 1;
                }
                _ => return Err(self.reader.fail("a value of unknown kind").into()),
            }
            while depth > 0 && open[depth - 1].0 == 0 {
                depth -= 1;
            }
            let Some((left, is_object)) = open[..depth].last_mut() else { return Ok(()) };
            *left -= 1;
            if *is_object {
                self.reader.var_string()?;
            }
        }
    }
}
