//! What is not read of a chain, or read and not decoded: it is proved all the same.

use super::super::evidence::Evidence;
use super::super::testing::Form;
use super::super::{Job, restore};
use super::history::History;
use super::pieces::Piece;
use super::tests::{FORMS, ZSTD, assert_refused, assert_restores, directories, failure, open, options};
use crate::Code;
use crate::codec::Codec;

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
    assert!(size_of::<Piece>() <= 40, "{} bytes", size_of::<Piece>());
}

/// A file of several frames. In the middle backup it has many blocks; the newest one has them all again, so that hardly
/// anything of the middle one is wanted, and of the full one only what lies in the last frame.
fn scene_of_frames(form: Form) -> History {
    scene_of("base/5/1000", form, 560)
}

fn scene_of(path: &str, form: Form, again: u32) -> History {
    let mut history = History::new(7);
    history.create(path, 640);
    history.back_up(form);
    for count in [560, again] {
        (0..count).for_each(|block| history.change(path, block));
        history.back_up(form);
    }
    history
}

/// The stored frames of a file.
fn frames_of(stored: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = stored;
    while !rest.is_empty() {
        let (frame, behind) = rest.split_at(zstd_safe::find_frame_compressed_size(rest).unwrap());
        frames.push(frame);
        rest = behind;
    }
    frames
}

#[test]
fn pieces_that_are_wanted_are_proved_and_the_others_not_read() {
    // the fixture's lists have the pieces of files whose names end in 5
    for form in [ZSTD, FORMS[2], FORMS[4], FORMS[0]] {
        let mut history = scene_of("base/5/1005", form, 400);
        assert_restores(&mut history, 2, 1);
        let chain = open(&directories(&history, 2)).unwrap();
        let older = &chain.pieces[0][1];
        let file = older.file(&chain.backups[1], b"base/5/1005", false).unwrap();
        assert!(matches!(file.evidence, Evidence::Pieces(_)));
        assert!(!chain.pieces[0][1].passing_pays(1));
        let file = history.backups[1].stored.stored_file(b"base/5/INCREMENTAL.1005");
        let good = std::fs::read(&file).unwrap();
        // its header is wanted, and the blocks from 400 on, which lie in its last two frames; not what follows them, as
        // the tag of a sealed file does
        for part in [0, 19] {
            let mut bad = good.clone();
            bad[(good.len() - 1) * part / 20] ^= 0x20;
            std::fs::write(&file, &bad).unwrap();
            let error = failure(&history, &directories(&history, 2));
            assert_refused(&error, &[&file.display().to_string()]);
        }
        if form.codec == Codec::Zstd && form.cipher.is_none() {
            let frames = frames_of(&good);
            assert_eq!(frames.len(), 5);
            // frame 1 is passed over: only its length is looked at
            let mut bad = good.clone();
            bad[frames[0].len() + frames[1].len() / 2] ^= 0x20;
            std::fs::write(&file, &bad).unwrap();
            assert_restores(&mut history, 2, 1);
            // each is sound in itself, but not in its place
            let swapped = [frames[0], frames[1], frames[2], frames[4], frames[3]].concat();
            std::fs::write(&file, swapped).unwrap();
            let error = failure(&history, &directories(&history, 2));
            assert_refused(&error, &[&file.display().to_string()]);
            // a frame that is too short moves all that follow
            std::fs::write(
                &file,
                [frames[0], frames[4], &good[frames[0].len() + frames[4].len()..]].concat(),
            )
            .unwrap();
            let error = failure(&history, &directories(&history, 2));
            assert_refused(&error, &[&file.display().to_string()]);
        }
        std::fs::write(&file, &good).unwrap();
        assert_restores(&mut history, 2, 1);
    }
}

#[test]
fn a_source_of_which_nothing_is_wanted_costs_its_header() {
    let mut history = scene_of("base/5/1005", ZSTD, 560);
    let file = history.backups[1].stored.stored_file(b"base/5/INCREMENTAL.1005");
    let good = std::fs::read(&file).unwrap();
    let first = frames_of(&good)[0].len();
    let mut bad = good.clone();
    bad[first..].fill(0);
    std::fs::write(&file, &bad).unwrap();
    assert_restores(&mut history, 2, 1);
}

#[test]
fn pieces_that_do_not_make_the_digest_are_refused() {
    let history = scene_of("base/5/1005", ZSTD, 560);
    let stored = &history.backups[1].stored;
    let json = stored.directory.join("backup.json");
    let text = std::fs::read_to_string(&json).unwrap();
    let at = text.find("\"Pieces\": \"").unwrap() + 20;
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    std::fs::write(&json, [&text[..at], other, &text[at + 1..]].concat()).unwrap();
    stored.write_sha512();
    let error = open(&directories(&history, 2)).err().unwrap();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.message.contains("do not make its digest"), "{error}");
    assert!(error.hint.is_some());
}

#[test]
fn a_list_that_changes_while_a_chain_is_open_is_noticed() {
    let history = scene_of("base/5/1005", ZSTD, 400);
    let stored = &history.backups[1].stored;
    let json = stored.directory.join("backup.json");
    let good = std::fs::read_to_string(&json).unwrap();
    let chain = open(&directories(&history, 2)).unwrap();
    let restored = || {
        let target = &history.backups[2].stored;
        let restored = restore(&chain, &options(target, 1), &Job::default());
        target.clear();
        restored
    };
    restored().unwrap();
    let at = good.find("\"Pieces\": \"").unwrap() + 20;
    let other = if good.as_bytes()[at] == b'0' { "1" } else { "0" };
    let changed = [&good[..at], other, &good[at + 1..]].concat();
    for text in [&changed, &good[1..], &good[..at], ""] {
        std::fs::write(&json, text).unwrap();
        let error = restored().unwrap_err();
        assert_eq!(error.code, Code::Corrupt, "{error}");
        assert!(error.to_string().contains(&json.display().to_string()), "{error}");
        assert!(error.hint.is_some());
    }
    std::fs::write(&json, good).unwrap();
    restored().unwrap();
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
    let mut frames = frames_of(&stored);
    assert!(frames.len() >= 4);
    // each is sound in itself
    frames.swap(1, 2);
    std::fs::write(&file, frames.concat()).unwrap();
    let error = failure(&history, &directories(&history, 2));
    assert_refused(&error, &[&file.display().to_string(), "sha512"]);
}
