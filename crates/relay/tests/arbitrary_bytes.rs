//! Whatever a peer sends, nothing panics, and what is understood means the same when it is sent on.

use proptest::collection::vec;
use proptest::prelude::*;
use relay::server::{Answer, ControlPeer, DataPeer, DataPiece, Step, refused_session};
use relay::{
    CONTROL_HEADER_LEN, Command, MAJOR, Minor, RelaySessionId, Reply, ReplyKind, Request,
    ReturnCode,
};

fn message(command: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&command.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

fn version(minor: u32) -> Vec<u8> {
    Request::Version {
        major: MAJOR,
        minor: Minor(minor),
    }
    .encode(Minor::NEWEST)
    .unwrap()
}

/// Zeros are common, so that lengths and flags are often plausible.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![3 => Just(0_u8), 1 => 1..40_u8, 1 => any::<u8>()],
        0..400,
    )
}

/// Feeds a peer in pieces; every request is answered in some way. Returns how much was answered.
fn converse(bytes: &[u8], cut: usize, in_session: bool) -> usize {
    let mut peer = ControlPeer::new(true);
    for piece in bytes.chunks(cut.max(1)) {
        peer.on_bytes(piece);
        loop {
            let minor = peer.minor();
            let answer = match peer.step() {
                Step::NeedMore => break,
                Step::Handled => continue,
                Step::Request(Request::CreateSession(_)) if in_session => {
                    let session = RelaySessionId(1);
                    Answer::Reply(Reply::Session {
                        session,
                        code: ReturnCode::OK,
                        output_path: None,
                    })
                }
                Step::Request(Request::CreateSession(_)) => Answer::Reply(refused_session(minor)),
                Step::Request(Request::SendMetadata { .. }) => Answer::Nothing,
                Step::Request(_) => Answer::Reply(Reply::Code(ReturnCode::OK)),
            };
            peer.answer(&answer);
        }
    }
    assert!(peer.buffered() <= bytes.len());
    peer.output().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn control_bytes(bytes in vec(any::<u8>(), 0..2000), cut in 1..300_usize) {
        converse(&bytes, cut, true);
    }

    #[test]
    fn control_messages(
        minor in 0..17_u32,
        messages in vec((0..24_u32, payload()), 0..20),
        cut in 1..300_usize,
        in_session: bool,
    ) {
        let mut bytes = version(minor);
        for (command, payload) in &messages {
            bytes.extend(message(*command, payload));
        }
        // The answers do not depend on how TCP cuts the messages.
        let whole = converse(&bytes, bytes.len(), in_session);
        prop_assert_eq!(converse(&bytes, cut, in_session), whole);
    }

}

proptest! {
    #[test]
    fn requests_mean_the_same_when_sent_on(
        command in 0..24_u32,
        minor in (0..17_u32).prop_map(Minor),
        payload in payload(),
    ) {
        let Ok(request) = Request::decode(Command(command), minor, &payload) else { return Ok(()) };
        let Ok(encoded) = request.encode(minor) else { return Ok(()) };
        let again = Request::decode(Command(command), minor, &encoded[CONTROL_HEADER_LEN..]);
        prop_assert_eq!(again, Ok(request));
    }

    #[test]
    fn replies(command in 0..24_u32, minor in 0..17_u32, bytes in payload()) {
        let Some(kind) = ReplyKind::of(Command(command), Minor(minor)) else { return Ok(()) };
        if let Ok(Some((reply, len))) = kind.parse(&bytes) {
            prop_assert!(len <= bytes.len());
            let mut encoded = Vec::new();
            reply.encode_into(&mut encoded);
            let again = kind.parse(&encoded);
            prop_assert_eq!(again, Ok(Some((reply, encoded.len()))));
        }
    }

    #[test]
    fn data_bytes(bytes in payload(), cut in 1..100_usize) {
        let mut peer = DataPeer::default();
        for mut piece in bytes.chunks(cut) {
            while !piece.is_empty() {
                let (used, what) = peer.next_piece(piece);
                prop_assert!(used > 0 && used <= piece.len());
                if let Some(DataPiece::Payload { len, .. }) = what {
                    prop_assert_eq!(len, used);
                }
                piece = &piece[used..];
            }
        }
    }
}
