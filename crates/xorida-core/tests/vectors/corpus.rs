//! Folders of fixture files, each one line of comment and then hexadecimal digits. The crates whose
//! formats have such folders share this module.
//!
//! A file is named `NAME.CODE.hex`, where CODE is `OK` or the published error code that reading it
//! gives. What counts is the file as it lies there; beside that, its recipe stands in the test, so
//! that folder and recipes cannot part. After a change of a format, and never else, write a folder
//! anew by running its test with `XGENE_GOLDEN=write`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What reading a good file gives instead of an error code.
pub(crate) const OK: &str = "OK";

/// The recipe of one file.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    /// What is wrong with it; the file's comment.
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn case(
    name: &'static str,
    code: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
) -> Case {
    Case {
        name,
        code,
        what,
        bytes,
    }
}

impl Case {
    fn file_name(&self) -> String {
        format!("{}.{}.hex", self.name, self.code)
    }

    fn text(&self) -> String {
        let mut text = format!("# {}\n", self.what);
        for line in self.bytes.chunks(48) {
            for byte in line {
                write!(text, "{byte:02x}").unwrap();
            }
            text.push('\n');
        }
        text
    }
}

/// Reads every file of `folder`, relative to the crate, with `read`, which gives an error code or
/// [`OK`]. Fails when a file has no recipe, a recipe no file, or the two differ.
pub(crate) fn check(folder: &str, cases: &[Case], read: impl Fn(&[u8]) -> &'static str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    if std::env::var_os("XGENE_GOLDEN").is_some_and(|mode| mode == "write") {
        write(&path, cases);
    }
    let expected: BTreeSet<String> = cases.iter().map(Case::file_name).collect();
    assert_eq!(
        expected.len(),
        cases.len(),
        "{folder}: two recipes, one name"
    );
    assert_eq!(names(&path), expected, "{folder}: files and recipes");

    for case in cases {
        let name = case.file_name();
        let stored = fs::read_to_string(path.join(&name)).unwrap();
        assert_eq!(stored, case.text(), "{folder}/{name}: not as its recipe");
        let code = read(&unhex(&stored));
        assert_eq!(code, case.code, "{folder}/{name}: {}", case.what);
    }
    let bad = cases.iter().filter(|case| case.code != OK).count();
    println!("{folder}: {} files, {bad} of them bad", cases.len());
    assert!(
        bad * 5 >= cases.len() * 4,
        "{folder}: {bad} bad of {}",
        cases.len()
    );
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn write(folder: &Path, cases: &[Case]) {
    fs::create_dir_all(folder).unwrap();
    for name in names(folder) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for case in cases {
        fs::write(folder.join(case.file_name()), case.text()).unwrap();
    }
}

/// The bytes of a fixture: all lines but comments are hexadecimal digits.
fn unhex(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .flat_map(|line| line.as_bytes().chunks(2))
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
