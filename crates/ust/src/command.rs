//! Commands to an application, gathered into batches.
//!
//! Several commands may be sent before the first answer is read, as long as their handles are known:
//! the application executes and answers them in order. A batch is one run of bytes with marks where
//! descriptors travel: liblttng-ust takes descriptors only from a read of exactly one byte, so each
//! group is attached to a byte of its own.

use crate::text::fixed;

/// Names an object inside the application; chosen by the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u32);

impl Handle {
    /// The object that exists from the beginning.
    pub const ROOT: Self = Self(0);
}

/// Length of a command in bytes.
const COMMAND_BYTES: usize = 612;
/// Where the argument begins.
const ARGUMENT: usize = 40;
/// Longest name of an event in bytes, without the NUL.
pub const MAX_EVENT_NAME: usize = 255;

/// Command numbers.
pub mod id {
    #![allow(missing_docs, reason = "named as in the ABI")]
    pub const RELEASE: u32 = 0x01;
    pub const SESSION: u32 = 0x40;
    pub const TRACER_VERSION: u32 = 0x41;
    pub const TRACEPOINT_LIST: u32 = 0x42;
    pub const WAIT_QUIESCENT: u32 = 0x43;
    pub const REGISTER_DONE: u32 = 0x44;
    pub const TRACEPOINT_FIELD_LIST: u32 = 0x45;
    pub const CHANNEL: u32 = 0x51;
    pub const SESSION_STATEDUMP: u32 = 0x54;
    pub const STREAM: u32 = 0x60;
    pub const EVENT: u32 = 0x61;
    pub const CONTEXT: u32 = 0x70;
    pub const ENABLE: u32 = 0x80;
    pub const DISABLE: u32 = 0x81;
    pub const TRACEPOINT_LIST_GET: u32 = 0x90;
    pub const TRACEPOINT_FIELD_LIST_GET: u32 = 0x91;
    pub const FILTER: u32 = 0xA0;
    pub const EXCLUSION: u32 = 0xA1;
}

/// Which tracepoints an enabler matches by level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogLevels {
    /// All.
    Any,
    /// This one and all that are more severe (smaller).
    AtLeast(i32),
    /// Only this one.
    Exactly(i32),
}

/// A context field of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// One that has only a number (`vtid` is 0, …).
    Plain(u32),
    /// A counter of perf for each thread.
    PerfCounter {
        /// `perf_event_attr.type`.
        kind: u32,
        /// `perf_event_attr.config`.
        config: u64,
        /// Name of the field, a C identifier.
        name: String,
    },
    /// A field that the application provides.
    Application {
        /// Without `$app.`.
        provider: String,
        /// The part after the colon.
        name: String,
    },
}

/// A command cannot be encoded: a name is too long or has a NUL inside.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the name `{0}` is longer than {MAX_EVENT_NAME} bytes or has a NUL inside")]
pub struct NameError(pub String);

/// Commands that are sent together. `F` is the caller's kind of descriptor.
#[derive(Debug)]
pub struct Batch<F> {
    bytes: Vec<u8>,
    fd_groups: Vec<FdGroup<F>>,
    expected: Vec<Expected>,
}

/// Descriptors and the byte that carries them.
#[derive(Debug)]
pub struct FdGroup<F> {
    /// Index of the byte; it must travel in a message of its own.
    pub at: usize,
    /// In the order the application expects.
    pub fds: Vec<F>,
}

/// The answer that a command will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Copied by the application.
    pub handle: Handle,
    /// Copied by the application.
    pub command: u32,
}

impl<F> Default for Batch<F> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            fd_groups: Vec::new(),
            expected: Vec::new(),
        }
    }
}

impl<F> Batch<F> {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to send, in order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that carry descriptors, ascending.
    pub fn fd_groups(&self) -> &[FdGroup<F>] {
        &self.fd_groups
    }

    /// The answers to read, in order.
    pub fn expected(&self) -> &[Expected] {
        &self.expected
    }

    /// A command without argument: see [`id`].
    pub fn plain(&mut self, handle: Handle, command: u32) -> &mut Self {
        self.command(handle, command, |_| {});
        self
    }

    /// Creates a channel in a session from its ring buffer description; `wakeup` is the write end of
    /// a pipe that is never written.
    pub fn channel(&mut self, session: Handle, blob: &[u8], wakeup: F) -> &mut Self {
        self.command(session, id::CHANNEL, |argument| {
            argument[..8].copy_from_slice(&(blob.len() as u64).to_ne_bytes());
        });
        self.bytes.extend_from_slice(blob);
        self.attach(vec![wakeup]);
        self
    }

    /// Adds the ring buffer of the next CPU to a channel.
    pub fn stream(
        &mut self,
        channel: Handle,
        cpu: u32,
        size: u64,
        memory: F,
        wakeup: F,
    ) -> &mut Self {
        self.command(channel, id::STREAM, |argument| {
            argument[..8].copy_from_slice(&size.to_ne_bytes());
            argument[8..12].copy_from_slice(&cpu.to_ne_bytes());
        });
        self.attach(vec![memory, wakeup]);
        self
    }

    /// Creates an enabler in a channel; `name` is a name or a star-glob.
    pub fn event(
        &mut self,
        channel: Handle,
        name: &str,
        levels: LogLevels,
    ) -> Result<&mut Self, NameError> {
        let name = event_name(name)?;
        let (kind, level) = match levels {
            LogLevels::Any => (0_i32, -1_i32),
            LogLevels::AtLeast(level) => (1, level),
            LogLevels::Exactly(level) => (2, level),
        };
        self.command(channel, id::EVENT, |argument| {
            argument[4..260].copy_from_slice(&name);
            argument[260..264].copy_from_slice(&kind.to_ne_bytes());
            argument[264..268].copy_from_slice(&level.to_ne_bytes());
        });
        Ok(self)
    }

