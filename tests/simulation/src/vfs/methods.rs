//! What SQLite does with an open file.

use std::ffi::{c_int, c_void};
use std::ptr;

use rusqlite::ffi;

use super::{answer, behind, buffer, bytes, take};
use crate::disk::DiskError;
use crate::shm::REGION;

type File = *mut ffi::sqlite3_file;

pub(super) static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn place(at: ffi::sqlite3_int64) -> usize {
    usize::try_from(at).unwrap_or(0)
}

fn done(result: Result<(), DiskError>, failed: c_int) -> c_int {
    result.map_or(failed, |()| ffi::SQLITE_OK)
}

unsafe extern "C" fn close(file: File) -> c_int {
    let open = take(file);
    if open.is_database {
        open.mount.borrow_mut().shared.leave(open.owner);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: File,
    data: *mut c_void,
    count: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (open, into) = (behind(file), buffer(data, count));
    let wanted = into.len();
    let there = open.mount.borrow().disk.read(open.id, place(at), into);
    if there < wanted {
        ffi::SQLITE_IOERR_SHORT_READ
    } else {
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn write(
    file: File,
    data: *const c_void,
    count: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (open, data) = (behind(file), bytes(data, count));
    let disk = &mut open.mount.borrow_mut().disk;
    let written = disk.write(open.id, open.name, place(at), data);
    done(written, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: File, to: ffi::sqlite3_int64) -> c_int {
    let open = behind(file);
    let disk = &mut open.mount.borrow_mut().disk;
    let cut = disk.cut(open.id, open.name, place(to));
    done(cut, ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: File, _flags: c_int) -> c_int {
    let open = behind(file);
    let disk = &mut open.mount.borrow_mut().disk;
    let synced = disk.sync(open.id, open.name, open.syncs_names.get());
    if synced.is_ok() {
        open.syncs_names.set(false);
    }
    done(synced, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: File, size: *mut ffi::sqlite3_int64) -> c_int {
    let open = behind(file);
    let length = open.mount.borrow().disk.len(open.id);
    answer(
        size,
        ffi::sqlite3_int64::try_from(length).unwrap_or(i64::MAX),
    );
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: File, level: c_int) -> c_int {
    let open = behind(file);
    let shared = &mut open.mount.borrow_mut().shared;
    if !open.is_database || shared.lock_file(open.owner, level) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_BUSY
    }
}

unsafe extern "C" fn unlock(file: File, level: c_int) -> c_int {
    let open = behind(file);
    let shared = &mut open.mount.borrow_mut().shared;
    shared.unlock_file(open.owner, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: File, reserved: *mut c_int) -> c_int {
    let open = behind(file);
    let taken = open.mount.borrow().shared.is_reserved();
    answer(reserved, c_int::from(taken));
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_file: File, _what: c_int, _data: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: File) -> c_int {
    4096
}

/// As SQLite takes it on Unix: a write changes no byte beside it.
unsafe extern "C" fn device_characteristics(_file: File) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: File,
    region: c_int,
    size: c_int,
    make: c_int,
    out: *mut *mut c_void,
) -> c_int {
    if usize::try_from(size) != Ok(REGION) {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    let open = behind(file);
    let shared = &mut open.mount.borrow_mut().shared;
    let region = shared.region(usize::try_from(region).unwrap_or(0), make != 0);
    answer(out, region.map_or(ptr::null_mut(), <*mut u64>::cast));
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(file: File, from: c_int, count: c_int, flags: c_int) -> c_int {
    let open = behind(file);
    let shared = &mut open.mount.borrow_mut().shared;
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    let from = usize::try_from(from).unwrap_or(0);
    let count = usize::try_from(count).unwrap_or(0);
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        shared.unlock(open.owner, from, count, exclusive);
        ffi::SQLITE_OK
    } else if shared.lock(open.owner, from, count, exclusive) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_BUSY
    }
}

/// One thread: nothing can be out of order.
unsafe extern "C" fn shm_barrier(_file: File) {}

unsafe extern "C" fn shm_unmap(_file: File, _delete: c_int) -> c_int {
    ffi::SQLITE_OK
}
