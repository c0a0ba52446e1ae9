//! What the dynamic loader knows of an address: `_dl_find_object`, which takes no lock and
//! allocates nothing (glibc 2.35 and later). Without it there are no rules, only frame pointers.

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, Ordering};
use libc::{c_char, c_int, c_void, size_t};

/// `struct dl_find_object` on x86_64.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: *mut c_void,
    map_end: *mut c_void,
    link_map: *const LinkMap,
    eh_frame: *mut c_void,
    reserved: [u64; 7],
}

/// The public part of `struct link_map`.
#[repr(C)]
struct LinkMap {
    bias: u64,
    name: *const c_char,
    dynamic: *const c_void,
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut Found) -> c_int;

static FIND_OBJECT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// A mapped ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its lowest mapped address.
    pub(crate) start: u64,
    /// Past its highest mapped address.
    pub(crate) end: u64,
    /// Runtime address minus file address.
    pub(crate) bias: u64,
    /// The loader's name of it: null, or a C string that lives as long as the object is mapped;
    /// empty for the executable.
    name: *const c_char,
    /// Where its `.eh_frame_hdr` is; 0 if it has none.
    pub(super) eh_frame_hdr: u64,
    /// Where its dynamic section is; 0 if it has none.
    pub(crate) dynamic: u64,
}

impl Object {
    /// The loader's name of it; empty for the executable.
    pub(crate) fn name(&self) -> &CStr {
        if self.name.is_null() {
            return c"";
        }
        // SAFETY: a C string of the loader's, which lives as long as the object is mapped.
        unsafe { CStr::from_ptr(self.name) }
    }

    /// The bytes of `.eh_frame_hdr`, and what follows.
    pub(super) fn eh_frame_hdr(&self) -> Option<&'static [u8]> {
        self.bytes_from(self.eh_frame_hdr)
    }

    /// The object's bytes from `address` on.
    pub(crate) fn bytes_from(&self, address: u64) -> Option<&'static [u8]> {
        if !(self.start..self.end).contains(&address) {
            return None;
        }
        // SAFETY: the range lies in an object that the loader has mapped; that of a module which
        // is being executed stays mapped. Parts of it may be gaps between segments: gimli reads
        // only where the section's own lengths lead it, as the C++ runtime does.
        Some(unsafe {
            core::slice::from_raw_parts(address as *const u8, (self.end - address) as usize)
        })
    }
}

/// Looks for the loader's function; until then there are no rules. Called before any hook records.
pub(crate) fn prepare() {
    // SAFETY: the name is a C string; dlsym has no other precondition.
    let symbol = crate::real::quietly(|| unsafe {
        libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr())
    });
    // Relaxed: the function it points to has been there since before any code of ours.
    FIND_OBJECT.store(symbol, Ordering::Relaxed);
}

/// The object that `address` lies in.
pub(crate) fn object_at(address: u64) -> Option<Object> {
    let function = FIND_OBJECT.load(Ordering::Relaxed);
    if function.is_null() {
        return None;
    }
    // SAFETY: only `prepare` stores there, and what it stores is the symbol of that type.
    let find_object = unsafe { core::mem::transmute::<*mut c_void, FindObject>(function) };
    let mut found = Found {
        flags: 0,
        map_start: core::ptr::null_mut(),
        map_end: core::ptr::null_mut(),
        link_map: core::ptr::null(),
        eh_frame: core::ptr::null_mut(),
        reserved: [0; 7],
    };
    // SAFETY: any address may be asked for; `found` is a live structure of the layout that the
    // function writes.
    if unsafe { find_object(address as *mut c_void, &mut found) } != 0 || found.link_map.is_null() {
        return None;
    }
    // SAFETY: the loader returned a live link map, whose first three members are public ABI.
    let link_map = unsafe { &*found.link_map };
    Some(Object {
        start: found.map_start as u64,
        end: found.map_end as u64,
        bias: link_map.bias,
        name: link_map.name,
        eh_frame_hdr: found.eh_frame as u64,
        dynamic: link_map.dynamic as u64,
    })
}

/// Gives `work` every mapped object. Takes the loader's lock: not for the hooks of allocation.
pub(crate) fn for_each<F: FnMut(&Object)>(mut work: F) {
    unsafe extern "C" fn visit<F: FnMut(&Object)>(
        info: *mut libc::dl_phdr_info,
        _: size_t,
        work: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader gives a live structure, and passes on the pointer to `work` below.
        let (info, work) = unsafe { (&*info, &mut *work.cast::<F>()) };
        if let Some(object) = described(info) {
            // The loader's own bounds are the ones that a later look-up will give.
            let found = object_at(object.start).filter(|found| found.bias == object.bias);
            work(&found.unwrap_or(object));
        }
        0
    }
    // SAFETY: the callback has the type that is asked for, and `work` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit::<F>), (&raw mut work).cast()) };
}

/// Whether the object that is mapped at `start`, if any, is the one that `same` means. Like
/// [`for_each`], not for the hooks of allocation.
pub(crate) fn object_mapped_at(start: u64, same: impl Fn(&Object) -> bool) -> bool {
    if !FIND_OBJECT.load(Ordering::Relaxed).is_null() {
        return object_at(start).is_some_and(|object| same(&object));
    }
    let mut found = false;
    for_each(|object| found |= same(object));
    found
}

/// The object that the program headers describe.
fn described(info: &libc::dl_phdr_info) -> Option<Object> {
    // SAFETY: the loader's headers of a mapped object, as many as it says.
    let headers = unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let loaded = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    let start = loaded().map(|header| header.p_vaddr & !4095).min()?;
    let end = loaded()
        .map(|header| header.p_vaddr + header.p_memsz)
        .max()?;
    let place = |kind| {
        let header = headers.iter().find(|header| header.p_type == kind);
        header.map_or(0, |header| info.dlpi_addr.wrapping_add(header.p_vaddr))
    };
    Some(Object {
        start: info.dlpi_addr.wrapping_add(start),
        end: info.dlpi_addr.wrapping_add(end),
        bias: info.dlpi_addr,
        name: info.dlpi_name,
        eh_frame_hdr: place(libc::PT_GNU_EH_FRAME),
        dynamic: place(libc::PT_DYNAMIC),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_code_that_runs() {
        prepare();
        let here = finds_the_code_that_runs as *const () as u64;
        let object = object_at(here).unwrap();
        assert!((object.start..object.end).contains(&here));
        assert!(object.eh_frame_hdr().is_some());
        assert_eq!(object_at(0), None);
        assert_eq!(object_at(u64::MAX), None);
    }
}
