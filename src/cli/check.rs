//! `y-mesh check`: what is in an update, and whether a document takes it; for whoever wonders why one was refused.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use y_mesh::config::Limits;
use y_mesh::store::faults::quarantine::Quarantined;
use y_mesh::wire::Refusal;
use y_mesh::wire::sync::{Frame, Frames};
use y_mesh::wire::vet::{Bounds, Outline, Span, outline};

use super::Failure;
use super::lines::put;
use super::progress::{counted, size};
use super::trial::{Verdict, tried};

/// Examples for its help.
pub const EXAMPLES: &str = "\
Why was an update refused? Write it to a file in the client, and ask:
  fs.writeFileSync('update.bin', update)
  y-mesh check update.bin

What is in the quarantine?
  y-mesh check data/db/quarantine/0123456789abcdef0123456789abcdef.message

Exit codes: 0 an empty document takes all of it, 3 it doesn't, 1 the file can't be read.";

/// Spans that are named each; of more, how many there are.
const SPANS_SHOWN: usize = 20;

/// Its arguments.
#[derive(Args)]
pub struct Check {
    /// A Yjs update of format v1, or a file of the quarantine.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Try an update from the standard input in this very process, which may not outlive it.
    #[arg(long, hide = true)]
    trial: bool,
}

/// All that is to be said of a file.
#[derive(Serialize)]
struct Report {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<Found>,
    updates: Vec<Checked>,
}

/// What a file of the quarantine says of itself.
#[derive(Serialize)]
struct Found {
    document: String,
    identity: String,
    /// Milliseconds since 1970.
    at: u64,
    why: String,
}

/// One update.
#[derive(Serialize)]
struct Checked {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Contents>,
    verdict: Verdict,
}

/// What an update brings and needs.
#[derive(Serialize)]
struct Contents {
    brings: Vec<Clocks>,
    deletes: Vec<Clocks>,
    needs: Vec<Need>,
    structs: u64,
    types: u64,
}

/// Consecutive clocks of one client; `end` is one more than the last.
#[derive(Serialize)]
struct Clocks {
    client: u64,
    start: u32,
    end: u32,
}

/// All of a client's work below a clock.
#[derive(Serialize)]
struct Need {
    client: u64,
    below: u32,
}

impl Check {
    /// Explains the file; nothing that is in it can harm this process.
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.trial {
            return super::trial::run();
        }
        let bytes = fs::read(&self.file).map_err(|error| Failure(format!("{}: {error}", self.file.display())))?;
        let report = self.report(bytes.into())?;
        let text = match self.json {
            true => serde_json::to_string_pretty(&report).map_err(|error| Failure(error.to_string()))?,
            false => report.text(),
        };
        // Whoever has read enough may stop.
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
        let is_taken = !report.updates.is_empty() && report.updates.iter().all(|update| update.verdict.is_taken());
        Ok(if is_taken { ExitCode::SUCCESS } else { ExitCode::from(3) })
    }

    fn report(&self, bytes: Bytes) -> Result<Report, Failure> {
        let length = bytes.len();
        if !Quarantined::is_begun_by(&bytes) {
            return Ok(Report { bytes: length, quarantine: None, updates: vec![checked(&bytes)?] });
        }
        let damaged = || Failure(format!("{}: the file is damaged, or of another version", self.file.display()));
        let file = Quarantined::decode(&bytes).ok_or_else(damaged)?;
        let message = file.message.unwrap_or_default();
        let updates = Frames::of(&message).filter_map(|frame| match frame {
            Ok(Frame::SyncStep2(update) | Frame::Update(update)) => Some(message.slice_ref(update)),
            _ => None,
        });
        let updates = updates.map(|update| checked(&update)).collect::<Result<_, _>>()?;
        let (document, identity) = (file.document.into(), file.identity.0.as_ref().to_owned());
        let found = Found { document, identity, at: file.at.0, why: file.why };
        Ok(Report { bytes: length, quarantine: Some(found), updates })
    }
}

fn checked(update: &Bytes) -> Result<Checked, Failure> {
    let (content, verdict) = match outline(update, &Bounds::of(&Limits::default())) {
        Ok(outline) => (Some(Contents::of(&outline)), tried(update)?),
        Err(refusal) => (None, refused(refusal)),
    };
    Ok(Checked { bytes: update.len(), content, verdict })
}

fn refused(refusal: Refusal) -> Verdict {
    let (rule, at) = match refusal {
        Refusal::Malformed(malformed) => ("W4", malformed.at),
        Refusal::Refused { at, .. } => ("W5", at),
    };
    Verdict::Refused { rule: rule.into(), reason: refusal.to_string(), offset: Some(at) }
}

impl Contents {
    fn of(outline: &Outline) -> Self {
        let clocks = |span: &Span| Clocks { client: span.client.0, start: span.start, end: span.end };
        let needs = outline.needs.iter().map(|(client, below)| Need { client: client.0, below: *below });
        Self {
            brings: outline.spans.iter().map(clocks).collect(),
            deletes: outline.deletes.iter().map(clocks).collect(),
            needs: needs.collect(),
            structs: outline.sections.iter().map(|section| section.structs).sum(),
            types: outline.types,
        }
    }

    fn tell(&self, out: &mut String) {
        put(
            out,
            format_args!("  structs   {}, {}", counted(self.structs, "struct"), counted(self.types, "shared type")),
        );
        tell_clocks(out, "brings", &self.brings);
        tell_clocks(out, "deletes", &self.deletes);
        let needs = self.needs.iter().map(|need| format!("client {}: all below clock {}", need.client, need.below));
        tell_list(out, "needs", needs, self.needs.len());
    }
}

fn tell_clocks(out: &mut String, what: &str, clocks: &[Clocks]) {
    let text = |clocks: &Clocks| {
        let Clocks { client, start, end } = clocks;
        format!("client {client}: clocks {start} to {}", end.saturating_sub(1).max(*start))
    };
    tell_list(out, what, clocks.iter().map(text), clocks.len());
}

fn tell_list(out: &mut String, what: &str, lines: impl Iterator<Item = String>, count: usize) {
    for (number, line) in lines.take(SPANS_SHOWN).enumerate() {
        put(out, format_args!("  {:<9} {line}", if number == 0 { what } else { "" }));
    }
    if count > SPANS_SHOWN {
        put(out, format_args!("  {:<9} and {} more", "", count - SPANS_SHOWN));
    }
}

impl Report {
    fn text(&self) -> String {
        let mut out = String::new();
        self.tell(&mut out);
        out
    }

    fn tell(&self, out: &mut String) {
        match &self.quarantine {
            Some(found) => found.tell(out),
            None => put(out, format_args!("a file of {}", size(self.bytes as u64))),
        }
        if self.updates.is_empty() {
            put(out, format_args!("there's no update in it"));
        }
        for update in &self.updates {
            put(out, format_args!("an update of {}", size(update.bytes as u64)));
            if let Some(content) = &update.content {
                content.tell(out);
            }
            update.verdict.tell(out);
        }
    }
}

impl Found {
    fn tell(&self, out: &mut String) {
        let Self { document, identity, at, why } = self;
        // Others chose them: a terminal mustn't obey them.
        let (document, identity) = (document.escape_debug(), identity.escape_debug().to_string());
        put(out, format_args!("from the quarantine: {why}"));
        put(out, format_args!("  document  {document}"));
        put(out, format_args!("  sender    {}", if identity.is_empty() { "nobody said" } else { &identity }));
        put(out, format_args!("  came      {at} ms after 1970"));
    }
}
