//! The model to beat: an interpolated modified Kneser–Ney 5-gram (Chen and Goodman, 1998), over any small alphabet.

/// Symbols a context and its successor span.
pub const ORDER: usize = 5;
/// Symbols are packed in this many bits, so five fit a word.
const BITS: usize = 12;

/// Counts and discounts of one order.
#[derive(Debug)]
struct Level {
    /// Packed n-grams in order, each with its count (of occurrences at the top, of distinct left neighbours below).
    grams: Vec<(u64, u32)>,
    /// What is taken from counts of one, two, and more.
    discounts: [f64; 3],
}

/// A 5-gram model.
#[derive(Debug)]
pub struct FiveGram {
    symbols: usize,
    levels: Vec<Level>,
    /// Probabilities without context.
    single: Vec<f64>,
}

impl FiveGram {
    /// Counts the documents. Each is taken to follow four times symbol `end`, and ends with one.
    ///
    /// # Panics
    ///
    /// When `symbols` exceeds 4,096 or a document holds a symbol beyond it.
    #[must_use]
    pub fn count<'a>(
        documents: impl IntoIterator<Item = &'a [u32]>,
        symbols: usize,
        end: u32,
    ) -> Self {
        assert!(
            symbols <= 1 << BITS,
            "{symbols} symbols do not fit {BITS} bits"
        );
        let mut keys = Vec::new();
        for document in documents {
            let mut window = (0..ORDER).fold(0, |packed, _| push(packed, end));
            for &symbol in document.iter().chain([&end]) {
                assert!((symbol as usize) < symbols, "symbol {symbol} of {symbols}");
                window = push(window, symbol);
                keys.push(window);
            }
        }
        let mut levels = Vec::new();
        for order in (1..=ORDER).rev() {
            keys.sort_unstable();
            let grams = runs(&keys);
            let mask = (1 << (BITS * (order - 1))) - 1;
            keys = grams.iter().map(|(key, _)| key & mask).collect();
            levels.push(Level {
                discounts: discounts(&grams),
                grams,
            });
        }
        levels.reverse();
        let mut model = Self {
            symbols,
            levels,
            single: Vec::new(),
        };
        #[expect(clippy::cast_precision_loss, reason = "alphabets are small")]
        let uniform = 1.0 / symbols as f64;
        model.single = (0..symbols as u64)
            .map(|symbol| model.levels[0].probability(0, symbol, uniform))
            .collect();
        model
    }

    /// The probability of `symbol` after `context`, of which the last four symbols count.
    #[must_use]
    pub fn probability(&self, context: &[u32], symbol: u32) -> f64 {
        let mut probability = self.single[symbol as usize];
        for length in 1..ORDER {
            let start = context.len() - length;
            let packed = context[start..]
                .iter()
                .fold(0, |packed, symbol| push(packed, *symbol));
            probability = self.levels[length].probability(packed, u64::from(symbol), probability);
        }
        probability
    }

    /// Bits needed for all symbols of the documents (not for their ends).
    #[must_use]
    pub fn bits<'a>(&self, documents: impl IntoIterator<Item = &'a [u32]>, end: u32) -> f64 {
        let mut bits = 0.0;
        for document in documents {
            let mut context = vec![end; ORDER - 1];
            for &symbol in document {
                bits -= self.probability(&context, symbol).log2();
                context.rotate_left(1);
                context[ORDER - 2] = symbol;
            }
        }
        bits
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.symbols
    }
}

impl Level {
    fn probability(&self, context: u64, symbol: u64, lower: f64) -> f64 {
        let low = context << BITS;
        let start = self.grams.partition_point(|(key, _)| *key < low);
        let mut total = 0.0;
        let mut kinds = [0u32; 3];
        let mut own = 0;
        for (key, count) in self.grams[start..]
            .iter()
            .take_while(|(key, _)| key >> BITS == context)
        {
            total += f64::from(*count);
            kinds[(*count).min(3) as usize - 1] += 1;
            if *key == low | symbol {
                own = *count;
            }
        }
        if total == 0.0 {
            return lower;
        }
        let freed: f64 = kinds
            .iter()
            .zip(self.discounts)
            .map(|(kind, discount)| f64::from(*kind) * discount)
            .sum();
        let kept = match own {
            0 => 0.0,
            count => f64::from(count) - self.discounts[count.min(3) as usize - 1],
        };
        (kept + freed * lower) / total
    }
}

fn push(packed: u64, symbol: u32) -> u64 {
    ((packed << BITS) | u64::from(symbol)) & ((1 << (BITS * ORDER)) - 1)
}

fn runs(sorted: &[u64]) -> Vec<(u64, u32)> {
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for &key in sorted {
        match runs.last_mut() {
            Some((last, count)) if *last == key => *count += 1,
            _ => runs.push((key, 1)),
        }
    }
    runs
}

/// Chen and Goodman's estimates from how many n-grams occur once, twice, three and four times.
fn discounts(grams: &[(u64, u32)]) -> [f64; 3] {
    let mut seen = [0f64; 5];
    for (_, count) in grams {
        if let Some(slot) = seen.get_mut(*count as usize) {
            *slot += 1.0;
        }
    }
    if seen[1..].contains(&0.0) {
        return [0.5; 3];
    }
    let y = seen[1] / (seen[1] + 2.0 * seen[2]);
    [1.0, 2.0, 3.0].map(|count: f64| {
        let next = if count < 1.5 {
            1
        } else if count < 2.5 {
            2
        } else {
            3
        };
        (count - (count + 1.0) * y * seen[next + 1] / seen[next]).clamp(0.05, count - 0.05)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_after_any_context_sum_to_one() {
        let text: Vec<u32> = (0..4_000u32).map(|i| (i * i / 7 + i % 5) % 11).collect();
        let model = FiveGram::count([&text[..2_000], &text[2_000..]], 12, 11);
        for context in [
            [11, 11, 11, 11],
            [1, 2, 3, 4],
            [10, 10, 9, 9],
            [text[5], text[6], text[7], text[8]],
        ] {
            let sum: f64 = (0..12)
                .map(|symbol| model.probability(&context, symbol))
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{context:?} sums to {sum}");
        }
    }

    #[test]
    fn what_was_often_seen_is_expected() {
        let text: Vec<u32> = (0..1_000).map(|i| i % 7).collect();
        let model = FiveGram::count([text.as_slice()], 8, 7);
        assert!(model.probability(&[0, 1, 2, 3], 4) > 0.95);
    }
}
