//! Parsers of option values.

use std::fmt::Display;
use std::str::FromStr;

/// A parser of numbers from `min` to `max`.
pub fn number<T>(min: T, max: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| {
        let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse().ok().filter(|number| digits_only && *number >= min && *number <= max);
        parsed.ok_or_else(|| format!("a number from {min} to {max} is expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn errors_name_the_bounds_of_numbers() {
        let parse = number::<u16>(1, 1024);
        assert_eq!((parse("1"), parse("1024")), (Ok(1), Ok(1024)));
        for text in ["0", "1025", "-1", "+1", "", "1x", "1.5", "99999999999999999999", " 1"] {
            assert_eq!(parse(text), Err("a number from 1 to 1024 is expected".to_owned()), "{text}");
        }
    }
}
