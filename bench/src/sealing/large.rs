//! A large message in one call, and as a stream from memory into memory.

use super::cipher::{AwsLc, body_len, derive, open_body, open_dense, seal_body, seal_dense};
use super::evp::{NewContext, OpenSsl, ReusedContext};
use super::figures::Section;
use super::library::{DATA_KEY, Library};
use super::memory::Fresh;
use super::turns::{Cost, alternate, cost_of};
use super::{Effort, FRAME_LEN};
use crate::error::Result;

/// Into memory that is there already, and into new memory, which the kernel clears first.
const BARE: &str = "bare aws-lc-rs";
/// Where the processor's own reading ahead is not interrupted between frames.
const BARE_DENSE: &str = "bare aws-lc-rs, no gap between frames";
const COPY: &str = "a copy, nothing else";
const BARE_FRESH: &str = "bare aws-lc-rs, new memory";
const EVP: &str = "OpenSSL EVP";
const EVP_ANEW: &str = "OpenSSL EVP, a context for each frame";
const EVP_FRESH: &str = "OpenSSL EVP, new memory";
const STREAM: &str = "tckms_stream_update";
const SEAL: &str = "tckms_seal, new memory";
const OPEN: &str = "tckms_open, new memory";

/// Who fills memory that is there already.
const INTO_ROOM: [&str; 6] = [STREAM, BARE, BARE_DENSE, COPY, EVP, EVP_ANEW];

/// Message ids follow version and suite.
const ID_AT: std::ops::Range<usize> = 3..35;

struct Contest<'a> {
    library: &'a Library,
    bare: AwsLc,
    evp: ReusedContext<'a>,
    evp_new_context: NewContext<'a>,
    id: [u8; 32],
    plaintext: Vec<u8>,
    message: Vec<u8>,
    /// Where the body begins in the message.
    body_at: usize,
    /// Room for a message, touched before.
    buffer: Vec<u8>,
}

