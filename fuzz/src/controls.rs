//! The first bytes of an input of the stream decoder: how the message after them is processed.

pub const LEN: usize = 8;

/// Flags, the first byte.
pub const SIGNED_ALLOWED: u8 = 1;
pub const LAX_POLICY: u8 = 2;
pub const SMALL_LIMITS: u8 = 4;
pub const SIZE_IS_SET: u8 = 8;
pub const HEADER_IS_MADE_AUTHENTIC: u8 = 16;

pub struct Controls {
    flags: u8,
    pieces: [u8; 3],
    rooms: [u8; 3],
    size: u8,
}

/// The limits of a keyring, and the number of bytes that a stream may then buffer.
pub struct Limits {
    pub header: usize,
    pub frame: usize,
    pub held: usize,
}

impl Controls {
    /// The controls, and the message after them.
    pub fn read(input: &[u8]) -> Option<(Self, &[u8])> {
        let (&[flags, a, b, c, d, e, f, size], message) = input.split_first_chunk::<LEN>()?;
        Some((Self { flags, pieces: [a, b, c], rooms: [d, e, f], size }, message))
    }

    pub fn signed_allowed(&self) -> bool {
        self.flags & SIGNED_ALLOWED != 0
    }

    pub fn policy(&self) -> i32 {
        (self.flags & LAX_POLICY != 0).into()
    }

    pub fn header_is_made_authentic(&self) -> bool {
        self.flags & HEADER_IS_MADE_AUTHENTIC != 0
    }

    pub fn size(&self) -> Option<u64> {
        (self.flags & SIZE_IS_SET != 0).then_some(self.size.into())
    }

    /// Whether the stream may refuse a message that tckms_open() opens.
    pub fn stream_has_rules(&self) -> bool {
        !self.signed_allowed() || self.size().is_some()
    }

    /// In addition to the header and a frame's plaintext, a stream may buffer one step of reading a header.
    pub fn limits(&self) -> Option<Limits> {
        let (header, frame) = (512, 64);
        (self.flags & SMALL_LIMITS != 0).then_some(Limits { header, frame, held: header + 2 * frame + 4096 })
    }

    /// From a byte to two frames of the corpus.
    pub fn piece(&self, turn: usize) -> usize {
        1 + spread(self.pieces[turn % 3])
    }

    /// From 0 on, but not always 0.
    pub fn output_len(&self, turn: usize) -> usize {
        spread(self.rooms[turn % 3]) + usize::from(turn % 3 == 2)
    }
}

fn spread(byte: u8) -> usize {
    usize::from(byte) * usize::from(byte) / 8
}
