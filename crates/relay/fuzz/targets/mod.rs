//! What each target does with its bytes. Compiled into the fuzzers, and into a test that runs them for a
//! bounded time with any compiler.

#![allow(dead_code, reason = "each fuzzer uses one of them")]

mod model;
mod viewing;

use relay::live::{ViewerPeer, ViewerStep};
use relay::server::{Answer, ControlPeer, DataPeer, DataPiece, Step, refused_session};
use relay::{Reply, Request, ReturnCode};

/// A control connection, whatever comes in; the first byte says how TCP cuts it.
pub(crate) fn control(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let whole = converse(bytes, bytes.len());
    let cut = converse(bytes, usize::from(*first));
    assert_eq!(whole, cut, "the answers depend on how TCP cuts");
}

/// All that is said, and whether the connection is closed.
fn converse(bytes: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let mut peer = ControlPeer::new(true);
    for piece in bytes.chunks(cut.max(1)) {
        peer.on_bytes(piece);
        loop {
            let minor = peer.minor();
            let answer = match peer.step() {
                Step::NeedMore => break,
                Step::Handled => continue,
                Step::Request(request) => answer(minor, &request),
            };
            peer.answer(&answer);
        }
        assert!(peer.buffered() <= bytes.len());
    }
    (peer.output().clone(), peer.closing().is_some())
}

fn answer(minor: relay::Minor, request: &Request<'_>) -> Answer {
    match request {
        Request::CreateSession(session) if session.hostname.is_empty() => {
            Answer::Reply(refused_session(minor))
        }
        Request::CreateSession(_) => Answer::Reply(Reply::Session {
            session: relay::RelaySessionId(1),
            code: ReturnCode::OK,
            output_path: minor.has_trace_chunks().then(|| "host/session".to_owned()),
        }),
        Request::SendMetadata { .. } => Answer::Nothing,
        _ => Answer::Reply(Reply::Code(ReturnCode::OK)),
    }
}

/// A data connection: headers and payloads are found the same way however TCP cuts them.
pub(crate) fn data(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let whole = pieces(bytes, bytes.len());
    assert_eq!(pieces(bytes, usize::from(*first)), whole);
}

/// Headers, bytes of payload, complete packets.
fn pieces(bytes: &[u8], cut: usize) -> (Vec<relay::DataPacket>, usize, usize) {
    let mut peer = DataPeer::default();
    let (mut headers, mut payload, mut complete) = (Vec::new(), 0, 0);
    for mut piece in bytes.chunks(cut.max(1)) {
        while !piece.is_empty() {
            let (used, what) = peer.next_piece(piece);
            assert!(used > 0 && used <= piece.len());
            match what {
                Some(DataPiece::Header(header)) => headers.push(header),
                Some(DataPiece::Payload { len, complete: end }) => {
                    assert_eq!(len, used);
                    payload += len;
                    complete += usize::from(end);
                }
                None => {}
            }
            piece = &piece[used..];
        }
    }
    (headers, payload, complete)
}

/// A viewer's connection: the requests do not depend on how TCP cuts them.
pub(crate) fn live(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    assert_eq!(
        viewer_steps(bytes, usize::from(*first)),
        viewer_steps(bytes, bytes.len())
    );
}

fn viewer_steps(mut bytes: &[u8], cut: usize) -> Vec<ViewerStep> {
    let mut peer = ViewerPeer::default();
    let mut steps = Vec::new();
    while !bytes.is_empty() {
        let len = cut.max(1).min(peer.room()).min(bytes.len());
        if len == 0 {
            // It is closing, and takes no more.
            break;
        }
        let (piece, rest) = bytes.split_at(len);
        peer.on_bytes(piece);
        bytes = rest;
        loop {
            match peer.next_request(1) {
                ViewerStep::NeedMore => break,
                step => steps.push(step),
            }
        }
    }
    steps
}

/// A whole session: control messages (as many bytes as the first two say) and then packets, carried out as
/// a relay daemon would, on files that exist in the mind only. No path ever leaves the output directory.
pub(crate) fn session(input: &[u8]) {
    let Some((len, bytes)) = input.split_first_chunk() else {
        return;
    };
    let control_len = usize::from(u16::from_be_bytes(*len)).min(bytes.len());
    let (control, data) = bytes.split_at(control_len);
    let mut session = model::Session::default();
    session.on_control(control);
    session.on_data(data);
    session.on_control(control);
    session.end();
}

/// A viewer's connection with what it watches: events of two bytes and what follows them.
pub(crate) fn viewer(input: &[u8]) {
    let mut viewing = viewing::Viewing::default();
    let mut rest = input;
    while let Some(([what, amount], after)) = rest.split_first_chunk() {
        let said = match what % 16 {
            8 => &after[..usize::from(*amount).min(after.len())],
            _ => &[],
        };
        viewing.on_event(*what, *amount, said);
        rest = &after[said.len()..];
    }
}
