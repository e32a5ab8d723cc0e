//! Times in UTC as text, in the proleptic Gregorian calendar.

const DAY: i64 = 24 * 3600;
/// From 1 March of year 0 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_IN_ERA: i64 = 146_097;

/// The first second of the year 10000, which the text forms cannot represent.
pub(crate) const TIME_END: i64 = 253_402_300_800;

/// Whole days since the Unix epoch.
pub(crate) fn day(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}

/// Seconds since the Unix epoch as RFC 3339 has them, like `2026-01-31T12:00:00Z`.
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, date) = date_of(day(seconds));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads exactly the form that [`rfc3339`] writes, from 1970 to 9999.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let number = |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse::<i64>().ok());
    let days = days_of(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = days * DAY + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    ((0..TIME_END).contains(&seconds) && rfc3339(seconds) == text).then_some(seconds)
}

/// Year, month and day of a number of days since the Unix epoch. Counted in eras of 400 years and in years that begin with
/// March, so that a leap day is the last of its year.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day) = (days.div_euclid(DAYS_IN_ERA), days.rem_euclid(DAYS_IN_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, date)
}

/// The reverse of [`date_of`].
fn days_of(year: i64, month: i64, date: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = (153 * month + 2) / 5 + date - 1;
    era * DAYS_IN_ERA + year * 365 + year / 4 - year / 100 + day - DAYS_TO_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_795_889_000, "2026-11-28T18:03:20Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (TIME_END - 1, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!((rfc3339(seconds).as_str(), parse_rfc3339(text)), (text, Some(seconds)));
        }
        for bad in ["", "1969-12-31T23:59:59Z", "2026-1-01T00:00:00Z", "+026-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
