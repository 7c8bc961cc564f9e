//! The state of a training in a file, to go on from.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor, Var};

use crate::optimizer::Optimizer;

/// Writes what is learned, what the optimizer remembers and how many steps are done, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn save(
    parameters: &[(String, Var)],
    optimizer: &Optimizer,
    step: usize,
    path: &Path,
) -> Result<()> {
    let mut tensors: HashMap<String, Tensor> = parameters
        .iter()
        .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
        .collect();
    tensors.extend(
        optimizer
            .state()
            .map(|(name, var)| (name, var.as_tensor().clone())),
    );
    tensors.insert(
        "step".into(),
        Tensor::new(u32::try_from(step)?, &Device::Cpu)?,
    );
    let partial = path.with_extension("partial");
    candle_core::safetensors::save(&tensors, &partial)
        .with_context(|| format!("saving the checkpoint {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("putting {} in place", path.display()))
}

/// Reads what [`save`] wrote into the same network and optimizer, and gives the number of steps that are done.
///
/// # Errors
///
/// When the file cannot be read, or is of another network.
pub(crate) fn restore(
    parameters: &[(String, Var)],
    optimizer: &Optimizer,
    path: &Path,
) -> Result<usize> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)
        .with_context(|| format!("reading the checkpoint {}", path.display()))?;
    let find = |name: &str| {
        tensors.get(name).with_context(|| {
            format!(
                "{} is of another network (it has no {name}); delete it to start anew",
                path.display()
            )
        })
    };
    for (name, var) in parameters {
        var.set(find(name)?)?;
    }
    for (name, var) in optimizer.state() {
        var.set(find(&name)?)?;
    }
    Ok(find("step")?.to_scalar::<u32>()? as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_goes_on_where_it_was_saved() {
        let var = |value: f32| Var::new(&[[value, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let parameters = |value| vec![("layer.weight".to_owned(), var(value))];
        let trained = parameters(1.0);
        let mut optimizer = Optimizer::new(&trained, |_| false).unwrap();
        let loss = trained[0].1.sqr().unwrap().sum_all().unwrap();
        optimizer.step(&loss.backward().unwrap(), 1, 0.1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        save(&trained, &optimizer, 7, &path).unwrap();

        let fresh = parameters(9.0);
        let other = Optimizer::new(&fresh, |_| false).unwrap();
        assert_eq!(restore(&fresh, &other, &path).unwrap(), 7);
        let numbers = |var: &Var| var.to_vec2::<f32>().unwrap();
        assert_eq!(numbers(&fresh[0].1), numbers(&trained[0].1));
        for ((_, mine), (_, theirs)) in other.state().zip(optimizer.state()) {
            assert_eq!(numbers(mine), numbers(theirs));
        }
        let stranger = vec![("another".to_owned(), var(1.0))];
        let error = restore(&stranger, &other, &path).unwrap_err().to_string();
        assert!(error.contains("has no another"), "{error}");
    }
}
