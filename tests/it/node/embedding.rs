//! The node inside somebody's program.

use std::time::Duration;

use y_mesh::document::CloseCode;
use y_mesh::yrs::{GetString, ReadTxn, Text, WriteTxn};
use y_mesh::{Config, Denied, Error, Grant, Identity, Node, Request, StartError, Token};

use super::{PATIENCE, Visitor, name};
use crate::support::content::TEXT;

#[tokio::test]
async fn the_program_and_a_client_edit_the_same_document() {
    let node = Node::builder().start().unwrap();
    let document = name("shared");
    let mut visitor = Visitor::join(&node, &document, 1).await;
    visitor.write("client ").await;
    visitor.saved().await;
    let handle = node.document(&document);
    handle.edit(Identity::from("program"), |txn| txn.get_or_insert_text(TEXT).push(txn, "program")).await.unwrap();
    visitor.until(|visitor| visitor.client.text() == "client program").await;
    let text = handle.read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert_eq!(text, "client program");
}

#[tokio::test]
async fn s6_the_hook_is_asked_again_on_demand() {
    let (allow, allowed) = tokio::sync::watch::channel(Some(Grant::read("ada")));
    let node = Node::builder()
        .authorize(move |request: Request, _| {
            let grant = allowed.borrow().clone();
            async move {
                assert_eq!(request.token.as_ref().map(Token::secret), Some("ada's token"));
                grant.ok_or(Denied::Forbidden)
            }
        })
        .start()
        .unwrap();
    let document = name("guarded");
    let request = Request { token: Some(Token::new("ada's token")), ..Request::default() };
    let mut client = crate::support::client::Client::new(1);
    let seat = node.document(&document).join(request).await.unwrap();
    for message in client.open() {
        seat.send(message).await.unwrap();
    }
    let mut visitor = Visitor::seated(client, seat);
    visitor.synced().await;
    visitor.write("early").await;
    visitor.until(|visitor| visitor.settled.1 == 1).await;

    allow.send_replace(Some(Grant::write("ada")));
    node.reauthorize().await;
    let handle = node.document(&document);
    visitor.until(|visitor| visitor.settled == (2, 1)).await;
    let text = handle.read(|txn| txn.get_text(TEXT).unwrap().get_string(txn)).await.unwrap();
    assert_eq!(text, "early", "what was refused comes as soon as it's allowed");

    allow.send_replace(None);
    node.reauthorize().await;
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Forbidden)).await;
    let refused = handle.join(Request { token: Some(Token::new("ada's token")), ..Request::default() }).await;
    assert!(matches!(refused, Err(Error::Denied(Denied::Forbidden))), "{refused:?}");
}

#[tokio::test]
async fn s6_who_sits_down_with_a_right_from_before_a_round_of_questions_is_asked_about_again() {
    let (allow, allowed) = tokio::sync::watch::channel(true);
    let (asked, mut was_asked) = tokio::sync::watch::channel(0);
    let (go, went) = tokio::sync::watch::channel(false);
    let node = Node::builder()
        .authorize(move |_: Request, _| {
            let answer = *allowed.borrow();
            asked.send_modify(|asked| *asked += 1);
            let mut went = went.clone();
            async move {
                // The answer is on its way back from somewhere.
                went.wait_for(|went| *went).await.unwrap();
                if answer { Ok(Grant::write("ali")) } else { Err(Denied::Forbidden) }
            }
        })
        .start()
        .unwrap();
    let joining = tokio::spawn({
        let node = node.clone();
        async move { node.document(&name("a")).join(Request::default()).await }
    });
    was_asked.wait_for(|asked| *asked == 1).await.unwrap();
    allow.send_replace(false);
    node.reauthorize().await;
    go.send_replace(true);
    let seat = joining.await.unwrap().unwrap();
    let client = crate::support::client::Client::new(1);
    let mut visitor = Visitor::seated(client, seat);
    visitor.until(|visitor| visitor.closed == Some(CloseCode::Forbidden)).await;
    assert!(visitor.seat.send(bytes::Bytes::from_static(&[3])).await.is_err(), "the session is over");
}

#[tokio::test]
async fn a_seat_keeps_its_node() {
    let node = Node::builder().start().unwrap();
    let mut visitor = Visitor::join(&node, &name("a"), 1).await;
    drop(node);
    visitor.write("still here").await;
    visitor.saved().await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_does_not_answer_lets_nobody_in_for_now() {
    let node = Node::builder().authorize(|_: Request, _| std::future::pending()).start().unwrap();
    let refused = node.document(&name("guarded")).join(Request::default()).await;
    assert!(matches!(refused, Err(Error::Denied(Denied::Unavailable))), "{refused:?}");
}

#[tokio::test]
async fn documents_are_created_once_and_listed_in_order() {
    let node = Node::builder().start().unwrap();
    for text in ["b", "a/2", "a/1"] {
        node.create(Some(name(text))).await.unwrap();
    }
    assert!(matches!(node.create(Some(name("b"))).await, Err(Error::Exists(_))));
    let names = |listed: Vec<y_mesh::Listed>| listed.into_iter().map(|l| l.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(node.documents(None, 2).await.unwrap()), ["a/1", "a/2"]);
    assert_eq!(names(node.documents(Some(name("a/2")), 10).await.unwrap()), ["b"]);
    let drawn = node.create(None).await.unwrap();
    assert_ne!(drawn, node.create(None).await.unwrap());
    assert_eq!(node.documents(None, 10).await.unwrap().len(), 5);
}

#[tokio::test]
async fn shutting_down_closes_sessions_keeps_everything_and_ends() {
    let node = Node::builder().start().unwrap();
    let mut visitor = Visitor::join(&node, &name("last"), 1).await;
    visitor.write("words").await;
    let (late, ()) =
        tokio::join!(node.shutdown(PATIENCE), visitor.until(|visitor| visitor.closed == Some(CloseCode::Restarting)),);
    assert!(late.is_empty());
    assert!(!node.is_ready());
    let refused = node.document(&name("last")).join(Request::default()).await;
    assert!(matches!(refused, Err(Error::Stopping)), "{refused:?}");
}

#[test]
fn a_node_may_be_dropped_inside_and_outside_of_a_runtime() {
    let outside = Node::builder().start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let inside = Node::builder().start().unwrap();
        let _visitor = Visitor::join(&inside, &name("dropped"), 1).await;
        let _other = Visitor::join(&outside, &name("dropped"), 1).await;
    });
    drop(outside);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let mut config = Config::default();
    config.timing.quiet_max = Duration::from_secs(60);
    let refused = Node::builder().config(config).start();
    assert!(matches!(refused, Err(StartError::Config(_))));
}
