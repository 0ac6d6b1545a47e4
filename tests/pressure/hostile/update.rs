//! An update of format v1 taken apart, so that it can be changed anywhere and put together again, however wrong.

use y_mesh::wire::lib0::{Reader, write_var_bytes, write_var_string, write_var_uint};

/// A client and a clock.
pub type Id = (u64, u64);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    pub sections: Vec<Section>,
    /// For each client, clocks and lengths.
    pub deletes: Vec<(u64, Vec<(u64, u64)>)>,
}

/// One client's structs, from a clock on.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub client: u64,
    pub clock: u64,
    pub structs: Vec<Struct>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Struct {
    Gc(u64),
    Skip(u64),
    Item(Item),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub left: Option<Id>,
    pub right: Option<Id>,
    /// Written only where there's neither left nor right.
    pub parent: Parent,
    pub key: Option<String>,
    pub content: Content,
    /// Changes the info byte that the rest asks for.
    pub twist: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Parent {
    Root(String),
    Id(Id),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Deleted(u64),
    Json(Vec<String>),
    Binary(Vec<u8>),
    Text(String),
    Embed(String),
    Format(String, String),
    Type(u64, Option<String>),
    /// Values of lib0's `any`, encoded.
    Any(Vec<Vec<u8>>),
    Doc(String, Vec<u8>),
}

impl Content {
    /// Units, as Yjs counts them.
    pub fn len(&self) -> u64 {
        match self {
            Self::Deleted(length) => *length,
            Self::Json(texts) => texts.len() as u64,
            Self::Text(text) => text.encode_utf16().count() as u64,
            Self::Any(values) => values.len() as u64,
            _ => 1,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Deleted(_) => 1,
            Self::Json(_) => 2,
            Self::Binary(_) => 3,
            Self::Text(_) => 4,
            Self::Embed(_) => 5,
            Self::Format(..) => 6,
            Self::Type(..) => 7,
            Self::Any(_) => 8,
            Self::Doc(..) => 9,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Deleted(length) => write_var_uint(out, *length),
            Self::Json(texts) => {
                write_var_uint(out, texts.len() as u64);
                texts.iter().for_each(|text| write_var_string(out, text));
            }
            Self::Binary(bytes) => write_var_bytes(out, bytes),
            Self::Text(text) | Self::Embed(text) => write_var_string(out, text),
            Self::Format(key, value) => [key, value].into_iter().for_each(|text| write_var_string(out, text)),
            Self::Type(kind, name) => {
                write_var_uint(out, *kind);
                name.iter().for_each(|name| write_var_string(out, name));
            }
            Self::Any(values) => {
                write_var_uint(out, values.len() as u64);
                values.iter().for_each(|value| out.extend(value));
            }
            Self::Doc(guid, options) => {
                write_var_string(out, guid);
                out.extend(options);
            }
        }
    }
}

impl Struct {
    pub fn len(&self) -> u64 {
        match self {
            Self::Gc(length) | Self::Skip(length) => *length,
            Self::Item(item) => item.content.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Gc(length) => {
                out.push(0);
                write_var_uint(out, *length);
            }
            Self::Skip(length) => {
                out.push(10);
                write_var_uint(out, *length);
            }
            Self::Item(item) => item.encode(out),
        }
    }
}

impl Item {
    pub fn new(parent: Parent, content: Content) -> Self {
        Self { left: None, right: None, parent, key: None, content, twist: 0 }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let info = flag(self.left.is_some(), 0x80) | flag(self.right.is_some(), 0x40) | flag(self.key.is_some(), 0x20);
        out.push((info | self.content.kind()) ^ self.twist);
        for (client, clock) in self.left.iter().chain(&self.right) {
            write_var_uint(out, *client);
            write_var_uint(out, *clock);
        }
        if self.left.is_none() && self.right.is_none() {
            self.parent.encode(out);
            self.key.iter().for_each(|key| write_var_string(out, key));
        }
        self.content.encode(out);
    }
}

impl Parent {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Root(name) => {
                out.push(1);
                write_var_string(out, name);
            }
            Self::Id((client, clock)) => {
                out.push(0);
                write_var_uint(out, *client);
                write_var_uint(out, *clock);
            }
        }
    }
}

