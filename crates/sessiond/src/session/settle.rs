//! After a consumer daemon was killed: which of its packets has the relay daemon?
//!
//! A consumer daemon frees a packet's place in the buffer after it has sent packet and index. When it is
//! killed between the two, its successor would send the packet again. The session daemon still has the
//! sockets, and the consumer daemon has left what it was about to send, and after how many bytes. What TCP says it
//! has written tells whether all of the packet is on its way. Then it arrives: the session daemon sends the index,
//! if that was not sent, and asks until the relay daemon has both.
//!
//! Both connections stay open meanwhile: with their end, stock closes the streams, and throws away what it has not
//! read. Therefore the session daemon asks for the packets that are not in doubt as well: they were counted when
//! they were on their way.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use consumer_api::StreamKey;
use relay::client::Client;
use relay::{
    DATA_HEADER_LEN, MAJOR, Minor, PacketIndex, Pending, Reply, Request, ReturnCode, StreamHandle,
};
use ring_buffer::UnderWay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::app::SharedFd;

/// How long the relay daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take in all, if it answers: the network may be slow, and so may its disk.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// Pauses between questions: the protocol has no message for "now".
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of replies that may be left: those to some indexes and some other requests.
const MAX_OLD_REPLIES: usize = 64 << 10;

/// Why the relay daemon cannot be asked.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A packet, as the relay daemon knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The stream, on the relay daemon.
    pub(super) handle: u64,
    /// Number of the packet in the order of sending.
    pub(super) net_seq_num: u64,
}

/// A packet in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The stream, on this side.
    pub(super) stream: StreamKey,
    /// Where it would be.
    pub(super) sent: Sent,
    /// The packet.
    pub(super) packet: UnderWay,
}

impl Doubt {
    /// All of it was written, if that is how much was written in all.
    fn is_sent(&self, written: u64) -> bool {
        let content = self.packet.content_size / 8;
        let end = self.packet.written_before.saturating_add(content);
        end.saturating_add(DATA_HEADER_LEN as u64) <= written
    }

    fn index(&self) -> PacketIndex {
        let packet = &self.packet;
        PacketIndex {
            stream: self.sent.handle,
            net_seq_num: self.sent.net_seq_num,
            packet_size_bits: packet.packet_size,
            content_size_bits: packet.content_size,
            timestamp_begin: packet.timestamp_begin,
            timestamp_end: packet.timestamp_end,
            events_discarded: packet.events_discarded,
            stream_class_id: packet.stream_id,
            stream_instance_id: packet.stream_instance_id,
            packet_seq_num: packet.number,
        }
    }
}

/// What came of the questions.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// The packets that the relay daemon has, by stream.
    pub(super) stored: HashMap<StreamKey, u64>,
    /// Why it cannot be told of the others, if so.
    pub(super) problem: Option<String>,
}

impl Settled {
    /// Nobody could be asked.
    pub(super) fn nothing(problem: String) -> Self {
        Self {
            stored: HashMap::new(),
            problem: Some(problem),
        }
    }
}

/// Asks which packets of `doubts` the relay daemon has, after `written` bytes of data, and waits until it has
/// those of `counted`.
pub(super) async fn settle(
    control: &OwnedFd,
    minor: Minor,
    doubts: &[Doubt],
    counted: &[Sent],
    written: u64,
) -> Settled {
    let mut settled = Settled::default();
    let sent: Vec<_> = doubts
        .iter()
        .filter(|doubt| doubt.is_sent(written))
        .collect();
    if sent.is_empty() && counted.is_empty() {
        return settled;
    }
    let asking = ask_all(control, minor, &sent, counted, &mut settled.stored);
    settled.problem = match timeout(LONG_PATIENCE, asking).await {
        Ok(result) => result.err().map(|error| error.to_string()),
        Err(_) => Some(format!(
            "the relay daemon has not read all after {} s",
            LONG_PATIENCE.as_secs()
        )),
    };
    settled
}

