//! Our secrets in texts of others: errors of the client, of the server, of the system.

/// From so many bytes on a secret is no word by chance: it is masked wherever it stands.
const LONG: usize = 8;
/// Shorter ones, such as `a`, are words of any message: they are masked only where a message quotes a secret.
const SHORT: usize = 4;
const MASK: &str = "***";

/// A text without a secret. One of less than [`LONG`] bytes is masked only as a whole word, one of less than [`SHORT`] only where one has
/// its place: quoted, before the `@` of a URL, after `=`, `:` or `/`.
pub fn masked(text: &str, secret: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, found) in text.match_indices(secret) {
        let end = at + found.len();
        let (before, after) = (text[..at].chars().next_back(), text[end..].chars().next());
        let is_word = !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        let is_quoted = before.is_some_and(|c| "\"'`".contains(c)) && before == after;
        let is_in_place = is_quoted || after == Some('@') || before.is_some_and(|c| "=:/".contains(c));
        if secret.len() >= LONG || (is_word && (secret.len() >= SHORT || is_in_place)) {
            masked.push_str(&text[rest..at]);
            masked.push_str(MASK);
            rest = end;
        }
    }
    masked.push_str(&text[rest..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_leaves_the_words_of_a_message() {
        let message = "a connection to nats://127.0.0.1:4222 cannot be made: authorization violation, nats: 1 or 12 or test";
        for secret in ["a", "n", "at", "not", "1", "12", "0", ".", "auth", "nat", "conn"] {
            assert_eq!(masked(message, secret), message, "{secret}");
        }
        for secret in ["café", "é", "a"] {
            assert_eq!(masked("cafés and naïveté", secret), "cafés and naïveté", "{secret}");
        }
    }

    #[test]
    fn a_short_secret_is_masked_in_its_places() {
        for (text, secret, expected) in [
            (r#"user "a" is not known"#, "a", r#"user "***" is not known"#),
            ("user 'a' at nats://a@a:4222, pass=a", "a", "user '***' at nats://***@a:4222, pass=***"),
            ("nats://me:12@host:4222", "12", "nats://me:***@host:4222"),
            ("a@host", "a", "***@host"),
            ("the password pass was refused, bypass it", "pass", "the password *** was refused, bypass it"),
            ("refused p@ss for me", "p@ss", "refused *** for me"),
            ("long-secret", "long-secret", "***"),
            ("xlong-secretx and long-secret", "long-secret", "x***x and ***"),
        ] {
            assert_eq!(masked(text, secret), expected, "{secret} in {text}");
        }
    }
}
