//! What is not read of a chain, or read and not decoded: it is proved all the same.

use super::super::testing::Form;
use super::history::History;
use super::pieces::Piece;
use super::tests::{FORMS, ZSTD, assert_refused, assert_restores, directories, failure, open};
use crate::Code;

#[test]
fn files_without_blocks_are_known_from_the_list_and_not_read() {
    let mut history = History::new(11);
    // the fixture's lists tell the lengths of files whose names end in 0
    history.create("base/5/1000", 9);
    history.create("base/5/1010", 30);
    history.back_up(ZSTD);
    history.truncate("base/5/1010", 4);
    history.back_up(ZSTD);
    history.grow("base/5/1010", 9, false);
    history.back_up(ZSTD);
    history.change("base/5/1000", 2);
    history.back_up(ZSTD);
    let chain = open(&directories(&history, 3)).unwrap();
    let pieces: Vec<_> = chain
        .inventory()
        .files
        .iter()
        .filter_map(|file| file.sources.map(|index| &chain.pieces[index as usize]))
        .map(|pieces| {
            pieces
                .iter()
                .map(|one| (one.backup, one.empty, one.cut))
                .collect::<Vec<_>>()
        })
        .collect();
    let none = u32::MAX;
    assert_eq!(
        pieces,
        [
            vec![(0, None, none), (3, None, 9)],
            // the second backup had four pages left, the third thirteen
            vec![(0, Some(13), none), (3, None, 4)],
        ]
    );
    let report = assert_restores(&mut history, 3, 1);
    let told = |text: &str| report.warnings.iter().any(|one| one.starts_with(text));
    assert!(told("9 blocks had been cut off"), "{:?}", report.warnings);
    let file = history.backups[2].stored.stored_file(b"base/5/INCREMENTAL.1010");
    let size = std::fs::metadata(&file).unwrap().len();
    std::fs::write(&file, vec![0; size as usize]).unwrap();
    assert_restores(&mut history, 3, 1);
    std::fs::remove_file(&file).unwrap();
    let error = failure(&history, &directories(&history, 3));
    assert_refused(&error, &[&file.display().to_string(), "missing"]);
}

#[test]
fn what_is_kept_of_a_source_is_small() {
    assert!(size_of::<Piece>() <= 96, "{} bytes", size_of::<Piece>());
}

/// A file of several frames. In the middle backup it has many blocks; the newest one has them all again, so that hardly
/// anything of the middle one is wanted, and of the full one only what lies in the last frame.
fn scene_of_frames(form: Form) -> History {
    let mut history = History::new(7);
    history.create("base/5/1000", 640);
    history.back_up(form);
    for _ in 0..2 {
        (0..560).for_each(|block| history.change("base/5/1000", block));
        history.back_up(form);
    }
    history
}

#[test]
fn frames_that_nobody_wants_are_passed_over_and_proved() {
    for form in [ZSTD, FORMS[4]] {
        let mut history = scene_of_frames(form);
        assert_restores(&mut history, 2, 1);
        let chain = open(&directories(&history, 2)).unwrap();
        let pieces = &chain.pieces[0];
        // of the older ones a single frame is wanted
        assert!(pieces[1].passing_pays(1) && pieces[2].passing_pays(1));
        for (number, path) in [(0, &b"base/5/1000"[..]), (1, b"base/5/INCREMENTAL.1000")] {
            let file = history.backups[number].stored.stored_file(path);
            let name = file.display().to_string();
            let good = std::fs::read(&file).unwrap();
            for part in 0..=5 {
                let mut bad = good.clone();
                bad[(good.len() - 1) * part / 5] ^= 0x20;
                std::fs::write(&file, &bad).unwrap();
                let error = failure(&history, &directories(&history, 2));
                assert_eq!(error.code, Code::Corrupt, "{name} part {part}: {error}");
                assert_refused(&error, &[&name]);
            }
            std::fs::write(&file, &good).unwrap();
        }
        assert_restores(&mut history, 2, 1);
    }
}

#[test]
fn frames_that_changed_places_are_noticed_though_nobody_wants_them() {
    let history = scene_of_frames(ZSTD);
    let file = history.backups[1].stored.stored_file(b"base/5/INCREMENTAL.1000");
    let stored = std::fs::read(&file).unwrap();
    let mut frames = Vec::new();
    let mut rest = &stored[..];
    while !rest.is_empty() {
        let (frame, behind) = rest.split_at(zstd_safe::find_frame_compressed_size(rest).unwrap());
        frames.push(frame);
        rest = behind;
    }
    assert!(frames.len() >= 4);
    // each is sound in itself
    frames.swap(1, 2);
    std::fs::write(&file, frames.concat()).unwrap();
    let error = failure(&history, &directories(&history, 2));
    assert_refused(&error, &[&file.display().to_string(), "sha512"]);
}