/// Sealing and opening.
pub fn measure(library: &Library, openssl: &OpenSsl, effort: &Effort) -> Result<Vec<Section>> {
    eprintln!("measuring sealing and opening of {} MiB", effort.large >> 20);
    let plaintext: Vec<u8> = (0..effort.large).map(|at| (at * 7 + at / 251) as u8).collect();
    let message = library.seal(&plaintext)?.bytes().to_vec();
    let mut id = [0; 32];
    id.copy_from_slice(&message[ID_AT]);
    let (key, _) = derive(&id, &DATA_KEY)?;
    let mut contest = Contest {
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
    contest.check_that_all_do_the_same()?;
    Ok(vec![contest.sealing(effort)?, contest.opening(effort)?])
}

impl Contest<'_> {
    /// A comparison of different work would be worth nothing.
    fn check_that_all_do_the_same(&mut self) -> Result<()> {
        for who in [BARE, EVP, EVP_ANEW] {
            self.buffer.fill(1);
            self.seal(who)?;
            if self.buffer[self.body_at..] != self.message[self.body_at..] {
                return Err(format!("{who} makes other frames than the library").into());
            }
        }
        for who in [BARE, EVP, EVP_ANEW, STREAM] {
            self.buffer.fill(1);
            self.open(who)?;
            if self.buffer[..self.plaintext.len()] != self.plaintext {
                return Err(format!("{who} opens to something else").into());
            }
        }
        Ok(())
    }

    fn sealing(&mut self, effort: &Effort) -> Result<Section> {
        let mut series = alternate(&INTO_ROOM, effort.large_rounds, |who| self.seal(who))?;
        series.extend(alternate(&[SEAL, BARE_FRESH, EVP_FRESH], effort.large_rounds, |who| self.seal(who))?);
        let title = format!("Sealing {} MiB in frames of {} KiB, one core", effort.large >> 20, FRAME_LEN >> 10);
        let mut section = Section::new("sealing", &title, "GB/s", effort.large as f64 / 1e9, &series);
        compare(&mut section, SEAL, &series);
        Ok(section)
    }

    fn opening(&mut self, effort: &Effort) -> Result<Section> {
        let mut series = alternate(&INTO_ROOM, effort.large_rounds, |who| self.open(who))?;
        series.extend(alternate(&[OPEN, BARE_FRESH, EVP_FRESH], effort.large_rounds, |who| self.open(who))?);
        let title = format!("Opening {} MiB in frames of {} KiB, one core", effort.large >> 20, FRAME_LEN >> 10);
        let mut section = Section::new("opening", &title, "GB/s", effort.large as f64 / 1e9, &series);
        compare(&mut section, OPEN, &series);
        Ok(section)
    }

    /// Giving memory back is no part of what a turn costs.
    fn seal(&mut self, who: &str) -> Result<Cost> {
        let Self { library, bare, evp, evp_new_context, id, plaintext, body_at, buffer, .. } = self;
        // Frames lie where they lie in the library's message.
        let (len, at) = (buffer.len(), *body_at);
        match who {
            SEAL => cost_of(|| library.seal(plaintext)).map(cost),
            STREAM => cost_of(|| library.stream_seal(plaintext, buffer)).map(cost),
            BARE => cost_of(|| seal_body(bare, id, plaintext, &mut buffer[at..])).map(cost),
            EVP => cost_of(|| seal_body(evp, id, plaintext, &mut buffer[at..])).map(cost),
            EVP_ANEW => cost_of(|| seal_body(evp_new_context, id, plaintext, &mut buffer[at..])).map(cost),
            BARE_DENSE => cost_of(|| seal_dense(bare, id, plaintext, buffer)).map(cost),
            COPY => cost_of(|| copy(plaintext, buffer)).map(cost),
            BARE_FRESH => cost_of(|| fresh(len, |fresh| seal_body(bare, id, plaintext, &mut fresh[at..]))).map(cost),
            _ => cost_of(|| fresh(len, |fresh| seal_body(evp, id, plaintext, &mut fresh[at..]))).map(cost),
        }
    }

    fn open(&mut self, who: &str) -> Result<Cost> {
        let Self { library, bare, evp, evp_new_context, id, plaintext, message, body_at, buffer } = self;
        let (len, body) = (plaintext.len(), &message[*body_at..]);
        match who {
            OPEN => cost_of(|| library.open_message(message)).map(cost),
            STREAM => cost_of(|| library.stream_open(message, buffer)).map(cost),
            BARE => cost_of(|| open_body(bare, id, body, &mut buffer[..len])).map(cost),
            EVP => cost_of(|| open_body(evp, id, body, &mut buffer[..len])).map(cost),
            EVP_ANEW => cost_of(|| open_body(evp_new_context, id, body, &mut buffer[..len])).map(cost),
            // It opens to the plaintext that is there already.
            BARE_DENSE => {
                seal_dense(bare, id, plaintext, buffer)?;
                cost_of(|| open_dense(bare, id, buffer, plaintext)).map(cost)
            }
            COPY => cost_of(|| copy(&body[..len], buffer)).map(cost),
            BARE_FRESH => cost_of(|| fresh(len, |fresh| open_body(bare, id, body, fresh))).map(cost),
            _ => cost_of(|| fresh(len, |fresh| open_body(evp, id, body, fresh))).map(cost),
        }
    }
}

fn copy(from: &[u8], buffer: &mut [u8]) -> Result<()> {
    buffer[..from.len()].copy_from_slice(from);
    Ok(())
}

fn fresh(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Fresh> {
    let mut fresh = Fresh::map(len)?;
    fill(fresh.bytes())?;
    Ok(fresh)
}

fn cost<T>((cost, _): (Cost, T)) -> Cost {
    cost
}

/// Like with like: what fills memory of the caller's, and what returns new memory. They also take turns apart: new memory
/// costs more the longer the kernel had it back.
fn compare(section: &mut Section, whole: &str, series: &[super::turns::Series]) {
    section.compare(series, STREAM, BARE);
    section.compare(series, STREAM, EVP);
    section.compare(series, STREAM, EVP_ANEW);
    section.compare(series, BARE_DENSE, EVP);
    section.compare(series, COPY, EVP);
    section.compare(series, whole, BARE_FRESH);
    section.compare(series, whole, EVP_FRESH);
}
