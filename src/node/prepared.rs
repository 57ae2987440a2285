//! Candidates that were packed once, under numbers: what `prepare()` makes.

use super::text::split;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{Candidates, Lanes, NormalisedLanes};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Candidates packed once.
#[derive(Debug)]
pub struct PreparedSet {
    raw: Box<[Cell<f64>]>,
    len: usize,
    normalised: NormalisedLanes,
    /// All ids, one behind the other, and where each ends.
    ids: Box<str>,
    ends: Box<[u32]>,
    /// Where a candidate has one; empty where none has.
    prompt_versions: Box<[Option<String>]>,
}

impl PreparedSet {
    /// The set with these lanes, of which `raw` is a copy; `ids` are one behind the other, and each has so many UTF-16 units.
    ///
    /// # Errors
    /// `ERR_INTERNAL` where the ids are not as long as that.
    pub fn new(
        raw: Box<[Cell<f64>]>,
        lanes: &Lanes<'_>,
        ids: String,
        units: impl Iterator<Item = usize>,
        prompt_versions: Vec<Option<String>>,
    ) -> Result<Self> {
        let mut end = 0;
        let ends = split(&ids, units)?.into_iter().map(|id| {
            end += id.len();
            u32::try_from(end).map_err(|_| broken())
        });
        let ends: Box<[u32]> = ends.collect::<Result<_>>()?;
        let normalised = NormalisedLanes::new(lanes);
        Ok(Self { raw, len: lanes.len(), normalised, ids: ids.into(), ends, prompt_versions: prompt_versions.into() })
    }

    pub fn lanes(&self) -> Result<Lanes<'_>> {
        Lanes::new(&self.raw, self.len).ok_or_else(broken)
    }

    pub const fn normalised(&self) -> &NormalisedLanes {
        &self.normalised
    }

    /// The id of a candidate.
    #[inline]
    pub fn id(&self, index: usize) -> Result<&str> {
        let end = |index: usize| self.ends.get(index).map(|end| *end as usize);
        let begin = index.checked_sub(1).map_or(Some(0), end);
        let id = begin.zip(end(index)).and_then(|(begin, end)| self.ids.get(begin..end));
        id.ok_or_else(broken)
    }

    /// Those of all candidates.
    pub fn ids(&self) -> Result<Vec<&str>> {
        (0..self.len).map(|index| self.id(index)).collect()
    }

    /// Which prompt wrote a candidate, where that was said.
    #[inline]
    pub fn prompt_version(&self, index: usize) -> Option<&str> {
        self.prompt_versions.get(index)?.as_deref()
    }
}

/// The sets of one JavaScript environment. Numbers begin at 1.
#[derive(Debug, Default)]
pub struct PreparedSets {
    sets: RefCell<Vec<Option<Rc<PreparedSet>>>>,
    /// Numbers that were given back.
    free: RefCell<Vec<u32>>,
}

impl PreparedSets {
    /// Keeps a set; its number.
    pub fn keep(&self, set: PreparedSet) -> Result<u32> {
        let mut sets = self.sets.borrow_mut();
        let number = if let Some(number) = self.free.borrow_mut().pop() {
            number
        } else {
            sets.push(None);
            u32::try_from(sets.len()).map_err(|_| Error::new(ErrorKind::Internal, "too many prepared sets"))?
        };
        sets[place(number)] = Some(Rc::new(set));
        Ok(number)
    }

    /// Lets go of a set.
    pub fn release(&self, number: u32) {
        let released = self.sets.borrow_mut().get_mut(place(number)).and_then(Option::take);
        if released.is_some() {
            self.free.borrow_mut().push(number);
        }
    }

    /// The set with this number.
    #[inline]
    pub fn get(&self, number: u32) -> Option<Rc<PreparedSet>> {
        self.sets.borrow().get(place(number)).and_then(Option::as_ref).map(Rc::clone)
    }
}

#[inline]
const fn place(number: u32) -> usize {
    (number as usize).wrapping_sub(1)
}

fn broken() -> Error {
    Error::new(ErrorKind::Internal, "a prepared set is not whole")
}
