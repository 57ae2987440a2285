//! Texts on their way from V8 to the core: UTF-16 in, UTF-8 out, in memory that stays from call to call. V8 copies UTF-16 faster than it
//! encodes UTF-8, and a lone surrogate is seen here instead of being replaced there.

use crate::error::{Error, ErrorKind, Result};

/// See the module.
#[derive(Debug, Default)]
pub struct TextBuffer {
    units: Vec<u16>,
    /// How many of them the text has.
    length: usize,
    utf8: Vec<u8>,
}

/// Bytes that a UTF-16 unit takes in UTF-8 at most.
const BYTES_PER_UNIT: usize = 3;

/// Room for more units than this is given back by the next text that does not need it.
const KEEP_UNITS: usize = 1 << 16;

impl TextBuffer {
    /// Takes a text of at most so many units: `write` writes it, and says how many it has. It is not looked at before it is asked for: what
    /// was written a moment ago in small pieces cannot be read in large ones yet.
    ///
    /// # Errors
    /// Those of `write`.
    #[inline]
    pub fn take<E>(&mut self, units: usize, write: impl FnOnce(&mut [u16]) -> Result<usize, E>) -> Result<(), E> {
        if self.units.len() > KEEP_UNITS && units <= KEEP_UNITS {
            *self = Self::default();
        }
        self.length = 0;
        self.take_more(units, write)
    }

    /// Takes one more, behind those that were taken.
    ///
    /// # Errors
    /// Those of `write`.
    #[inline]
    pub fn take_more<E>(&mut self, units: usize, write: impl FnOnce(&mut [u16]) -> Result<usize, E>) -> Result<(), E> {
        let end = self.length + units;
        if self.units.len() < end {
            self.units.resize(end, 0);
            self.utf8.resize(end * BYTES_PER_UNIT, 0);
        }
        self.length += write(&mut self.units[self.length..end])?;
        Ok(())
    }

    /// The text in UTF-8; `None` where it has a lone surrogate.
    #[inline]
    pub fn utf8(&mut self) -> Option<&str> {
        let units = self.units.get(..self.length)?;
        let is_ascii = units.iter().fold(0, |all, unit| all | unit) < 0x80;
        if is_ascii { narrow(units, &mut self.utf8) } else { encode(units, &mut self.utf8) }
    }
}

/// ASCII as it is.
#[inline]
#[allow(clippy::cast_possible_truncation)] // below 0x80
#[allow(unsafe_code)] // checking again takes as long as the rest: see the safety argument
fn narrow<'b>(units: &[u16], utf8: &'b mut [u8]) -> Option<&'b str> {
    let bytes = utf8.get_mut(..units.len())?;
    bytes.iter_mut().zip(units).for_each(|(byte, &unit)| *byte = unit as u8 & 0x7f);
    // SAFETY: every byte was just written, and is below 0x80: ASCII is UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}

#[cold]
fn encode<'b>(units: &[u16], utf8: &'b mut [u8]) -> Option<&'b str> {
    let length = char::decode_utf16(units.iter().copied()).try_fold(0, |at, decoded| {
        let character = decoded.ok()?;
        let end = at + character.len_utf8();
        character.encode_utf8(utf8.get_mut(at..end)?);
        Some(end)
    })?;
    std::str::from_utf8(utf8.get(..length)?).ok()
}

/// Cuts a text into pieces of so many UTF-16 units each.
///
/// # Errors
/// `ERR_INTERNAL` where they are not the whole text.
pub fn split(text: &str, units: impl Iterator<Item = usize>) -> Result<Vec<&str>> {
    let (mut rest, is_ascii) = (text, text.is_ascii());
    let mut cut = |units: usize| {
        let end = if is_ascii {
            units
        } else {
            let mut left = units;
            let is_left = |(_, c): &(usize, char)| left.checked_sub(c.len_utf16()).map(|less| left = less).is_some();
            let end = rest.char_indices().take_while(is_left).last().map_or(0, |(i, c)| i + c.len_utf8());
            if left > 0 {
                return None;
            }
            end
        };
        let (piece, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(piece)
    };
    let pieces: Option<Vec<&str>> = units.map(&mut cut).collect();
    pieces
        .filter(|_| rest.is_empty())
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the candidates' ids are not as long as they are said to be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(buffer: &mut TextBuffer, units: &[u16]) {
        let written = buffer.take(units.len() + 5, |room| {
            room[..units.len()].copy_from_slice(units);
            Ok::<_, ()>(units.len())
        });
        assert_eq!(written, Ok(()));
    }

    fn through(units: &[u16]) -> Option<String> {
        let mut buffer = TextBuffer::default();
        take(&mut buffer, units);
        buffer.utf8().map(str::to_owned)
    }

    #[test]
    fn texts_come_through_as_they_are() {
        for text in [
            "",
            "a",
            "f3b1c2d4-0000-4000-8000-00000000000e",
            "Ünï",
            "名前",
            "a😀",
            "\u{ffff}",
            "\0",
            &"✓".repeat(512),
            &"x".repeat(513),
        ] {
            assert_eq!(through(&text.encode_utf16().collect::<Vec<_>>()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_lone_surrogate_is_none() {
        for units in [&[0xd800][..], &[0xdc00, 0xd800], &[0x61, 0xdfff], &[0xd83d, 0x61]] {
            assert_eq!(through(units), None);
        }
    }

    #[test]
    fn what_an_earlier_text_left_does_not_show() {
        let mut buffer = TextBuffer::default();
        for text in ["long enough to leave something", "ü", "", "short"] {
            take(&mut buffer, &text.encode_utf16().collect::<Vec<_>>());
            assert_eq!(buffer.utf8(), Some(text));
        }
        assert_eq!(buffer.take(7, |_| Err("failed")), Err("failed"));
    }

    #[test]
    fn a_text_is_cut_where_its_units_end() {
        let whole = "abü😀名c";
        assert_eq!(split(whole, [2, 0, 1, 2, 1, 1].into_iter()).ok(), Some(vec!["ab", "", "ü", "😀", "名", "c"]));
        assert_eq!(split("abc", [1, 2].into_iter()).ok(), Some(vec!["a", "bc"]));
        // Too short, too long, and through a character.
        for units in [&[2, 2][..], &[8, 1], &[3, 1, 4]] {
            assert!(split(whole, units.iter().copied()).is_err(), "{units:?}");
        }
    }

    #[test]
    fn several_stand_one_behind_the_other() {
        let mut buffer = TextBuffer::default();
        for _ in 0..2 {
            take(&mut buffer, &[0x61]);
            for text in ["bc", "", "ü", "d"] {
                let units: Vec<u16> = text.encode_utf16().collect();
                let written = buffer.take_more(9, |room| {
                    room[..units.len()].copy_from_slice(&units);
                    Ok::<_, ()>(units.len())
                });
                assert_eq!(written, Ok(()));
            }
            assert_eq!(buffer.utf8(), Some("abcüd"));
        }
    }
}
