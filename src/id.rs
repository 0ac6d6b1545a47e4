//! Names that can't be mixed up: of documents, sessions, nodes, clients and journal records.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes a document's name may have.
pub const DOC_NAME_BYTES_MAX: usize = 256;

/// A document's name: 1 to 256 bytes of UTF-8 without control characters.
///
/// It may hold `/` and is compared byte for byte, with no Unicode normalisation, in every dialect.
///
/// ```
/// use y_mesh::DocName;
///
/// let name: DocName = "team/meeting notes".parse()?;
/// assert_eq!(name.as_str(), "team/meeting notes");
/// assert!("".parse::<DocName>().is_err());
/// # Ok::<(), y_mesh::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocName(Arc<str>);

/// Why a text is no document name. Nothing was opened or changed; choose another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It has no bytes.
    #[error("a document's name can't be empty")]
    Empty,
    /// It has more than [`DOC_NAME_BYTES_MAX`] bytes.
    #[error("a document's name has {0} bytes; at most {DOC_NAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// It holds a control character, at this byte.
    #[error("a document's name holds a control character at byte {0}")]
    ControlCharacter(usize),
    /// It isn't UTF-8.
    #[error("a document's name isn't valid UTF-8")]
    NotUtf8,
}

impl DocName {
    /// Takes a name over, if it is one.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.len() > DOC_NAME_BYTES_MAX {
            return Err(InvalidName::TooLong(name.len()));
        }
        match name.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(InvalidName::ControlCharacter(at)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DocName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<String> for DocName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(&name)
    }
}

impl From<DocName> for String {
    fn from(name: DocName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for DocName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One session of one document on one node. Never used twice while the node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// One node among those that serve the same documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u128);

/// The position of a record in a document's journal. The first record has 1; 0 means "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A Yjs client id: below 2^53, so that JavaScript can hold it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl ClientId {
    /// One more than the greatest id.
    pub const END: u64 = 1 << 53;
}

/// A clock of a Yjs client: how many units (UTF-16 code units, list elements, map entries) it has made.
pub type Clock = u32;

/// What a message would change, as a name for it: the first 16 bytes of a BLAKE3 hash over its updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(pub [u8; 16]);

impl MessageHash {
    /// Reads what its `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Who made a change, as the access hook named them. Empty when nobody said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub Arc<str>);

impl Identity {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self("".into())
    }
}

impl From<&str> for Identity {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}
