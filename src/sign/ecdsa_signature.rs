//! The two encodings of a signature that is a pair of numbers, as those of ECDSA and SM2 are: DER (`SEQUENCE { r
//! INTEGER, s INTEGER }`, RFC 3279, 2.2.3), and r and s concatenated with leading zeros, as JWT and PKCS#11 use it.

use der::asn1::{AnyRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader, Tag};

use crate::error::{Error, Result};
use crate::status::Status;

/// The longest r or s: that of P-521.
const SCALAR_LEN_MAX: usize = 66;

/// From DER to r and s, each of half of `raw_len` bytes.
pub fn raw_from_der(signature: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    check_raw_len(raw_len)?;
    let numbers = read_numbers(signature)
        .map_err(|_| malformed("the signature is not DER of a sequence of two positive numbers"))?;
    let mut raw = vec![0; raw_len];
    for (number, place) in numbers.iter().zip(raw.chunks_mut(raw_len / 2)) {
        let digits = number.as_bytes();
        let start = place.len().checked_sub(digits.len()).ok_or_else(|| {
            malformed(&format!(
                "a number of the signature has {} bytes, at most {} are allowed",
                digits.len(),
                raw_len / 2
            ))
        })?;
        place[start..].copy_from_slice(digits);
    }
    Ok(raw)
}

/// From r and s, of the same length each, to DER.
pub fn raw_to_der(raw: &[u8]) -> Result<Vec<u8>> {
    check_raw_len(raw.len())?;
    write_numbers(raw.split_at(raw.len() / 2)).map_err(|_| malformed("the signature cannot be encoded"))
}

fn read_numbers(signature: &[u8]) -> der::Result<[UintRef<'_>; 2]> {
    let mut reader = SliceReader::new(signature)?;
    let numbers = reader.sequence(|inner| Ok::<_, der::Error>([UintRef::decode(inner)?, UintRef::decode(inner)?]))?;
    reader.finish()?;
    Ok(numbers)
}

fn write_numbers((r, s): (&[u8], &[u8])) -> der::Result<Vec<u8>> {
    let content = [UintRef::new(r)?.to_der()?, UintRef::new(s)?.to_der()?].concat();
    AnyRef::new(Tag::Sequence, &content)?.to_der()
}

/// A signature as DER. It may be r and s concatenated, each of `scalar_len` bytes, or, always with `as_der`, DER.
pub(crate) fn to_der(signature: &[u8], scalar_len: usize, as_der: bool) -> Result<Vec<u8>> {
    if signature.len() == 2 * scalar_len && !as_der {
        return raw_to_der(signature);
    }
    raw_to_der(&raw_from_der(signature, 2 * scalar_len)?)
}

fn check_raw_len(len: usize) -> Result<()> {
    if (2..=2 * SCALAR_LEN_MAX).contains(&len) && len.is_multiple_of(2) {
        return Ok(());
    }
    let message =
        format!("r and s have {len} bytes together, an even number from 2 to {} is allowed", 2 * SCALAR_LEN_MAX);
    Err(Error::new(Status::InvalidLength, message))
}

fn malformed(message: &str) -> Error {
    Error::new(Status::SignatureInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(r: &[u8], s: &[u8]) -> Vec<u8> {
        let mut raw = vec![0; 64];
        raw[32 - r.len()..32].copy_from_slice(r);
        raw[64 - s.len()..].copy_from_slice(s);
        raw
    }

    #[test]
    fn leading_zeros_and_high_bits_are_preserved() {
        for (r, s) in
            [(&[1_u8][..], &[2_u8][..]), (&[0x80], &[0xff; 32]), (&[0x7f; 31], &[0x80; 31]), (&[0; 1], &[0; 1])]
        {
            let raw = pair(r, s);
            let der = raw_to_der(&raw).unwrap();
            assert_eq!(raw_from_der(&der, 64).unwrap(), raw);
            assert_eq!(to_der(&raw, 32, false).unwrap(), der);
            assert_eq!(to_der(&der, 32, false).unwrap(), der);
        }
        assert_eq!(raw_to_der(&pair(&[0x80], &[1])).unwrap(), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]);
    }

    #[test]
    fn what_is_not_a_pair_of_numbers_is_refused() {
        let der = raw_to_der(&pair(&[5], &[6])).unwrap();
        let negative = [0x30, 6, 2, 1, 0x80, 2, 1, 1];
        let padded = [0x30, 7, 2, 2, 0, 1, 2, 1, 1];
        let too_long = raw_to_der(&[0xff; 96]).unwrap();
        let trailing = [&der[..], &[0]].concat();
        for bytes in [&[][..], &[0x30], &der[..der.len() - 1], &negative, &padded, &too_long, &trailing] {
            assert_eq!(raw_from_der(bytes, 64).unwrap_err().status(), Status::SignatureInvalid, "{bytes:?}");
        }
        for len in [0, 1, 3, 63, 134] {
            assert_eq!(raw_from_der(&der, len).unwrap_err().status(), Status::InvalidLength, "{len}");
            assert_eq!(raw_to_der(&vec![1; len]).unwrap_err().status(), Status::InvalidLength, "{len}");
        }
    }
}
