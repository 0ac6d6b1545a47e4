//! The core's rules, each held by tests whose names begin with its number.

mod answers;
mod awareness;
mod behind;
mod deletion;
mod durability;
mod fanout;
mod honest;
mod levels;
mod low;
mod presence;
mod random;
mod session;
mod standing;
mod trust;
mod wire;
