//! Structs that have to be written otherwise than they came: only their end, or in the words of today.

use super::assemble::Assembly;
use super::json::{whole_pairs, write_values};
use super::lib0::{Reader, write_var_string, write_var_uint};
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
