//! What every answer may need.

use tokio_util::sync::CancellationToken;

use super::origin::Policy;
use crate::Node;

/// What every answer may need.
pub(super) struct Shared {
    pub node: Node,
    pub policy: Policy,
    /// The server stops: no more WebSockets, and the readiness says so.
    pub draining: CancellationToken,
}
