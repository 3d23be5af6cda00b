use super::*;
use crate::tar::testing::{add, add_directory, add_file, close, header, header_with, pad};
use proptest::prelude::*;

#[derive(Default, Debug, PartialEq, Clone)]
struct Collected {
    members: Vec<(Member, Vec<u8>)>,
    open: bool,
}

impl Sink for Collected {
    fn begin(&mut self, member: Member) -> Result<()> {
        assert!(!self.open);
        self.open = true;
        self.members.push((member, Vec::new()));
        Ok(())
    }
    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(self.open && !bytes.is_empty());
        self.members.last_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        assert!(self.open);
        self.open = false;
        let (member, data) = self.members.last().unwrap();
        assert_eq!(member.size, data.len() as u64);
        Ok(())
    }
}

fn read_in(archive: &[u8], pieces: &[usize]) -> Result<Collected> {
    let mut demuxer = Demuxer::new("base.tar");
    let mut sink = Collected::default();
    let mut rest = archive;
    for &piece in pieces {
        let (head, tail) = rest.split_at(piece.min(rest.len()));
        demuxer.push(head, &mut sink)?;
        rest = tail;
    }
    demuxer.push(rest, &mut sink)?;
    demuxer.finish()?;
    Ok(sink)
}

/// A pax header with the given records.
fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let mut data = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while format!("{length}{rest}").len() != length {
            length += 1;
        }
        data.push_str(&format!("{length}{rest}"));
    }
    let mut bytes = header(b"PaxHeaders/x", kind, data.len() as u64, b"");
    bytes.extend_from_slice(data.as_bytes());
    pad(&mut bytes);
    bytes
}

fn long_name(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    add(&mut bytes, b"././@LongLink", kind, &[name, b"\0"].concat(), b"");
    bytes
}

/// One of everything that is understood.
fn sample() -> Vec<u8> {
    let mut archive = Vec::new();
    add_file(&mut archive, "backup_label", b"START WAL LOCATION: 0/2000028\n");
    add_directory(&mut archive, "base");
    add_file(&mut archive, "base/empty", b"");
    add_file(&mut archive, "base/block", &[7; 512]);
    add(&mut archive, b"pg_tblspc/16384", b'2', b"", b"/srv/ts");
    archive.extend(pax(b'g', &[("comment", "whatever")]));
    archive.extend(pax(
        b'x',
        &[("path", "from/pax"), ("size", "600"), ("mtime", "1.5")],
    ));
    archive.extend(header(b"cut", b'0', 1, b""));
    archive.extend([9u8; 600]);
    pad(&mut archive);
    archive.extend(pax(b'x', &[("linkpath", "target/of/pax")]));
    add(&mut archive, b"link", b'2', b"", b"cut");
    archive.extend(long_name(b'L', &b"d/".repeat(75)));
    archive.extend(long_name(b'K', &b"t/".repeat(75)));
    add(&mut archive, b"cut", b'2', b"", b"cut");
    archive.extend(header_with(b"name", b'0', 0, b"", b"prefix/of"));
    close(&mut archive);
    archive
}

#[test]
fn one_of_everything() {
    let found = read_in(&sample(), &[]).unwrap();
    let names: Vec<_> = found
        .members
        .iter()
        .map(|(m, _)| String::from_utf8(m.path.clone()).unwrap())
        .collect();
    let long = "d/".repeat(75).trim_end_matches('/').to_owned();
    let expected = [
        "backup_label",
        "base",
        "base/empty",
        "base/block",
        "pg_tblspc/16384",
        "from/pax",
        "link",
        &long,
        "prefix/of/name",
    ];
    assert_eq!(names, expected);
    assert_eq!(found.members[1].0.kind, Kind::Directory);
    assert_eq!(found.members[3].1, [7; 512]);
    assert_eq!(found.members[4].0.link, b"/srv/ts");
    assert_eq!(found.members[5].1, [9; 600]);
    assert_eq!(found.members[6].0.link, b"target/of/pax");
    assert_eq!(found.members[7].0.link, b"t/".repeat(75));
    assert_eq!(found.members[0].0.mode, 0o600);
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    let archive = sample();
    let whole = read_in(&archive, &[]).unwrap();
    for cut in 0..archive.len() {
        assert_eq!(read_in(&archive, &[cut]).unwrap(), whole, "cut at {cut}");
    }
    assert_eq!(read_in(&archive, &vec![1; archive.len()]).unwrap(), whole);
}

#[test]
fn an_archive_that_ends_early_is_an_error_except_between_members() {
    let mut archive = Vec::new();
    add_file(&mut archive, "a", &[1; 700]);
    let first = archive.len();
    add_file(&mut archive, "b", &[2; 10]);
    for end in 0..archive.len() {
        assert_eq!(
            read_in(&archive[..end], &[]).is_ok(),
            end == 0 || end == first,
            "end at {end}"
        );
    }
    assert!(read_in(&archive, &[]).is_ok(), "the zero blocks are optional");
    let dangling = pax(b'x', &[("path", "nobody")]);
    assert!(read_in(&dangling, &[]).is_err());
}

#[test]
fn data_after_the_end_is_an_error() {
    let mut archive = sample();
    add_file(&mut archive, "more", b"x");
    let error = read_in(&archive, &[]).unwrap_err();
    assert!(
        error.message.contains("base.tar") && error.message.contains("after the end"),
        "{error}"
    );
}

#[test]
fn sizes_of_base_256_are_understood() {
    let mut demuxer = Demuxer::new("x");
    let mut sink = Collected::default();
    demuxer
        .push(&header(b"big", b'0', 1 << 40, b""), &mut sink)
        .unwrap();
    assert_eq!(sink.members[0].0.size, 1 << 40);
}

#[test]
fn names_that_climb_are_refused_wherever_they_hide() {
    let mut plain = Vec::new();
    add_file(&mut plain, "../x", b"");
    let mut hidden = pax(b'x', &[("path", "a/../../x")]);
    add_file(&mut hidden, "x", b"");
    let mut gnu = long_name(b'L', b"/etc/passwd");
    add_file(&mut gnu, "x", b"");
    for archive in [plain, hidden, gnu] {
        assert!(read_in(&archive, &[]).is_err());
    }
}

#[test]
fn an_endless_long_name_is_refused_before_it_is_read() {
    let bomb = header(b"././@LongLink", b'L', 1 << 30, b"");
    assert!(read_in(&bomb, &[]).unwrap_err().message.contains("1 MiB"));
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read_in(&bytes, &[512, 512]);
    }

    #[test]
    fn a_damaged_sample_ends_in_an_answer(at in 0usize..8000, with in any::<u8>(), cut in 0usize..8000) {
        let mut archive = sample();
        let at = at % archive.len();
        archive[at] = with;
        let whole = read_in(&archive, &[]).map_err(|error| error.message);
        let torn = read_in(&archive, &[cut]).map_err(|error| error.message);
        prop_assert_eq!(whole.is_ok(), torn.is_ok());
        if let (Ok(whole), Ok(torn)) = (whole, torn) {
            prop_assert_eq!(whole, torn);
        }
    }
}
