//! The primitives of lib0's encoding (its `encoding.js` and `decoding.js`, 0.2).
//!
//! | name | bytes |
//! |---|---|
//! | varUint | seven bits a byte, least significant first; 0x80 says that more follow; below 2^53 |
//! | varInt | first byte: 0x80 more, 0x40 negative, six bits; then seven bits a byte |
//! | varBytes | varUint length, then as many bytes |
//! | varString | varBytes that are UTF-8 |

use super::Malformed;

/// Numbers from here on can't be held exactly by JavaScript, so no honest peer writes them.
const VAR_UINT_END: u64 = 1 << 53;

/// Reads from the front of a byte slice and never past its end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes that were read since then.
    pub fn since(&self, position: usize) -> &'a [u8] {
        &self.bytes[position..self.at]
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error at this place.
    pub fn fail(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(self.fail("the end came too early"))?;
        self.at += 1;
        Ok(byte)
    }

    /// A number below 2^53.
    pub fn var_uint(&mut self) -> Result<u64, Malformed> {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = self.u8()?;
            if shift > 49 {
                return Err(self.fail("a number has too many bytes"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if value < VAR_UINT_END { Ok(value) } else { Err(self.fail("a number is 2^53 or more")) }
    }

    /// A number below 2^32.
    pub fn var_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.var_uint()?).map_err(|_| self.fail("a number is 2^32 or more"))
    }

    /// A signed number, below 2^55 either way.
    pub fn var_int(&mut self) -> Result<i64, Malformed> {
        let first = self.u8()?;
        let (mut value, mut shift, mut more) = (u64::from(first & 0x3f), 6u32, first & 0x80 != 0);
        while more {
            if shift > 48 {
                return Err(self.fail("a number has too many bytes"));
            }
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            more = byte & 0x80 != 0;
        }
        Ok(if first & 0x40 != 0 { -(value as i64) } else { value as i64 })
    }

    /// So many bytes, borrowed.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        if count > self.remaining() as u64 {
            return Err(self.fail("a length reaches past the end"));
        }
        let from = self.at;
        self.at += count as usize;
        Ok(&self.bytes[from..self.at])
    }

    /// Bytes behind their length.
    pub fn var_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.var_uint()?;
        self.take(count)
    }

    /// Text behind its length in bytes.
    pub fn var_string(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.var_bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.fail("a text isn't valid UTF-8"))
    }

    /// A count of things that take at least `bytes_each` bytes, so that it can't promise more than there is.
    pub fn count(&mut self, bytes_each: u64) -> Result<u64, Malformed> {
        let count = self.var_uint()?;
        if count.saturating_mul(bytes_each) > self.remaining() as u64 {
            return Err(self.fail("a count promises more than there is"));
        }
        Ok(count)
    }
}

/// Appends a varUint.
pub fn write_var_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varInt.
pub fn write_var_int(out: &mut Vec<u8>, value: i64) {
    let (sign, mut left) = (if value < 0 { 0x40 } else { 0 }, value.unsigned_abs());
    let more = |left: u64| if left > 0 { 0x80 } else { 0 };
    out.push((left & 0x3f) as u8 | sign | more(left >> 6));
    left >>= 6;
    while left > 0 {
        out.push((left & 0x7f) as u8 | more(left >> 7));
        left >>= 7;
    }
}

/// Appends bytes behind their length.
pub fn write_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends text behind its length.
pub fn write_var_string(out: &mut Vec<u8>, text: &str) {
    write_var_bytes(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), VAR_UINT_END - 1] {
            let mut out = Vec::new();
            write_var_uint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var_uint(), Ok(value));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn signed_numbers_survive_a_round_trip() {
        for value in [0, 1, -1, 63, 64, -64, 8_191, 8_192, i64::from(i32::MAX), i64::from(i32::MIN), (1 << 55) - 1] {
            let mut out = Vec::new();
            write_var_int(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var_int(), Ok(value));
            assert!(reader.is_empty());
        }
        assert!(Reader::new(&[0xff; 20]).var_int().is_err());
    }

    #[test]
    fn numbers_that_javascript_cannot_hold_are_malformed() {
        let mut out = Vec::new();
        write_var_uint(&mut out, VAR_UINT_END);
        assert!(Reader::new(&out).var_uint().is_err());
        assert!(Reader::new(&[0xff; 20]).var_uint().is_err());
    }

    #[test]
    fn lengths_past_the_end_are_malformed_without_allocating() {
        let mut out = Vec::new();
        write_var_uint(&mut out, VAR_UINT_END - 1);
        assert!(Reader::new(&out).var_bytes().is_err());
        assert!(Reader::new(&out).count(1).is_err());
    }
}
