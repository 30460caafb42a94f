//! What a worker serves: one connection of any kind.

use std::net::TcpStream;
use std::sync::Arc;

use super::{Outcome, Scratch};
use crate::control::ControlConnection;
use crate::data::DataConnection;
use crate::pool::Holder;
use crate::relay::Relay;

#[derive(Debug)]
pub(super) enum Connection {
    Control(Box<ControlConnection>),
    Data(Box<DataConnection>),
}

impl Connection {
    pub(super) fn socket(&self) -> &Arc<TcpStream> {
        match self {
            Self::Control(connection) => connection.socket(),
            Self::Data(connection) => connection.socket(),
        }
    }

    /// Its number among those of its worker.
    pub(super) fn set_token(&mut self, token: u64) {
        if let Self::Control(connection) = self {
            connection.set_token(token);
        }
    }

    pub(super) fn serve(&mut self, relay: &Relay, scratch: &mut Scratch) -> Outcome {
        match self {
            Self::Control(connection) => connection.serve(relay, scratch),
            Self::Data(connection) => connection.serve(relay, scratch),
        }
    }

    pub(super) fn end(self, relay: &Relay) {
        let holder = match self {
            Self::Control(connection) => {
                connection.end(relay);
                Holder::Control
            }
            Self::Data(connection) => {
                connection.end(relay);
                Holder::Data
            }
        };
        relay.pool.left(holder);
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Control(connection) => connection.name(),
            Self::Data(connection) => connection.name(),
        }
    }
}
