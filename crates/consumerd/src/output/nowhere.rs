//! An output for packets that nobody wants: to empty buffers.

use std::os::fd::BorrowedFd;

use consumer_api::{
    ChunkEnding, ChunkSetup, RotationSetup, StreamKey, StreamSetup, TraceKey, TraceSetup,
};
use ctf::metadata_packet::MetadataPacket;

use crate::output::{Output, Result, Stored};
use crate::packet::Packet;

/// Takes everything and keeps nothing.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Output for Nowhere {
    fn open_chunk(&mut self, _chunk: &ChunkSetup) -> Result<bool> {
        Ok(false)
    }

    fn rotate(&mut self, _rotation: &RotationSetup) -> Result<Option<String>> {
        Ok(None)
    }

    fn add_trace(&mut self, _trace: &TraceSetup) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn add_stream(&mut self, _stream: &StreamSetup) -> Result<Option<Stored>> {
        Ok(None)
    }

    fn publish(&mut self, _trace: TraceKey) -> Result<()> {
        Ok(())
    }

    fn metadata(&mut self, _trace: TraceKey, _packets: &[MetadataPacket]) -> Result<()> {
        Ok(())
    }

    fn reset_metadata(&mut self, _trace: TraceKey, _version: u64) -> Result<()> {
        Ok(())
    }

    fn packet(&mut self, _stream: StreamKey, _packet: &dyn Packet) -> Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn end_trace(&mut self, _trace: TraceKey) -> Result<()> {
        Ok(())
    }

    fn close_chunk(&mut self, _closed: u64, _ending: &ChunkEnding) -> Result<Option<String>> {
        Ok(None)
    }

    fn connections(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    fn keeps_empty_packets(&self) -> bool {
        false
    }

    fn readable(&mut self) -> Result<()> {
        Ok(())
    }
}
