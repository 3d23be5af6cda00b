//! What the daemon needs of the operating system and Node does not offer: syslog, systemd's notification socket
//! and unnamed details of processes. Thin calls, no state beyond syslog's own.

use std::ffi::CString;
use std::os::unix::net::UnixDatagram;

use napi_derive::napi;

/// Sends one state to the service manager (`sd_notify`). Does nothing without `NOTIFY_SOCKET`.
///
/// `state` is what systemd documents: `READY=1`, `STATUS=...`, `STOPPING=1`, lines joined by `\n`.
#[napi]
pub fn sd_notify(socket: String, state: String) -> napi::Result<()> {
    let sender = UnixDatagram::unbound().map_err(|error| napi::Error::from_reason(error.to_string()))?;
    let result = match socket.strip_prefix('@') {
        Some(name) => send_abstract(&sender, name, state.as_bytes()),
        None => sender.send_to(state.as_bytes(), &socket).map(|_| ()),
    };
    result.map_err(|error| napi::Error::from_reason(format!("cannot notify {socket}: {error}")))
}

#[cfg(target_os = "linux")]
fn send_abstract(sender: &UnixDatagram, name: &str, state: &[u8]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    sender.send_to_addr(state, &address).map(|_| ())
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, name: &str, _: &[u8]) -> std::io::Result<()> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        format!("abstract socket @{name} exists on Linux only"),
    ))
}

/// Writes one line to syslog, facility `daemon`, ident `pgmoneta`. `priority` is syslog's number: 3 error,
/// 4 warning, 6 info, 7 debug.
#[napi]
pub fn syslog(priority: i32, message: String) -> napi::Result<()> {
    static IDENT: &std::ffi::CStr = c"pgmoneta";
    static OPEN: std::sync::Once = std::sync::Once::new();
    OPEN.call_once(|| {
        // SAFETY: the identifier is static, as openlog keeps the pointer.
        unsafe { libc::openlog(IDENT.as_ptr(), libc::LOG_PID | libc::LOG_NDELAY, libc::LOG_DAEMON) };
    });
    let text = CString::new(message.replace('\0', " "))
        .map_err(|_| napi::Error::from_reason("a log line contains NUL"))?;
    // SAFETY: both strings are NUL terminated and the format takes exactly one string.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) };
    Ok(())
}
