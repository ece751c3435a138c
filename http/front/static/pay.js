// Counts down by the server's clock, shows the deadline in the buyer's own time, and reloads the page once the payment's state
// has changed. Without JavaScript the page says the same, only not by itself.
"use strict";

const payment = document.getElementById("payment");
const pollMs = Number(payment.dataset.pollSeconds) * 1000;
// The buyer's clock may be wrong, so only its ticking is used: the time that has passed since the server spoke.
let endsAt = performance.now() + Number(payment.dataset.remainingMs);
let announced = Infinity;

for (const moment of document.querySelectorAll("time[datetime]")) {
  moment.textContent = new Date(moment.dateTime).toLocaleString([], { dateStyle: "long", timeStyle: "short" });
}

function spell(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

// A screen reader hears of the time at a few moments, not every second.
function announce(ms) {
  const mark = [1, 5, 15, 60].find((minutes) => ms <= minutes * 60000);
  if (mark !== undefined && mark < announced) {
    document.getElementById("countdown-news").textContent = `${spell(ms)} left to pay`;
    announced = mark;
  }
}

function tick() {
  const countdown = document.getElementById("countdown");
  if (!countdown || !navigator.onLine) {
    return;
  }
  const left = endsAt - performance.now();
  countdown.textContent = spell(left);
  countdown.parentElement.hidden = false;
  announce(left);
  if (left <= 0) {
    clearInterval(ticking);
    setTimeout(() => location.reload(), 1000);
  }
}

async function resync() {
  const response = await fetch(payment.dataset.window, { cache: "no-store", credentials: "same-origin" });
  if (response.ok) {
    const right = performance.now() + (await response.json()).remainingMs;
    if (Math.abs(right - endsAt) > Number(payment.dataset.skewMs)) {
      endsAt = right;
    }
  }
}

async function changed() {
  const response = await fetch(payment.dataset.status, {
    cache: "no-store",
    credentials: "same-origin",
    headers: { "If-None-Match": `"${payment.dataset.etag}"` },
  });
  return response.status === 200;
}

async function look() {
  try {
    if (await changed()) {
      location.reload();
    } else {
      await resync();
    }
  } catch {
    // Offline for a moment; the next round asks again.
  }
}

// A buyer who has just come back from paying sees the outcome within seconds; later there is less to wait for.
function lookAgain() {
  setTimeout(async () => {
    if (!document.hidden) {
      await look();
    }
    lookAgain();
  }, performance.now() < 60000 ? Math.min(pollMs, 3000) : pollMs);
}

const ticking = setInterval(tick, 1000);
tick();
lookAgain();
addEventListener("online", look);
document.addEventListener("visibilitychange", () => document.hidden || look());
