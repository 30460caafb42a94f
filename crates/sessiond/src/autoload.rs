//! Sessions that are there from the start: loaded from files, as if the daemon's own user had run `lttng load`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use control::{CallError, Client};
use session_file::client::make;
use session_file::files;
use tokio::net::UnixStream;

/// The system's directory; the user's is below its home.
const SYSTEM: &str = "/etc/lttng/sessions/auto";

/// Makes the sessions of the file or directory `given`, or of those directories for this purpose that belong to the
/// daemon's user, through the daemon's own `socket`. What goes wrong is logged, and keeps nothing else from being
/// loaded.
pub(crate) async fn load(socket: PathBuf, given: Option<PathBuf>) {
    let home = places::home_directory();
    let places = match given {
        Some(place) => vec![place],
        None => {
            let user = home.as_deref().map(files::user_directory);
            let places = user.into_iter().map(|directory| directory.join("auto"));
            let places = places.chain([SYSTEM.into()]);
            places.filter(|place| is_own(place)).collect()
        }
    };
    let home = home.unwrap_or_default();
    for place in places {
        if let Err(error) = load_from(&socket, &place, &home).await {
            tracing::error!("cannot load sessions from {}: {error:#}", place.display());
        }
    }
}

fn is_own(directory: &Path) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    directory.is_dir() && directory.metadata().is_ok_and(|data| data.uid() == uid)
}

async fn load_from(socket: &Path, place: &Path, home: &Path) -> anyhow::Result<()> {
    // Files may be on a slow disk.
    let found = {
        let place = place.to_owned();
        tokio::task::spawn_blocking(move || files::find(Some(&place), None)).await??
    };
    for error in &found.broken {
        tracing::error!("left out: {error}");
    }
    let mut client = Client::over(UnixStream::connect(socket).await?).await?;
    let home = home.to_string_lossy();
    for saved in &found.sessions {
        let made: Result<(), CallError> = make(&mut client, saved, &home, false).await;
        match made {
            Ok(()) => tracing::info!("session {} loaded", saved.name()),
            Err(error) => tracing::error!("cannot load the session {}: {error}", saved.name()),
        }
    }
    Ok(())
}
