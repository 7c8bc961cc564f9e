//! The wire format of protobuf: protobuf.dev, *Encoding*.

pub(super) const VARINT: u64 = 0;
pub(super) const DOUBLE: u64 = 1;
pub(super) const LENGTH_DELIMITED: u64 = 2;

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits are taken at a time"
)]
pub(super) fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// How many bytes [`varint`] writes.
pub(super) fn varint_length(value: u64) -> u64 {
    u64::from((value | 1).ilog2()) / 7 + 1
}

/// A number below 2³⁵ in five bytes, whatever it is.
pub(super) fn padded_varint(value: u64) -> [u8; 5] {
    let mut bytes = [0x80, 0x80, 0x80, 0x80, 0];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte |= (value >> (7 * at)).to_le_bytes()[0] & 0x7f;
    }
    bytes
}

/// What `sint32` and `sint64` are written as: small where the magnitude is.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(super) fn tag(into: &mut Vec<u8>, field: u64, kind: u64) {
    varint(into, field << 3 | kind);
}

pub(super) fn integer(into: &mut Vec<u8>, field: u64, value: u64) {
    tag(into, field, VARINT);
    varint(into, value);
}

pub(super) fn double(into: &mut Vec<u8>, field: u64, value: f64) {
    tag(into, field, DOUBLE);
    into.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    tag(into, field, LENGTH_DELIMITED);
    varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// How many bytes [`bytes`] writes for that many.
pub(super) fn bytes_length(field: u64, length: usize) -> u64 {
    let length = length as u64;
    varint_length(field << 3) + varint_length(length) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_as_long_as_foretold() {
        let mut values = vec![0, u64::MAX];
        for bit in 0..64 {
            let value = 1_u64 << bit;
            values.extend([value - 1, value, value + 1]);
        }
        for value in values {
            let mut into = Vec::new();
            varint(&mut into, value);
            assert_eq!(into.len() as u64, varint_length(value), "{value}");
            let read = prost::encoding::decode_varint(&mut &into[..]);
            assert_eq!(read.ok(), Some(value));
        }
    }

    #[test]
    fn a_padded_varint_reads_back_the_same() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), (1 << 35) - 1] {
            let read = prost::encoding::decode_varint(&mut &padded_varint(value)[..]);
            assert_eq!(read.ok(), Some(value));
        }
    }

    #[test]
    fn zigzag_keeps_small_magnitudes_small() {
        let pairs = [
            (0, 0),
            (-1, 1),
            (1, 2),
            (-2, 3),
            (i64::MAX, u64::MAX - 1),
            (i64::MIN, u64::MAX),
        ];
        for (value, written) in pairs {
            assert_eq!(zigzag(value), written);
        }
    }
}
