//! Structs that have to be written otherwise than they came: only their end, or in the words of today.

use std::borrow::Cow;

use super::assemble::Assembly;
use super::lib0::{Reader, write_var_bytes, write_var_string, write_var_uint};
use super::structs::{Body, Content, DEPTH_END, HAS_ORIGIN, Id, Item, Struct, Structs, skip_value};
use super::vet::{Outline, Section, Span};
use super::{Malformed, Refusal};
use crate::id::{ClientId, Clock};

const KIND: u8 = 0x1f;
const DELETED: u8 = 1;
const ANY: u8 = 8;

/// The struct without its units before `from`, as Yjs would write it (`Item.js`, `writeStructs` of `encoding.js`).
pub fn rest(client: ClientId, whole: &Struct<'_>, from: Clock) -> Vec<u8> {
    let left = u64::from(whole.end - from);
    let Body::Item(item) = &whole.body else {
        let mut out = vec![whole.bytes[0]];
        write_var_uint(&mut out, left);
        return out;
    };
    let mut out = head(client, whole, item, from);
    write_rest(&mut out, item, (from - whole.start) as usize, left);
    out
}

/// The units of an item from `from` on, as deleted.
pub fn deleted_rest(client: ClientId, whole: &Struct<'_>, from: Clock) -> Vec<u8> {
    let Body::Item(item) = &whole.body else { return rest(client, whole, from) };
    let mut out = head(client, whole, item, from);
    out[0] = out[0] & !KIND | DELETED;
    write_var_uint(&mut out, u64::from(whole.end - from));
    out
}

/// All of an item but its content.
fn head(client: ClientId, whole: &Struct<'_>, item: &Item<'_>, from: Clock) -> Vec<u8> {
    if from == whole.start {
        return whole.bytes[..whole.bytes.len() - item.bytes.len()].to_vec();
    }
    let mut out = vec![whole.bytes[0] | HAS_ORIGIN];
    write_id(&mut out, Id { client, clock: from - 1 });
    if let Some(id) = item.right_origin {
        write_id(&mut out, id);
    }
    out
}

fn write_id(out: &mut Vec<u8>, id: Id) {
    write_var_uint(out, id.client.0);
    write_var_uint(out, u64::from(id.clock));
}

fn write_rest(out: &mut Vec<u8>, item: &Item<'_>, skipped: usize, left: u64) {
    match item.content {
        Content::Deleted => write_var_uint(out, left),
        Content::Text(text) => write_var_string(out, &after(text, skipped)),
        Content::Any => {
            let mut reader = Reader::new(item.bytes);
            // It was read before.
            let _ = reader.var_uint();
            for _ in 0..skipped {
                let _ = skip_value(&mut reader, DEPTH_END);
            }
            write_var_uint(out, left);
            out.extend_from_slice(&item.bytes[reader.position()..]);
        }
        // All others have one unit, so there's nothing before it.
        _ => out.extend_from_slice(item.bytes),
    }
}

/// The text after so many UTF-16 code units. A character that is cut in two becomes U+FFFD, as in Yjs.
fn after(text: &str, units: usize) -> String {
    let (mut at, mut bytes) = (0, 0);
    for c in text.chars() {
        if at >= units {
            break;
        }
        at += c.len_utf16();
        bytes += c.len_utf8();
    }
    let half = if at > units { "\u{fffd}" } else { "" };
    format!("{half}{}", &text[bytes..])
}

/// The update with JSON that yrs can read: what Yjs before 13.0 wrote as JSON texts as values, and half a surrogate pair as
/// U+FFFD.
///
/// # Errors
/// If a text isn't JSON.
pub fn readable(update: &[u8], outline: &Outline) -> Result<Vec<u8>, Refusal> {
    let mut assembly = Assembly::default();
    for Section { span, structs, bytes } in &outline.sections {
        let mut out = Vec::with_capacity(bytes.len());
        for read in Structs::new(Reader::new(&update[bytes.clone()]), *structs, span.start, DEPTH_END) {
            let read = read?;
            match read.body {
                Body::Item(item) => write_readable(&mut out, &read, &item)?,
                _ => out.extend_from_slice(read.bytes),
            }
        }
        assembly.add(*span, *structs, out);
    }
    outline.deletes.iter().for_each(|span: &Span| assembly.delete(*span));
    Ok(assembly.encode())
}

