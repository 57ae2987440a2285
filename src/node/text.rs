//! Texts on their way from V8 to the core: UTF-16 in, UTF-8 out, in memory that stays from call to call. V8 copies UTF-16 faster than it
//! encodes UTF-8, and a lone surrogate is seen here instead of being replaced there.

/// See the module.
#[derive(Debug, Default)]
pub struct TextBuffer {
    units: Vec<u16>,
    utf8: Vec<u8>,
}

/// Bytes that a UTF-16 unit takes in UTF-8 at most.
const BYTES_PER_UNIT: usize = 3;

/// Room for more units than this is given back by the next text that does not need it.
const KEEP_UNITS: usize = 1 << 16;

impl TextBuffer {
    /// Room for so many units, whatever they hold.
    #[inline]
    pub fn room(&mut self, units: usize) -> &mut [u16] {
        if self.units.len() < units {
            self.units.resize(units, 0);
            self.utf8.resize(units * BYTES_PER_UNIT, 0);
        } else if self.units.len() > KEEP_UNITS && units <= KEEP_UNITS {
            *self = Self { units: vec![0; units], utf8: vec![0; units * BYTES_PER_UNIT] };
        }
        &mut self.units[..units]
    }

    /// The first units in UTF-8; `None` where they have a lone surrogate.
    #[inline]
    pub fn utf8(&mut self, units: usize) -> Option<&str> {
        let units = self.units.get(..units)?;
        let is_ascii = units.iter().fold(0, |all, unit| all | unit) < 0x80;
        let length = if is_ascii { narrow(units, &mut self.utf8) } else { encode(units, &mut self.utf8)? };
        std::str::from_utf8(self.utf8.get(..length)?).ok()
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // ASCII
fn narrow(units: &[u16], utf8: &mut [u8]) -> usize {
    utf8.iter_mut().zip(units).for_each(|(byte, &unit)| *byte = unit as u8);
    units.len()
}

#[cold]
fn encode(units: &[u16], utf8: &mut [u8]) -> Option<usize> {
    char::decode_utf16(units.iter().copied()).try_fold(0, |at, decoded| {
        let character = decoded.ok()?;
        let end = at + character.len_utf8();
        character.encode_utf8(utf8.get_mut(at..end)?);
        Some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(units: &[u16]) -> Option<String> {
        let mut buffer = TextBuffer::default();
        buffer.room(units.len()).copy_from_slice(units);
        buffer.utf8(units.len()).map(str::to_owned)
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
            let units: Vec<u16> = text.encode_utf16().collect();
            buffer.room(40)[..units.len()].copy_from_slice(&units);
            assert_eq!(buffer.utf8(units.len()), Some(text));
        }
    }
}
