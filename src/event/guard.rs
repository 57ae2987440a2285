//! What a server may send. The client (async-nats 0.51) keeps all that comes until a message is whole, however long it was announced to be,
//! and a line until it ends, which it looks for from the beginning with each piece, so that it is deaf meanwhile. It tells how many bytes and messages have come, though: many bytes without a message are too large a one.

use super::connection::ConnectionReport;
use async_nats::Client;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often is looked: in this time a server must not send more than memory can bear.
const LOOK: Duration = Duration::from_millis(20);
/// No server can be configured to take larger messages (`MAX_PAYLOAD_MAX_SIZE` of nats-server), whatever it says of itself.
const LARGEST_MESSAGE: usize = 64 << 20;
/// Beside its payload a message has headers and a line, and there are pings.
const ENVELOPE: usize = 1 << 20;

/// The most bytes that may come without ending a message.
fn most(max_payload: usize) -> u64 {
    (max_payload.min(LARGEST_MESSAGE) + ENVELOPE) as u64
}

/// Breaks the connection whenever a server sends too much at once. Does not end by itself.
pub async fn guard(client: &Client, report: &ConnectionReport) {
    let statistics = client.statistics();
    // In this order: messages that end in between make what came without one look like less.
    let bytes = || statistics.in_bytes.load(Ordering::Relaxed);
    let ended = || (statistics.connects.load(Ordering::Relaxed), statistics.in_messages.load(Ordering::Relaxed));
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut from) = (ended(), bytes());
    loop {
        looks.tick().await;
        let (now, so_far) = (bytes(), ended());
        if so_far != before {
            (before, from) = (so_far, bytes());
            continue;
        }
        let (sent, most) = (now.saturating_sub(from), most(client.max_payload()));
        if sent > most {
            report.break_off(&format!(
                "the server sent {sent} bytes without ending a message; at most {most} are taken: is it a NATS server?"
            ));
            // Fails when the client has ended: that is seen elsewhere.
            let _ = client.force_reconnect().await;
            from = bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_what_the_server_takes_itself_within_reason() {
        assert_eq!(most(1 << 20), 2 << 20);
        assert_eq!((most(4 << 30), most(usize::MAX)), (65 << 20, 65 << 20));
    }
}
