//! WebSocket frames on their way out (RFC 6455, section 5). What comes from a server isn't masked, so a frame is a few
//! bytes in front of a message that all its receivers share; it's never copied.

use bytes::Bytes;

use crate::document::CloseCode;

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Bytes that a control frame may carry.
const CONTROL_BYTES_MAX: usize = 125;

/// One whole frame.
#[derive(Debug)]
pub(super) struct Frame {
    head: [u8; 10],
    head_length: usize,
    body: Bytes,
}

/// What a close frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Farewell {
    pub code: u16,
    pub reason: &'static str,
}

impl Farewell {
    /// The bytes aren't WebSocket frames.
    pub const PROTOCOL: Self = Self { code: 1002, reason: "not a WebSocket frame" };
    /// A text isn't UTF-8.
    pub const NOT_UTF8: Self = Self { code: 1007, reason: "a text isn't UTF-8" };
}

impl From<CloseCode> for Farewell {
    fn from(code: CloseCode) -> Self {
        Self { code: code.number(), reason: code.reason() }
    }
}

impl Frame {
    pub fn binary(message: Bytes) -> Self {
        Self::new(BINARY, message)
    }

    pub fn ping() -> Self {
        Self::new(PING, Bytes::new())
    }

    pub fn pong(of_ping: Bytes) -> Self {
        Self::new(PONG, of_ping)
    }

    pub fn close(farewell: &Farewell) -> Self {
        let mut body = farewell.code.to_be_bytes().to_vec();
        body.extend_from_slice(farewell.reason.as_bytes());
        body.truncate(CONTROL_BYTES_MAX);
        Self::new(CLOSE, body.into())
    }

    /// The answer to a close frame that gave no code.
    pub fn close_without_code() -> Self {
        Self::new(CLOSE, Bytes::new())
    }

    fn new(first: u8, body: Bytes) -> Self {
        let mut head = [0; 10];
        head[0] = first;
        let head_length = match body.len() {
            short @ 0..126 => {
                head[1] = short as u8;
                2
            }
            medium @ 126..0x1_0000 => {
                head[1] = 126;
                head[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                head[1] = 127;
                head[2..].copy_from_slice(&(long as u64).to_be_bytes());
                10
            }
        };
        Self { head, head_length, body }
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.head_length + self.body.len()
    }

    /// What is left after so many bytes were written.
    pub fn after(&self, written: usize) -> [&[u8]; 2] {
        let head = &self.head[..self.head_length];
        [&head[written.min(head.len())..], &self.body[written.saturating_sub(head.len()).min(self.body.len())..]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(length: usize) -> Vec<u8> {
        Frame::binary(vec![7; length].into()).after(0)[0].to_vec()
    }

    #[test]
    fn lengths_take_one_three_or_nine_bytes() {
        assert_eq!(head_of(0), [0x82, 0]);
        assert_eq!(head_of(125), [0x82, 125]);
        assert_eq!(head_of(126), [0x82, 126, 0, 126]);
        assert_eq!(head_of(0xffff), [0x82, 126, 0xff, 0xff]);
        assert_eq!(head_of(0x1_0000), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_is_left_is_exact_at_every_byte() {
        let frame = Frame::binary((0..200).collect::<Vec<u8>>().into());
        let whole = frame.after(0).concat();
        assert_eq!(whole.len(), frame.len());
        for written in 0..=frame.len() {
            assert_eq!(frame.after(written).concat(), whole[written..]);
        }
    }
}
