//! Characters that nobody sees. A model sees them: hidden instructions are written in such, and a tip of nothing but these is empty.

/// Whether a character has no look of its own and is not needed to join others.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        // Soft hyphen, joiner of marks, fillers, blanks of other scripts.
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        // Marks of direction, spaces of no width, invisible operators.
        | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        // Variation selectors but the one of emoji, musical formatting, and plane 14.
        | '\u{fe00}'..='\u{fe0e}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character joins or varies the one before it; one at a time means something, several are a message.
pub const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')
}

/// Whether nobody would see anything.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c) || is_joiner(c))
}
