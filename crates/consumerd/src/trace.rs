//! One trace: streams that share a metadata text.

use consumer_api::{Counters, StreamKey, TraceSetup};

use crate::counters::{Totals, add};
use crate::metadata::MetadataSource;
use crate::output::{Output, OutputError};

/// A trace and what it needs.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) setup: TraceSetup,
    metadata: MetadataSource,
    pub(crate) streams: Vec<StreamKey>,
    /// Packets may go out: the output knows the metadata stream.
    pub(crate) published: bool,
    counters: Counters,
}

impl Trace {
    pub(crate) fn new(setup: TraceSetup, metadata: MetadataSource) -> Self {
        Self {
            setup,
            metadata,
            streams: Vec::new(),
            published: false,
            counters: Counters::default(),
        }
    }

    /// Delivers the metadata text that came since the last time.
    pub(crate) fn deliver_metadata(
        &mut self,
        output: &mut dyn Output,
        totals: &Totals,
    ) -> Result<(), OutputError> {
        let packets = self.metadata.take().map_err(|error| {
            let error = anyhow::Error::from(error).context("cannot read the metadata");
            OutputError::Broken(error)
        })?;
        for packet in packets {
            output.metadata(self.setup.trace, &packet)?;
            let bytes = (packet.bytes.len() + packet.padding) as u64;
            totals.add_metadata(bytes);
            self.counters.bytes += bytes;
        }
        Ok(())
    }

    /// Counts what was delivered of its streams.
    pub(crate) fn count(&mut self, more: &Counters) {
        add(&mut self.counters, more);
    }

    /// Totals of the trace.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }
}
