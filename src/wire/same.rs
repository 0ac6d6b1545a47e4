//! What two updates say of the same work, compared unit by unit: however their structs are split and their values written,
//! it must be the same work. (Yjs and yrs take the first that comes of two that differ, and never notice.)

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::lib0::Reader;
use super::structs::{Body, Content, Id, Item, Struct, Structs};
use super::vet::Span;
use crate::id::Clock;

/// U+FFFD. A character outside the basic plane that is split at its middle becomes two of these.
const REPLACEMENT: u16 = 0xfffd;

/// Where two accounts of `span` differ first, if they do. Each is the structs of its client, in order and without a hole in
/// the span. Where one of them says that a unit is deleted or gone, no more is known of it, and so it doesn't differ there.
pub fn difference(span: Span, mut one: Structs<'_>, mut other: Structs<'_>) -> Option<Clock> {
    let mut at = span.start;
    let (mut a, mut b) = (one.next()?.ok()?, other.next()?.ok()?);
    while at < span.end {
        while a.end <= at {
            a = one.next()?.ok()?;
        }
        while b.end <= at {
            b = other.next()?.ok()?;
        }
        let end = a.end.min(b.end).min(span.end);
        if !is_same(span, at, end, &a, &b) {
            return Some(at);
        }
        at = end;
    }
    None
}

fn is_same(span: Span, start: Clock, end: Clock, a: &Struct<'_>, b: &Struct<'_>) -> bool {
    let (Body::Item(one), Body::Item(other)) = (a.body, b.body) else { return true };
    if one.content == Content::Deleted || other.content == Content::Deleted {
        return true;
    }
    let origin = |within: &Struct<'_>, item: &Item<'_>| match start > within.start {
        true => Some(Id { client: span.client, clock: start - 1 }),
        false => item.origin,
    };
    let is_place_same = start > a.start || start > b.start || (one.parent, one.key) == (other.parent, other.key);
    let (from, to) = ((start - a.start, end - a.start), (start - b.start, end - b.start));
    is_place_same
        && origin(a, &one) == origin(b, &other)
        && one.right_origin == other.right_origin
        && is_content_same((&one, from), (&other, to))
}

type Part<'a, 'b> = (&'b Item<'a>, (Clock, Clock));

fn is_content_same((one, part): Part<'_, '_>, (other, other_part): Part<'_, '_>) -> bool {
    match (one.content, other.content) {
        (Content::Text(a), Content::Text(b)) => is_text_same(a, part, b, other_part),
        (Content::Any, Content::Any) => are_values_same(one.bytes, part, other.bytes, other_part),
        (Content::Embed(a), Content::Embed(b)) => is_json_same(a, b),
        (Content::Format(name, a), Content::Format(other, b)) => name == other && is_json_same(a, b),
        // Its options aren't written by all in the same way.
        (Content::Doc(a), Content::Doc(b)) => a == b,
        (Content::Binary, Content::Binary) => one.bytes == other.bytes,
        (a, b) => a == b,
    }
}

fn is_text_same(a: &str, part: (Clock, Clock), b: &str, other: (Clock, Clock)) -> bool {
    let units = |text: &'_ str, (start, end): (Clock, Clock)| {
        text.encode_utf16().skip(start as usize).take((end - start) as usize).collect::<Vec<_>>()
    };
    if a.len() == b.len() && part == other && part.0 == 0 && a == b {
        return true;
    }
    let is_half = |unit: u16| (0xd800..0xe000).contains(&unit);
    let same = |(a, b): (&u16, &u16)| a == b || *a == REPLACEMENT && is_half(*b) || *b == REPLACEMENT && is_half(*a);
    units(a, part).iter().zip(&units(b, other)).all(same)
}

fn are_values_same(a: &[u8], part: (Clock, Clock), b: &[u8], other: (Clock, Clock)) -> bool {
    if a == b && part == other {
        return true;
    }
    let mut one = Values::after(a, part.0);
    let mut two = Values::after(b, other.0);
    (part.0..part.1).all(|_| match (one.next(), two.next()) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    })
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
    fn after(content: &'a [u8], skipped: Clock) -> Self {
        let mut values = Self { reader: Reader::new(content) };
        // How many there are.
        let _ = values.reader.var_uint();
        for _ in 0..skipped {
            let _ = super::structs::skip_value(&mut values.reader, usize::MAX);
        }
        values
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
