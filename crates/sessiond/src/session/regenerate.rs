//! Writing again what a trace begins with.

use std::sync::Arc;

use control::ErrorCode;

use crate::app::Apps;
use crate::session::Session;
use crate::session::plan::Refusal;

impl Session {
    /// Measures the clock again, and delivers all metadata with it in place of what was delivered.
    pub(crate) async fn regenerate_metadata(&self) -> Result<(), Refusal> {
        self.plan()
            .check_regenerate_metadata(self.live_timer_us != 0)?;
        let failed = |error: std::io::Error| {
            let message = format!("cannot write the metadata again: {error}");
            Refusal::new(ErrorCode::FATAL, message)
        };
        let kernel = self.regenerate_kernel_metadata().await;
        let mut requests = Vec::from_iter(kernel.map_err(failed)?);
        let clock = self.host.clock();
        for shared in self.shared_traces.lock().await.values_mut() {
            shared.class.clock = clock.clone();
            let preamble = ctf::tsdl::preamble(&shared.class);
            let replaced = shared.buffers.replace_preamble(&preamble);
            requests.push(replaced.map_err(failed)?);
        }
        self.deliver_again(requests).await
    }

    /// Lets the applications record their state again, and records that of the system again. Returns when those
    /// applications that answer have done it.
    pub(crate) async fn regenerate_statedump(self: &Arc<Self>, apps: &Apps) -> Result<(), Refusal> {
        let plan = self.plan().regenerate_statedump()?;
        self.dump_kernel_state().await;
        self.change(apps, plan).await
    }
}
