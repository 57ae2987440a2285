//! Which numbers a log can have. Nobody has signed the files of a directory, and one number in one of them, by a slip of the hand or from
//! another directory, must not use up everybody's: what is far above all others is taken for foreign.

use super::segment::SegmentName;
use super::seq::Seq;

/// An epoch that is more than so many above all others in its directory is none of its own: a start takes one, and none takes so many.
pub const MOST_SKIPPED: u32 = 1 << 20;
/// No epoch is above this one: what is left is room for the ones above it to be told from others.
pub const LAST_EPOCH: u32 = u32::MAX - MOST_SKIPPED;
/// No number of a line is above this one, the last that every reader of JSON takes for what it is.
pub const LAST_NUMBER: u64 = (1 << 53) - 1;

impl Seq {
    /// Whether a directory can have it at all.
    #[must_use]
    pub const fn is_possible(self) -> bool {
        self.epoch <= LAST_EPOCH && self.n <= LAST_NUMBER
    }
}

/// Whose numbers are whose.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// The directory's own segments, in order.
    pub own: Vec<SegmentName>,
    /// Others, whose epochs are far above those.
    pub foreign: Vec<SegmentName>,
    /// The number in `.epoch` is far above those, too.
    pub epoch_is_foreign: bool,
}

/// Tells a directory's own segments from others, by their names, in order, and by the number in its `.epoch`, where it has one.
///
/// An opening leaves its number in two files. So what stands alone above a gap is foreign, where there is anything below the gap.
#[must_use]
pub fn sort_segments(names: &[SegmentName], kept: Option<u32>) -> Sorted {
    let possible = names.iter().filter(|name| name.0.is_possible()).map(|name| name.0.epoch);
    let mut epochs: Vec<u32> = possible.chain(kept.filter(|kept| *kept <= LAST_EPOCH)).collect();
    epochs.sort_unstable();
    while let [.., below, above] = epochs[..]
        && above - below > MOST_SKIPPED
    {
        epochs.pop();
    }
    let newest = epochs.last().copied().unwrap_or(0);
    let (own, foreign) = names.iter().partition(|name| name.0.is_possible() && name.0.epoch <= newest);
    Sorted { own, foreign, epoch_is_foreign: kept.is_some_and(|kept| kept > newest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(epochs: &[u32]) -> Vec<SegmentName> {
        epochs.iter().map(|epoch| SegmentName(Seq { epoch: *epoch, n: 0 })).collect()
    }

    #[test]
    fn what_stands_alone_far_above_is_foreign() {
        const FAR: u32 = 7 + MOST_SKIPPED;
        for (all, kept, own, epoch_is_foreign) in [
            (&[][..], None, 0, false),
            (&[], Some(LAST_EPOCH), 0, false),
            (&[], Some(LAST_EPOCH + 1), 0, true),
            (&[1, 7], Some(7), 2, false),
            (&[1, 7, u32::MAX], Some(7), 2, false),
            (&[1, 7, LAST_EPOCH], Some(7), 2, false),
            (&[1, 7, FAR + 1], Some(7), 2, false),
            // As a person may write it who does not know the number any more.
            (&[1, 7], Some(100_000), 2, false),
            (&[1, 7, FAR], None, 3, false),
            (&[1, 7], Some(FAR + 1), 2, true),
            (&[1, 7], Some(u32::MAX), 2, true),
            (&[u32::MAX], Some(7), 0, false),
            // Both files of an opening: there it goes on.
            (&[1, 7, FAR + 1], Some(FAR + 1), 3, false),
            (&[1, 3_000_000, 3_000_001], None, 3, false),
            (&[3_000_000], None, 1, false),
        ] {
            let sorted = sort_segments(&names(all), kept);
            assert_eq!((sorted.own.len(), sorted.epoch_is_foreign), (own, epoch_is_foreign), "{all:?} {kept:?}");
            assert_eq!(sorted.own.len() + sorted.foreign.len(), all.len());
        }
        let odd = [SegmentName(Seq { epoch: 1, n: LAST_NUMBER + 1 })];
        assert_eq!(sort_segments(&odd, Some(1)).foreign, odd);
    }
}
