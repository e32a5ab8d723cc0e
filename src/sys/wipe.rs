//! Overwriting memory and vector registers that held a secret.

use zeroize::Zeroize;

/// Overwrites a slice with zeros in a way that no compiler removes, at the speed of `memset`.
///
/// `zeroize` fills and then hides the memory behind an assembly barrier. glibc's `explicit_bzero` does the same, but
/// only since 2.25.
pub(crate) fn wipe_slice(bytes: &mut [u8]) {
    bytes.zeroize();
}

/// Overwrites memory with zeros, see [`wipe_slice`].
///
/// # Safety
///
/// `memory` points to `len` bytes that may be written.
pub(crate) unsafe fn wipe(memory: *mut u8, len: usize) {
    if len > 0 {
        // SAFETY: the caller's promise. Nothing reads the old bytes, which may be uninitialised.
        wipe_slice(unsafe { std::slice::from_raw_parts_mut(memory, len) });
    }
}

/// Overwrites the vector registers, all of which are caller-saved.
#[cfg(target_arch = "x86_64")]
pub(crate) fn wipe_vector_registers() {
    // SAFETY: the CPU and the system have these registers.
    unsafe {
        if is_x86_feature_detected!("avx512f") {
            wipe_avx512_registers();
        } else if is_x86_feature_detected!("avx") {
            wipe_avx_registers();
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn wipe_vector_registers() {}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn wipe_avx_registers() {
    // SAFETY: it changes only registers that are named as changed.
    unsafe { std::arch::asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) }
}

/// `vzeroall` clears only the first sixteen.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn wipe_avx512_registers() {
    // SAFETY: it changes only registers that are named as changed.
    unsafe {
        std::arch::asm!(
            "vzeroall",
            "vpxorq zmm16, zmm16, zmm16",
            "vpxorq zmm17, zmm17, zmm17",
            "vpxorq zmm18, zmm18, zmm18",
            "vpxorq zmm19, zmm19, zmm19",
            "vpxorq zmm20, zmm20, zmm20",
            "vpxorq zmm21, zmm21, zmm21",
            "vpxorq zmm22, zmm22, zmm22",
            "vpxorq zmm23, zmm23, zmm23",
            "vpxorq zmm24, zmm24, zmm24",
            "vpxorq zmm25, zmm25, zmm25",
            "vpxorq zmm26, zmm26, zmm26",
            "vpxorq zmm27, zmm27, zmm27",
            "vpxorq zmm28, zmm28, zmm28",
            "vpxorq zmm29, zmm29, zmm29",
            "vpxorq zmm30, zmm30, zmm30",
            "vpxorq zmm31, zmm31, zmm31",
            clobber_abi("sysv64"),
            options(nomem, nostack)
        )
    }
}
