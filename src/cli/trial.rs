//! Whether an empty document takes an update, found out in a process of its own: yrs may end it, or never come to an end.

use std::io::{self, Read, Write};
use std::panic::catch_unwind;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use y_mesh::document::{Access, Document, Effect, Event, Kind, Now, Reason, Refused, STACK_BYTES, Stored};
use y_mesh::wire::sync;
use y_mesh::{ClientId, Config, Identity, SessionId};

use super::Failure;
use super::lines::put;

/// A trial that takes longer will never end.
const TRIAL_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether it's over.
const LOOK: Duration = Duration::from_millis(5);

/// What becomes of an update in an empty document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// It's taken.
    Taken,
    /// It stands on something that isn't there, so it's taken by documents that have it.
    Missing,
    /// It isn't taken, ever.
    Refused {
        /// The number of the rule.
        rule: String,
        /// Why.
        reason: String,
        /// The byte at which that is.
        #[serde(default)]
        offset: Option<usize>,
    },
    /// yrs fails over it, so a server refuses it once that has happened.
    Deadly {
        /// How.
        how: String,
    },
}

impl Verdict {
    /// Whether an empty document takes all of it.
    pub fn is_taken(&self) -> bool {
        *self == Self::Taken
    }

    /// Says it to a client's developer.
    pub fn tell(&self, out: &mut String) {
        match self {
            Self::Taken => put(out, format_args!("  taken     an empty document takes it")),
            Self::Missing => {
                put(out, format_args!("  missing   it stands on what an empty document doesn't have (rule H2)"));
                put(
                    out,
                    format_args!(
                        "            a server asks for that; Y.encodeStateAsUpdate(ydoc) brings all of it at once"
                    ),
                );
            }
            // The reason says where, if that's known.
            Self::Refused { rule, reason, offset: _ } => {
                put(out, format_args!("  refused   {reason} (rule {rule})"));
                put(out, format_args!("            {}", advice(rule)));
            }
            Self::Deadly { how } => {
                put(out, format_args!("  deadly    yrs fails over it: {how}"));
                put(
                    out,
                    format_args!("            a server refuses it once that has happened (rule W6); please report it"),
                );
            }
        }
    }
}

/// What a client's developer can do about it.
fn advice(rule: &str) -> &'static str {
    match rule {
        "W4" => {
            "Yjs doesn't write this: it was cut off or changed on its way, or is of format v2 (encodeStateAsUpdateV2)"
        }
        "W5" => "a server doesn't bear it: it costs too much, or what it holds can't be held by all clients alike",
        "H1" => "its parts can't stand where they say; no client of Yjs makes that",
        "H3" => "two replicas have made different work under one client id: never copy a Y.Doc with its clientID",
        _ => "docs/protocol.md says what the rule is for",
    }
}

/// Tries an update in a process of its own.
pub fn tried(update: &Bytes) -> Result<Verdict, Failure> {
    let this =
        std::env::current_exe().map_err(|error| Failure(format!("where this program is isn't known: {error}")))?;
    let mut command = Command::new(this);
    command.args(["check", "--trial", "-"]);
    judged(command, update.clone(), TRIAL_MAX).map_err(|error| Failure(format!("it can't be tried: {error}")))
}

/// Gives a process the update, and waits for what it says; not longer than `max`.
fn judged(mut command: Command, update: Bytes, max: Duration) -> io::Result<Verdict> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    // A process that is gone can't be written to; its end says enough.
    let writing = thread::spawn(move || drop(input.map(|mut input| input.write_all(&update))));
    let reading = thread::spawn(move || {
        let mut text = String::new();
        output.map(|mut output| output.read_to_string(&mut text));
        text
    });
    let until = Instant::now() + max;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() >= until => break None,
            None => thread::sleep(LOOK),
        }
    };
    let Some(status) = status else {
        child.kill()?;
        child.wait()?;
        return Ok(Verdict::Deadly { how: format!("it wasn't done with it after {} s", max.as_secs()) });
    };
    let _ = writing.join();
    let said = reading.join().unwrap_or_default();
    match serde_json::from_str(&said) {
        Ok(verdict) if status.success() => Ok(verdict),
        _ => Ok(Verdict::Deadly { how: format!("it ended the process ({status})") }),
    }
}

