//! The core's rules, each held by tests whose names begin with its number.

mod scratch;
