//! `/api/documents`.

use y_mesh::{Denied, DocName, Durability, Grant, Request};

use futures_util::SinkExt;

use super::{Answer, Server, close_code, goodbye};
use crate::support::watched::Watched;

pub async fn post(server: &Server, headers: &str, body: &str) -> Answer {
    let (address, length) = (server.address, body.len());
    let head = format!(
        "POST /api/documents HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    server.ask(&format!("{head}{body}")).await
}

pub const JSON: &str = "content-type: application/json; charset=utf-8\r\n";

fn names(answer: &Answer) -> Vec<String> {
    let documents = answer.json()["documents"].as_array().unwrap().clone();
    documents.iter().map(|document| document["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn documents_are_created_once_and_listed() {
    let server = Server::start().await;
    let created = post(&server, JSON, r#"{"name":"team/über uns"}"#).await;
    assert_eq!((created.status, created.header("location")), (201, "/d/team/%C3%BCber%20uns"));
    assert_eq!(created.json()["name"], "team/über uns");
    assert_eq!(post(&server, JSON, r#"{"name":"team/über uns"}"#).await.status, 409);
    let mut open = server.visit("/ws/open?acks=1", 1).await;
    open.write("x").await;
    open.saved(2).await;
    let listed = server.get("/api/documents").await;
    assert_eq!(names(&listed), ["open", "team/über uns"]);
    let json = listed.json();
    assert_eq!((&json["documents"][0]["open"], &json["documents"][1]["open"]), (&true.into(), &false.into()));
    assert_eq!(json["documents"][1]["sessions"], 0);
    assert_eq!(json["documents"][0]["sessions"], 1);
    assert!(json["next"].is_null());
    assert_eq!((listed.header("content-type"), listed.header("cache-control")), ("application/json", "no-store"));
}

#[tokio::test]
async fn d7_a_document_is_created_with_what_its_acknowledgements_mean() {
    let store = Watched::kept().with_durability(Durability::Local);
    let server = Server::with(|_| {}, |node| node.store(store), |door| door).await;
    assert_eq!(server.get("/readyz").await.json()["durability"], "local");
    for (name, body, word, number) in [
        ("fast", r#"{"name":"fast","durability":"memory"}"#, "memory", 0),
        ("safe", r#"{"name":"safe","durability":"local"}"#, "local", 1),
        ("plain", r#"{"name":"plain"}"#, "local", 1),
    ] {
        let created = post(&server, JSON, body).await;
        assert_eq!((created.status, &created.json()["durability"]), (201, &word.into()), "{name}");
        let mut ada = server.visit(&format!("/ws/{name}?acks=1"), 1).await;
        ada.write("x").await;
        ada.saved(2).await;
        assert_eq!(ada.durability, Some(number), "{name}");
    }
    assert_eq!(post(&server, JSON, r#"{"durability":"forever"}"#).await.status, 400);
    let forgetful = Server::start().await;
    let created = post(&forgetful, JSON, r#"{"name":"safe","durability":"local"}"#).await;
    assert_eq!(created.json()["durability"], "memory", "no more than the store can give");
}

#[tokio::test]
async fn a_name_is_drawn_for_who_gives_none() {
    let server = Server::start().await;
    let (first, second) = (post(&server, JSON, "{}").await, post(&server, JSON, r#"{"name":null}"#).await);
    assert_eq!((first.status, second.status), (201, 201));
    let name: DocName = first.json()["name"].as_str().unwrap().parse().unwrap();
    assert_eq!(first.header("location"), format!("/d/{name}"));
    assert_ne!(first.json()["name"], second.json()["name"]);
}

#[tokio::test]
async fn a_listing_comes_in_pages() {
    let server = Server::start().await;
    for name in ["a", "b", "c/d", "e"] {
        server.node.create(Some(name.parse().unwrap())).await.unwrap();
    }
    let first = server.get("/api/documents?limit=3").await;
    assert_eq!((names(&first), &first.json()["next"]), (vec!["a".into(), "b".into(), "c/d".into()], &"c/d".into()));
    let second = server.get("/api/documents?limit=3&after=c%2Fd").await;
    assert_eq!((names(&second), second.json()["next"].is_null()), (vec!["e".into()], true));
}

#[tokio::test]
async fn what_is_wrong_is_told_as_a_problem() {
    let server = Server::start().await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(70 << 10));
    let cases = [
        (JSON, "{", 400, "EOF"),
        (JSON, "", 400, "EOF"),
        (JSON, "[]", 400, "invalid"),
        (JSON, r#"{"name":""}"#, 400, "empty"),
        (JSON, r#"{"name":"a\u0000"}"#, 400, "control"),
        (JSON, r#"{"name":7}"#, 400, "string"),
        ("", "{}", 415, "application/json"),
        ("content-type: text/plain\r\n", "{}", 415, "application/json"),
        (JSON, &large, 413, "65536"),
    ];
    for (headers, body, status, detail) in cases {
        let answer = post(&server, headers, body).await;
        assert_eq!(answer.status, status, "{body:.40}");
        assert!(answer.problem().contains(detail), "{answer:?}");
    }
    for (path, status) in [
        ("/api/documents?limit=many", 400),
        ("/api/documents?after=", 400),
        ("/api/nothing", 404),
        ("/nothing", 404),
        ("/d", 404),
        ("/healthz/more", 404),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.problem().is_empty());
    }
    for (path, allowed) in [("/api/documents", "GET, HEAD, POST"), ("/", "GET, HEAD"), ("/metrics", "GET, HEAD")] {
        let request = format!("DELETE {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = server.ask(&request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allowed));
        answer.problem();
    }
    assert!(server.node.documents(None, 10).await.unwrap().is_empty());
}

/// Who may write what its name says, read `public/…`, and know of nothing else.
async fn by_name(request: Request, document: DocName) -> Result<Grant, Denied> {
    let Some(token) = &request.token else { return Err(Denied::Unauthorized) };
    match document.as_str() {
        name if name.starts_with(token.secret()) => Ok(Grant::write(token.secret())),
        name if name.starts_with("public/") => Ok(Grant::read(token.secret())),
        _ => Err(Denied::Forbidden),
    }
}

async fn shared_by_many() -> Server {
    let server = Server::with(|_| {}, |node| node.authorize(by_name), |door| door).await;
    for name in ["ada/1", "ada/2", "bob/1", "bob/2", "bob/3", "public/1", "zoe/1", "zoe/2"] {
        server.node.create(Some(name.parse().unwrap())).await.unwrap();
    }
    server
}

#[tokio::test]
async fn a_listing_shows_what_may_be_read_and_names_nothing_else() {
    let server = shared_by_many().await;
    let mut seen = Vec::new();
    let mut path = "/api/documents?token=bob&limit=2".to_owned();
    loop {
        let page = server.get(&path).await;
        assert_eq!(page.status, 200);
        assert!(!page.text().contains("ada") && !page.text().contains("zoe"), "{}", page.text());
        seen.extend(names(&page));
        let json = page.json();
        let Some(next) = json["next"].as_str() else { break };
        path = format!("/api/documents?token=bob&limit=2&after={}", next.replace('/', "%2F"));
    }
    assert_eq!(seen, ["bob/1", "bob/2", "bob/3", "public/1"]);
}

#[tokio::test]
async fn who_is_unknown_is_told_so_whether_there_are_documents_or_not() {
    let server = shared_by_many().await;
    let answer = server.get("/api/documents").await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
    answer.problem();
    let empty = Server::with(|_| {}, |node| node.authorize(by_name), |door| door).await;
    assert_eq!(empty.get("/api/documents").await.status, 401);
    assert_eq!(names(&empty.get("/api/documents?token=bob").await), [""; 0]);
}

#[tokio::test]
async fn only_who_may_write_a_document_creates_it() {
    let server = shared_by_many().await;
    let bearer = format!("{JSON}authorization: Bearer bob\r\n");
    assert_eq!(post(&server, &bearer, r#"{"name":"bob/new"}"#).await.status, 201);
    assert_eq!(post(&server, &bearer, r#"{"name":"public/new"}"#).await.status, 403);
    assert_eq!(post(&server, &bearer, r#"{"name":"ada/new"}"#).await.status, 403);
    assert_eq!(post(&server, JSON, r#"{"name":"bob/newer"}"#).await.status, 401);
    // Whether a document exists isn't told to who may not know.
    assert_eq!(post(&server, &bearer, r#"{"name":"ada/1"}"#).await.status, 403);
}

#[tokio::test]
async fn a_page_of_another_origin_gets_nothing_from_the_api() {
    let server = Server::start().await;
    let foreign = "origin: https://example.org\r\n";
    assert_eq!(post(&server, &format!("{JSON}{foreign}"), "{}").await.status, 403);
    let own = format!("{JSON}origin: http://{}\r\n", server.address);
    assert_eq!(post(&server, &own, "{}").await.status, 201);
}

async fn delete(server: &Server, path: &str, headers: &str) -> Answer {
    let host = server.address;
    server.ask(&format!("DELETE {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n")).await
}

#[tokio::test]
async fn i1_who_deletes_a_document_sends_its_sessions_away_and_it_stays_gone() {
    let boss = |_: Request, _: DocName| async { Ok(Grant::manage("boss")) };
    let server = Server::with(|_| {}, |node| node.authorize(boss), |door| door).await;
    let mut ada = server.visit("/ws/team/notes?acks=1", 1).await;
    ada.write("secret").await;
    ada.saved(2).await;
    let deleted = delete(&server, "/api/documents/team/notes", "").await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(close_code(&mut ada.socket).await, 4404);
    assert_eq!(names(&server.get("/api/documents").await), [""; 0]);
    assert_eq!(delete(&server, "/api/documents/team%2Fnotes", "").await.status, 404);

    // The same client comes back with all that it still holds.
    let mut again = server.connect("/ws/team/notes").await;
    for message in ada.client.open() {
        again.send(message.into()).await.unwrap();
    }
    let (messages, code) = goodbye(&mut again).await;
    assert_eq!((messages.len(), code), (0, 4404));
    server.visit("/ws/team/notes", 2).await.reads("").await;
    assert_eq!(names(&server.get("/api/documents").await), [""; 0]);
}

#[tokio::test]
async fn i1_only_who_may_manage_a_document_deletes_it() {
    let hook = |request: Request, document: DocName| async move {
        let token = request.token.ok_or(Denied::Unauthorized)?;
        match token.secret() {
            "boss" if document.as_str().starts_with("team/") => Ok(Grant::manage("boss")),
            _ => Ok(Grant::write("ada")),
        }
    };
    let server = Server::with(|_| {}, |node| node.authorize(hook), |door| door).await;
    for name in ["team/1", "other"] {
        server.node.create(Some(name.parse().unwrap())).await.unwrap();
    }
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let foreign = format!("{}origin: https://example.org\r\n", bearer("boss"));
    for (path, headers, status) in [
        ("team/1", String::new(), 401),
        ("team/1", bearer("ada"), 403),
        ("other", bearer("boss"), 403),
        ("nobody's", bearer("ada"), 403),
        ("team/none", bearer("boss"), 404),
        ("", bearer("boss"), 400),
        ("team/%", bearer("boss"), 400),
        ("team/1", foreign, 403),
    ] {
        let answer = delete(&server, &format!("/api/documents/{path}"), &headers).await;
        assert_eq!(answer.status, status, "{path} {headers}");
        answer.problem();
    }
    assert_eq!(server.node.documents(None, 9).await.unwrap().len(), 2);
    assert_eq!(delete(&server, "/api/documents/team/1", &bearer("boss")).await.status, 204);
    assert_eq!(server.get("/api/documents/other").await.status, 405);
}
