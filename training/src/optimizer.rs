//! The optimizer: Muon for the matrices inside the layers, Adam for the embedding and the norms.
//!
//! Muon is momentum, then the nearest orthogonal matrix by a Newton–Schulz iteration. All state is open, so that a
//! checkpoint can hold it.

use anyhow::Result;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

const MOMENTUM: f64 = 0.95;
const ADAM: (f64, f64, f64) = (0.9, 0.95, 1e-8);
const ADAM_SHARE: f64 = 0.2;

/// What the optimizer remembers of one parameter.
#[derive(Debug)]
pub struct Slot {
    var: Var,
    orthogonal: bool,
    first: Var,
    second: Var,
}

/// The optimizer's state, a slot a parameter.
#[derive(Debug)]
pub struct Optimizer {
    slots: Vec<(String, Slot)>,
}

impl Optimizer {
    /// An optimizer without memory for these parameters. Muon moves those that `inside` says are matrices inside the
    /// layers, Adam the rest.
    ///
    /// # Errors
    ///
    /// When the memory cannot be had.
    pub fn new(parameters: &[(String, Var)], inside: impl Fn(&str) -> bool) -> Result<Self> {
        let slot = |(name, var): &(String, Var)| {
            let orthogonal = var.rank() == 2 && inside(name);
            let zeros = || Var::from_tensor(&var.zeros_like()?);
            Ok((
                name.clone(),
                Slot {
                    var: var.clone(),
                    orthogonal,
                    first: zeros()?,
                    second: zeros()?,
                },
            ))
        };
        Ok(Self {
            slots: parameters.iter().map(slot).collect::<Result<_>>()?,
        })
    }

    /// The state by name, for a checkpoint.
    pub fn state(&self) -> impl Iterator<Item = (String, &Var)> {
        self.slots.iter().flat_map(|(name, slot)| {
            [
                (format!("{name}/first"), &slot.first),
                (format!("{name}/second"), &slot.second),
            ]
        })
    }

    /// Moves all parameters once; `step` counts from 1.
    ///
    /// # Errors
    ///
    /// When a gradient has the wrong shape.
    pub fn step(&mut self, grads: &GradStore, step: i32, rate: f64) -> Result<()> {
        for (_, slot) in &mut self.slots {
            let Some(grad) = grads.get(slot.var.as_tensor()) else {
                continue;
            };
            let change = if slot.orthogonal {
                slot.first
                    .set(&((slot.first.as_tensor() * MOMENTUM)? + (grad * (1.0 - MOMENTUM))?)?)?;
                let ahead = ((slot.first.as_tensor() * MOMENTUM)? + (grad * (1.0 - MOMENTUM))?)?;
                let (rows, columns) = slot.var.dims2()?;
                #[expect(clippy::cast_precision_loss, reason = "matrices are small")]
                let stretch = (rows as f64 / columns as f64).max(1.0).sqrt();
                (orthogonal(&ahead)? * (rate * stretch))?
            } else {
                let (fade, fade_square, tiny) = ADAM;
                slot.first
                    .set(&((slot.first.as_tensor() * fade)? + (grad * (1.0 - fade))?)?)?;
                slot.second.set(
                    &((slot.second.as_tensor() * fade_square)?
                        + (grad.sqr()? * (1.0 - fade_square))?)?,
                )?;
                let first = (slot.first.as_tensor() / (1.0 - fade.powi(step)))?;
                let second = (slot.second.as_tensor() / (1.0 - fade_square.powi(step)))?;
                ((first / (second.sqrt()? + tiny)?)? * (rate * ADAM_SHARE))?
            };
            let kept = if slot.orthogonal {
                1.0 - rate * 0.1
            } else {
                1.0
            };
            slot.var.set(&((slot.var.as_tensor() * kept)? - change)?)?;
        }
        Ok(())
    }
}

/// Pushes all singular values of a matrix close to one.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let wide = if rows > columns {
        matrix.t()?.contiguous()?
    } else {
        matrix.clone()
    };
    let length = f64::from(wide.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt() + 1e-7;
    let mut x = (wide / length)?;
    for _ in 0..5 {
        let a = x.matmul(&x.t()?)?;
        let b = ((&a * -4.775)? + (a.matmul(&a)? * 2.0315)?)?;
        x = ((&x * 3.4445)? + b.matmul(&x)?)?;
    }
    Ok(if rows > columns {
        x.t()?.contiguous()?
    } else {
        x
    })
}
