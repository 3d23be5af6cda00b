use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use super::super::Version;
use super::super::testing::page_header;
use super::*;

const SEGMENT: u32 = 1 << 20;

fn wal(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < bytes {
        let mut page = page_header(out.len() as u64, 1, Version::from_major(17).unwrap(), 0);
        page.resize(8192, 7);
        out.extend(page);
    }
    out.truncate(bytes);
    out
}

fn message(start: u64, server_end: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'd'];
    bytes.extend((payload.len() as u32 + 29).to_be_bytes());
    bytes.push(b'w');
    bytes.extend(start.to_be_bytes());
    bytes.extend(server_end.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes
}

fn keepalive(end: u64, reply: bool) -> Vec<u8> {
    let mut bytes = b"d\0\0\0\x16k".to_vec();
    bytes.extend(end.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.push(u8::from(reply));
    bytes
}

/// A link, what it reports, and the server's end of the socket.
fn start(directory: &Path, received: &[u8]) -> (WalLink, Receiver<LinkEvent>, UnixStream) {
    let (ours, server) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (sender, events) = channel();
    let options = LinkOptions {
        writer: SegmentWriterOptions {
            directory: directory.to_path_buf(),
            timeline: 1,
            segment_size: SEGMENT,
            page_size: 8192,
            start: Lsn(0),
        },
        socket: ours.into(),
        received: received.to_vec(),
    };
    let report = Box::new(move |event| sender.send(event).unwrap_or(()));
    (WalLink::start(options, report).unwrap(), events, server)
}

/// The next status update: written, flushed, applied.
fn status(server: &mut UnixStream) -> (u64, u64, u64) {
    let mut bytes = [0; 39];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes[..6], b"d\0\0\0\x26r");
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    (number(6), number(14), number(22))
}

fn until_flushed(server: &mut UnixStream, end: u64) {
    loop {
        let (written, flushed, applied) = status(server);
        assert!(flushed <= written && applied == 0);
        if flushed == end {
            return;
        }
    }
}

/// Everything up to the end of the link: finished segments, and how it ended.
fn ending(events: &Receiver<LinkEvent>) -> (Vec<String>, LinkEvent) {
    let mut segments = Vec::new();
    loop {
        match events.recv_timeout(Duration::from_secs(20)).unwrap() {
            LinkEvent::Progress { finished, positions } => {
                assert!(positions.durable <= positions.written);
                segments.extend(finished);
            }
            end => return (segments, end),
        }
    }
}

#[test]
fn wal_becomes_durable_and_the_server_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let all = wal(2 * SEGMENT as usize + 12_345);
    let end = all.len() as u64;
    let mut stream = Vec::new();
    for (index, piece) in all.chunks(100_000).enumerate() {
        stream.extend(message(index as u64 * 100_000, end, piece));
    }
    // The first bytes were read by another before the link was handed over.
    let (link, events, mut server) = start(directory.path(), &stream[..12_345]);
    server.write_all(&stream[12_345..]).unwrap();
    until_flushed(&mut server, end);
    assert_eq!(link.positions().durable, Lsn(end));
    assert!(link.reads() > 0);
    assert_eq!(link.close().unwrap(), Lsn(end));
    let mut segments = Vec::new();
    for event in events.try_iter() {
        if let LinkEvent::Progress { finished, .. } = event {
            segments.extend(finished);
        }
    }
    assert_eq!(segments, ["000000010000000000000000", "000000010000000000000001"]);
    let open = directory.path().join("000000010000000000000002.partial");
    assert!(std::fs::read(open).unwrap()[..12_345] == all[2 * SEGMENT as usize..]);
    assert!(link.close().is_err());
}

#[test]
fn a_commit_is_answered_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (link, _events, mut server) = start(directory.path(), b"");
    let all = wal(50_000);
    let mut at = 0;
    for size in [8192, 100, 8092, 20, 33_596] {
        server
            .write_all(&message(at as u64, (at + size) as u64, &all[at..at + size]))
            .unwrap();
        at += size;
        until_flushed(&mut server, at as u64);
    }
    assert_eq!(link.close().unwrap(), Lsn(50_000));
}

