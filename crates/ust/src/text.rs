//! Names in fixed arrays.

/// The text before the first NUL; `None` if there is no NUL or it is no UTF-8.
pub(crate) fn until_nul(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// A fixed array with the text at its start; `None` if text and NUL do not fit or the text has a NUL.
pub(crate) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() >= N || text.as_bytes().contains(&0) {
        return None;
    }
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Some(bytes)
}