fn write_readable(out: &mut Vec<u8>, whole: &Struct<'_>, item: &Item<'_>) -> Result<(), Malformed> {
    let head = &whole.bytes[..whole.bytes.len() - item.bytes.len()];
    match item.content {
        Content::Json => {
            out.push(head[0] & !KIND | ANY);
            out.extend_from_slice(&head[1..]);
            return write_values(out, item.bytes);
        }
        Content::Embed(json) => {
            out.extend_from_slice(head);
            write_var_string(out, &whole_pairs(json));
        }
        Content::Format(name, json) => {
            out.extend_from_slice(head);
            write_var_string(out, name);
            write_var_string(out, &whole_pairs(json));
        }
        _ => out.extend_from_slice(whole.bytes),
    }
    Ok(())
}

fn write_values(out: &mut Vec<u8>, texts: &[u8]) -> Result<(), Malformed> {
    let mut texts = Reader::new(texts);
    let count = texts.var_uint()?;
    write_var_uint(out, count);
    for _ in 0..count {
        match texts.var_string()? {
            "undefined" => out.push(127),
            text => {
                let value = serde_json::from_str(&whole_pairs(text)).map_err(|_| texts.fail("a value isn't JSON"))?;
                write_value(out, &value);
            }
        }
    }
    Ok(())
}

fn whole_pairs(json: &str) -> Cow<'_, str> {
    with_whole_pairs(json).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// JSON in which every escaped half of a surrogate pair that stands alone is U+FFFD. `None` if none does. JavaScript writes
/// such halves when a text was cut in the middle of a character.
pub fn with_whole_pairs(json: &str) -> Option<String> {
    let mut mended: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = json[at..].find('\\') {
        at += found;
        let length = match (escaped(json, at), escaped(json, at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                let out = mended.get_or_insert_default();
                out.push_str(&json[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        at = (at + length).min(json.len());
        while !json.is_char_boundary(at) {
            at += 1;
        }
    }
    mended.map(|out| out + &json[copied..])
}

/// The code unit that is escaped here as `\uXXXX`, if one is.
fn escaped(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// Writes a value of JSON as lib0's `any`. It nests no deeper than it was checked to.
fn write_value(out: &mut Vec<u8>, value: &serde_json::Value) {
    use serde_json::Value as Json;
    match value {
        Json::Null => out.push(126),
        Json::Bool(value) => out.push(if *value { 120 } else { 121 }),
        Json::Number(number) => write_number(out, number),
        Json::String(text) => {
            out.push(119);
            write_var_string(out, text);
        }
        Json::Array(values) => {
            out.push(117);
            write_var_uint(out, values.len() as u64);
            values.iter().for_each(|value| write_value(out, value));
        }
        Json::Object(fields) => {
            out.push(118);
            write_var_uint(out, fields.len() as u64);
            for (name, value) in fields {
                write_var_bytes(out, name.as_bytes());
                write_value(out, value);
            }
        }
    }
}

/// All numbers of JSON are doubles to JavaScript; whole ones of 31 bits it writes short.
fn write_number(out: &mut Vec<u8>, number: &serde_json::Number) {
    match number.as_i64().filter(|whole| whole.unsigned_abs() < 1 << 31) {
        Some(whole) => {
            out.push(125);
            write_var_int(out, whole);
        }
        None => {
            out.push(123);
            out.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
        }
    }
}

fn write_var_int(out: &mut Vec<u8>, value: i64) {
    let (sign, mut left) = (if value < 0 { 0x40 } else { 0 }, value.unsigned_abs());
    let more = |left: u64| if left > 0 { 0x80 } else { 0 };
    out.push((left & 0x3f) as u8 | sign | more(left >> 6));
    left >>= 6;
    while left > 0 {
        out.push((left & 0x7f) as u8 | more(left >> 7));
        left >>= 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_becomes_a_replacement_and_all_else_stays() {
        let whole = [r#""plain""#, r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e9\n""#, "\"\\", "\"\\é\"", ""];
        whole.iter().for_each(|json| assert_eq!(with_whole_pairs(json), None, "{json}"));
        let mended = |json: &str| with_whole_pairs(json).unwrap();
        assert_eq!(mended(r#""cut \ud83d""#), r#""cut \ufffd""#);
        assert_eq!(mended(r#"["\uDE00\ud83dx","\ud83d\ud83d\ude00"]"#), r#"["\ufffd\ufffdx","\ufffd\ud83d\ude00"]"#);
    }
}
