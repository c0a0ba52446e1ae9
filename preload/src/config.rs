//! The few settings that the target reads itself; all others come from the recorder.

use core::ffi::{CStr, c_char};

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// The variables of this process.
#[derive(Clone, Copy)]
pub struct Environment(*mut *mut c_char);

impl Environment {
    /// The C library's; `None` before it has set itself up.
    pub fn current() -> Option<Environment> {
        // SAFETY: a plain word of the C library; who changes it in another thread races with getenv, too.
        let variables = unsafe { (&raw const environ).read_volatile() };
        (!variables.is_null()).then_some(Environment(variables))
    }

    /// Makes `variables` the C library's.
    pub fn replace(variables: *mut *mut c_char) {
        // SAFETY: a plain word of the C library; this happens while the process starts.
        unsafe { (&raw mut environ).write_volatile(variables) };
    }

    /// The array itself.
    pub fn as_ptr(self) -> *mut *mut c_char {
        self.0
    }

    /// The entries, as `NAME=value`.
    pub fn entries(self) -> impl Iterator<Item = &'static CStr> {
        let mut at = self.0;
        core::iter::from_fn(move || {
            // SAFETY: not past the null pointer at the end, at which this stays.
            let entry = unsafe { *at };
            if entry.is_null() {
                return None;
            }
            // SAFETY: as above; entries are C strings.
            unsafe {
                at = at.add(1);
                Some(CStr::from_ptr(entry))
            }
        })
    }

    /// The value of the variable `name`.
    pub fn get(self, name: &[u8]) -> Option<&'static [u8]> {
        self.entries()
            .find_map(|entry| value_of(entry.to_bytes(), name))
    }
}

/// The value in the entry `NAME=value` if its name is `name`.
pub fn value_of<'a>(entry: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    entry.strip_prefix(name)?.strip_prefix(b"=")
}

/// The last part of a path.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_belong_to_whole_names() {
        assert_eq!(value_of(b"LEAK_ONLY=a=b", b"LEAK_ONLY"), Some(&b"a=b"[..]));
        assert_eq!(value_of(b"LEAK_ONLYX=a", b"LEAK_ONLY"), None);
        assert_eq!(value_of(b"LEAK_ONLY", b"LEAK_ONLY"), None);
    }
}
