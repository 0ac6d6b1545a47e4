//! The address of a server, and the token to show it.

use std::path::Path;
use std::str::FromStr;

use warp::http::Uri;
use y_mesh::Token;

use super::Failure;

/// Where the token is taken from if no file is named. Not from an argument: other users of the machine see those.
const TOKEN_VARIABLE: &str = "YMESH_TOKEN";

/// An address such as http://127.0.0.1:1234, perhaps with a path that a server is mounted at.
#[derive(Clone, Debug)]
pub struct Address {
    /// As it was given, for messages.
    pub text: String,
    pub host: String,
    pub port: u16,
    /// What goes into the header `Host`.
    pub authority: String,
    /// Without a slash at its end.
    pub base: String,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| "not an address; write http://127.0.0.1:1234")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err("https isn't spoken here; make the backup on the server's machine, or through a tunnel: \
                    `ssh -L 1234:127.0.0.1:1234 HOST`, then http://127.0.0.1:1234");
            }
            _ => return Err("not an address; write http://127.0.0.1:1234"),
        }
        let authority = uri.authority().ok_or("it names no server; write http://127.0.0.1:1234")?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(
                "a token doesn't belong into an address, where others see it; give --token-file or YMESH_TOKEN",
            );
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => 80,
            // Another port than the one that is meant would be shown the token.
            _ => authority.port_u16().ok_or("its port is no number below 65536")?,
        };
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), host, port, authority: authority.to_string(), base })
    }
}

/// The token to show: from a file, or from the environment; perhaps none is needed.
pub fn token(file: Option<&Path>) -> Result<Option<Token>, Failure> {
    let Some(path) = file else {
        let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
        return Ok(token.map(Token::new));
    };
    let bad = |why: &str| Failure(format!("--token-file {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(&error.to_string()))?;
    let token = token_in(&text).ok_or_else(|| bad("no token is in it; write it alone, or a line `manage TOKEN`"))?;
    Ok(Some(Token::new(token)))
}

/// The token that stands alone on a line, or the first that may manage in a server's own file.
fn token_in(text: &str) -> Option<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).find_map(|words| match words[..] {
        [token] | ["manage", token] | ["manage", token, _] => Some(token),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |text: &str| {
            let Address { host, port, authority, base, .. } = text.parse().unwrap();
            (host, port, authority, base)
        };
        let expected =
            |host: &str, port, authority: &str, base: &str| (host.into(), port, authority.into(), base.into());
        assert_eq!(parts("http://127.0.0.1:1234"), expected("127.0.0.1", 1234, "127.0.0.1:1234", ""));
        assert_eq!(parts("http://[::1]:1234/"), expected("::1", 1234, "[::1]:1234", ""));
        assert_eq!(parts("http://intern/docs/"), expected("intern", 80, "intern", "/docs"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_do() {
        let why = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(why("https://docs.example.org").contains("tunnel"));
        assert!(why("127.0.0.1:1234").contains("http://127.0.0.1:1234"));
        assert!(why("").contains("http://127.0.0.1:1234"));
        for port in ["99999", "", "65536"] {
            assert!(why(&format!("http://127.0.0.1:{port}/")).contains("65536"), "{port}");
        }
        assert!(why("http://me:secret@127.0.0.1/").contains("--token-file"));
        assert!(why("http://127.0.0.1/?token=secret").contains("--token-file"));
    }

    #[test]
    fn a_token_stands_alone_or_may_manage() {
        assert_eq!(token_in("# ops\n 02468ace13579bdf \n"), Some("02468ace13579bdf"));
        assert_eq!(token_in("write aaaa ada\nmanage bbbb ops # me\nmanage cccc"), Some("bbbb"));
        assert_eq!(token_in("write aaaa ada\n\n"), None);
    }
}