async fn ask_all(
    control: &OwnedFd,
    minor: Minor,
    doubts: &[&Doubt],
    counted: &[Sent],
    stored: &mut HashMap<StreamKey, u64>,
) -> Result<(), Trouble> {
    let mut control = stream(control)?;
    let mut client = Client::with_minor(minor);
    skip_old_replies(&mut control, minor).await?;
    for doubt in doubts {
        let index = minor.has_indexes().then(|| doubt.index());
        wait_for(&mut control, &mut client, doubt.sent, index).await?;
        stored.insert(doubt.stream, doubt.packet.number);
    }
    for &sent in counted {
        wait_for(&mut control, &mut client, sent, None).await?;
    }
    Ok(())
}

/// Waits until the relay daemon has a packet and its index, which is sent if it lacks something and one is given.
async fn wait_for(
    control: &mut tokio::net::TcpStream,
    client: &mut Client,
    sent: Sent,
    mut index: Option<PacketIndex>,
) -> Result<(), Trouble> {
    let mut pause = FIRST_PAUSE;
    while pending(control, client, sent).await? {
        if let Some(index) = index.take() {
            send_index(control, client, index).await?;
            continue;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// Reads the replies that the consumer daemon has not read: some look like those that are to come. The one to this
/// request looks like no other; the request itself changes nothing.
async fn skip_old_replies(
    control: &mut tokio::net::TcpStream,
    minor: Minor,
) -> Result<(), Trouble> {
    let mut client = Client::with_minor(minor);
    client.request(&Request::Version {
        major: MAJOR,
        minor,
    })?;
    in_time(control.write_all(&client.take_output())).await?;
    let mut last = [0; 8];
    let mut read = 0;
    while read < MAX_OLD_REPLIES {
        last.rotate_left(1);
        last[7] = in_time(control.read_u8()).await?;
        read += 1;
        if read >= last.len() && is_version(last, minor) {
            return Ok(());
        }
    }
    Err("the relay daemon does not come to an end of its replies".into())
}

/// Major and minor of a relay daemon with which this minor was agreed upon.
fn is_version(bytes: [u8; 8], agreed: Minor) -> bool {
    let word = |half: &[u8]| {
        half.iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte))
    };
    let (major, minor) = (word(&bytes[..4]), word(&bytes[4..]));
    major == MAJOR && (agreed.0..256).contains(&minor)
}

/// The answer to a data pending question.
async fn pending(
    control: &mut tokio::net::TcpStream,
    client: &mut Client,
    sent: Sent,
) -> Result<bool, Trouble> {
    client.request(&Request::DataPending {
        stream: StreamHandle(sent.handle),
        last_net_seq_num: sent.net_seq_num,
    })?;
    match ask(control, client).await? {
        Reply::Pending(Pending::No) => Ok(false),
        Reply::Pending(Pending::Yes) => Ok(true),
        // The relay daemon does not know the stream any more. It forgets one when the consumer daemon has closed it
        // and all packets until its end have come. (A stock one then hangs up.)
        Reply::Pending(Pending::Failed(code)) if code == ReturnCode::MINUS_ONE.0 => Ok(false),
        other => Err(format!("the relay daemon answers {other:?}").into()),
    }
}

/// Sends the index of a packet. That it is not taken means that it was there already.
async fn send_index(
    control: &mut tokio::net::TcpStream,
    client: &mut Client,
    index: PacketIndex,
) -> Result<(), Trouble> {
    client.request(&Request::SendIndex(index))?;
    ask(control, client).await.map(|_| ())
}

/// What the relay daemon does at once, unless it is stuck.
async fn in_time<T>(work: impl Future<Output = std::io::Result<T>>) -> Result<T, Trouble> {
    match timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("the relay daemon does not answer".into()),
    }
}

/// Sends what the client has to say, and reads one reply of four bytes.
async fn ask(control: &mut tokio::net::TcpStream, client: &mut Client) -> Result<Reply, Trouble> {
    let mut answer = [0; 4];
    let asking = async {
        control.write_all(&client.take_output()).await?;
        control.read_exact(&mut answer).await
    };
    in_time(asking).await?;
    client.on_bytes(&answer);
    let reply = client.next_reply()?;
    reply.ok_or_else(|| "the relay daemon's answer is too short".into())
}