    /// Gives an enabler a filter: code, then relocations from `reloc_offset`.
    pub fn filter(&mut self, enabler: Handle, bytecode: &[u8], reloc_offset: u32) -> &mut Self {
        self.command(enabler, id::FILTER, |argument| {
            argument[..4].copy_from_slice(&(bytecode.len() as u32).to_ne_bytes());
            argument[4..8].copy_from_slice(&reloc_offset.to_ne_bytes());
        });
        self.bytes.extend_from_slice(bytecode);
        self
    }

    /// Gives an enabler the names that it does not match. With no name nothing is sent: the
    /// application would not answer.
    pub fn exclusions(
        &mut self,
        enabler: Handle,
        names: &[String],
    ) -> Result<&mut Self, NameError> {
        if names.is_empty() {
            return Ok(self);
        }
        let names: Vec<_> = names
            .iter()
            .map(|name| event_name(name))
            .collect::<Result<_, _>>()?;
        self.command(enabler, id::EXCLUSION, |argument| {
            argument[..4].copy_from_slice(&(names.len() as u32).to_ne_bytes());
        });
        for name in names {
            self.bytes.extend_from_slice(&name);
        }
        Ok(self)
    }

    /// Adds a context field to a channel that was never enabled.
    pub fn context(&mut self, channel: Handle, context: &Context) -> Result<&mut Self, NameError> {
        match context {
            Context::Plain(number) => {
                self.command(channel, id::CONTEXT, |argument| {
                    argument[..4].copy_from_slice(&number.to_ne_bytes());
                });
            }
            Context::PerfCounter { kind, config, name } => {
                let name = event_name(name)?;
                self.command(channel, id::CONTEXT, |argument| {
                    argument[..4].copy_from_slice(&5_u32.to_ne_bytes());
                    argument[20..24].copy_from_slice(&kind.to_ne_bytes());
                    argument[24..32].copy_from_slice(&config.to_ne_bytes());
                    argument[32..288].copy_from_slice(&name);
                });
            }
            Context::Application { provider, name } => {
                let whole = format!("{provider}:{name}");
                // The application composes `$app.PROVIDER:NAME` in 256 bytes.
                if whole.len() + "$app.".len() > MAX_EVENT_NAME || whole.contains('\0') {
                    return Err(NameError(whole));
                }
                self.command(channel, id::CONTEXT, |argument| {
                    argument[..4].copy_from_slice(&7_u32.to_ne_bytes());
                    argument[20..24].copy_from_slice(&(provider.len() as u32 + 1).to_ne_bytes());
                    argument[24..28].copy_from_slice(&(name.len() as u32 + 1).to_ne_bytes());
                });
                for text in [provider, name] {
                    self.bytes.extend_from_slice(text.as_bytes());
                    self.bytes.push(0);
                }
            }
        }
        Ok(self)
    }

    fn command(&mut self, handle: Handle, command: u32, fill: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + COMMAND_BYTES, 0);
        let message = &mut self.bytes[start..];
        message[..4].copy_from_slice(&handle.0.to_ne_bytes());
        message[4..8].copy_from_slice(&command.to_ne_bytes());
        fill(&mut message[ARGUMENT..]);
        self.expected.push(Expected { handle, command });
    }

    fn attach(&mut self, fds: Vec<F>) {
        self.fd_groups.push(FdGroup {
            at: self.bytes.len(),
            fds,
        });
        self.bytes.push(0);
    }
}

fn event_name(name: &str) -> Result<[u8; MAX_EVENT_NAME + 1], NameError> {
    fixed(name).ok_or_else(|| NameError(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_command_and_one_byte_with_two_descriptors() {
        let mut batch = Batch::new();
        batch.stream(Handle(4), 1, 86400, 'm', 'w');
        assert_eq!(batch.bytes().len(), 613);
        assert_eq!(batch.bytes()[..8], [4, 0, 0, 0, 0x60, 0, 0, 0]);
        assert_eq!(
            batch.bytes()[40..52],
            [0x80, 0x51, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(
            (batch.fd_groups()[0].at, &batch.fd_groups()[0].fds),
            (612, &vec!['m', 'w'])
        );
    }

    #[test]
    fn commands_follow_each_other() {
        let mut batch = Batch::<()>::new();
        batch
            .event(Handle(4), "a:*", LogLevels::AtLeast(6))
            .unwrap();
        batch
            .filter(Handle(5), &[1, 2, 3], 2)
            .plain(Handle(5), id::ENABLE);
        assert_eq!(batch.bytes().len(), 3 * 612 + 3);
        assert_eq!(batch.bytes()[44..48], *b"a:*\0");
        assert_eq!(batch.bytes()[300..308], [1, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(
            batch.expected()[2],
            Expected {
                handle: Handle(5),
                command: id::ENABLE
            }
        );
    }

    #[test]
    fn no_exclusion_sends_nothing() {
        let mut batch = Batch::<()>::new();
        batch.exclusions(Handle(5), &[]).unwrap();
        assert!(batch.bytes().is_empty());
    }

    #[test]
    fn long_names_are_refused() {
        let mut batch = Batch::<()>::new();
        assert!(
            batch
                .event(Handle(4), &"x".repeat(256), LogLevels::Any)
                .is_err()
        );
        assert!(
            batch
                .event(Handle(4), &"x".repeat(255), LogLevels::Any)
                .is_ok()
        );
    }
}
