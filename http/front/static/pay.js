// Shows the deadline in the buyer's own time, and reloads the page once the payment's state has changed.
"use strict";

const POLL_MS = 4000;
const payment = document.getElementById("payment");

for (const moment of document.querySelectorAll("time[datetime]")) {
  moment.textContent = new Date(moment.dateTime).toLocaleString([], { dateStyle: "long", timeStyle: "short" });
}

async function changed() {
  const response = await fetch(payment.dataset.status, {
    cache: "no-store",
    credentials: "same-origin",
    headers: { "If-None-Match": `"${payment.dataset.etag}"` },
  });
  return response.status === 200;
}

async function poll() {
  try {
    if (!document.hidden && (await changed())) {
      location.reload();
      return;
    }
  } catch {
    // Offline for a moment; the next round asks again.
  }
  setTimeout(poll, POLL_MS);
}

setTimeout(poll, POLL_MS);
