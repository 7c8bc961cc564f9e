//! When a program that would run for ever ends.

use std::time::Duration;

use tokio::signal;

/// Returns at Ctrl-C, at a termination signal, or after `limit`.
///
/// Must be called within a tokio runtime with timers and I/O.
///
/// # Errors
///
/// When the system lets no signal be awaited.
pub async fn end(limit: Option<Duration>) -> std::io::Result<()> {
    tokio::select! {
        pressed = signal::ctrl_c() => pressed,
        terminated = terminated() => terminated,
        () = elapsed(limit) => Ok(()),
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

#[cfg(unix)]
async fn terminated() -> std::io::Result<()> {
    signal::unix::signal(signal::unix::SignalKind::terminate())?
        .recv()
        .await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> std::io::Result<()> {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_limit_ends_it() {
        let started = Instant::now();
        end(Some(Duration::from_millis(20))).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(20));
    }
}
