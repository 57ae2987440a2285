//! Sorting for what is read back: every type that is sorted by the standard library is another 10 kB of code, so what is sorted here
//! is numbers, once for all types.

use crate::log::Seq;

/// Compared from the left.
pub type Rank = (u64, u64, u64);

/// The rank of a line; what has none is before everything.
pub fn rank(seq: Option<Seq>, then: u64) -> Rank {
    seq.map_or((0, 0, then), |seq| (1 + u64::from(seq.epoch), seq.n, then))
}

/// Puts items into the order of their ranks; those of the same rank stay in the order in which they are.
pub fn put_in_order<T>(items: &mut Vec<T>, rank: impl Fn(&T) -> Rank) {
    if items.is_sorted_by_key(&rank) {
        return;
    }
    let mut order: Vec<_> = items.iter().enumerate().map(|(i, item)| (rank(item), i)).collect();
    sort(&mut order);
    let mut places: Vec<_> = std::mem::take(items).into_iter().map(Some).collect();
    items.extend(order.iter().filter_map(|(_, i)| places[*i].take()));
}

#[inline(never)]
fn sort(order: &mut [(Rank, usize)]) {
    order.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_as_a_stable_sort() {
        let mut items: Vec<(u64, usize)> = (0..200).map(|i: usize| ((i as u64 * 7919) % 31, i)).collect();
        let mut expected = items.clone();
        expected.sort_by_key(|(n, _)| *n);
        put_in_order(&mut items, |(n, _)| (0, *n, 0));
        assert_eq!(items, expected);
    }

    #[test]
    fn lines_without_a_number_come_first() {
        let mut items = vec![Some(Seq { epoch: 1, n: 0 }), Some(Seq { epoch: 0, n: 9 }), None, Some(Seq::default())];
        put_in_order(&mut items, |seq| rank(*seq, 0));
        assert_eq!(items, [None, Some(Seq::default()), Some(Seq { epoch: 0, n: 9 }), Some(Seq { epoch: 1, n: 0 })]);
    }
}
