//! A set of spans of clients' work, which is looked up and added to without going through it.

use std::collections::BTreeMap;

use crate::id::{ClientId, Clock};
use crate::wire::vet::Span;

/// Of each client, the ends by their starts. They neither overlap nor touch.
#[derive(Debug, Default)]
pub struct Spans(BTreeMap<ClientId, BTreeMap<Clock, Clock>>);

impl Spans {
    /// Whether all of a span is in it.
    pub fn contains(&self, span: Span) -> bool {
        let Some(ends) = self.0.get(&span.client) else { return span.start >= span.end };
        let before = ends.range(..=span.start).next_back();
        span.start >= span.end || before.is_some_and(|(_, end)| *end >= span.end)
    }

    /// Puts a span in.
    pub fn insert(&mut self, span: Span) {
        if span.start >= span.end {
            return;
        }
        let ends = self.0.entry(span.client).or_default();
        let (mut start, mut end) = (span.start, span.end);
        while let Some((from, to)) = ends.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            let from = *from;
            (start, end) = (start.min(from), end.max(*to));
            ends.remove(&from);
        }
        ends.insert(start, end);
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(all: I) -> Self {
        let mut spans = Self::default();
        all.into_iter().for_each(|span| spans.insert(span));
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: Clock, end: Clock) -> Span {
        Span { client: ClientId(1), start, end }
    }

    #[test]
    fn what_was_put_in_is_in_it_however_it_overlaps() {
        let pieces = [(10, 20), (30, 40), (20, 22), (25, 31), (5, 8), (0, 50), (60, 61), (61, 61), (59, 60), (12, 13)];
        let mut spans = Spans::default();
        let mut units = [false; 70];
        for (start, end) in pieces {
            spans.insert(span(start, end));
            units[start as usize..end as usize].fill(true);
            for from in 0..70 {
                for to in from..70 {
                    let wanted = units[from..to].iter().all(|is_in| *is_in);
                    assert_eq!(spans.contains(span(from as Clock, to as Clock)), wanted, "{from} to {to}");
                }
            }
        }
        assert_eq!(spans.0[&ClientId(1)], BTreeMap::from([(0, 50), (59, 61)]));
    }
}
