//! JSON as Yjs writes it into updates, for yrs, which reads less of it.

use std::borrow::Cow;

use super::Malformed;
use super::lib0::{Reader, write_var_int, write_var_string, write_var_uint};

/// Writes values of lib0's `any` in the place of so many JSON texts, each behind its length.
///
/// # Errors
/// If a text isn't JSON.
pub fn write_values(out: &mut Vec<u8>, texts: &[u8]) -> Result<(), Malformed> {
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

/// JSON in which every escaped half of a surrogate pair that stands alone is U+FFFD; as it came, if none does. JavaScript
/// writes such halves when a text was cut in the middle of a character.
pub fn whole_pairs(json: &str) -> Cow<'_, str> {
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
    mended.map_or(Cow::Borrowed(json), |out| Cow::Owned(out + &json[copied..]))
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
                write_var_string(out, name);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_becomes_a_replacement_and_all_else_stays() {
        let whole = [r#""plain""#, r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u00e9\n""#, "\"\\", "\"\\é\"", ""];
        whole.iter().for_each(|json| assert!(matches!(whole_pairs(json), Cow::Borrowed(_)), "{json}"));
        let mended = |json: &str| whole_pairs(json).into_owned();
        assert_eq!(mended(r#""cut \ud83d""#), r#""cut \ufffd""#);
        assert_eq!(mended(r#"["\uDE00\ud83dx","\ud83d\ud83d\ude00"]"#), r#"["\ufffd\ufffdx","\ufffd\ud83d\ude00"]"#);
    }
}
