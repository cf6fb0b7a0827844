//! How much memory containers take, computed: the crate may neither ask the allocator nor the system.

/// Bytes of a group's name behind its pointer.
pub(crate) fn name(name: &shoal_types::GroupName) -> usize {
    /// An `Arc`'s two counters and what the allocator rounds up.
    const OVERHEAD: usize = 24;
    OVERHEAD + name.len()
}

/// Bytes of a B-tree of `len` entries of `entry` bytes: nodes have room for 11 entries, about two
/// thirds of it in use, and every eleventh node or so is an inner one with 12 edges.
pub(crate) fn tree(len: usize, entry: usize) -> usize {
    const NODE_HEAD: usize = 16;
    const EDGES: usize = 12 * 8;
    const USED: usize = 7;
    if len == 0 {
        return 0;
    }
    let leaves = len.div_ceil(USED);
    let inner = if len <= 11 {
        0
    } else {
        len.div_ceil(USED * USED)
    };
    leaves * (NODE_HEAD + 11 * entry) + inner * (NODE_HEAD + 11 * entry + EDGES)
}
