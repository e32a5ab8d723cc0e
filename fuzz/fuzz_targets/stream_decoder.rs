//! A message through an opening stream, in chunks whose sizes are part of the input: the output is authentic, the memory is
//! bounded, and the stream and tckms_open() agree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tckms::Status;
use tckms_fuzz::api::{Keyring, Outcome, Stream};
use tckms_fuzz::controls::Controls;
use tckms_fuzz::{key, message, plaintext, report};

fuzz_target!(|input: &[u8]| {
    let Some((controls, message)) = Controls::read(input) else { return };
    let mut message = message.to_vec();
    if controls.header_is_made_authentic() {
        message::authenticate_header(&mut message);
    }
    let keyring = keyring(&controls);
    let (out, result) = Run::new(&controls, &keyring).finish(&message);
    expect_authentic(&out);
    assert_ne!(result, Err(Status::Internal));
    expect_agreement(&controls, &keyring, &message, &out, result);
    if result.is_ok() {
        report("opened");
    }
});

fn keyring(controls: &Controls) -> Keyring {
    let keyring = key::keyring(1);
    keyring.set_policy(controls.policy()).unwrap();
    if let Some(limits) = controls.limits() {
        keyring.set_max_header_len(limits.header).unwrap();
        keyring.set_max_frame_len(limits.frame).unwrap();
        keyring.set_max_unframed_len(limits.frame).unwrap();
    }
    keyring
}

/// The output is a prefix of what was sealed, wherever the stream ends.
fn expect_authentic(out: &[u8]) {
    assert!(plaintext(out.len()) == out, "{} bytes of output were not sealed", out.len());
}

/// A stream without additional rules opens exactly the messages that tckms_open() opens.
fn expect_agreement(controls: &Controls, keyring: &Keyring, message: &[u8], out: &[u8], result: Outcome<()>) {
    if let Ok(whole) = keyring.open(message, "") {
        expect_authentic(&whole);
        assert!(result.is_err() || whole == out, "the stream returned {} bytes, the call {}", out.len(), whole.len());
        assert!(result.is_ok() || controls.stream_has_rules(), "only the stream failed: {result:?}");
    } else {
        assert!(result.is_err(), "only the stream opened the message");
    }
}

/// One run of a message through a stream.
struct Run<'a> {
    controls: &'a Controls,
    stream: Stream,
    consumed: usize,
    out: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(controls: &'a Controls, keyring: &Keyring) -> Self {
        let mut stream = Stream::opening(keyring, "{}").unwrap();
        if controls.signed_allowed() {
            stream = stream.allow_signed();
        }
        if let Some(size) = controls.size() {
            stream.set_size(size).unwrap();
        }
        Self { controls, stream, consumed: 0, out: Vec::new() }
    }

    fn finish(mut self, message: &[u8]) -> (Vec<u8>, Outcome<()>) {
        let result = self.drive(message);
        (self.out, result)
    }

    fn drive(&mut self, message: &[u8]) -> Outcome<()> {
        let mut turn = 0;
        while self.consumed < message.len() {
            let rest = &message[self.consumed..];
            let mut buffer = vec![0; self.controls.output_len(turn)];
            let piece = &rest[..rest.len().min(self.controls.piece(turn))];
            let (consumed, produced) = self.stream.update(piece, &mut buffer)?;
            self.consumed += consumed;
            self.out.extend_from_slice(&buffer[..produced]);
            self.expect_bounded()?;
            turn += 1;
        }
        loop {
            let mut buffer = vec![0; self.controls.output_len(turn)];
            let (produced, done) = self.stream.finish(&mut buffer)?;
            self.out.extend_from_slice(&buffer[..produced]);
            if done {
                return Ok(());
            }
            turn += 1;
        }
    }

    /// A stream buffers only bytes of its input, and at most the header and one frame.
    fn expect_bounded(&self) -> Outcome<()> {
        let held = self.stream.output_size(0)?;
        assert!(held <= self.consumed, "{held} bytes are buffered, of {} input bytes", self.consumed);
        if let Some(limits) = self.controls.limits() {
            assert!(held <= limits.held, "{held} bytes are buffered");
        }
        Ok(())
    }
}
