//! The next definitions of calls that may be left by an unwinding stack: a cancelled thread unwinds
//! through cancellation points, and through the hooks around them.

/// As `real!`, for functions that may be cancellation points.
#[macro_export]
macro_rules! cancellable {
    ($(pub fn $name:ident $([$symbol:ident $version:literal])? ($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*) => { $(
        #[doc = concat!("The next `", stringify!($name), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[inline(always)]
        pub unsafe fn $name($($argument: $type),*) -> $result {
            #[unsafe(link_section = "leak_next")]
            static NEXT: $crate::real::Next = $crate::next_entry!($name $($symbol $version)?);
            let next = NEXT.get();
            if next.is_null() {
                return $crate::real::absent();
            }
            // SAFETY: dlsym gave the address of this C function, whose type was declared beside its
            // name; the caller keeps its contract.
            unsafe {
                core::mem::transmute::<
                    *mut core::ffi::c_void,
                    unsafe extern "C-unwind" fn($($type),*) -> $result,
                >(next)($($argument),*)
            }
        }
    )* };
}
