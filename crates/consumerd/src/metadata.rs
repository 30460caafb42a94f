//! The metadata text of a trace, which the session daemon appends to a memfd.

use std::io;
use std::os::fd::OwnedFd;

use ctf::metadata_packet::{MetadataPacket, Packetizer};
use ctf::{ByteOrder, Uuid};

/// Longest metadata text of one trace, in bytes. A session daemon that writes more is broken.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// Reads the text that has not been delivered yet.
#[derive(Debug)]
pub(crate) struct MetadataSource {
    text: OwnedFd,
    delivered: u64,
    packetizer: Packetizer,
}

impl MetadataSource {
    /// Of the trace with this uuid, of which `delivered` bytes of text are where they belong already.
    pub(crate) fn new(text: OwnedFd, uuid: [u8; 16], delivered: u64) -> Self {
        Self {
            text,
            delivered,
            packetizer: Packetizer::new(Uuid(uuid), ByteOrder::NATIVE),
        }
    }

    /// The text that was delivered before this source was made.
    pub(crate) fn earlier_text(&self) -> io::Result<Vec<u8>> {
        self.read(0, self.delivered)
    }

    /// The packets that carry this text.
    pub(crate) fn packets<'t>(
        &self,
        text: &'t [u8],
    ) -> impl Iterator<Item = MetadataPacket> + use<'t> {
        self.packetizer.packets(text)
    }

    /// The new text, nothing if there is none: one `fstat` then.
    ///
    /// Every call gives what came since the last one; the caller must deliver it.
    pub(crate) fn take(&mut self) -> io::Result<Vec<u8>> {
        let size = rustix::fs::fstat(&self.text)?.st_size as u64;
        if size > MAX_TEXT_BYTES {
            return Err(io::Error::other(format!(
                "metadata of {size} bytes is more than {MAX_TEXT_BYTES}"
            )));
        }
        if size <= self.delivered {
            return Ok(Vec::new());
        }
        let text = self.read(self.delivered, size)?;
        self.delivered += text.len() as u64;
        Ok(text)
    }

    /// Begins again: everything is to be delivered once more.
    pub(crate) fn rewind(&mut self) {
        self.delivered = 0;
    }

    fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut text = vec![0; (to - from) as usize];
        let mut got = 0;
        while got < text.len() {
            match rustix::io::pread(&self.text, &mut text[got..], from + got as u64) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        text.truncate(got);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn text_comes_once_and_in_order() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let memfd = rustix::fs::memfd_create("metadata", flags).unwrap();
        let mut file = std::fs::File::from(memfd.try_clone().unwrap());
        let mut source = MetadataSource::new(memfd, [7; 16], 0);
        assert!(source.take().unwrap().is_empty());
        let mut stored = Vec::new();
        let texts = ["/* CTF 1.8 */\n", "trace {};\n", &"x".repeat(10_000)];
        for text in texts {
            file.write_all(text.as_bytes()).unwrap();
            let new = source.take().unwrap();
            for packet in source.packets(&new) {
                stored.extend_from_slice(&packet.bytes);
                stored.resize(stored.len() + packet.padding, 0);
            }
            assert!(source.take().unwrap().is_empty());
        }
        let text = ctf::metadata_packet::text_of(&stored).unwrap();
        assert_eq!(text, texts.concat());
    }
}
