//! What the name of a C type tells that its size and sign do not.

/// Bytes and sign of an integer type whose name says both, on a machine with `long`s of `long` bytes;
/// `None` for the many names that only the kernel's headers explain.
pub(crate) fn integer(ty: &str, long: u32) -> Option<(u32, bool)> {
    let ty = ty.strip_prefix("const ").unwrap_or(ty);
    Some(match ty {
        "char" | "unsigned char" | "u8" | "__u8" | "uint8_t" | "bool" => (1, false),
        "signed char" | "s8" | "__s8" | "int8_t" => (1, true),
        "unsigned short" | "u16" | "__u16" | "uint16_t" | "umode_t" | "__be16" | "__le16" => {
            (2, false)
        }
        "short" | "s16" | "__s16" | "int16_t" => (2, true),
        "unsigned int" | "unsigned" | "uint" | "u32" | "__u32" | "uint32_t" | "__be32"
        | "__le32" | "uid_t" | "gid_t" | "dev_t" | "gfp_t" | "qid_t" => (4, false),
        "int" | "s32" | "__s32" | "int32_t" | "pid_t" | "clockid_t" | "timer_t" | "key_t"
        | "key_serial_t" | "mqd_t" | "rwf_t" => (4, true),
        "unsigned long" | "size_t" | "aio_context_t" => (long, false),
        "long" | "ssize_t" | "off_t" => (long, true),
        "unsigned long long" | "u64" | "__u64" | "uint64_t" => (8, false),
        "long long" | "s64" | "__s64" | "int64_t" | "loff_t" => (8, true),
        _ => return None,
    })
}

/// Text, not a number of 8 bits.
pub(super) fn is_char(ty: &str) -> bool {
    matches!(ty, "char" | "const char")
}

/// An address.
pub(super) fn is_pointer(ty: &str) -> bool {
    ty.ends_with('*') || ty.ends_with("* const")
}

/// A set of bits in words of the size of a `long`.
pub(super) fn is_mask(ty: &str) -> bool {
    matches!(ty, "cpumask_t" | "cpumask_t *" | "struct cpumask")
}

/// Something with members, of which nothing is known.
pub(super) fn is_aggregate(ty: &str) -> bool {
    ty.starts_with("struct ") || ty.starts_with("union ")
}
