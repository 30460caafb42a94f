//! While a session traces it is sent to something that is no relay daemon: the command fails with the reason, and
//! the session goes on as it was.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use anyhow::{Context, Result, ensure};
use control::blocking::Client;
use control::{SocketPath, v1};
use system_tests::Toolchain::Ours;
use system_tests::{Target, Trace, here, isolated};

/// `RELAYD_VERSION`'s reply of a relay daemon that nobody has written yet.
const PROTOCOL_3: &[u8] = &[0, 0, 0, 3, 0, 0, 0, 0];

/// `LTTNG_ERR_RELAYD_CONNECT_FAIL`.
const UNREACHABLE: u32 = 104;
/// `LTTNG_ERR_RELAYD_VERSION_FAIL`.
const VERSION: u32 = 105;

/// What a peer does with a connection.
#[derive(Clone, Copy)]
enum Peer {
    /// Closes it.
    Closes,
    /// Answers whatever comes with these bytes.
    Says(&'static [u8]),
    /// Keeps it open.
    Silent,
}

impl Peer {
    /// Its port. The thread ends with the test's process.
    fn listen(self) -> Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                match self {
                    Peer::Closes => {}
                    Peer::Silent => kept.push(stream),
                    Peer::Says(bytes) => {
                        thread::spawn(move || {
                            let mut request = [0; 64];
                            while stream.read(&mut request).is_ok_and(|got| got > 0) {
                                let _ = stream.write_all(bytes);
                            }
                        });
                    }
                }
            }
        });
        Ok(port)
    }
}

fn client(target: &Target) -> Result<Client> {
    let socket = target.run_directory().join(control::CONTROL_SOCKET);
    Ok(Client::connect(&SocketPath::exactly(socket))?)
}

fn network(client: &mut Client) -> Result<v1::NetworkAttributes> {
    let answer = client.get_session(v1::GetSessionRequest { name: "s".into() })?;
    let session = answer.session.context("no session")?;
    session.network.context("no network attributes")
}

#[test]
fn what_is_no_relay_daemon_changes_nothing() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let local = w.path("traces/s");
        target.script(&format!(
            "create s --output {}
             enable-channel -u --blocking-timeout=inf c
             enable-event -u -c c emitter:*
             start",
            local.display()
        ))?;
        let mut client = client(&target)?;
        let before = network(&mut client)?;
        let mut app = w
            .app("--threads 1 --events 1000 --quiet")
            .blocking()
            .start()?;
        app.round()?;
        let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let places = [
            ("127.0.0.1", 1, UNREACHABLE, "refused"),
            ("no.such.host.invalid", 5342, UNREACHABLE, "resolve"),
            ("127.0.0.1", Peer::Closes.listen()?, UNREACHABLE, "closed"),
            ("127.0.0.1", Peer::Says(http).listen()?, VERSION, "protocol"),
            (
                "127.0.0.1",
                Peer::Says(PROTOCOL_3).listen()?,
                VERSION,
                "protocol 3.0",
            ),
            (
                "127.0.0.1",
                Peer::Silent.listen()?,
                UNREACHABLE,
                "did not answer",
            ),
        ];
        let data_port = Peer::Silent.listen()?;
        for (address, port, code, reason) in places {
            let request = v1::SetNetworkRequest {
                session: "s".into(),
                enabled: Some(true),
                address: Some(address.into()),
                control_port: Some(port.into()),
                data_port: Some(data_port.into()),
                ..Default::default()
            };
            let refused = client.set_network(request).err();
            let refused = refused.with_context(|| format!("{address}:{port} is accepted"))?;
            ensure!(refused.code().0 == code, "{address}:{port}: {refused}");
            let told = refused.to_string();
            ensure!(
                told.contains(reason) && told.contains(address),
                "`{told}` does not say `{reason}`, or where"
            );
            ensure!(network(&mut client)? == before, "{address}:{port} is kept");
        }
        app.round()?;
        app.finish()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&local)?;
        trace.assert_clean()?;
        ensure!(trace.events.len() == 2000, "{}", trace.events.len());
        Ok(())
    });
}
