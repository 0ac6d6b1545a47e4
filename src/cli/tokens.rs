//! Tokens from a file: enough for a team; whoever needs more embeds the node and gives it a hook.

use std::future::ready;
use std::path::Path;

use subtle::ConstantTimeEq;
use y_mesh::node::access::Answer;
use y_mesh::{Authorize, Denied, DocName, Grant, Request, Token};

use super::Failure;

/// Shorter ones can be guessed.
const TOKEN_CHARACTERS_MIN: usize = 16;

/// The tokens, and what each allows on every document.
#[derive(Debug)]
pub struct Tokens(Vec<(Token, Grant)>);

impl Tokens {
    /// Reads a file. A line is `read`, `write` or `manage`, then a token, then who has it; `#` starts a comment.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure(format!("--token-file {}: {error}", path.display())))?;
        Self::parse(&text).map_err(|why| Failure(format!("--token-file {}: {why}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens: Vec<(Token, Grant)> = Vec::new();
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
            let Some((token, grant)) = parse_line(line).map_err(|why| format!("line {number}: {why}"))? else {
                continue;
            };
            if tokens.iter().any(|(known, _)| *known == token) {
                return Err(format!("line {number}: this token stands in the file already"));
            }
            tokens.push((token, grant));
        }
        if tokens.is_empty() {
            return Err("it holds no token, so nobody could connect; add a line such as `write TOKEN WHO`".into());
        }
        Ok(Self(tokens))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Every token is compared, and each in constant time, so that answers don't tell how close a guess was.
    fn grant(&self, token: &Token) -> Option<Grant> {
        let shown = token.secret().as_bytes();
        let mut found = None;
        for (known, grant) in &self.0 {
            if bool::from(known.secret().as_bytes().ct_eq(shown)) {
                found = Some(grant.clone());
            }
        }
        found
    }
}

fn parse_line(line: &str) -> Result<Option<(Token, Grant)>, &'static str> {
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    let Some(kind) = words.next() else { return Ok(None) };
    let token = words
        .next()
        .ok_or("a token is missing; write `read TOKEN [WHO]`, `write TOKEN [WHO]` or `manage TOKEN [WHO]`")?;
    if token.chars().count() < TOKEN_CHARACTERS_MIN {
        return Err("the token has fewer than 16 characters; `openssl rand -hex 24` makes a good one");
    }
    let who = words.next().unwrap_or_default();
    let grant = match kind {
        "read" => Grant::read(who),
        "write" => Grant::write(who),
        "manage" => Grant::manage(who),
        _ => return Err("a line starts with `read`, `write` or `manage`"),
    };
    match words.next() {
        Some(_) => Err("too many words; write `read TOKEN [WHO]`, `write TOKEN [WHO]` or `manage TOKEN [WHO]`"),
        None => Ok(Some((Token::new(token), grant))),
    }
}

impl Authorize for Tokens {
    fn authorize<'a>(&'a self, request: &'a Request, _: &'a DocName) -> Answer<'a> {
        let grant = request.token.as_ref().and_then(|token| self.grant(token));
        Box::pin(ready(grant.ok_or(Denied::Unauthorized)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use y_mesh::document::Access;

    const WRITE: &str = "0123456789abcdef";
    const READ: &str = "fedcba9876543210";
    const MANAGE: &str = "02468ace13579bdf";

    #[test]
    fn a_file_grants_what_its_lines_say() {
        let tokens =
            Tokens::parse(&format!("# team\nwrite {WRITE} ada\n\nread {READ} # guests\nmanage {MANAGE} ops")).unwrap();
        assert_eq!(tokens.len(), 3);
        assert_eq!(tokens.grant(&Token::new(MANAGE)), Some(Grant::manage("ops")));
        assert_eq!(tokens.grant(&Token::new(WRITE)), Some(Grant::write("ada")));
        assert_eq!(tokens.grant(&Token::new(READ)).map(|grant| grant.access), Some(Access::Read));
        assert_eq!(tokens.grant(&Token::new("0123456789abcdeX")), None);
        assert_eq!(tokens.grant(&Token::new("")), None);
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line() {
        let why = |text: &str| Tokens::parse(text).unwrap_err();
        assert!(why("write short").starts_with("line 1: the token has fewer"));
        assert!(why(&format!("\nwrit {WRITE}")).starts_with("line 2: a line starts with"));
        assert!(why(&format!("write {WRITE}\nread {WRITE}")).starts_with("line 2: this token"));
        assert!(why("# nothing").contains("no token"));
    }
}
