//! Text that a command makes before it prints it.

use std::fmt::{Arguments, Write as _};

/// Adds a line.
pub fn put(out: &mut String, line: Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "{line}");
}