#[test]
fn while_the_server_is_far_ahead_there_is_a_sync_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (link, _events, mut server) = start(directory.path(), b"");
    server.write_all(&message(0, 1 << 40, &wal(8192))).unwrap();
    until_flushed(&mut server, 8192);
    link.close().unwrap();
}

#[test]
fn keepalives_are_answered_when_they_ask_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let (link, _events, mut server) = start(directory.path(), b"");
    server.write_all(&keepalive(77, false)).unwrap();
    server.write_all(&keepalive(78, true)).unwrap();
    assert_eq!(status(&mut server), (0, 0, 0));
    assert_eq!(link.positions().server_end, Lsn(78));
    link.send_status(true);
    assert_eq!(status(&mut server), (0, 0, 0));
    link.relieve();
    link.close().unwrap();
    let mut rest = Vec::new();
    drop(link);
    server.read_to_end(&mut rest).unwrap();
    assert!(
        rest.is_empty(),
        "the keepalive without a question was answered, or a sync that was none relieved"
    );
}

#[test]
fn the_link_is_handed_back_when_something_else_comes() {
    let directory = tempfile::tempdir().unwrap();
    let (link, events, mut server) = start(directory.path(), b"");
    let tail = b"c\0\0\0\x04C\0\0\0\x0bCOPY 0\0";
    server
        .write_all(&[&message(0, 100, &wal(100))[..], tail].concat())
        .unwrap();
    // What was received is acknowledged before the end of the stream is answered.
    assert_eq!(status(&mut server).1, 100);
    match ending(&events).1 {
        LinkEvent::Returned(rest) => assert_eq!(rest, tail),
        other => panic!("{other:?}"),
    }
    link.send_status(false);
    assert_eq!(link.close().unwrap(), Lsn(100));
    drop(link);
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "a status update after the end of the stream");
}

#[test]
fn a_broken_link_loses_nothing_that_came() {
    let directory = tempfile::tempdir().unwrap();
    let (link, events, mut server) = start(directory.path(), b"");
    server.write_all(&message(0, 9000, &wal(9000))).unwrap();
    server.write_all(&keepalive(5, true)[..7]).unwrap();
    drop(server);
    match ending(&events).1 {
        LinkEvent::Returned(rest) => assert_eq!(rest, &keepalive(5, true)[..7]),
        other => panic!("{other:?}"),
    }
    assert_eq!(link.close().unwrap(), Lsn(9000));
}

#[test]
fn wal_of_another_place_is_refused() {
    for bytes in [
        message(8192, 9000, &wal(100)),
        message(0, 9000, &[1; 8192]),
        b"d\0\0\0\x05w".to_vec(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (link, events, mut server) = start(directory.path(), b"");
        server.write_all(&bytes).unwrap();
        match ending(&events).1 {
            LinkEvent::Failed(error) => assert_eq!(error.code, Code::Protocol),
            other => panic!("{other:?}"),
        }
        assert!(link.close().is_err());
    }
}

#[test]
fn a_directory_that_is_gone_fails_the_link() {
    let directory = tempfile::tempdir().unwrap();
    let (link, events, mut server) = start(&directory.path().join("missing"), b"");
    server.write_all(&message(0, 100, &wal(100))).unwrap();
    match ending(&events).1 {
        LinkEvent::Failed(error) => assert_eq!(error.code, Code::Io),
        other => panic!("{other:?}"),
    }
    assert!(link.close().is_err());
}

#[test]
fn a_server_that_does_not_listen_gets_the_newest_status_when_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let (link, _events, mut server) = start(directory.path(), b"");
    // Far more updates than a socket takes.
    for _ in 0..100_000 {
        link.send_status(false);
    }
    server.write_all(&message(0, 100, &wal(100))).unwrap();
    until_flushed(&mut server, 100);
    link.close().unwrap();
}
