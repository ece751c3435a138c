// Keeps the buyer's page true: counts down by the server's clock, follows the payment's events, and puts the new page in the
// place of the old one when something has changed. Without JavaScript the page says the same, only not by itself.
"use strict";

const MINUTE = 60_000;
const ANSWER_MS = 10_000;
const SILENCE_MS = 40_000; // a stream that says nothing for so long, some proxy keeps it back: its beats come every 15 s
const EAGER_MS = 3000;
const openedAt = performance.now();
const language = document.documentElement.lang;
const main = document.querySelector("main");

let payment; // the element with all that the server said
let texts;
let endsAt = null; // on the page's own clock, whose ticking alone is used: the buyer's date may be wrong
let announced = Infinity;
let stream = null;
let heardAt = -Infinity;
let busy = false; // a page is on its way, or a button was pressed
let again = false; // ... and meanwhile there was news
let nextTick;
let nextLook;

const find = (id) => document.getElementById(id);
const followed = () => stream?.readyState === EventSource.OPEN && performance.now() - heardAt < SILENCE_MS;
const over = () => endsAt !== null && endsAt <= performance.now();
const digits = new Intl.NumberFormat(language, { minimumIntegerDigits: 2 });
const unit = (count, name) => new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "long" }).format(count);

function say(id, text) {
  const place = find(id);
  if (place.textContent !== text) place.textContent = text;
}

// --- The countdown

function spell(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const clock = parts.map((part) => digits.format(part)).join(":");
  return days ? `${unit(days, "day")} ${clock}` : clock;
}

// A screen reader hears of the time at a few moments, not every second.
function announce(ms) {
  const mark = [1, 5, 15, 60].find((minutes) => ms <= minutes * MINUTE);
  if (mark < announced) {
    const time = mark === 60 ? unit(1, "hour") : unit(mark, "minute");
    say("countdown-news", texts.less_than.replace("{time}", time));
    announced = mark;
  }
}

function tick() {
  clearTimeout(nextTick);
  if (endsAt === null) return;
  const left = endsAt - performance.now();
  find("countdown").textContent = spell(left);
  find("countdown").parentElement.hidden = false;
  announce(left);
  const wayToPay = find("way-to-pay");
  if (wayToPay) wayToPay.hidden = left <= 0; // the server decides; until it has said so, nobody should be sent off to pay
  if (left > 0) nextTick = setTimeout(tick, (left % 1000) + 5);
  else lookLater();
}

// What the server says is left counts for the middle of asking and hearing.
async function resync() {
  const asked = performance.now();
  const response = await ask(payment.dataset.window);
  if (!response.ok || endsAt === null) return;
  const right = (asked + performance.now()) / 2 + (await response.json()).remainingMs;
  if (Math.abs(right - endsAt) > Number(payment.dataset.skewMs)) {
    endsAt = right;
    tick();
  }
}

// --- What the server says

function ask(address, options = {}) {
  return fetch(address, { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(ANSWER_MS), ...options });
}

function read(spokenAt) {
  payment = find("payment");
  texts = JSON.parse(payment.dataset.texts);
  const remaining = Number(payment.dataset.remainingMs);
  endsAt = remaining ? spokenAt + remaining : null;
  for (const moment of main.querySelectorAll("time[datetime]")) {
    moment.textContent = new Date(moment.dateTime).toLocaleString(language, { dateStyle: "long", timeStyle: "short" });
  }
  const form = main.querySelector("form");
  form?.addEventListener("submit", retry);
  find("pay")?.addEventListener("click", () => say("trouble", ""));
  if (endsAt === null) say("countdown-news", "");
  navigator.onLine ? tick() : goOffline();
}

