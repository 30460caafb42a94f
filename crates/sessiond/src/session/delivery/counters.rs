//! What was delivered, as the consumer daemons count it.

use std::sync::Arc;
use std::time::Duration;

use consumer_api::{Answer, Request};
use tokio::time::timeout;

use super::Posted;
use crate::session::Session;
use crate::session::consumer::Consumer;
use crate::session::status::SessionCounters;

/// How long a consumer daemon may take to tell its counters.
const COUNTERS_PATIENCE: Duration = Duration::from_millis(500);
impl Session {
    /// Asks for everything that was written to be delivered; the receiver brings the answer.
    pub(in crate::session) async fn request_drain(&self) -> Option<Posted> {
        let delivery = self.delivery.lock().await;
        let consumer = delivery.consumer.as_ref().filter(|_| delivery.has_traced)?;
        consumer.post(Request::Drain, Vec::new()).await.ok()
    }

    /// Takes the answer to a drain, which brings the totals.
    pub(in crate::session) async fn drained(&self, answer: Answer) {
        if let Answer::Counters {
            total, channels, ..
        } = answer
        {
            self.delivery.lock().await.latest = SessionCounters { total, channels };
        }
    }

    /// Totals as they were told last, for instance by the drain of a stop.
    pub(crate) async fn known_counters(&self) -> SessionCounters {
        let delivery = self.delivery.lock().await;
        delivery.ended.plus(&delivery.latest)
    }

    /// Totals, asked of the consumer daemon now if it runs.
    pub(crate) async fn counters(&self) -> SessionCounters {
        let consumer = {
            // Not while somebody leaves a place: that may take long.
            match timeout(COUNTERS_PATIENCE, self.delivery.lock()).await {
                Ok(delivery) => delivery.consumer.clone(),
                Err(_) => None,
            }
        };
        let asked = match &consumer {
            Some(consumer) => ask_counters(consumer).await,
            None => None,
        };
        let Ok(mut delivery) = timeout(COUNTERS_PATIENCE, self.delivery.lock()).await else {
            return SessionCounters::default();
        };
        let same =
            |current: &Arc<Consumer>| consumer.as_ref().is_some_and(|c| Arc::ptr_eq(c, current));
        if let Some(counters) = asked
            && delivery.consumer.as_ref().is_some_and(same)
        {
            delivery.latest = counters;
        }
        delivery.ended.plus(&delivery.latest)
    }
}

async fn ask_counters(consumer: &Consumer) -> Option<SessionCounters> {
    // A consumer daemon whose relay or disk is slow answers late; the user is told the last figures.
    let query = consumer.call(Request::QueryCounters, Vec::new());
    match timeout(COUNTERS_PATIENCE, query).await {
        Ok(Ok(Answer::Counters {
            total, channels, ..
        })) => Some(SessionCounters { total, channels }),
        _ => None,
    }
}
