//! Messages of 1 KiB under a cached data key.

use aws_lc_rs::rand;

use super::Effort;
use super::cipher::{AwsLc, Cipher, TAG_LEN, derive, final_aad, iv};
use super::figures::Section;
use super::library::{DATA_KEY, Library};
use super::turns::{Cost, alternate, cost_of};
use crate::error::Result;

const LEN: usize = 1024;

const SEAL: &str = "tckms_seal";
const OPEN: &str = "tckms_open";
const BARE_SEAL: &str = "bare primitives of sealing";
const BARE_OPEN: &str = "bare primitives of opening";
const CIPHER: &str = "AES-256-GCM of 1 KiB alone, aws-lc-rs";
const AWS: &str = "AWS Encryption SDK for C, scaled to this run";

/// Messages per second of the AWS Encryption SDK for C without signatures, from another run on a machine of the same kind.
const AWS_RATE: f64 = 59_000.0;
/// GB/s of aws-lc-rs with 1 KiB in that run.
const CIPHER_RATE: f64 = 7.5;

pub fn measure(library: &Library, effort: &Effort) -> Result<Section> {
    eprintln!("measuring messages of 1 KiB");
    let plaintext = [7; LEN];
    let message = library.seal(&plaintext)?.bytes().to_vec();
    let header_aad = vec![5; message.len() - LEN - TAG_LEN - 24 - TAG_LEN - 12];
    let cipher = AwsLc::new(&[9; 32])?;
    let names = [SEAL, BARE_SEAL, OPEN, BARE_OPEN, CIPHER];
    let series = alternate(&names, effort.message_rounds, |candidate| match candidate {
        SEAL => repeat(effort, || library.seal(&plaintext).map(drop)),
        OPEN => repeat(effort, || library.open_message(&message).map(drop)),
        BARE_SEAL => repeat(effort, || bare_seal(&header_aad, &plaintext)),
        BARE_OPEN => {
            let sealed = Sealed::new(&header_aad, &plaintext)?;
            repeat(effort, || sealed.open(&header_aad))
        }
        _ => repeat(effort, || {
            let (mut out, mut tag) = ([0; LEN], [0; TAG_LEN]);
            cipher.seal(iv(1), &final_aad(&[0; 32], 1, LEN), &plaintext, &mut out, &mut tag)?;
            std::hint::black_box((out, tag));
            Ok(())
        }),
    })?;
    let title = "Messages of 1 KiB under a cached data key, one core";
    let mut section = Section::new("messages", title, "messages/s", effort.messages as f64, &series);
    section.compare(&series, SEAL, BARE_SEAL);
    section.compare(&series, OPEN, BARE_OPEN);
    let cipher_now = section.rows.iter().find(|row| row.name == CIPHER).map_or(0.0, |row| row.cpu_rate);
    section.rows.retain(|row| row.name != CIPHER);
    section.compare_with_rate(SEAL, AWS, AWS_RATE * (cipher_now * LEN as f64 / 1e9) / CIPHER_RATE);
    Ok(section)
}

fn repeat(effort: &Effort, mut work: impl FnMut() -> Result<()>) -> Result<Cost> {
    Ok(cost_of(|| (0..effort.messages).try_for_each(|_| work()))?.0)
}

/// What every writer needs: a random id, an extraction and two expansions, a tag over the header, and a frame.
fn bare_seal(header_aad: &[u8], plaintext: &[u8; LEN]) -> Result<()> {
    std::hint::black_box(Sealed::new(header_aad, plaintext)?);
    Ok(())
}

struct Sealed {
    id: [u8; 32],
    header_tag: [u8; TAG_LEN],
    content: [u8; LEN],
    tag: [u8; TAG_LEN],
}

impl Sealed {
    fn new(header_aad: &[u8], plaintext: &[u8; LEN]) -> Result<Self> {
        let mut new = Self { id: [0; 32], header_tag: [0; TAG_LEN], content: [0; LEN], tag: [0; TAG_LEN] };
        rand::fill(&mut new.id)?;
        let cipher = AwsLc::new(&derive(&new.id, &DATA_KEY)?.0)?;
        cipher.seal(iv(0), header_aad, &[], &mut [], &mut new.header_tag)?;
        cipher.seal(iv(1), &final_aad(&new.id, 1, LEN), plaintext, &mut new.content, &mut new.tag)?;
        Ok(new)
    }

    /// What every reader needs.
    fn open(&self, header_aad: &[u8]) -> Result<()> {
        let mut out = [0; LEN];
        let cipher = AwsLc::new(&derive(&self.id, &DATA_KEY)?.0)?;
        cipher.open(iv(0), header_aad, &[], &self.header_tag, &mut [])?;
        cipher.open(iv(1), &final_aad(&self.id, 1, LEN), &self.content, &self.tag, &mut out)?;
        std::hint::black_box(out);
        Ok(())
    }
}
