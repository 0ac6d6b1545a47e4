//! What two updates say of the same work, compared unit by unit: however their structs are split and their values written,
//! it must be the same work. (Yjs and yrs take the first that comes of two that differ, and never notice.)

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::EncodeUtf16;

use super::lib0::Reader;
use super::structs::{Body, Content, Id, Item, Struct, Structs};
use super::vet::Span;
use crate::id::{ClientId, Clock};

/// U+FFFD.
const REPLACEMENT: u16 = 0xfffd;

/// Where two accounts of `span` differ first, if they do. Each is the structs of its client, in order and without a hole in
/// the span. Where one of them says that a unit is deleted or gone, no more is known of it, and so it doesn't differ there.
pub fn difference(span: Span, one: Structs<'_>, other: Structs<'_>) -> Option<Clock> {
    let (mut one, mut other) = (Account::of(one, span)?, Account::of(other, span)?);
    let mut at = span.start;
    while at < span.end {
        one.reach(at)?;
        other.reach(at)?;
        let end = one.whole.end.min(other.whole.end).min(span.end);
        if !is_same(&mut one, &mut other, at, end) {
            return Some(at);
        }
        at = end;
    }
    None
}

/// What one of the two says, unit after unit: of large structs that meet many small ones, nothing is looked at twice.
struct Account<'a> {
    client: ClientId,
    structs: Structs<'a>,
    whole: Struct<'a>,
    /// How far its text or its values were read.
    at: Clock,
    text: EncodeUtf16<'a>,
    values: Values<'a>,
}

impl<'a> Account<'a> {
    fn of(mut structs: Structs<'a>, span: Span) -> Option<Self> {
        let whole = structs.next()?.ok()?;
        let mut account = Self {
            client: span.client,
            structs,
            whole,
            at: whole.start,
            text: "".encode_utf16(),
            values: Values::of(&[]),
        };
        account.open(whole);
        account.reach(span.start)?;
        Some(account)
    }

    fn open(&mut self, whole: Struct<'a>) {
        (self.whole, self.at) = (whole, whole.start);
        match whole.body {
            Body::Item(Item { content: Content::Text(text), .. }) => self.text = text.encode_utf16(),
            Body::Item(Item { content: Content::Any, bytes, .. }) => self.values = Values::of(bytes),
            _ => {}
        }
    }

    /// Goes on to the struct that this clock is in, and within it to that clock.
    fn reach(&mut self, clock: Clock) -> Option<()> {
        while self.whole.end <= clock {
            let next = self.structs.next()?.ok()?;
            self.open(next);
        }
        let skipped = (clock - self.at) as usize;
        if skipped > 0
            && let Body::Item(item) = self.whole.body
        {
            match item.content {
                Content::Text(_) => drop(self.text.nth(skipped - 1)),
                Content::Any => self.values.skip_values(skipped),
                _ => {}
            }
        }
        self.at = clock;
        Some(())
    }

    fn item(&self) -> Option<Item<'a>> {
        if let Body::Item(item) = self.whole.body { Some(item) } else { None }
    }

    fn is_at_start(&self) -> bool {
        self.at == self.whole.start
    }

    fn origin(&self, item: &Item<'_>) -> Option<Id> {
        if self.is_at_start() { item.origin } else { Some(Id { client: self.client, clock: self.at - 1 }) }
    }
}

fn is_same(a: &mut Account<'_>, b: &mut Account<'_>, start: Clock, end: Clock) -> bool {
    let (Some(one), Some(other)) = (a.item(), b.item()) else { return true };
    if one.content == Content::Deleted || other.content == Content::Deleted {
        return true;
    }
    let is_place_same = !a.is_at_start() || !b.is_at_start() || (one.parent, one.key) == (other.parent, other.key);
    is_place_same
        && a.origin(&one) == b.origin(&other)
        && one.right_origin == other.right_origin
        && is_content_same(a, b, (&one, &other), start, end)
}

