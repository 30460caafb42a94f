//! What the metadata tells about the traced kernel, and the class of its trace.

use ctf::metadata::{Alignments, Clock, EnvValue, TraceClass};
use ctf::types::ByteOrder;
use ctf::units::Uuid;

/// The environment block of a kernel trace, with the names of lttng-tools 2.13.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelEnvironment {
    /// `uname -s`.
    pub sysname: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -v`.
    pub kernel_version: String,
    /// Host name.
    pub hostname: String,
    /// Name of the recording session; `auto` for a generated name.
    pub trace_name: String,
    /// Creation time of the recording session, ISO 8601 basic format with zone.
    pub trace_creation_datetime: String,
}

/// The tracer that readers are told. They choose by it which names of events to expect.
pub const TRACER_NAME: &str = "lttng-modules";
/// The release of that tracer whose names [`crate::names`] has.
pub const TRACER_VERSION: (u32, u32, u32) = (2, 13, 0);

impl KernelEnvironment {
    /// The entries for [`TraceClass::env`].
    pub fn entries(&self) -> Vec<(String, EnvValue)> {
        let (major, minor, patchlevel) = TRACER_VERSION;
        let env: Vec<(&str, EnvValue)> = vec![
            ("hostname", self.hostname.as_str().into()),
            ("domain", "kernel".into()),
            ("sysname", self.sysname.as_str().into()),
            ("kernel_release", self.kernel_release.as_str().into()),
            ("kernel_version", self.kernel_version.as_str().into()),
            ("tracer_name", TRACER_NAME.into()),
            ("tracer_major", major.into()),
            ("tracer_minor", minor.into()),
            ("tracer_patchlevel", patchlevel.into()),
            ("trace_buffering_scheme", "global".into()),
            ("trace_name", self.trace_name.as_str().into()),
            (
                "trace_creation_datetime",
                self.trace_creation_datetime.as_str().into(),
            ),
        ];
        env.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// The class of a kernel trace: no padding between fields, 64-bit counters in packet headers whatever
/// the kernel's `long` is.
pub fn trace_class(
    uuid: Uuid,
    byte_order: ByteOrder,
    env: Vec<(String, EnvValue)>,
    clock: Clock,
) -> TraceClass {
    TraceClass {
        uuid,
        byte_order,
        alignments: Alignments::PACKED,
        long_size_bits: 64,
        env,
        clock,
    }
}
