//! The steps of the encoder that deserve one pass over memory, each with its backward pass.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use crate::kernels::{done, dot, exp, floats, sum};

/// Moves each row to mean 0 and variance 1; the learned weight and bias are applied outside.
pub(super) struct Center(pub(super) f32);

impl Center {
    /// The mean and the inverse deviation of a row.
    #[expect(clippy::cast_precision_loss, reason = "rows are short")]
    fn of(&self, row: &[f32]) -> (f32, f32) {
        let width = row.len() as f32;
        let mean = sum(row) / width;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width;
        (mean, (variance + self.0).sqrt().recip())
    }
}

impl CustomOp1 for Center {
    fn name(&self) -> &'static str {
        "center"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut data = floats(storage, layout)?.to_vec();
        for row in data.chunks_exact_mut(layout.dims()[1]) {
            let (mean, scale) = self.of(row);
            row.iter_mut().for_each(|x| *x = (*x - mean) * scale);
        }
        done(data, layout.shape())
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(arg.apply_op2_no_bwd(
            &grad.contiguous()?,
            &CenterBackward(Self(self.0)),
        )?))
    }
}

struct CenterBackward(Center);

impl CustomOp2 for CenterBackward {
    fn name(&self) -> &'static str {
        "center-backward"
    }

    #[expect(clippy::cast_precision_loss, reason = "rows are short")]
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
            let (mean, scale) = self.0.of(x);
            let level = sum(g) / width as f32;
            let pull = (dot(x, g) - mean * sum(g)) * scale * scale / width as f32;
            for (g, x) in g.iter_mut().zip(x) {
                *g = scale * (*g - level - (x - mean) * pull);
            }
        }
        done(grad, l1.shape())
    }
}

/// Scales scores `[pairs * heads, rows, length]`, hides the padding at each pair's end, and turns each row into
/// probabilities.
pub(super) struct Attend {
    pub(super) scale: f32,
    /// Tokens of each pair that are no padding.
    pub(super) lengths: Vec<usize>,
}

impl CustomOp1 for Attend {
    fn name(&self) -> &'static str {
        "attend"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut data = floats(storage, layout)?.to_vec();
        let length = layout.dims()[2];
        let rows_a_pair = layout.dims()[0] * layout.dims()[1] / self.lengths.len();
        for (index, row) in data.chunks_exact_mut(length).enumerate() {
            let (seen, padding) = row.split_at_mut(self.lengths[index / rows_a_pair]);
            padding.fill(0.0);
            let most = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            seen.iter_mut()
                .for_each(|value| *value = exp((*value - most) * self.scale));
            let share = sum(seen).recip();
            seen.iter_mut().for_each(|value| *value *= share);
        }
        done(data, layout.shape())
    }

    fn bwd(&self, _: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(res.apply_op2_no_bwd(
            &grad.contiguous()?,
            &crate::kernels::AttendBackward(self.scale),
        )?))
    }
}

/// `x` times the share of a normal distribution that lies below `x`.
pub(super) struct Gelu;

impl Gelu {
    /// The share below `x`, and the density at `x`. The error function is Abramowitz and Stegun's 7.1.26, which is off by
    /// 1.5e-7 at most and, unlike the library's, becomes vectors.
    #[inline(always)]
    fn of(x: f32) -> (f32, f32) {
        let size = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / (1.0 + 0.327_591_1 * size);
        let series = t
            * (0.254_829_6
                + t * (-0.284_496_74 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
        let bell = exp(-size * size);
        let beyond = 0.5 * series * bell;
        let below = if x < 0.0 { beyond } else { 1.0 - beyond };
        (below, bell * 0.398_942_3)
    }
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let data = floats(storage, layout)?;
        done(
            data.iter().map(|x| x * Self::of(*x).0).collect(),
            layout.shape(),
        )
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(
            arg.apply_op2_no_bwd(&grad.contiguous()?, &GeluBackward)?,
        ))
    }
}

struct GeluBackward;

impl CustomOp2 for GeluBackward {
    fn name(&self) -> &'static str {
        "gelu-backward"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, grad) = (floats(s1, l1)?, floats(s2, l2)?);
        let slope = |(x, g): (&f32, &f32)| {
            let (below, density) = Gelu::of(*x);
            g * (below + x * density)
        };
        done(input.iter().zip(grad).map(slope).collect(), l1.shape())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Compares the slope along one input with what small steps to both sides give.
    fn check(op: impl Fn(&Tensor) -> Result<Tensor>, dims: &[usize]) {
        let values: Vec<f32> = (0..dims.iter().product::<usize>())
            .map(|i| ((i * 37 % 11) as f32 - 5.0) / 4.0)
            .collect();
        let weigh = |x: &Tensor| {
            let y = op(x)?.flatten_all()?;
            let weights: Vec<f32> = (0..y.elem_count())
                .map(|i| ((i * 29 % 7) as f32 - 3.0) / 2.0)
                .collect();
            y.mul(&Tensor::new(weights, &Device::Cpu)?)?.sum_all()
        };
        let at = |values: &[f32]| {
            let x = Tensor::from_slice(values, dims, &Device::Cpu).unwrap();
            weigh(&x).unwrap().to_scalar::<f32>().unwrap()
        };
        let var = Var::from_slice(&values, dims, &Device::Cpu).unwrap();
        let grads = weigh(&var).unwrap().backward().unwrap();
        let slopes = grads
            .get(&var)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        for (place, slope) in slopes.into_iter().enumerate() {
            let (mut up, mut down) = (values.clone(), values.clone());
            up[place] += 0.01;
            down[place] -= 0.01;
            let measured = (at(&up) - at(&down)) / 0.02;
            assert!(
                (slope - measured).abs() < 0.01,
                "at {place}: {slope} and {measured}"
            );
        }
    }

    #[test]
    fn the_slopes_are_right() {
        check(|x| x.apply_op1(Center(1e-5)), &[3, 8]);
        check(|x| x.apply_op1(Gelu), &[3, 8]);
        check(
            |x| {
                x.apply_op1(Attend {
                    scale: 0.7,
                    lengths: vec![2, 5],
                })
            },
            &[2, 3, 5],
        );
    }

    #[test]
    fn gelu_is_the_librarys() {
        let values: Vec<f32> = (-600i16..600).map(|i| f32::from(i) / 60.0).collect();
        let input = Tensor::new(values, &Device::Cpu).unwrap();
        let mine = input.apply_op1(Gelu).unwrap();
        let apart = (mine - input.gelu_erf().unwrap()).unwrap().abs().unwrap();
        let most = apart.max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(most < 2e-6, "{most}");
    }
}
