//! The kind of processor.

/// Whether AMD made the processor.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_amd() -> bool {
    use std::arch::x86_64::__cpuid;
    use std::sync::LazyLock;

    // In a virtual machine the instruction is a call of the hypervisor.
    static IS_AMD: LazyLock<bool> = LazyLock::new(|| {
        let vendor = __cpuid(0);
        let parts = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        parts.as_flattened() == b"AuthenticAMD"
    });
    *IS_AMD
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_amd() -> bool {
    false
}
