//! Messages that do not have to fit into memory: streams, and descriptors on all cores.

pub(super) mod descriptors;
pub(super) mod frame_buffer;
pub(super) mod input_buffer;
pub(super) mod open_stream;
pub(super) mod parallel;
pub(super) mod pipeline;
pub(super) mod progress;
pub(super) mod seal_stream;
pub(super) mod size;
