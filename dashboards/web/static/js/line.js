// The line to the box: when it is broken or silent, the page says so, says how old it is, and turns grey.
const BROKEN_MS = 4000; // after the stream broke: the browser's first new attempt comes after 2 s
const SILENT_MS = 12_000; // a cut cable breaks nothing; the server says something every 5 s
const WATCH_MS = 1000;

const banner = document.getElementById("lost");
const english = document.documentElement.lang === "en";
const moment = new Intl.DateTimeFormat(english ? "en-GB" : "th-TH", { timeZone: "Asia/Bangkok", timeStyle: "short" });
let heardAt = Date.now();
let brokenAt = null;
let silentMs = SILENT_MS;

/** The server spoke: what is on the screen is its newest word. */
export function heard() {
  heardAt = Date.now();
  brokenAt = null;
  look();
}

/** The stream broke; it may come back by itself. */
export function broken() {
  brokenAt ??= Date.now();
}

/** How long silence is ordinary: longer where the page asks instead of listening. */
export function expectWithin(ms) {
  silentMs = ms;
}

/** The clock of the page itself: an exercise may run faster than the watch on the wall, and the two are never mixed. */
function shownAt() {
  const now = document.getElementById("now")?.dateTime ?? document.querySelector("[data-now]").dataset.now;
  return moment.format(new Date(now)) + (english ? "" : " น.");
}

function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const words = english ? [" h", " min", " s", " ago"] : [" ชม.", " นาที", " วินาที", "ที่แล้ว"];
  if (hours) return `${hours}${words[0]} ${minutes % 60}${words[1]}${words[3]}`;
  return (minutes ? `${minutes}${words[1]}` : `${seconds}${words[2]}`) + words[3];
}

function look() {
  const now = Date.now();
  const lost = (brokenAt !== null && now - brokenAt >= BROKEN_MS) || now - heardAt > silentMs;
  if (lost) {
    document.getElementById("lost-since").textContent = shownAt();
    document.getElementById("lost-age").textContent = age(now - heardAt);
  }
  if (banner.hidden === lost) {
    banner.hidden = !lost;
    document.body.classList.toggle("is-lost", lost);
  }
}
setInterval(look, WATCH_MS);
