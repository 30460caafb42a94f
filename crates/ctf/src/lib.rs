//! The Common Trace Format: metadata, packets, index files and the decoder that reads events back.
