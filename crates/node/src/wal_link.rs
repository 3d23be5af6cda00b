//! Receiving WAL straight from a socket, for JavaScript.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pgmoneta_core::wal::{LinkEvent, LinkOptions, LinkPositions, SegmentWriterOptions, WalLink};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;
use crate::task::Job;
use crate::wal_writer::lsn;

/// Options of a link.
#[napi(object)]
pub struct BindingWalLinkOptions {
    pub directory: String,
    pub timeline: u32,
    pub segment_size: u32,
    pub page_size: u32,
    pub start: BigInt,
    /// Descriptor of the socket; the link uses a copy of it.
    pub descriptor: i32,
    /// What was read from it already.
    pub received: Buffer,
}

/// How far a link is.
#[napi(object)]
pub struct BindingLinkPositions {
    pub written: BigInt,
    pub durable: BigInt,
    pub server_end: BigInt,
}

impl From<LinkPositions> for BindingLinkPositions {
    fn from(positions: LinkPositions) -> Self {
        Self {
            written: positions.written.0.into(),
            durable: positions.durable.0.into(),
            server_end: positions.server_end.0.into(),
        }
    }
}

/// What a link reports: `positions` with `finished`, or `rest`, or `failure` (an error as JSON).
#[napi(object)]
pub struct BindingLinkEvent {
    pub positions: Option<BindingLinkPositions>,
    pub finished: Vec<String>,
    pub rest: Option<Buffer>,
    pub failure: Option<String>,
}

impl From<LinkEvent> for BindingLinkEvent {
    fn from(event: LinkEvent) -> Self {
        let nothing = Self {
            positions: None,
            finished: Vec::new(),
            rest: None,
            failure: None,
        };
        match event {
            LinkEvent::Progress { positions, finished } => Self {
                positions: Some(positions.into()),
                finished,
                ..nothing
            },
            LinkEvent::Returned(rest) => Self {
                rest: Some(rest.into()),
                ..nothing
            },
            LinkEvent::Failed(error) => Self {
                failure: Some(error.to_json()),
                ..nothing
            },
        }
    }
}

/// A link with its thread.
#[napi(js_name = "NativeWalLink")]
pub struct BindingWalLink {
    link: Arc<WalLink>,
}

#[napi]
impl BindingWalLink {
    #[napi(constructor)]
    pub fn new(options: BindingWalLinkOptions, report: Function<BindingLinkEvent, ()>) -> napi::Result<Self> {
        // Weak: a link by itself keeps no process alive.
        let report = report
            .build_threadsafe_function()
            .weak::<true>()
            .callee_handled::<false>()
            .build()?;
        let link = link_options(options).and_then(|options| {
            WalLink::start(
                options,
                Box::new(move |event| {
                    report.call(event.into(), ThreadsafeFunctionCallMode::NonBlocking);
                }),
            )
        });
        Ok(Self {
            link: Arc::new(link.map_err(|error| to_napi(&error))?),
        })
    }

    /// How far it is.
    #[napi]
    pub fn positions(&self) -> BindingLinkPositions {
        self.link.positions().into()
    }

    /// Counts the reads so far.
    #[napi]
    pub fn reads(&self) -> i64 {
        i64::try_from(self.link.reads()).unwrap_or(i64::MAX)
    }

    /// Sends a status update now.
    #[napi]
    pub fn send_status(&self, reply: bool) {
        self.link.send_status(reply);
    }

    /// Sends a status update when a long sync keeps the thread from doing so.
    #[napi]
    pub fn relieve(&self) {
        self.link.relieve();
    }

    /// Makes what was received durable and ends; gives the last durable position.
    #[napi]
    pub fn close(&self) -> AsyncTask<Job<BigInt>> {
        let link = Arc::clone(&self.link);
        Job::start(move || link.close().map(|lsn| lsn.0.into()))
    }
}

fn link_options(options: BindingWalLinkOptions) -> Result<LinkOptions> {
    Ok(LinkOptions {
        writer: SegmentWriterOptions {
            directory: PathBuf::from(options.directory),
            timeline: options.timeline,
            segment_size: options.segment_size,
            page_size: options.page_size,
            start: lsn(&options.start)?,
        },
        socket: copy_of(options.descriptor)?,
        received: options.received.to_vec(),
    })
}

fn copy_of(descriptor: i32) -> Result<OwnedFd> {
    if descriptor < 0 {
        return Err(Error::new(Code::Usage, "the socket has no descriptor"));
    }
    // SAFETY: it is only used for the copy, while the caller, who owns it, waits; -1 was ruled out.
    let theirs = unsafe { BorrowedFd::borrow_raw(descriptor) };
    theirs
        .try_clone_to_owned()
        .map_err(|error| Error::new(Code::Io, format!("cannot use the socket of the server: {error}")))
}
