// The live wire of the console: one SSE stream, requests with the CSRF token, refusals shown, silence shown.
const LOST_AFTER_MS = 4000; // after the stream broke: the browser's first new attempt comes after 2 s
const SILENT_AFTER_MS = 12_000; // a cut cable breaks nothing; the server says something every 5 s
const WATCH_MS = 1000;
const REFRESH_PANEL_MS = 1000;

const announce = (name, detail) => document.dispatchEvent(new CustomEvent(`takean:${name}`, { detail }));

// --- events that are data, not fragments: pins, readings, changed ---------------------------------------------
const wired = new WeakSet();
document.addEventListener("htmx:sseOpen", ({ detail: { source } }) => {
  heard();
  if (wired.has(source)) return; // the browser reopened the same source
  wired.add(source);
  source.addEventListener("alive", heard);
  source.addEventListener("pins", (e) => announce("pins", JSON.parse(e.data)));
  source.addEventListener("readings", (e) => announce("readings", JSON.parse(e.data)));
  source.addEventListener("changed", (e) => {
    if (JSON.parse(e.data).stations.includes(openStation())) refreshPanel();
  });
});

// --- the station panel ----------------------------------------------------------------------------------------
const openStation = () => document.querySelector("#panel [data-station]")?.dataset.station ?? "";
const showPanel = (station) =>
  htmx.ajax("GET", `/console/panel/${encodeURIComponent(station)}`, { target: "#panel", swap: "innerHTML" });

let refreshDue = null;
function refreshPanel() {
  refreshDue ??= setTimeout(() => {
    refreshDue = null;
    if (openStation()) showPanel(openStation());
  }, REFRESH_PANEL_MS);
}
// Until somebody picks a station, the panel follows the one that decides the worst danger.
let picked = new URLSearchParams(location.search).has("station");
document.addEventListener("takean:select", ({ detail: { station, followed } }) => {
  picked ||= !followed;
  if (station) showPanel(station);
});
const incident = document.getElementById("incident");
function follow() {
  const station = incident.querySelector("[data-station]")?.dataset.station;
  if (station && !picked && station !== openStation()) announce("select", { station, followed: true });
}
new MutationObserver(follow).observe(incident, { childList: true });

// --- requests: the token, and refusals in words -----------------------------------------------------------------
document.addEventListener("htmx:configRequest", ({ detail }) => {
  detail.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf"]').content;
});

const toast = document.getElementById("toast");
let toastTimer = null;
function say(text) {
  toast.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.textContent = ""), 8000);
}
document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  let reason = "";
  try {
    reason = JSON.parse(xhr.responseText).detail;
  } catch {
    /* not JSON: the status says it */
  }
  say(typeof reason === "string" && reason ? reason : `ทำรายการไม่สำเร็จ (${xhr.status})`);
});
for (const failure of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => say("ส่งคำสั่งไม่ถึงเครื่องแม่ข่าย ลองอีกครั้ง"));
}

// --- silence is not safety: grey the screen when the stream is gone --------------------------------------------
const lost = document.getElementById("lost");
let lostTimer = null;
let heardAt = Date.now();
const clock = new Intl.DateTimeFormat("th-TH-u-ca-buddhist", { timeZone: "Asia/Bangkok", timeStyle: "medium" });

function found() {
  clearTimeout(lostTimer);
  lostTimer = null;
  lost.hidden = true;
  document.body.classList.remove("is-lost");
}
function heard() {
  heardAt = Date.now();
  found();
}
function grey() {
  document.getElementById("lost-since").textContent = `${clock.format(heardAt)} น.`;
  lost.hidden = false;
  document.body.classList.add("is-lost");
}
document.addEventListener("htmx:sseMessage", heard);
document.addEventListener("htmx:sseError", () => (lostTimer ??= setTimeout(grey, LOST_AFTER_MS)));
setInterval(() => Date.now() - heardAt > SILENT_AFTER_MS && grey(), WATCH_MS);
