//! For how long the proxy, or the provider behind it, asks to be left alone.

use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// `OpenAI` and Azure: milliseconds.
const IN_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// How `LiteLLM` 1.106 passes on what a provider has said.
const OF_PROVIDER: HeaderName = HeaderName::from_static("llm_provider-retry-after");
const OF_PROVIDER_IN_MS: HeaderName = HeaderName::from_static("llm_provider-retry-after-ms");

/// What the first of the headers says that says something; the proxy's before the provider's, milliseconds before seconds. `x-ratelimit-reset-*`
/// are not among them: they say when a limit is whole again, which is later than when it lets a request through.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let ms = |name: &HeaderName| decimal(text(name)?, 1000.0);
    let delay = |name: &HeaderName| text(name).and_then(|text| decimal(text, 1.0).or_else(|| until_date(text, now)));
    ms(&IN_MS).or_else(|| delay(&RETRY_AFTER)).or_else(|| ms(&OF_PROVIDER_IN_MS)).or_else(|| delay(&OF_PROVIDER))
}

/// RFC 9110, section 10.2.3, has whole seconds; what is not waited for in full is a request too many, so fractions count.
fn decimal(text: &str, a_second: f64) -> Option<Duration> {
    let is_decimal = text.contains(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = text.parse().ok().filter(|_| is_decimal)?;
    // Longer than any call may take.
    Some(Duration::try_from_secs_f64(number / a_second).unwrap_or(Duration::MAX))
}

fn until_date(text: &str, now: SystemTime) -> Option<Duration> {
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        // 2026-12-01 08:00:00
        retry_after(&headers.collect(), SystemTime::UNIX_EPOCH + Duration::from_hours(498_920))
    }

    #[test]
    fn seconds_their_fractions_and_dates_are_read() {
        let millis = |text| read(&[("retry-after", text)]).map(|wait| wait.as_millis());
        for (text, expected) in [
            ("7", 7000),
            (" 7 ", 7000),
            ("1.5", 1500),
            ("0.25", 250),
            (".5", 500),
            ("2.", 2000),
            ("0", 0),
            ("Tue, 01 Dec 2026 08:00:30 GMT", 30_000),
            ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
            ("Tuesday, 01-Dec-26 08:00:30 GMT", 30_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in [
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999999999999999999.5",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ] {
            assert!(millis(text) > Some(1_000_000_000), "{text}");
        }
        for text in ["", "soon", "-1", "-1.5", "+1", "1e3", "1,5", "1 2", "1.2.3", ".", "inf", "NaN", "0x10", "5s", "caf\u{e9}"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_header_that_says_something_counts() {
        let ms = |headers: &[_]| read(headers).map(|wait| wait.as_millis());
        assert_eq!(ms(&[]), None);
        assert_eq!(ms(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
        assert_eq!(ms(&[("retry-after-ms", "-1"), ("retry-after", "1")]), Some(1000));
        assert_eq!(ms(&[("retry-after", "soon"), ("llm_provider-retry-after", "5")]), Some(5000));
        assert_eq!(ms(&[("retry-after", "2"), ("llm_provider-retry-after", "5")]), Some(2000));
        assert_eq!(ms(&[("llm_provider-retry-after-ms", "1.5"), ("llm_provider-retry-after", "5")]), Some(1));
        assert_eq!(
            ms(&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-reset", "30")]),
            None
        );
    }
}
