//! The two forms of an ECDSA or SM2 signature: DER, and r and s concatenated.

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Lengths of r and of s, for the curves of 256 and of 384 bits.
const NUMBER_LENGTHS: [usize; 2] = [32, 48];

/// r and s of a signature in DER, each as long as the curve's numbers. None if `der` is not such a signature, but for
/// example one of RSA.
pub fn to_raw(der: &[u8]) -> Option<Vec<u8>> {
    let (numbers, b"") = element(der, SEQUENCE)? else { return None };
    let (r, rest) = element(numbers, INTEGER)?;
    let (s, b"") = element(rest, INTEGER)? else { return None };
    let [r, s] = [r, s].map(|number| number.strip_prefix(&[0]).unwrap_or(number));
    let longest = r.len().max(s.len());
    // For the longer curve, two numbers of the shorter length have 16 leading zero bytes each: too improbable to occur.
    let length = NUMBER_LENGTHS.into_iter().find(|length| longest <= *length)?;
    Some([r, s].iter().flat_map(|number| [vec![0; length - number.len()], number.to_vec()].concat()).collect())
}

/// The DER of a signature from r and s, concatenated.
pub fn from_raw(raw: &[u8]) -> Option<Vec<u8>> {
    let length = raw.len() / 2;
    if !raw.len().is_multiple_of(2) || !NUMBER_LENGTHS.contains(&length) {
        return None;
    }
    let (r, s) = raw.split_at(length);
    Some(tagged(SEQUENCE, &[integer(r), integer(s)].concat()))
}

fn integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len() - 1);
    let digits = &number[start..];
    let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
    tagged(INTEGER, &[sign, digits].concat())
}

/// No content here has 128 bytes.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [found, length @ 0..0x80, rest @ ..] if *found == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_convert_into_each_other() {
        for length in NUMBER_LENGTHS {
            for (first, second) in [(1, 0xff), (0x80, 1), (0, 0x7f), (0xff, 0xff)] {
                let mut raw = vec![7; 2 * length];
                (raw[0], raw[length]) = (first, second);
                raw[1] = if first == 0 { 0 } else { 0x90 };
                assert_eq!(to_raw(&from_raw(&raw).unwrap()).unwrap(), raw);
            }
        }
        assert!(from_raw(&[0; 63]).is_none() && from_raw(&[]).is_none());
        assert_eq!(from_raw(&[0; 64]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        for other in [&[][..], &[0x30], &[0x30, 0], &[0x30, 6, 2, 1, 0, 2, 1, 0, 9], &[9; 256]] {
            assert!(to_raw(other).is_none());
        }
    }
}
