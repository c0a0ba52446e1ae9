//! The path of this library.

use core::ffi::CStr;

/// The path by which the loader knows this library.
pub fn own_path() -> &'static [u8] {
    // SAFETY: zeros are a valid Dl_info; dladdr allocates nothing and fills it in where it returns
    // not 0; the name lives as long as this library is loaded.
    unsafe {
        let mut found: libc::Dl_info = core::mem::zeroed();
        let address = own_path as fn() -> &'static [u8];
        if libc::dladdr(address as *const core::ffi::c_void, &raw mut found) == 0
            || found.dli_fname.is_null()
        {
            return &[];
        }
        CStr::from_ptr(found.dli_fname).to_bytes()
    }
}
