//! A relay daemon that is far away: every byte takes its time, in both directions.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Relay;

/// The way to a [`Relay`]. It leads on until the end of the process.
#[derive(Debug)]
pub struct FarRelay {
    ports: [u16; 2],
    round_trips: Arc<AtomicUsize>,
}

impl FarRelay {
    /// A way that takes `delay` in each direction.
    pub fn new(relay: &Relay, delay: Duration) -> Result<Self> {
        let [control, data, _] = relay.ports();
        let round_trips = Arc::new(AtomicUsize::new(0));
        let control = listen(control, delay, Arc::clone(&round_trips))?;
        let data = listen(data, delay, Arc::default())?;
        Ok(Self {
            ports: [control, data],
            round_trips,
        })
    }

    /// `net://` URL for `--set-url`.
    pub fn url(&self) -> String {
        let [control, data] = self.ports;
        format!("net://127.0.0.1:{control}:{data}")
    }

    /// How often somebody has sent something on a control connection after something had come back.
    pub fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::SeqCst)
    }
}

/// Leads from a port, which it gives, to another one.
fn listen(to: u16, delay: Duration, round_trips: Arc<AtomicUsize>) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen for the far relay")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
                continue;
            };
            let answered = Arc::new(AtomicBool::new(true));
            let (round_trips, asked) = (Arc::clone(&round_trips), Arc::clone(&answered));
            lead(near, far, delay, move || {
                if asked.swap(false, Ordering::SeqCst) {
                    round_trips.fetch_add(1, Ordering::SeqCst);
                }
            });
            lead(far_too, near_too, delay, move || {
                answered.store(true, Ordering::SeqCst);
            });
        }
    });
    Ok(port)
}

/// Leads what comes from one socket to another, later. `came` is called for each piece when it comes.
fn lead(from: TcpStream, to: TcpStream, delay: Duration, came: impl Fn() + Send + 'static) {
    let (sender, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = (&from).read(&mut bytes) {
            came();
            let piece = bytes[..len].to_vec();
            if sender.send((Instant::now() + delay, piece)).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if (&to).write_all(&piece).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
