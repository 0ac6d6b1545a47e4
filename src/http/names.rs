//! From the rest of a path to a document's name, and back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::id::{DocName, InvalidName};

/// Everything but what RFC 3986 never wants encoded, and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Why a path names no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoName {
    #[error("a `%` in the path isn't followed by two hexadecimal digits")]
    Encoding,
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// Decodes once; slashes stay.
pub(super) fn from_path(path: &str) -> Result<DocName, NoName> {
    let mut parts = path.split('%');
    parts.next();
    if parts.any(|part| !part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))) {
        return Err(NoName::Encoding);
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| InvalidName::NotUtf8)?;
    Ok(DocName::new(&decoded)?)
}

/// Encodes it for a path.
pub(super) fn to_path(name: &DocName) -> String {
    utf8_percent_encode(name.as_str(), ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_once() {
        for (path, name) in
            [("a/b%20c/%C3%BC%3f", "a/b c/ü?"), ("a%2520b", "a%20b"), ("1+1", "1+1"), ("a//b/", "a//b/")]
        {
            assert_eq!(from_path(path).unwrap().as_str(), name);
            assert_eq!(from_path(&to_path(&from_path(path).unwrap())).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_told_apart() {
        assert_eq!(from_path(""), Err(NoName::Name(InvalidName::Empty)));
        assert_eq!(from_path("a%2"), Err(NoName::Encoding));
        assert_eq!(from_path("%zz"), Err(NoName::Encoding));
        assert_eq!(from_path("a%FF"), Err(NoName::Name(InvalidName::NotUtf8)));
        assert_eq!(from_path("a%00b"), Err(NoName::Name(InvalidName::ControlCharacter(1))));
    }
}
