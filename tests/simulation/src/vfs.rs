//! Puts the simulated disk under SQLite: its VFS interface, on this process's SQLite, as the default one.
//!
//! A thread has one disk at a time ([`mount`]); whatever SQLite opens on that thread is on it. Nothing here decides
//! anything: each function hands its arguments to [`Disk`] or [`Shared`].
#![expect(
    unsafe_code,
    reason = "SQLite takes a VFS as a table of C functions over raw pointers; no other way leads under it"
)]

mod methods;

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::rc::Rc;
use std::sync::Once;

use rusqlite::ffi;

use crate::disk::{Disk, FileId};
use crate::shm::{Owner, Shared};

/// The longest path.
const MAX_PATH: c_int = 512;

/// A disk, and what the connections to it share.
pub(crate) struct Mounted {
    pub(crate) disk: Disk,
    pub(crate) shared: Shared,
}

/// A mounted disk. Used on one thread: SQLite runs on that of its caller.
pub(crate) type Mount = Rc<RefCell<Mounted>>;

thread_local! {
    static HERE: RefCell<Option<Mount>> = const { RefCell::new(None) };
}

/// What is behind an open file.
struct Open {
    mount: Mount,
    id: FileId,
    /// `None` for a temporary file.
    name: Option<&'static str>,
    owner: Owner,
    /// Whether its next sync makes the names of the folder durable, too. As on Unix: the first one of a log that was
    /// opened to be made if need be.
    syncs_names: Cell<bool>,
    /// Whether it is the database itself, whose locks count.
    is_database: bool,
}

/// What SQLite allocates for a file. It begins as SQLite's own.
#[repr(C)]
struct SimFile {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// Puts `disk` under what SQLite opens on this thread from now on.
pub(crate) fn mount(disk: Disk) -> Mount {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let shared = Shared::default();
    let mount = Rc::new(RefCell::new(Mounted { disk, shared }));
    HERE.with_borrow_mut(|here| *here = Some(mount.clone()));
    mount
}

fn register() {
    let vfs = ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: c_int::try_from(size_of::<SimFile>()).unwrap_or(c_int::MAX),
        mxPathname: MAX_PATH,
        pNext: ptr::null_mut(),
        zName: c"simulated".as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    // SAFETY: SQLite keeps the pointer for as long as the process lives, and so does the leaked box. All functions in
    // it are of this module and hold to SQLite's contract.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 1) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite takes a VFS");
}

/// The disk of this thread, and the name asked for without its folder.
fn here(path: *const c_char) -> Option<(Mount, &'static str)> {
    // SAFETY: SQLite passes a path that ends with a zero byte.
    let path = unsafe { CStr::from_ptr(path) };
    let name = Disk::name(path.to_str().ok()?)?;
    let mount = HERE.with_borrow(Clone::clone)?;
    Some((mount, name))
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let file = file.cast::<SimFile>();
    // SAFETY: SQLite passes room for a `SimFile`. Without methods it does not call close after a failed open.
    unsafe { (*file).base.pMethods = ptr::null() };
    let found = if path.is_null() {
        HERE.with_borrow(Clone::clone).map(|mount| (mount, None))
    } else {
        here(path).map(|(mount, name)| (mount, Some(name)))
    };
    let Some((mount, name)) = found else {
        return ffi::SQLITE_CANTOPEN;
    };
    let is_database = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
    let is_log = flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0;
    let (id, owner) = {
        let mut mounted = mount.borrow_mut();
        let known = name.and_then(|name| mounted.disk.find(name));
        let owner = if is_database {
            mounted.shared.join()
        } else {
            0
        };
        match known {
            Some(id) => {
                if flags & ffi::SQLITE_OPEN_WAL != 0 && mounted.shared.open() == 1 {
                    mounted.disk.notice_rewrite(id);
                }
                (id, owner)
            }
            // The journal made the database's file just before, with the system's own calls.
            None => (mounted.disk.create(name), owner),
        }
    };
    let open = Open {
        mount,
        id,
        name,
        owner,
        syncs_names: Cell::new(is_log && flags & ffi::SQLITE_OPEN_CREATE != 0),
        is_database,
    };
    // SAFETY: as above; `out_flags` may be null, else it is SQLite's.
    unsafe {
        (*file).open = Box::into_raw(Box::new(open));
        (*file).base.pMethods = &raw const methods::METHODS;
        if let Some(out) = out_flags.as_mut() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    sync_names: c_int,
) -> c_int {
    let Some((mount, name)) = here(path) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    let mut mounted = mount.borrow_mut();
    match mounted.disk.remove(name) {
        Ok(true) => {}
        Ok(false) => return ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(_) => return ffi::SQLITE_IOERR_DELETE,
    }
    if sync_names != 0 {
        mounted.disk.sync_names();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _flags: c_int,
    found: *mut c_int,
) -> c_int {
    let there = here(path).is_some_and(|(mount, name)| {
        let mounted = mount.borrow();
        let id = mounted.disk.find(name);
        // As on Unix: an empty log is none.
        id.is_some_and(|id| mounted.disk.len(id) > 0)
    });
    // SAFETY: SQLite passes a place for the answer.
    unsafe { *found = c_int::from(there) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a path that ends with a zero byte, and `room` bytes for the answer.
    unsafe {
        let bytes = CStr::from_ptr(path).to_bytes_with_nul();
        if bytes.len() > usize::try_from(room).unwrap_or(0) {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

/// The salt of a log must differ from that of the one before, and nothing else is asked of it here.
unsafe extern "C" fn randomness(
    _vfs: *mut ffi::sqlite3_vfs,
    count: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes `count` bytes of room.
    unsafe { ptr::write_bytes(out, 0x5a, usize::try_from(count).unwrap_or(0)) };
    count
}

/// Nobody who is waited for runs meanwhile: all is on one thread.
unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

/// The journal asks SQLite for no time.
unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite passes a place for the answer.
    unsafe { *out = 2_461_000.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(
    _vfs: *mut ffi::sqlite3_vfs,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite passes a place for the answer.
    unsafe { *out = 2_461_000 * 86_400_000 };
    ffi::SQLITE_OK
}

/// What is behind SQLite's file; it is open.
fn behind<'a>(file: *mut ffi::sqlite3_file) -> &'a Open {
    // SAFETY: SQLite calls methods with a file that `open` filled and `close` has not taken away.
    unsafe { &*(*file.cast::<SimFile>()).open }
}

/// Takes away what is behind SQLite's file.
fn take(file: *mut ffi::sqlite3_file) -> Box<Open> {
    // SAFETY: as above; SQLite closes a file once, and uses it no more.
    unsafe { Box::from_raw((*file.cast::<SimFile>()).open) }
}

/// SQLite's buffer to read into.
fn buffer<'a>(data: *mut c_void, count: c_int) -> &'a mut [u8] {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: SQLite passes `count` bytes that are its own for the time of the call.
    unsafe { std::slice::from_raw_parts_mut(data.cast(), count) }
}

/// SQLite's bytes to write.
fn bytes<'a>(data: *const c_void, count: c_int) -> &'a [u8] {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(data.cast(), count) }
}

/// Writes an answer where SQLite wants it.
fn answer<T>(place: *mut T, value: T) {
    // SAFETY: SQLite passes a place for the answer.
    unsafe { *place = value };
}
