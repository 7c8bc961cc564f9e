//! Bucket indices by integers of any size, against which the tables are held.

use super::octave::INFINITE_OCTAVE;

/// The index of a magnitude in the schema that equals the resolution. With `m·2^e` for the magnitude, that is
/// `ceil(2^r · log2(m·2^e)) = ceil(log2(m^(2^r))) + e·2^r`.
pub(super) fn index(magnitude: f64, resolution: u8) -> i32 {
    if magnitude == f64::INFINITY {
        return ((INFINITE_OCTAVE - 1) << resolution) + 1;
    }
    let (mantissa, exponent) = split(magnitude);
    let power = (0..resolution).fold(vec![mantissa], |number, _| square(&number));
    let top = power.last().unwrap();
    let length = 64 * i32::try_from(power.len()).unwrap() - top.leading_zeros().cast_signed();
    length - i32::from(mantissa.is_power_of_two()) + (exponent << resolution)
}

/// The same in any schema; below 0, a bucket is that many octaves.
pub(super) fn index_in_schema(magnitude: f64, schema: i8) -> i32 {
    match u8::try_from(schema) {
        Ok(resolution) => index(magnitude, resolution),
        Err(_) => -(-index(magnitude, 0)).div_euclid(1 << schema.unsigned_abs()),
    }
}

/// `2^exponent`, subnormal ones too.
pub(super) fn power_of_two(exponent: i32) -> f64 {
    if exponent < -1022 {
        f64::from_bits(1 << (exponent + 1074))
    } else {
        f64::from_bits(u64::try_from(exponent + 1023).unwrap() << 52)
    }
}

fn split(magnitude: f64) -> (u64, i32) {
    let (raw, mantissa) = (magnitude.to_bits() >> 52, magnitude.to_bits() << 12 >> 12);
    let exponent = i32::try_from(raw).unwrap();
    match exponent {
        0 => (mantissa, -1074),
        _ => (mantissa | 1 << 52, exponent - 1075),
    }
}

/// Least part first, no leading zeros.
fn square(number: &[u64]) -> Vec<u64> {
    let mut product = vec![0_u64; 2 * number.len()];
    for (i, left) in number.iter().enumerate() {
        let mut carry = 0_u128;
        for (slot, right) in product[i..].iter_mut().zip(number) {
            let sum = u128::from(*left) * u128::from(*right) + u128::from(*slot) + carry;
            *slot = u64::try_from(sum & u128::from(u64::MAX)).unwrap();
            carry = sum >> 64;
        }
        product[i + number.len()] = u64::try_from(carry).unwrap();
    }
    while product.last() == Some(&0) {
        product.pop();
    }
    product
}

#[test]
fn exact_indices_agree_with_known_ones() {
    // From the definition: 2^(1/4) is 1.18920711500272106671…
    assert_eq!(index(1.189_207_115_002_721, 2), 1);
    assert_eq!(index(1.189_207_115_002_721_2, 2), 2);
    assert_eq!((index(1.0, 3), index(2.0, 3), index(3.0, 3)), (0, 8, 13));
    assert_eq!(index(f64::from_bits(1), 0), -1074);
    assert_eq!(index(f64::MAX, 8), 1024 << 8);
    assert_eq!(
        [0.0625, 0.1, 1.0, 4.0, 4.1, 33.0].map(|value| index_in_schema(value, -1)),
        [-2, -1, 0, 1, 2, 3]
    );
    assert_eq!(square(&[u64::MAX]), [1, u64::MAX - 1]);
}
