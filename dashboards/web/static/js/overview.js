// The overview's own parts that are asked for, not sent: the station panel and the timeline.
import { again, announce } from "./live.js";

const REFRESH_PANEL_MS = 1000;
const REFRESH_TIMELINE_MS = 3000;

const openStation = () => document.querySelector("#panel [data-station]")?.dataset.station ?? "";
const showPanel = (station) =>
  htmx.ajax("GET", `/console/panel/${encodeURIComponent(station)}`, { target: "#panel", swap: "innerHTML" });

const refreshPanel = again(REFRESH_PANEL_MS, () => openStation() && showPanel(openStation()));
document.addEventListener("takean:changed", ({ detail: { stations } }) => stations.includes(openStation()) && refreshPanel());

const refreshTimeline = again(REFRESH_TIMELINE_MS, () =>
  htmx.ajax("GET", "/console/timeline", { target: "#timeline", swap: "innerHTML" }),
);
for (const part of ["top", "alarms"]) {
  // The clock's minute moves it, and so does whatever happens to a story.
  document.getElementById(part).addEventListener("htmx:sseMessage", refreshTimeline);
}

// The pin of the open station is drawn from the panel's own moment, and a newer pin asks for a newer panel at once.
const panel = document.getElementById("panel");
const shownPin = () => panel.querySelector("[data-pin]")?.dataset.pin;
new MutationObserver(() => shownPin() && announce("panel", JSON.parse(shownPin()))).observe(panel, { childList: true });
document.addEventListener("takean:pins", ({ detail }) => {
  const newer = detail.find(({ station }) => station === openStation());
  if (newer && shownPin() && newer.text !== JSON.parse(shownPin()).text) showPanel(newer.station);
});

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
