//! How far a copy has come, on a terminal and nowhere else; and numbers for people.

use indicatif::{ProgressBar, ProgressStyle};

const WITHOUT_END: &str = "{prefix}: {pos} documents, {msg}";
const WITH_END: &str = "{prefix} [{bar:30}] {pos} of {len} documents, {msg}";

/// A line that changes, until it's dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins a line with what is being done, and for how many documents, if that's known.
    pub fn new(doing: &'static str, documents: Option<u64>) -> Self {
        let (bar, template) = match documents {
            Some(documents) => (ProgressBar::new(documents), WITH_END),
            None => (ProgressBar::no_length(), WITHOUT_END),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style.progress_chars("=> ")).with_prefix(doing))
    }

    /// So much is done.
    pub fn show(&self, documents: u64, bytes: u64) {
        if !self.0.is_hidden() {
            self.0.set_message(size(bytes));
            self.0.set_position(documents);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
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
