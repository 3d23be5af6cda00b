//! Any bytes as a tar archive: members or an error, never a panic, no name that leaves its root, and the same whatever
//! way the bytes are cut. The first byte chooses the cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::Result;
use pgmoneta_core::tar::{Demuxer, Kind, Member, Sink};

#[derive(Default, PartialEq, Debug)]
struct Collected {
    members: Vec<(Member, Vec<u8>)>,
    open: bool,
}

impl Sink for Collected {
    fn begin(&mut self, member: Member) -> Result<()> {
        assert!(!self.open);
        assert!(!member.path.starts_with(b"/") && !member.path.contains(&0));
        assert!(member.path.split(|byte| *byte == b'/').all(|part| part != b".."));
        assert!(member.kind == Kind::Directory || !member.path.is_empty());
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

fn read(bytes: &[u8], piece: usize) -> Option<Collected> {
    let mut demuxer = Demuxer::new("fuzz.tar");
    let mut sink = Collected::default();
    for chunk in bytes.chunks(piece) {
        demuxer.push(chunk, &mut sink).ok()?;
    }
    demuxer.finish().ok()?;
    Some(sink)
}

/// A fuzzer does not find checksums: every block that could be a header gets the right one.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut fixed = bytes.to_vec();
    for block in fixed.chunks_exact_mut(512) {
        if block.iter().any(|byte| *byte != 0) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    fixed
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    for bytes in [bytes.to_vec(), with_checksums(bytes)] {
        let whole = read(&bytes, usize::MAX);
        assert_eq!(whole, read(&bytes, usize::from(*cut) + 1));
    }
});
