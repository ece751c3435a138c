// Counts down by the server's clock, shows the deadline in the buyer's own time, and reloads the page once the payment's state
// has changed. Without JavaScript the page says the same, only not by itself.
"use strict";

const payment = document.getElementById("payment");
const countdown = document.getElementById("countdown"); // only on a page whose time runs
const wayToPay = document.getElementById("way-to-pay");
const pollMs = Number(payment.dataset.pollSeconds) * 1000;
const skewMs = Number(payment.dataset.skewMs);
const MINUTE = 60_000;
const ANSWER_MS = 10_000;

// The buyer's clock may be wrong, so only its ticking is used: the time that has passed since the server spoke.
const spokenAt = performance.getEntriesByType("navigation")[0].responseStart;
let endsAt = spokenAt + Number(payment.dataset.remainingMs);
let announced = Infinity;
let leaving = false;
let nextTick;
let nextLook;

function spell(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const clock = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return days ? `${days} ${days === 1 ? "day" : "days"} ${clock}` : clock;
}

// A screen reader hears of the time at a few moments, not every second.
function announce(ms) {
  const mark = [1, 5, 15, 60].find((minutes) => ms <= minutes * MINUTE);
  if (mark < announced) {
    const length = mark === 1 ? "a minute" : `${mark} minutes`;
    document.getElementById("countdown-news").textContent = `Less than ${length} left to pay`;
    announced = mark;
  }
}

function tick() {
  clearTimeout(nextTick);
  const left = endsAt - performance.now();
  countdown.textContent = spell(left);
  countdown.parentElement.hidden = false;
  announce(left);
  if (wayToPay) {
    wayToPay.hidden = left <= 0; // the server decides; until it has said so, nobody should be sent off to pay
  }
  if (left > 0) {
    nextTick = setTimeout(tick, (left % 1000) + 5);
  } else {
    lookLater();
  }
}

function say(text) {
  document.getElementById("offline").textContent = text;
}

function ask(address, headers = {}) {
  return fetch(address, { cache: "no-store", credentials: "same-origin", headers, signal: AbortSignal.timeout(ANSWER_MS) });
}

async function changed() {
  const response = await ask(payment.dataset.status, { "If-None-Match": `"${payment.dataset.etag}"` });
  return [200, 401, 404].includes(response.status); // also when this page may not be seen any more
}

async function resync() {
  const asked = performance.now();
  const response = await ask(payment.dataset.window);
  if (!response.ok) {
    return;
  }
  const spoken = (asked + performance.now()) / 2;
  const right = spoken + (await response.json()).remainingMs;
  if (Math.abs(right - endsAt) > skewMs) {
    endsAt = right;
    tick();
  }
}

async function look() {
  try {
    if (await changed()) {
      if (!leaving) {
        location.reload(); // while a button is being followed, it would cut that short
      }
    } else if (countdown) {
      await resync();
    }
  } catch {
    // Offline for a moment; the next round asks again.
  }
}

// A buyer who has just come back from paying sees the outcome within seconds, and so does one whose time has run out;
// otherwise there is less to wait for.
function lookLater() {
  clearTimeout(nextLook);
  const over = countdown && endsAt <= performance.now();
  const fresh = performance.now() < MINUTE;
  nextLook = setTimeout(lookOn, over ? 1000 : fresh ? Math.min(pollMs, 3000) : pollMs);
}

async function lookOn() {
  if (!document.hidden) {
    await look();
  }
  lookLater();
}

function goOffline() {
  clearTimeout(nextTick);
  say("You are offline. The deadline stays as it is; the countdown goes on when you are back.");
}

async function goOnline() {
  say("");
  await look();
  tick();
}

for (const moment of document.querySelectorAll("time[datetime]")) {
  moment.textContent = new Date(moment.dateTime).toLocaleString([], { dateStyle: "long", timeStyle: "short" });
}
if (countdown) {
  addEventListener("offline", goOffline);
  addEventListener("online", goOnline);
  navigator.onLine ? tick() : goOffline();
}
if (wayToPay instanceof HTMLFormElement) {
  wayToPay.addEventListener("submit", () => {
    leaving = true;
    const button = wayToPay.querySelector("button");
    button.disabled = true; // a second press would be refused, and look like an error
    button.textContent = "Opening a new page…";
  });
}
// From the back button's cache the page comes as it was left: time has passed since, and the button may be disabled.
addEventListener("pageshow", (event) => event.persisted && location.reload());
document.addEventListener("visibilitychange", () => document.hidden || look());
lookLater();