/// A stream of our own on the socket; the socket was in blocking mode for the consumer daemon, which is gone.
fn stream(socket: &OwnedFd) -> std::io::Result<tokio::net::TcpStream> {
    let stream = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

/// Ends both connections for all who have them.
pub(super) fn hang_up(sockets: &[SharedFd]) {
    for socket in sockets {
        if let Ok(socket) = socket.try_clone() {
            // It may have ended already.
            let _ = TcpStream::from(socket).shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(handle: u64) -> Sent {
        Sent {
            handle,
            net_seq_num: 0,
        }
    }

    /// A relay daemon that says `replies` about `doubts` packets and `counted` others, and hangs up.
    async fn settle_with(doubts: u64, counted: u64, replies: &'static [u8]) -> Settled {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let relay = tokio::spawn(async move {
            let (mut control, _) = listener.accept().await.unwrap();
            control.write_all(replies).await.unwrap();
            control.shutdown().await.unwrap();
            let _ = control.read_to_end(&mut Vec::new()).await;
        });
        let control = OwnedFd::from(TcpStream::connect(address).unwrap());
        let doubts: Vec<_> = (1..=doubts)
            .map(|number| Doubt {
                stream: StreamKey(number),
                sent: sent(number),
                packet: UnderWay {
                    number: 10 + number,
                    ..UnderWay::default()
                },
            })
            .collect();
        let counted: Vec<_> = (1..=counted).map(sent).collect();
        let settled = settle(&control, Minor(13), &doubts, &counted, u64::MAX).await;
        drop(control);
        relay.await.unwrap();
        settled
    }

    #[tokio::test]
    async fn a_stream_that_is_closed_has_all_its_packets() {
        // Version; nothing pending; pending, the index is taken, nothing pending; no such stream.
        let settled = settle_with(
            4,
            0,
            &[
                0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 255, 255,
                255, 255,
            ],
        )
        .await;
        let mut stored: Vec<_> = settled.stored.into_iter().collect();
        stored.sort_unstable();
        // What was told stays known when the relay daemon hangs up.
        let known = [1, 2, 3].map(|number| (StreamKey(number), 10 + number));
        assert_eq!(stored, known);
        assert!(settled.problem.is_some());
    }

    #[tokio::test]
    async fn packets_that_were_counted_are_waited_for() {
        // Version; nothing pending; pending twice, and then no more.
        const REPLIES: &[u8] = &[
            0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0,
        ];
        let settled = settle_with(0, 2, REPLIES).await;
        assert!(settled.stored.is_empty());
        assert_eq!(settled.problem, None);
        let settled = settle_with(0, 3, REPLIES).await;
        assert!(settled.problem.is_some(), "the third was never told of");
    }

    #[tokio::test]
    async fn an_answer_that_makes_no_sense_settles_nothing() {
        let settled = settle_with(1, 0, &[0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0, 77]).await;
        assert!(settled.stored.is_empty());
        assert!(settled.problem.unwrap().contains("77"));
    }

    #[test]
    fn no_other_reply_looks_like_a_version() {
        let version = [0, 0, 0, 2, 0, 0, 0, 13];
        // To an index, a data pending question, a chunk that exists, a stream, a chunk that was closed.
        let replies: [&[u8]; 6] = [
            &[0, 0, 0, 10],
            &[0, 0, 0, 0],
            &[0, 0, 0, 1],
            &[0, 0, 0, 10, 1],
            &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 10],
            b"\0\0\0\x0a\0\0\0\x04a/b\0",
        ];
        for first in replies {
            for second in replies {
                let bytes = [first, second, &version].concat();
                let windows = bytes.windows(8).map(|window| window.try_into().unwrap());
                let found: Vec<_> = windows
                    .map(|window| is_version(window, Minor(11)))
                    .collect();
                let at = found.iter().position(|&found| found);
                assert_eq!(at, Some(bytes.len() - 8), "{bytes:?}");
            }
        }
    }
}
