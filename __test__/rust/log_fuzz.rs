//! The log's reader on whatever bytes: it never panics, accounts for each of them, and damage costs no line but those that it hits.

use crate::support::cases;
use oo_bandits::log::{Piece, last_low_water, pieces, read_line};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What the bytes consist of, having checked that nothing of them is left out or told twice.
fn numbers(bytes: &[u8]) -> Result<Vec<u64>, TestCaseError> {
    let (mut end, mut numbers) = (0, Vec::new());
    for piece in pieces(bytes) {
        let (start, length) = match piece {
            Piece::Line(start, line) => {
                prop_assert_eq!(&bytes[start..start + line.len()], line);
                if let Ok(recorded) = read_line(line) {
                    numbers.push(recorded.seq.n);
                }
                (start, line.len())
            }
            Piece::Damage(start, length) | Piece::Torn(start, length) => (start, length),
        };
        // Nothing but newlines is between two pieces.
        prop_assert!(start >= end && bytes[end..start].iter().all(|&b| b == b'\n'), "{} after {}", start, end);
        end = start + length;
    }
    prop_assert!(bytes[end..].iter().all(|&b| b == b'\n'));
    let _ = last_low_water(bytes, u32::MAX);
    Ok(numbers)
}

/// A line as the log has it, made without the log's own writer.
fn line(n: u64, user_id: &str) -> Vec<u8> {
    let id = serde_json::to_string(user_id).unwrap();
    let content = format!(
        "{{\"v\":1,\"seq\":[1,{n}],\"ts\":\"2026-11-20T08:15:00.000Z\",\"kind\":\"reward\",\"userId\":{id},\"policy\":\"egreedy-v1\",\
         \"tipId\":\"tip\",\"reward\":0.5,\"hourOfDay\":9,\"dayOfWeek\":2,\
         \"features\":{{\"isOverdue\":false,\"taskAgeDays\":0.0,\"priority\":1}},\"profileFeatures\":null"
    );
    format!("{content},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(content.as_bytes())).into_bytes()
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip(usize, u8),
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let bytes = || {
        prop_oneof![prop::collection::vec(any::<u8>(), 1..40), Just(vec![b'\n']), Just(vec![0; 30]), Just(b"{\"v\":1,".to_vec())]
    };
    let at = any::<usize>;
    prop_oneof![
        (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (at(), bytes()).prop_map(|(at, bytes)| Mutation::Overwrite(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1usize..300).prop_map(|(at, length)| Mutation::Remove(at, length)),
    ]
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_bytes_are_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        numbers(&bytes)?;
        let _ = read_line(&bytes);
    }

    /// Bytes that look like lines.
    #[test]
    fn anything_like_lines_is_accounted_for(
        parts in prop::collection::vec(
            prop_oneof![
                Just(b"{\"v\":1,".to_vec()), Just(b"{\"v\":2,".to_vec()), Just(b",\"crc\":\"".to_vec()), Just(b"\"}".to_vec()),
                Just(b"\n".to_vec()), Just(b"\"lowWater\":[1,2]".to_vec()), Just(b"0123abcd".to_vec()), Just(line(1, "u")),
                prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..40,
        )
    ) {
        numbers(&parts.concat())?;
    }

    /// Whatever a line with the right checksum says: it is read, or refused.
    #[test]
    fn any_content_with_the_right_checksum_is_read_or_refused(content in prop_oneof![".{0,200}", "\\{\"v\":[0-9]{1,12},\"seq\":\\[[0-9]{1,21},[0-9]{1,21}\\],\"ts\":\"[0-9TZ:.-]{0,30}\",\"kind\":\"(pull|reward|state|mark|gap|off|reset)\".{0,60}"]) {
        let line = format!("{content},\"crc\":\"{:08x}\"}}", crc32fast::hash(content.as_bytes()));
        let _ = read_line(line.as_bytes());
        numbers(format!("{line}\n").as_bytes())?;
    }

    #[test]
    fn damage_costs_at_most_the_lines_that_it_hits(
        ids in prop::collection::vec(prop_oneof!["[a-z]{1,8}", ".{0,30}", Just("\"}\n{\"v\":1,".to_owned())], 1..12),
        mutation in mutations(),
    ) {
        let lines: Vec<Vec<u8>> = (0..).zip(&ids).map(|(n, id)| line(n, id)).collect();
        let mut bytes = lines.concat();
        prop_assert_eq!(numbers(&bytes)?, (0..lines.len() as u64).collect::<Vec<_>>());
        let length = bytes.len();
        let hit = match mutation {
            Mutation::Flip(at, bits) => {
                let at = at % length;
                bytes[at] ^= bits;
                at..at + 1
            }
            Mutation::Overwrite(at, with) => {
                let at = at % length;
                let end = (at + with.len()).min(length);
                bytes[at..end].copy_from_slice(&with[..end - at]);
                at..end
            }
            Mutation::Insert(at, what) => {
                let at = at % (length + 1);
                bytes.splice(at..at, what);
                at..at
            }
            Mutation::Remove(at, many) => {
                let at = at % length;
                let end = (at + many).min(length);
                bytes.drain(at..end);
                at..end
            }
        };
        let left: BTreeSet<u64> = numbers(&bytes)?.into_iter().collect();
        let mut start = 0;
        for (n, line) in (0..).zip(&lines) {
            let end = start + line.len();
            // Behind the last line's end nothing is hit of it; where something is put between two lines none of them is.
            let is_hit = hit.start < end && hit.end > start || hit.is_empty() && start < hit.start && hit.start < end;
            prop_assert!(is_hit || left.contains(&n), "line {} of {:?} was not hit by {:?}", n, start..end, hit);
            start = end;
        }
        prop_assert!(left.iter().all(|&n| n < lines.len() as u64));
    }
}
