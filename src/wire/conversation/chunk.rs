/// Bytes of one side that are looked at. Its beginning is sent on from where it stands, as long as
/// nothing else comes before it; what follows is copied.
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    /// So many bytes go on as they are.
    pub(super) direct: usize,
}

impl<'a> Chunk<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, direct: 0 }
    }

    /// The bytes between two places go on.
    pub(super) fn pass(&mut self, from: usize, to: usize, out: &mut Vec<u8>) {
        if out.is_empty() && self.direct == from {
            self.direct = to;
        } else {
            self.settle(out);
            out.extend_from_slice(self.bytes.get(from..to).unwrap_or_default());
        }
    }

    /// Something else comes before what follows.
    pub(super) fn settle(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.direct).unwrap_or_default());
        self.direct = 0;
    }
}