impl Update {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_var_uint(&mut out, self.sections.len() as u64);
        for section in &self.sections {
            for number in [section.structs.len() as u64, section.client, section.clock] {
                write_var_uint(&mut out, number);
            }
            section.structs.iter().for_each(|one| one.encode(&mut out));
        }
        write_var_uint(&mut out, self.deletes.len() as u64);
        for (client, ranges) in &self.deletes {
            write_var_uint(&mut out, *client);
            write_var_uint(&mut out, ranges.len() as u64);
            for number in ranges.iter().flat_map(|(clock, length)| [*clock, *length]) {
                write_var_uint(&mut out, number);
            }
        }
        out
    }

    /// Takes apart what Yjs or yrs has put together, or what is like it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut parser = Parser { bytes, reader: Reader::new(bytes) };
        let update = parser.update()?;
        parser.reader.is_empty().then_some(update)
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
}

impl Parser<'_> {
    fn number(&mut self) -> Option<u64> {
        self.reader.var_uint().ok()
    }

    fn text(&mut self) -> Option<String> {
        Some(self.reader.var_string().ok()?.to_owned())
    }

    fn id(&mut self) -> Option<Id> {
        Some((self.number()?, self.number()?))
    }

    fn update(&mut self) -> Option<Update> {
        let mut update = Update::default();
        for _ in 0..self.number()? {
            let structs = self.number()?;
            let (client, clock) = self.id()?;
            let structs = (0..structs).map(|_| self.one_struct()).collect::<Option<_>>()?;
            update.sections.push(Section { client, clock, structs });
        }
        for _ in 0..self.number()? {
            let (client, ranges) = self.id()?;
            update.deletes.push((client, (0..ranges).map(|_| self.id()).collect::<Option<_>>()?));
        }
        Some(update)
    }

    fn one_struct(&mut self) -> Option<Struct> {
        let info = self.reader.u8().ok()?;
        Some(match info & 0x1f {
            0 => Struct::Gc(self.number()?),
            10 => Struct::Skip(self.number()?),
            kind => Struct::Item(self.item(info, kind)?),
        })
    }

    fn item(&mut self, info: u8, kind: u8) -> Option<Item> {
        let left = if info & 0x80 != 0 { Some(self.id()?) } else { None };
        let right = if info & 0x40 != 0 { Some(self.id()?) } else { None };
        let stands = info & 0xc0 != 0;
        let parent = if stands { Parent::Root(String::new()) } else { self.parent()? };
        let is_keyed = info & 0x20 != 0;
        let key = if is_keyed && !stands { Some(self.text()?) } else { is_keyed.then(String::new) };
        Some(Item { left, right, parent, key, content: self.content(kind)?, twist: 0 })
    }

    fn parent(&mut self) -> Option<Parent> {
        Some(if self.number()? == 1 { Parent::Root(self.text()?) } else { Parent::Id(self.id()?) })
    }

    fn content(&mut self, kind: u8) -> Option<Content> {
        Some(match kind {
            1 => Content::Deleted(self.number()?),
            2 => Content::Json(self.several(Self::text)?),
            3 => Content::Binary(self.reader.var_bytes().ok()?.to_vec()),
            4 => Content::Text(self.text()?),
            5 => Content::Embed(self.text()?),
            6 => Content::Format(self.text()?, self.text()?),
            7 => {
                let kind = self.number()?;
                Content::Type(kind, if kind == 3 || kind == 5 { Some(self.text()?) } else { None })
            }
            8 => Content::Any(self.several(Self::value)?),
            9 => Content::Doc(self.text()?, self.value()?),
            _ => return None,
        })
    }

    fn several<T>(&mut self, one: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| one(self)).collect()
    }

    /// One value's bytes.
    fn value(&mut self) -> Option<Vec<u8>> {
        let from = self.reader.position();
        self.skip_value()?;
        Some(self.bytes[from..self.reader.position()].to_vec())
    }

    fn skip_value(&mut self) -> Option<()> {
        match self.reader.u8().ok()? {
            125 => drop(self.reader.var_int().ok()?),
            124 => drop(self.reader.take(4).ok()?),
            123 | 122 => drop(self.reader.take(8).ok()?),
            119 | 116 => drop(self.reader.var_bytes().ok()?),
            118 => (0..self.number()?).try_for_each(|_| self.text().and_then(|_| self.skip_value()))?,
            117 => (0..self.number()?).try_for_each(|_| self.skip_value())?,
            _ => {}
        }
        Some(())
    }
}
