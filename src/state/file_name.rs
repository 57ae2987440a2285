//! Which name a user's state file has.
//!
//! The plain name is the old service's: each character of the user id that Python's `str.isalnum` refuses becomes `_`. It is
//! not one to one (`a-b` and `a_b`; the ε-greedy file of `x` and the `LinUCB` file of `x_egreedy`), so whoever finds the plain
//! name taken gets a distinct one, which holds a hash and a `~` that no plain name can hold.

use crate::policy::PolicyName;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// The longest file name, in bytes, that common file systems take.
const LONGEST_NAME: usize = 255;
/// How many bytes of the user id a distinct name keeps for people to recognise it by.
const RECOGNISABLE: usize = 64;

/// `str.isalnum` of Python 3.11 for one character: the categories L and N of Unicode 14, whatever Unicode the standard library has.
fn is_alnum(c: char) -> bool {
    matches!(
        get_general_category(c),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
            | Category::DecimalNumber
            | Category::LetterNumber
            | Category::OtherNumber
    )
}

fn safe(user_id: &str) -> impl Iterator<Item = char> {
    user_id.chars().map(|c| if is_alnum(c) { c } else { '_' })
}

/// The old service's name; `None` when it is too long for a file system.
#[must_use]
pub fn plain_name(user_id: &str, policy: PolicyName) -> Option<String> {
    let mut name: String = safe(user_id).collect();
    name.push_str(match policy {
        PolicyName::LinUcbV1 => ".json",
        PolicyName::EGreedyV1 => "_egreedy.json",
        PolicyName::EGreedyV2 => "_egreedy_v2.json",
    });
    (name.len() <= LONGEST_NAME).then_some(name)
}

/// Whether other ids have the same plain names.
#[must_use]
pub(crate) fn may_share_plain_name(user_id: &str) -> bool {
    !user_id.chars().all(is_alnum)
}

/// The name that no other user and policy can have.
#[must_use]
pub fn distinct_name(user_id: &str, policy: PolicyName) -> String {
    hashed_name(user_id, policy.as_str())
}

/// The name, among files of one kind, that no other user can have.
#[must_use]
pub fn hashed_name(user_id: &str, kind: &str) -> String {
    let mut name = String::new();
    for c in safe(user_id) {
        if name.len() + c.len_utf8() > RECOGNISABLE {
            break;
        }
        name.push(c);
    }
    name.push('~');
    let hash = Sha256::new().chain_update(kind).chain_update([0]).chain_update(user_id).finalize();
    for byte in &hash[..16] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".json");
    name
}

/// What the names of all files of a user have in common, whatever the policy and whether plain or distinct; a file's own name gives the
/// same. Several users may share it.
#[must_use]
pub(crate) fn shelf_of(user_id: &str) -> String {
    let mut stem = String::new();
    for c in safe(user_id) {
        if stem.len() >= RECOGNISABLE {
            break;
        }
        stem.push(c);
    }
    shelf(&stem).to_owned()
}

/// [`shelf_of`] the users whose file has this name; `None` for what is no state file.
#[must_use]
pub(crate) fn shelf_of_file(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".json")?;
    Some(shelf(stem.split_once('~').map_or(stem, |(stem, _)| stem)))
}

/// Distinct names keep 64 bytes or less of the id, and plain ones have a policy behind it: neither shows in so many bytes, up to what
/// may be a policy's.
fn shelf(stem: &str) -> &str {
    const MARK: &str = "_egreedy";
    const BYTES: usize = RECOGNISABLE - MARK.len() - 4;
    let stem = stem.split_once(MARK).map_or(stem, |(before, _)| before);
    &stem[..stem.floor_char_boundary(BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_a_user_stand_on_one_shelf() {
        let long = |n: usize, rest: &str| format!("{}{rest}", "ж".repeat(n));
        let mut ids: Vec<String> = ["a", "", "x_egreedy", "x-egreedy_egreedy_v2", "a~b", "Zoë.json"].map(str::to_owned).into();
        for n in 20..40 {
            ids.extend([long(n, ""), long(n, "_egreedy"), long(n, "_egreedy_egreedy_egreedy_v2"), long(n, "1_egreedy-9")]);
        }
        for id in ids {
            for policy in PolicyName::ALL {
                let names = [plain_name(&id, policy), Some(distinct_name(&id, policy))];
                for name in names.into_iter().flatten() {
                    assert_eq!(shelf_of_file(&name), Some(shelf_of(&id).as_str()), "{id} {name}");
                }
            }
        }
        assert_eq!(shelf_of_file(".lock"), None);
    }

    #[test]
    fn plain_names_are_the_old_service_s() {
        for (id, name) in [
            ("user-1", "user_1.json"),
            ("../../etc/passwd", "______etc_passwd.json"),
            ("a\0b", "a_b.json"),
            ("Zoë", "Zoë.json"),
            ("٣x²", "٣x².json"),
            ("e\u{301}", "e_.json"),
        ] {
            assert_eq!(plain_name(id, PolicyName::LinUcbV1).as_deref(), Some(name));
        }
        assert_eq!(plain_name("x", PolicyName::EGreedyV1).as_deref(), Some("x_egreedy.json"));
        assert_eq!(plain_name("x", PolicyName::EGreedyV2).as_deref(), Some("x_egreedy_v2.json"));
        assert_eq!(plain_name(&"y".repeat(251), PolicyName::LinUcbV1), None);
    }

    #[test]
    fn distinct_names_are_short_and_differ() {
        let long = "ж".repeat(512);
        let name = distinct_name(&long, PolicyName::EGreedyV2);
        assert!(name.len() <= RECOGNISABLE + 1 + 32 + 5);
        let names = [("a-b", PolicyName::LinUcbV1), ("a_b", PolicyName::LinUcbV1), ("a-b", PolicyName::EGreedyV1)];
        assert_eq!(names.map(|(id, p)| distinct_name(id, p)).iter().collect::<std::collections::HashSet<_>>().len(), 3);
    }
}
