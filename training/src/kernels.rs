//! The steps of the network that deserve one pass over memory, each with its backward pass: candle's own fused ones have
//! none, and chains of primitive operations spend most of the time moving data.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

pub(crate) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage.as_slice::<f32>()?, layout.contiguous_offsets()) {
        (data, Some((start, end))) => Ok(&data[start..end]),
        _ => bail!("this step needs contiguous f32 values"),
    }
}

pub(crate) fn done(data: Vec<f32>, shape: &Shape) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(data), shape.clone()))
}

/// `e^x` by range reduction and a polynomial of degree six, in a form that compilers turn into vectors.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the clamped exponent lies in -126..=127"
)]
pub(crate) fn exp(x: f32) -> f32 {
    let scaled = x.clamp(-87.0, 88.0) * std::f32::consts::LOG2_E;
    let whole = (scaled + 12_582_912.0) - 12_582_912.0;
    let rest = (scaled - whole) * std::f32::consts::LN_2;
    let series = 1.0
        + rest
            * (1.0
                + rest
                    * (0.5
                        + rest
                            * (1.0 / 6.0
                                + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    f32::from_bits(((whole as i32 + 127) << 23).cast_unsigned()) * series
}

pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = values.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Divides each row by its root mean square; the learned weight is applied outside.
pub(crate) struct Normalize(pub(crate) f32);

impl Normalize {
    fn scale(&self, row: &[f32]) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "rows are short")]
        let mean = dot(row, row) / row.len() as f32;
        (mean + self.0).sqrt().recip()
    }
}

impl CustomOp1 for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut data = floats(storage, layout)?.to_vec();
        for row in data.chunks_exact_mut(layout.dims()[1]) {
            let scale = self.scale(row);
            row.iter_mut().for_each(|value| *value *= scale);
        }
        done(data, layout.shape())
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scaled = arg.apply_op2_no_bwd(&grad.contiguous()?, &NormalizeBackward(Self(self.0)))?;
        debug_assert_eq!(scaled.dims(), res.dims());
        Ok(Some(scaled))
    }
}

struct NormalizeBackward(Normalize);

impl CustomOp2 for NormalizeBackward {
    fn name(&self) -> &'static str {
        "normalize-backward"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, mut grad) = (floats(s1, l1)?, floats(s2, l2)?.to_vec());
        let width = l1.dims()[1];
        for (x, g) in input.chunks_exact(width).zip(grad.chunks_exact_mut(width)) {
            let scale = self.0.scale(x);
            #[expect(clippy::cast_precision_loss, reason = "rows are short")]
            let pull = dot(x, g) * scale * scale / width as f32;
            for (g, x) in g.iter_mut().zip(x) {
                *g = scale * (*g - x * pull);
            }
        }
        done(grad, l1.shape())
    }
}

/// `silu(gate) * up`.
pub(crate) struct Gate;

impl CustomOp2 for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (floats(s1, l1)?, floats(s2, l2)?);
        done(
            gate.iter()
                .zip(up)
                .map(|(g, u)| g / (1.0 + exp(-g)) * u)
                .collect(),
            l1.shape(),
        )
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let slope = gate.apply_op1_no_bwd(&Slope)?;
        let silu = gate.apply_op2_no_bwd(grad, &Self)?;
        Ok((Some(slope.mul(&up.mul(grad)?)?), Some(silu)))
    }
}

/// The derivative of silu.
struct Slope;

impl CustomOp1 for Slope {
    fn name(&self) -> &'static str {
        "slope"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let slope = |g: &f32| {
            let s = 1.0 / (1.0 + exp(-g));
            s * (1.0 + g * (1.0 - s))
        };
        done(
            floats(storage, layout)?.iter().map(slope).collect(),
            layout.shape(),
        )
    }
}

/// Scales scores, hides what lies ahead, and turns each row into probabilities.
pub(crate) struct Attend(pub(crate) f32);

impl CustomOp1 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut data = floats(storage, layout)?.to_vec();
        let length = layout.dims()[2];
        for (index, row) in data.chunks_exact_mut(length).enumerate() {
            let (seen, ahead) = row.split_at_mut(index % length + 1);
            ahead.fill(0.0);
            let most = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            seen.iter_mut()
                .for_each(|value| *value = exp((*value - most) * self.0));
            let share = sum(seen).recip();
            seen.iter_mut().for_each(|value| *value *= share);
        }
        done(data, layout.shape())
    }

    fn bwd(&self, _: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(res.apply_op2_no_bwd(
            &grad.contiguous()?,
            &AttendBackward(self.0),
        )?))
    }
}

