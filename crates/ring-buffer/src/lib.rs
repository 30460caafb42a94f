//! The LTTng ring buffer in shared memory: layouts, creation, reader and flush.
