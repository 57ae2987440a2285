//! The keys and values of a line, found without reading what nobody asks for. Lines are compact JSON with the right checksum: what is none
//! is noticed where it matters, by whoever reads a value.

use std::borrow::Cow;

/// The keys of a compact JSON object, with their values as they stand there.
#[derive(Debug)]
pub struct Fields<'a>(&'a str);

/// The keys and values of an object.
pub const fn fields(object: &str) -> Fields<'_> {
    Fields(object)
}

/// The items of a compact JSON array.
pub fn items(array: &str) -> impl Iterator<Item = &str> {
    let mut rest = array.strip_prefix('[').unwrap_or_default();
    std::iter::from_fn(move || {
        let item = rest.get(..end(rest.as_bytes())?)?;
        rest = rest[item.len()..].trim_start_matches(',');
        Some(item)
    })
}

/// How many items an array has.
pub fn count(array: &str) -> usize {
    items(array).count()
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.get(1..)?.strip_prefix('"')?;
        let (key, rest) = rest.split_at(memchr::memchr(b'"', rest.as_bytes())?);
        let rest = rest.strip_prefix("\":")?;
        let value = rest.get(..end(rest.as_bytes())?)?;
        // The comma stays, in the place of the brace.
        self.0 = &rest[value.len()..];
        Some((key, value))
    }
}

/// Where the value that begins here ends; `None` where there is none.
fn end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_end(bytes, 0),
        b'[' | b'{' => {
            let (mut depth, mut at) = (0, 0);
            loop {
                match bytes.get(at)? {
                    b'"' => {
                        at = string_end(bytes, at)?;
                        continue;
                    }
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => bytes.iter().position(|b| matches!(b, b',' | b']' | b'}')).filter(|length| *length > 0),
    }
}

/// Behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let found = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[found] == b'"' {
            return Some(found + 1);
        }
        from = found + 2;
    }
}

/// A finite number.
pub fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number.
pub fn whole<T: std::str::FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

/// A text without escapes, as names are written.
pub fn name(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}

/// A text.
pub fn text(value: &str) -> Option<Cow<'_, str>> {
    let inside = name(value)?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(value).ok().map(|text: String| Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_s_parts_are_found_whatever_stands_in_them() {
        let object = r#"{"v":1,"s":"a,\"}]\\","list":[1,[2,{"x":"]"}],"y"],"o":{"p":[],"q":{}},"n":null,"f":-0.5e3}"#;
        let seen: Vec<_> = fields(object).collect();
        let expected = [
            ("v", "1"),
            ("s", r#""a,\"}]\\""#),
            ("list", r#"[1,[2,{"x":"]"}],"y"]"#),
            ("o", r#"{"p":[],"q":{}}"#),
            ("n", "null"),
            ("f", "-0.5e3"),
        ];
        assert_eq!(seen, expected);
        assert_eq!(items(seen[2].1).collect::<Vec<_>>(), ["1", r#"[2,{"x":"]"}]"#, r#""y""#]);
        assert_eq!((count("[]"), count("[7]"), count(seen[2].1), count("{}")), (0, 1, 3, 0));
        assert_eq!(text(seen[1].1), Some(Cow::Borrowed(r#"a,"}]\"#)));
        assert_eq!((text("null"), text("7"), number("-0.5e3"), number("1e999")), (None, None, Some(-500.0), None));
    }

    #[test]
    fn what_is_no_json_ends_the_search() {
        for object in ["", "{", "{}", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "{\"a\":\"x", "{\"a\":]", "ü", "{\"a\":\"\\"]
        {
            assert_eq!(fields(object).count(), 0, "{object}");
        }
    }
}