pub(crate) struct AttendBackward(pub(crate) f32);

impl CustomOp2 for AttendBackward {
    fn name(&self) -> &'static str {
        "attend-backward"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (result, mut grad) = (floats(s1, l1)?, floats(s2, l2)?.to_vec());
        let length = l1.dims()[2];
        for (p, g) in result
            .chunks_exact(length)
            .zip(grad.chunks_exact_mut(length))
        {
            let mean = dot(p, g);
            for (g, p) in g.iter_mut().zip(p) {
                *g = self.0 * p * (*g - mean);
            }
        }
        done(grad, l1.shape())
    }
}

/// From `[windows * length, heads * width]` to `[windows * heads, length, width]`, turning each pair `(2i, 2i + 1)` of a
/// head by its position when `rotate` (the interleaved convention of Llama), and back.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) length: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) rotate: Option<f32>,
    pub(crate) back: bool,
}

impl CustomOp1 for Heads {
    fn name(&self) -> &'static str {
        "heads"
    }

    #[expect(clippy::cast_precision_loss, reason = "positions and widths are small")]
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self {
            length,
            heads,
            width,
            rotate,
            back,
        } = *self;
        let data = floats(storage, layout)?;
        let windows = data.len() / (length * heads * width);
        let turns: Vec<(f32, f32)> = rotate.map_or_else(Vec::new, |base| {
            let turn = |i: usize| {
                (i / (width / 2)) as f32 / base.powf((2 * (i % (width / 2))) as f32 / width as f32)
            };
            (0..length * width / 2).map(|i| turn(i).sin_cos()).collect()
        });
        let sign = if back { -1.0 } else { 1.0 };
        let mut result = vec![0f32; data.len()];
        for window in 0..windows {
            for head in 0..heads {
                for position in 0..length {
                    let joined = ((window * length + position) * heads + head) * width;
                    let split = ((window * heads + head) * length + position) * width;
                    let (from, to) = if back {
                        (split, joined)
                    } else {
                        (joined, split)
                    };
                    let (from, to) = (&data[from..from + width], &mut result[to..to + width]);
                    if rotate.is_none() {
                        to.copy_from_slice(from);
                        continue;
                    }
                    let turns = &turns[position * width / 2..][..width / 2];
                    for ((from, to), (sin, cos)) in
                        from.chunks_exact(2).zip(to.chunks_exact_mut(2)).zip(turns)
                    {
                        let sin = sin * sign;
                        to[0] = from[0] * cos - from[1] * sin;
                        to[1] = from[0] * sin + from[1] * cos;
                    }
                }
            }
        }
        let shape: Shape = if back {
            (windows * length, heads * width).into()
        } else {
            (windows * heads, length, width).into()
        };
        Ok((CpuStorage::F32(result), shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&Self {
            back: !self.back,
            ..*self
        })?))
    }
}

/// The natural logarithm of each row's probability of its target, negated.
pub(crate) struct Surprise {
    pub(crate) targets: Vec<u32>,
}

impl CustomOp1 for Surprise {
    fn name(&self) -> &'static str {
        "surprise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let data = floats(storage, layout)?;
        let losses: Vec<f32> = data
            .chunks_exact(layout.dims()[1])
            .zip(&self.targets)
            .map(|(row, target)| {
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut lanes = [0f32; 8];
                for chunk in row.chunks(8) {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane += exp(value - most);
                    }
                }
                lanes.iter().sum::<f32>().ln() + most - row[*target as usize]
            })
            .collect();
        let rows = losses.len();
        done(losses, &rows.into())
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let step = SurpriseBackward {
            targets: &self.targets,
            grads: grad.to_vec1()?,
        };
        Ok(Some(arg.apply_op2_no_bwd(res, &step)?))
    }
}

struct SurpriseBackward<'a> {
    targets: &'a [u32],
    grads: Vec<f32>,
}

impl CustomOp2 for SurpriseBackward<'_> {
    fn name(&self) -> &'static str {
        "surprise-backward"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mut data, losses) = (floats(s1, l1)?.to_vec(), floats(s2, l2)?);
        for (index, row) in data.chunks_exact_mut(l1.dims()[1]).enumerate() {
            let (target, grad) = (self.targets[index] as usize, self.grads[index]);
            let all = losses[index] + row[target];
            row.iter_mut()
                .for_each(|value| *value = exp(*value - all) * grad);
            row[target] -= grad;
        }
        done(data, l1.shape())
    }
}