fn is_content_same(
    a: &mut Account<'_>,
    b: &mut Account<'_>,
    (one, other): (&Item<'_>, &Item<'_>),
    start: Clock,
    end: Clock,
) -> bool {
    match (one.content, other.content) {
        (Content::Text(_), Content::Text(_)) => {
            (a.at, b.at) = (end, end);
            (start..end).all(|_| is_unit_same(a.text.next(), b.text.next()))
        }
        (Content::Any, Content::Any) => {
            (a.at, b.at) = (end, end);
            (start..end).all(|_| matches!((a.values.next(), b.values.next()), (Some(a), Some(b)) if a == b))
        }
        (Content::Embed(a), Content::Embed(b)) => is_json_same(a, b),
        (Content::Format(name, a), Content::Format(other, b)) => name == other && is_json_same(a, b),
        // Its options aren't written by all in the same way.
        (Content::Doc(a), Content::Doc(b)) => a == b,
        (Content::Binary, Content::Binary) => one.bytes == other.bytes,
        (a, b) => a == b,
    }
}

/// Where Yjs has split a text within a character, U+FFFD stands for either half; and for what comes next, if that follows half
/// a character of which there's no other (`ContentString.js`). So it may stand for anything.
fn is_unit_same(a: Option<u16>, b: Option<u16>) -> bool {
    a == b || a == Some(REPLACEMENT) && b.is_some() || b == Some(REPLACEMENT) && a.is_some()
}

/// JSON is written in more than one way. What isn't JSON is compared as it is.
fn is_json_same(a: &str, b: &str) -> bool {
    let parsed = |text| serde_json::from_str::<serde_json::Value>(text).ok().map(Value::from);
    a == b || matches!((parsed(a), parsed(b)), (Some(a), Some(b)) if a == b)
}

/// A value, however it's written.
#[derive(Debug)]
enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    Array(Vec<Value<'a>>),
    Object(BTreeMap<Cow<'a, str>, Value<'a>>),
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => is_near(*a, *b),
            (Self::Integer(a), Self::Float(b)) | (Self::Float(b), Self::Integer(a)) => *a as f64 == *b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}

/// A number that was read from text and written again may differ in its last bit.
fn is_near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= f64::EPSILON * a.abs()
}

impl<'a> From<serde_json::Value> for Value<'a> {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text.into()),
            Json::Array(values) => Self::Array(values.into_iter().map(Self::from).collect()),
            Json::Object(fields) => Self::Object(fields.into_iter().map(|(k, v)| (k.into(), v.into())).collect()),
        }
    }
}

/// The values of a content, one after the other.
struct Values<'a> {
    reader: Reader<'a>,
}

impl<'a> Values<'a> {
    fn of(content: &'a [u8]) -> Self {
        let mut values = Self { reader: Reader::new(content) };
        // How many there are.
        let _ = values.reader.var_uint();
        values
    }

    fn skip_values(&mut self, count: usize) {
        for _ in 0..count {
            let _ = super::structs::skip_value(&mut self.reader, usize::MAX);
        }
    }

    /// It was read before, and nests no deeper than it may.
    fn value(&mut self) -> Option<Value<'a>> {
        let reader = &mut self.reader;
        Some(match reader.u8().ok()? {
            127 => Value::Undefined,
            126 => Value::Null,
            125 => Value::Integer(reader.var_int().ok()?),
            124 => Value::Float(f32::from_be_bytes(reader.take(4).ok()?.try_into().ok()?).into()),
            123 => Value::Float(f64::from_be_bytes(reader.take(8).ok()?.try_into().ok()?)),
            122 => Value::Integer(i64::from_be_bytes(reader.take(8).ok()?.try_into().ok()?)),
            121 => Value::Bool(false),
            120 => Value::Bool(true),
            119 => Value::Text(reader.var_string().ok()?.into()),
            116 => Value::Bytes(reader.var_bytes().ok()?),
            118 => Value::Object(self.object()?),
            117 => {
                let values = reader.var_uint().ok()?;
                Value::Array((0..values).map(|_| self.value()).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn object(&mut self) -> Option<BTreeMap<Cow<'a, str>, Value<'a>>> {
        let fields = self.reader.var_uint().ok()?;
        (0..fields).map(|_| Some((self.reader.var_string().ok()?.into(), self.value()?))).collect()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.value()
    }
}
