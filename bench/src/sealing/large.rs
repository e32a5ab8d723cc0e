//! Sealing and opening a large message, in one call and as a stream from memory to memory.

use super::cipher::{AwsLc, body_len, derive, open_body, open_without_gaps, seal_body, seal_without_gaps};
use super::evp::{NewContext, OpenSsl, ReusedContext};
use super::figures::Section;
use super::library::{DATA_KEY, Library};
use super::memory::NewMemory;
use super::turns::{Cost, alternate, cost_of};
use super::{Effort, FRAME_LEN};
use crate::error::Result;

// The kernel clears new memory before a candidate fills it. The other candidates fill memory that was used before.
const BARE: &str = "bare aws-lc-rs";
/// A gap between frames would interrupt the processor's prefetching.
const BARE_WITHOUT_GAPS: &str = "bare aws-lc-rs, no gap between frames";
const COPY: &str = "a copy, nothing else";
const BARE_NEW_MEMORY: &str = "bare aws-lc-rs, new memory";
const EVP: &str = "OpenSSL EVP";
const EVP_NEW_CONTEXT: &str = "OpenSSL EVP, a context for each frame";
const EVP_NEW_MEMORY: &str = "OpenSSL EVP, new memory";
const STREAM: &str = "tckms_stream_update";
const SEAL: &str = "tckms_seal, new memory";
const OPEN: &str = "tckms_open, new memory";

/// The candidates that fill memory that was used before.
const INTO_USED_MEMORY: [&str; 6] = [STREAM, BARE, BARE_WITHOUT_GAPS, COPY, EVP, EVP_NEW_CONTEXT];

/// The message id follows the version and the suite.
const ID_RANGE: std::ops::Range<usize> = 3..35;

struct Comparison<'a> {
    library: &'a Library,
    bare: AwsLc,
    evp: ReusedContext<'a>,
    evp_new_context: NewContext<'a>,
    id: [u8; 32],
    plaintext: Vec<u8>,
    message: Vec<u8>,
    /// Where the body begins in the message.
    body_at: usize,
    /// Memory for a message, used before.
    buffer: Vec<u8>,
}

/// Sealing and opening.
pub fn measure(library: &Library, openssl: &OpenSsl, effort: &Effort) -> Result<Vec<Section>> {
    eprintln!("measuring sealing and opening of {} MiB", effort.large >> 20);
    let plaintext: Vec<u8> = (0..effort.large).map(|at| (at * 7 + at / 251) as u8).collect();
    let message = library.seal(&plaintext)?.bytes().to_vec();
    let mut id = [0; 32];
    id.copy_from_slice(&message[ID_RANGE]);
    let (key, _) = derive(&id, &DATA_KEY)?;
    let mut comparison = Comparison {
        library,
        bare: AwsLc::new(&key)?,
        evp: ReusedContext::new(openssl, &key)?,
        evp_new_context: NewContext(openssl, key),
        id,
        body_at: message.len() - body_len(plaintext.len()),
        buffer: vec![1; message.len()],
        plaintext,
        message,
    };
    comparison.check_that_all_do_the_same()?;
    Ok(vec![comparison.sealing(effort)?, comparison.opening(effort)?])
}