// Fetch the page and show it in the place of this one. The focus stays where it was, or goes to the headline.
async function renew() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  again = false;
  try {
    const asked = performance.now();
    const response = await ask(location.pathname, { headers: { Accept: "text/html" } });
    if (response.status === 401 || response.status === 404) return location.reload(); // says why it may not be seen any more
    if (!response.ok) return;
    const spokenAt = (asked + performance.now()) / 2;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const headline = find("headline").textContent;
    const focused = main.contains(document.activeElement) ? document.activeElement.id : null;
    const open = Boolean(main.querySelector("details[open]"));
    document.title = page.title;
    main.replaceChildren(...page.querySelector("main").childNodes);
    read(spokenAt);
    if (open) main.querySelector("details")?.setAttribute("open", "");
    if (focused !== null) (find(focused) ?? find("headline")).focus();
    if (find("headline").textContent !== headline) say("news", find("headline").textContent);
  } finally {
    busy = false;
  }
  follow();
  if (again) await renew();
}

async function look() {
  try {
    const response = await ask(payment.dataset.status, { headers: { "If-None-Match": `"${payment.dataset.etag}"` } });
    if ([200, 401, 404].includes(response.status)) await renew();
    else await resync();
  } catch {
    // Offline for a moment; the next round asks again.
  }
}

// Polling stands in for the stream while there is none. A buyer who has just come back from paying sees the outcome within
// seconds, and so does one whose time has run out; otherwise there is less to wait for.
function lookLater() {
  clearTimeout(nextLook);
  const pollMs = Number(payment.dataset.pollSeconds) * 1000;
  const fresh = performance.now() - openedAt < MINUTE;
  nextLook = setTimeout(lookOn, over() ? 1000 : fresh ? Math.min(pollMs, EAGER_MS) : pollMs);
}

async function lookOn() {
  const moving = "moving" in payment.dataset;
  if (!document.hidden && moving && (!followed() || over())) {
    await look();
    follow();
  }
  if (moving) lookLater();
}

function follow() {
  if (stream || document.hidden || !("moving" in payment.dataset)) return;
  stream = new EventSource(payment.dataset.events);
  stream.addEventListener("status", (event) => {
    heardAt = performance.now();
    if (event.lastEventId !== payment.dataset.etag) renew().catch(() => {}); // offline for a moment; polling asks again
  });
  stream.addEventListener("window", (event) => {
    heardAt = performance.now();
    // Heard late, it would be wrong by as much: what looks off is asked for.
    const right = performance.now() + JSON.parse(event.data).remainingMs;
    if (endsAt !== null && Math.abs(right - endsAt) > Number(payment.dataset.skewMs)) resync().catch(() => {});
  });
  stream.addEventListener("end", unfollow);
  stream.addEventListener("error", () => stream?.readyState === EventSource.CLOSED && unfollow());
}

// A tab that nobody sees gives its connection back: a browser has only six for one server.
function unfollow() {
  stream?.close();
  stream = null;
}

// --- What the buyer does

async function retry(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const button = form.querySelector("button");
  const label = button.textContent;
  button.disabled = true; // a second press would be refused, and look like an error
  button.textContent = texts.opening;
  say("trouble", "");
  busy = true;
  let done = false;
  try {
    // The key makes one operation of all presses on this state of the payment, whichever of them gets through.
    const headers = { "Idempotency-Key": `page-${payment.dataset.etag}` };
    const response = await ask(form.dataset.retry, { method: "POST", headers, signal: AbortSignal.timeout(4 * ANSWER_MS) });
    done = response.ok || response.status === 409; // refused because things have changed: the new page shows how
  } catch {
    // Said below.
  }
  busy = false;
  if (!done) say("trouble", texts.not_done);
  if (done || again) await renew().catch(() => {});
  if (button.isConnected) {
    button.disabled = false;
    button.textContent = label;
  }
}

function goOffline() {
  clearTimeout(nextTick);
  say("trouble", texts.offline);
}

async function goOnline() {
  say("trouble", "");
  unfollow();
  follow();
  await look();
  tick();
}

function seenAgain() {
  if (document.hidden) return unfollow();
  follow();
  look();
}

read(performance.getEntriesByType("navigation")[0].responseStart);
follow();
lookLater();
addEventListener("offline", goOffline);
addEventListener("online", goOnline);
addEventListener("pagehide", unfollow);
// From the back button's cache the page comes as it was left: time has passed since.
addEventListener("pageshow", (event) => event.persisted && location.reload());
document.addEventListener("visibilitychange", seenAgain);
