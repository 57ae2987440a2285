//! Texts that come again and again, as numbers; so many of them, and no more.

use std::collections::HashMap;

/// So many different texts are told apart.
const MOST: usize = 1000;
/// What stands for all others.
const OTHER: &str = "(other)";

/// See the module.
#[derive(Debug, Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    /// A text's number.
    pub fn number(&mut self, text: &str) -> u32 {
        match self.numbers.get(text) {
            Some(&number) => number,
            None if self.texts.len() < MOST => self.add(text),
            None => self.numbers.get(OTHER).copied().unwrap_or_else(|| self.add(OTHER)),
        }
    }

    fn add(&mut self, text: &str) -> u32 {
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    /// A number's text.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_so_many_texts_all_have_one_number() {
        let mut names = Names::default();
        for i in 0..MOST + 5 {
            names.number(&format!("a{i}"));
        }
        assert_eq!((names.number("new"), names.number("a7"), names.text(999), names.text(1000)), (1000, 7, "a999", OTHER));
    }
}