impl Comparison<'_> {
    /// The comparison is valid only if all candidates produce the same bytes.
    fn check_that_all_do_the_same(&mut self) -> Result<()> {
        for candidate in [BARE, EVP, EVP_NEW_CONTEXT] {
            self.buffer.fill(1);
            self.seal(candidate)?;
            if self.buffer[self.body_at..] != self.message[self.body_at..] {
                return Err(format!("the frames of {candidate} differ from the library's").into());
            }
        }
        for candidate in [BARE, EVP, EVP_NEW_CONTEXT, STREAM] {
            self.buffer.fill(1);
            self.open(candidate)?;
            if self.buffer[..self.plaintext.len()] != self.plaintext {
                return Err(format!("{candidate} does not open the message to its plaintext").into());
            }
        }
        Ok(())
    }

    fn sealing(&mut self, effort: &Effort) -> Result<Section> {
        let mut series = alternate(&INTO_USED_MEMORY, effort.large_rounds, |name| self.seal(name))?;
        series
            .extend(alternate(&[SEAL, BARE_NEW_MEMORY, EVP_NEW_MEMORY], effort.large_rounds, |name| self.seal(name))?);
        let title = format!("Sealing {} MiB in frames of {} KiB, one core", effort.large >> 20, FRAME_LEN >> 10);
        let mut section = Section::new("sealing", &title, "GB/s", effort.large as f64 / 1e9, &series);
        compare(&mut section, SEAL, &series);
        Ok(section)
    }

    fn opening(&mut self, effort: &Effort) -> Result<Section> {
        let mut series = alternate(&INTO_USED_MEMORY, effort.large_rounds, |name| self.open(name))?;
        series
            .extend(alternate(&[OPEN, BARE_NEW_MEMORY, EVP_NEW_MEMORY], effort.large_rounds, |name| self.open(name))?);
        let title = format!("Opening {} MiB in frames of {} KiB, one core", effort.large >> 20, FRAME_LEN >> 10);
        let mut section = Section::new("opening", &title, "GB/s", effort.large as f64 / 1e9, &series);
        compare(&mut section, OPEN, &series);
        Ok(section)
    }

    /// The cost does not include freeing memory.
    fn seal(&mut self, candidate: &str) -> Result<Cost> {
        let Self { library, bare, evp, evp_new_context, id, plaintext, body_at, buffer, .. } = self;
        // Frames have the same offsets as in the library's message.
        let (len, at) = (buffer.len(), *body_at);
        match candidate {
            SEAL => cost_of(|| library.seal(plaintext)).map(cost),
            STREAM => cost_of(|| library.stream_seal(plaintext, buffer)).map(cost),
            BARE => cost_of(|| seal_body(bare, id, plaintext, &mut buffer[at..])).map(cost),
            EVP => cost_of(|| seal_body(evp, id, plaintext, &mut buffer[at..])).map(cost),
            EVP_NEW_CONTEXT => cost_of(|| seal_body(evp_new_context, id, plaintext, &mut buffer[at..])).map(cost),
            BARE_WITHOUT_GAPS => cost_of(|| seal_without_gaps(bare, id, plaintext, buffer)).map(cost),
            COPY => cost_of(|| copy(plaintext, buffer)).map(cost),
            BARE_NEW_MEMORY => {
                cost_of(|| in_new_memory(len, |out| seal_body(bare, id, plaintext, &mut out[at..]))).map(cost)
            }
            _ => cost_of(|| in_new_memory(len, |out| seal_body(evp, id, plaintext, &mut out[at..]))).map(cost),
        }
    }

    fn open(&mut self, candidate: &str) -> Result<Cost> {
        let Self { library, bare, evp, evp_new_context, id, plaintext, message, body_at, buffer } = self;
        let (len, body) = (plaintext.len(), &message[*body_at..]);
        match candidate {
            OPEN => cost_of(|| library.open_message(message)).map(cost),
            STREAM => cost_of(|| library.stream_open(message, buffer)).map(cost),
            BARE => cost_of(|| open_body(bare, id, body, &mut buffer[..len])).map(cost),
            EVP => cost_of(|| open_body(evp, id, body, &mut buffer[..len])).map(cost),
            EVP_NEW_CONTEXT => cost_of(|| open_body(evp_new_context, id, body, &mut buffer[..len])).map(cost),
            // The output replaces the plaintext by the same bytes.
            BARE_WITHOUT_GAPS => {
                seal_without_gaps(bare, id, plaintext, buffer)?;
                cost_of(|| open_without_gaps(bare, id, buffer, plaintext)).map(cost)
            }
            COPY => cost_of(|| copy(&body[..len], buffer)).map(cost),
            BARE_NEW_MEMORY => cost_of(|| in_new_memory(len, |out| open_body(bare, id, body, out))).map(cost),
            _ => cost_of(|| in_new_memory(len, |out| open_body(evp, id, body, out))).map(cost),
        }
    }
}

fn copy(from: &[u8], buffer: &mut [u8]) -> Result<()> {
    buffer[..from.len()].copy_from_slice(from);
    Ok(())
}

fn in_new_memory(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<NewMemory> {
    let mut memory = NewMemory::map(len)?;
    fill(memory.bytes())?;
    Ok(memory)
}

fn cost<T>((cost, _): (Cost, T)) -> Cost {
    cost
}

/// Compares what fills the caller's memory with each other, and what returns new memory with each other. The two groups have
/// separate rounds, because new memory costs more if the kernel got it back longer ago.
fn compare(section: &mut Section, one_shot: &str, series: &[super::turns::Series]) {
    section.compare(series, STREAM, BARE);
    section.compare(series, STREAM, EVP);
    section.compare(series, STREAM, EVP_NEW_CONTEXT);
    section.compare(series, BARE_WITHOUT_GAPS, EVP);
    section.compare(series, COPY, EVP);
    section.compare(series, one_shot, BARE_NEW_MEMORY);
    section.compare(series, one_shot, EVP_NEW_MEMORY);
}
