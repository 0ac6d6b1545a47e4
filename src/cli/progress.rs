//! How far a copy has come: a line on a terminal that changes, and nothing elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// As often as a reader can follow.
const PACE: Duration = Duration::from_millis(100);

/// The line.
pub struct Progress {
    doing: &'static str,
    is_seen: bool,
    shown: Option<Instant>,
}

impl Progress {
    /// Begins a line with what is being done.
    pub fn new(doing: &'static str) -> Self {
        Self { doing, is_seen: stderr().is_terminal(), shown: None }
    }

    /// So much is done.
    pub fn show(&mut self, documents: u64, bytes: u64) {
        if self.is_seen && self.shown.is_none_or(|shown| shown.elapsed() >= PACE) {
            self.shown = Some(Instant::now());
            self.write(&format!("{}: {}, {}", self.doing, counted(documents, "document"), size(bytes)));
        }
    }

    fn write(&self, line: &str) {
        // Nobody is harmed if nobody sees it.
        let _ = write!(stderr(), "\r\x1b[K{line}").and_then(|()| stderr().flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.write("");
        }
    }
}

/// A number of things, for people.
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A number of bytes, for people.
pub fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64 / 1_000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < units.len() {
        size /= 1_000.0;
        unit += 1;
    }
    if bytes < 1_000 { format!("{bytes} bytes") } else { format!("{size:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "word")), ["0 words", "1 word", "2 words"]);
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1_000, 999_949, 999_950, 56_700_000, 2_500_000_000].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "999.9 kB", "1.0 MB", "56.7 MB", "2.5 GB"]);
    }
}
