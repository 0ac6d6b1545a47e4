//! Who may do what on a server without tokens that only this machine reaches.

use std::future::ready;

use y_mesh::document::Access;
use y_mesh::node::access::Answer;
use y_mesh::{Authorize, DocName, Grant, Identity, Request};

/// What proxies add to what they pass on.
const PASSED_ON: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Whoever is on this machine may manage. What a proxy passes on comes from elsewhere, whatever its address says: it may be
/// written, and not taken away as a whole.
#[derive(Debug)]
pub struct Local;

impl Authorize for Local {
    fn authorize<'a>(&'a self, request: &'a Request, _: &'a DocName) -> Answer<'a> {
        let is_passed_on = request.headers.iter().any(|(name, _)| PASSED_ON.contains(&name.as_str()));
        let access = if is_passed_on { Access::Write } else { Access::Manage };
        Box::pin(ready(Ok(Grant { access, identity: Identity::anonymous() })))
    }
}