/// The process of its own: reads the update, and says what became of it.
pub fn run() -> Result<ExitCode, Failure> {
    let mut update = Vec::new();
    io::stdin().read_to_end(&mut update).map_err(|error| Failure(error.to_string()))?;
    let update = Bytes::from(update);
    let judging = move || {
        let panics = Verdict::Deadly { how: "it panics".into() };
        catch_unwind(|| verdict(&update)).unwrap_or(panics)
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(judging);
    let verdict = thread.map_err(|error| Failure(error.to_string()))?.join();
    let verdict = verdict.map_err(|_| Failure("the trial panicked".into()))?;
    println!("{}", serde_json::to_string(&verdict).map_err(|error| Failure(error.to_string()))?);
    Ok(ExitCode::SUCCESS)
}

/// What an empty document makes of it; and whether what it keeps can be loaded again.
fn verdict(update: &Bytes) -> Verdict {
    let open =
        |stored: &Stored| Document::open(stored, own_client(update), Arc::new(Config::default()), Now::default());
    let broken = |why: String| Verdict::Deadly { how: why };
    let mut document = match open(&Stored::default()) {
        Ok(document) => document,
        Err(error) => return broken(error.to_string()),
    };
    let (session, mut effects) = (SessionId(1), Vec::new());
    let kind = Kind::Client { access: Access::Write, identity: Identity::anonymous() };
    let message = sync::update(update);
    for event in [Event::Joined { session, kind }, Event::Received { session, message }, Event::TurnEnded] {
        document.handle(Now::default(), event, &mut effects);
    }
    let mut stored = Stored { exists: true, ..Stored::default() };
    let mut verdict = Verdict::Taken;
    for effect in effects {
        match effect {
            Effect::Append { seq, record } => stored.tail.push((seq, record)),
            Effect::Refused { reason: Reason::Missing, .. } => verdict = Verdict::Missing,
            Effect::Refused { reason: Reason::Update(Refused::Broken(why)), .. } => return broken(why),
            Effect::Refused { reason, .. } => verdict = refused(&reason),
            _ => {}
        }
    }
    match open(&stored) {
        Ok(again) if again.state_vector() == document.state_vector() => verdict,
        Ok(_) => broken("what it keeps of it is something else when it's loaded again".into()),
        Err(error) => broken(format!("what it keeps of it can't be loaded again: {error}")),
    }
}

fn refused(reason: &Reason) -> Verdict {
    let text = match reason {
        Reason::Update(refused) => refused.to_string(),
        other => other.label().to_owned(),
    };
    Verdict::Refused { rule: reason.rule().into(), reason: text, offset: None }
}

/// An id for the document's own edits that the update doesn't use.
fn own_client(update: &[u8]) -> ClientId {
    let bounds = y_mesh::wire::vet::Bounds::of(&Config::default().limits);
    let spans = y_mesh::wire::vet::outline(update, &bounds).map(|outline| outline.spans).unwrap_or_default();
    let is_taken = |client: &u64| spans.iter().any(|span| span.client.0 == *client);
    ClientId((1..).find(|client| !is_taken(client)).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[cfg(unix)]
    fn judge(script: &str) -> Verdict {
        judged(shell(script), Bytes::from_static(b"update"), Duration::from_secs(1)).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn how_a_trial_ends_is_its_verdict() {
        assert_eq!(judge(r#"cat >/dev/null; echo '{"verdict":"taken"}'"#), Verdict::Taken);
        assert!(matches!(judge("kill -9 $$"), Verdict::Deadly { how } if how.contains("ended the process")));
        assert!(matches!(judge("cat >/dev/null"), Verdict::Deadly { .. }), "it said nothing");
        assert!(matches!(judge("exec sleep 60"), Verdict::Deadly { how } if how.contains("wasn't done")));
    }

    #[test]
    fn an_id_of_its_own_is_no_ones() {
        let update = [2, 1, 1, 0, 0, 1, 1, 2, 0, 0, 1, 0];
        assert_eq!(own_client(&update), ClientId(3));
    }
}
