// The map: a GeoJSON drawing served by the box, and one focusable pin per station.
const host = document.getElementById("map");
const [south, west, north, east] = JSON.parse(host.dataset.bounds);
const home = L.latLngBounds([south, west], [north, east]); // the stations; the area they lie in is added when it is drawn
const FIT = { padding: [8, 8] };
let movedByHand = false;
const map = L.map(host, { zoomControl: false, attributionControl: false, zoomSnap: 0.05, zoomDelta: 0.5, minZoom: 8, maxZoom: 18 });
map.fitBounds(home, FIT);
host.addEventListener("pointerdown", () => (movedByHand = true));
host.addEventListener("wheel", () => (movedByHand = true), { passive: true });

const tools = {
  "zoom-in": () => map.zoomIn(),
  "zoom-out": () => map.zoomOut(),
  "zoom-home": () => map.fitBounds(home, FIT),
};
for (const [id, act] of Object.entries(tools)) {
  // A wall has none.
  document.getElementById(id)?.addEventListener("click", () => {
    movedByHand = id !== "zoom-home";
    act();
  });
}
// From far away the names would cover each other.
const nameOrNot = () => host.classList.toggle("is-far", map.getZoom() < 13);
map.on("zoomend", nameOrNot);
nameOrNot();
new ResizeObserver(() => {
  map.invalidateSize({ pan: false });
  if (!movedByHand) map.fitBounds(home, { ...FIT, animate: false });
}).observe(host);

// --- base drawing ------------------------------------------------------------------------------------------------
const DRAWN_AS = {
  field: [(p) => `m-field m-field-${Number(p.tone) || 0}`],
  stream: [() => "m-stream"],
  river: [() => "m-halo", () => "m-river"],
  pond: [() => "m-pond"],
  road: [(p) => `m-road-casing${p.major ? " is-major" : ""}`, (p) => `m-road${p.major ? " is-major" : ""}`],
  building: [() => "m-building"],
  outline: [() => "m-outline"],
  boundary: [() => "m-boundary"],
};
const ORDER = ["field", "other", "stream", "river", "pond", "road", "building", "outline", "boundary"];

function layerOf({ properties, geometry }) {
  const layer = properties?.layer;
  if (layer === undefined && geometry.type.endsWith("Polygon")) return holdsStation(geometry) ? "boundary" : "outline";
  return layer in DRAWN_AS || layer === "village" ? layer : "other";
}

/** Of many areas in one file, ours are those that hold a station: the map fits them, the others are only outlined. */
const holdsStation = (geometry) =>
  outerRings(geometry).some((ring) => JSON.parse(host.dataset.pins).some(({ lon, lat }) => isInside(ring, lon, lat)));

function isInside(ring, lon, lat) {
  let inside = false;
  ring.forEach(([x, y], i) => {
    const [px, py] = ring.at(i - 1);
    if (y > lat !== py > lat && lon < ((px - x) * (lat - y)) / (py - y) + x) inside = !inside;
  });
  return inside;
}

const outerRings = ({ type, coordinates }) => (type === "Polygon" ? [coordinates[0]] : coordinates.map((p) => p[0]));

function veil(boundaries) {
  const world = [[-90, -180], [-90, 180], [90, 180], [90, -180]];
  const holes = boundaries.flatMap((b) => outerRings(b.geometry)).map((ring) => ring.map(([lon, lat]) => [lat, lon]));
  L.polygon([world, ...holes], { className: "m-veil", interactive: false, noClip: true }).addTo(map);
}

function label(at, css, name, small = "") {
  const element = document.createElement("div");
  element.className = `m-label ${css}`;
  element.textContent = name;
  if (small) element.appendChild(document.createElement("small")).textContent = small;
  const icon = L.divIcon({ html: element, className: "pin-anchor", iconSize: null });
  L.marker(at, { icon, interactive: false, keyboard: false, zIndexOffset: -5000 }).addTo(map);
}

function draw(base) {
  const groups = Object.groupBy ? Object.groupBy(base.features, layerOf) : groupBy(base.features, layerOf);
  for (const layer of ORDER) {
    if (layer === "boundary" && groups.boundary) {
      veil(groups.boundary);
      home.extend(L.geoJSON(groups.boundary).getBounds());
    }
    // All casings before all surfaces, so that roads join instead of crossing.
    for (const css of DRAWN_AS[layer] ?? [() => "m-other"]) {
      L.geoJSON(groups[layer] ?? [], {
        interactive: false,
        style: ({ properties }) => ({ className: css(properties ?? {}) }),
        pointToLayer: (_, at) => L.circleMarker(at, { radius: 2, className: "m-other", interactive: false }),
      }).addTo(map);
    }
  }
  places = Object.values(groups).flat().filter((feature) => feature.properties?.name);
  for (const { properties, geometry } of groups.village ?? []) {
    const [lon, lat] = geometry.coordinates;
    label([lat, lon], "is-village", properties.name ?? "", properties.moo ?? "");
  }
  for (const { properties } of [...(groups.river ?? []), ...(groups.stream ?? [])]) {
    if (properties.name && properties.label_at) {
      label([properties.label_at[1], properties.label_at[0]], "is-water", properties.name);
    }
  }
  if (!movedByHand) map.fitBounds(home, { ...FIT, animate: false });
  tint(tinted);
  spreadSoon();
  if (typeof base.note === "string") tell(base.note);
}

// --- where people are in danger ------------------------------------------------------------------------------------
const LEVEL_CLASS = { "-2": "level-none", "-1": "level-fault", 0: "level-normal", 1: "level-watch", 2: "level-warning", 3: "level-critical" };
const VILLAGE_M = 420;
let places = []; // named features of the drawing
let tinted = [];
const tintLayer = L.layerGroup().addTo(map);

/** Colour what the drawing knows by the names of the areas that are warned: villages, waters, whole polygons. */
function tint(dangers) {
  tinted = dangers;
  tintLayer.clearLayers();
  for (const [level, names] of [...dangers].sort((a, b) => a[0] - b[0])) {
    const css = LEVEL_CLASS[level];
    for (const place of places.filter(({ properties: { name, moo } }) => names.some((n) => isCalled(n, name, moo)))) {
      const { type, coordinates } = place.geometry;
      const options = { interactive: false, className: `m-tint ${css}${type.includes("Line") ? " is-line" : ""}` };
      const layer = type === "Point"
        ? L.circle([coordinates[1], coordinates[0]], { ...options, radius: VILLAGE_M })
        : L.geoJSON(place, { interactive: false, style: () => options });
      tintLayer.addLayer(layer);
    }
  }
}

/** An area is named as its village (`หมู่ 1 บ้านโพนยาง`), or after the water it lies along (`ริมห้วยสำราญ`). */
const isCalled = (area, name, moo) => area === name || area === `${moo} ${name}` || area === `ริม${name}`;

/** A sentence about the drawing, in its corner. */
function tell(text) {
  const note = document.getElementById("map-note");
  note.textContent = text;
  note.hidden = !text;
}

function groupBy(items, key) {
  const groups = {};
  for (const item of items) (groups[key(item)] ??= []).push(item);
  return groups;
}

fetch(host.dataset.url)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
  .then(draw)
  .catch(() => tell("อ่านแผนที่ฐานไม่ได้ แสดงเฉพาะสถานี"));

// --- pins ----------------------------------------------------------------------------------------------------------
const TREND_ICON = { up: "arrow-up", down: "arrow-down", steady: "arrow-right" };
const pins = new Map();
let chosen = "";
let shownLayer = "all";

function iconOf(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "use")).setAttribute("href", `${host.dataset.sprite}#${name}`);
  return svg;
}

function fill(element, pin) {
  element.className = `pin ${LEVEL_CLASS[pin.level]}`;
  const box = document.createElement("span");
  box.className = "pin-glyph";
  box.append(iconOf(pin.level === -1 ? "lost" : pin.glyph));
  element.replaceChildren(box, document.createTextNode(`${pin.text} `));
  if (pin.unit && pin.level >= 0 && pin.text !== "–") element.appendChild(document.createElement("small")).textContent = pin.unit;
  if (pin.trend && pin.level !== -1) element.append(iconOf(TREND_ICON[pin.trend]));
}

function placePin(pin) {
  let known = pins.get(pin.station);
  if (!known) {
    const element = document.createElement("div");
    const icon = L.divIcon({ html: element, className: "pin-anchor", iconSize: null });
    const marker = L.marker([pin.lat, pin.lon], { icon, riseOnHover: true, keyboard: true });
    known = { element, marker };
    pins.set(pin.station, known);
    marker.on("click", () => choose(pin.station));
    marker.on("add", () => {
      const anchor = marker.getElement();
      anchor.dataset.station = pin.station;
      anchor.setAttribute("aria-label", known.pin.label);
      anchor.classList.toggle("is-selected", chosen === pin.station);
      anchor.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(pin.station);
      });
    });
  }
  known.pin = pin;
  fill(known.element, pin);
  known.marker.setLatLng([pin.lat, pin.lon]);
  known.marker.setZIndexOffset((pin.level + 2) * 1000); // the worst on top
  known.marker.getElement()?.setAttribute("aria-label", pin.label);
}

function showPins(list) {
  for (const pin of list) placePin(pin);
  const stations = new Set(list.map((pin) => pin.station));
  for (const [station, { marker }] of pins) {
    if (!stations.has(station)) {
      marker.remove();
      pins.delete(station);
    }
  }
  filterPins();
}

function filterPins() {
  for (const { marker, pin } of pins.values()) {
    const wanted = shownLayer === "all" || pin.glyph === shownLayer;
    if (wanted && !map.hasLayer(marker)) marker.addTo(map);
    if (!wanted && map.hasLayer(marker)) marker.remove();
  }
  spreadSoon();
}

function mark(station) {
  chosen = station;
  for (const [name, { marker }] of pins) marker.getElement()?.classList.toggle("is-selected", name === station);
  spreadSoon();
}

const choose = (station) => document.dispatchEvent(new CustomEvent("takean:select", { detail: { station } }));

const layers = document.querySelectorAll(".map-layers button");
for (const button of layers) {
  button.addEventListener("click", () => {
    shownLayer = button.dataset.layer;
    for (const other of layers) other.setAttribute("aria-pressed", String(other === button));
    filterPins();
  });
}

// --- no pin covers another: the more pressing one stands at its place, the others move aside on a stem ------------------
const GAP = 4;
const RINGS = [0, 1, 2, 3];
const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

function boxesOf(selector) {
  const { left, top } = host.getBoundingClientRect();
  return [...host.closest(".map-card").querySelectorAll(selector)]
    .map((e) => e.getBoundingClientRect())
    .filter((r) => r.width && r.height)
    .map((r) => ({ left: r.left - left, right: r.right - left, top: r.top - top, bottom: r.bottom - top }));
}

/** Places to try for a pin of w x h: its own above the point, then below, beside and further off. */
function* tries(w, h) {
  yield [0, 0];
  for (const ring of RINGS) {
    const [dx, dy] = [w / 2 + 12 + ring * 26, h + 14 + ring * 26];
    yield* [[0, dy + 6], [dx, dy / 2], [-dx, dy / 2], [0, -dy], [dx, -dy / 2], [-dx, -dy / 2], [dx, dy], [-dx, dy], [dx, -dy], [-dx, -dy]];
  }
}

function spread() {
  const { clientWidth, clientHeight } = host;
  const fixed = boxesOf(".map-layers, .map-tools, .map-legend, .map-credit");
  const names = boxesOf(".m-label");
  const placed = [];
  const shown = [...pins.entries()].filter(([, { marker }]) => map.hasLayer(marker));
  const rank = ([station, { pin }]) => (station === chosen ? 10 : pin.level === -1 ? 0.5 : pin.level);
  for (const [, { element, marker, pin }] of shown.sort((a, b) => rank(b) - rank(a))) {
    const { x, y } = map.latLngToContainerPoint([pin.lat, pin.lon]);
    const [w, h] = [element.offsetWidth, element.offsetHeight];
    let best = null;
    for (const [dx, dy] of tries(w, h)) {
      const box = { left: x + dx - w / 2 - GAP, right: x + dx + w / 2 + GAP, top: y + dy - 7 - h - GAP, bottom: y + dy - 7 + GAP };
      const out = Math.max(0, -box.left, -box.top, box.right - clientWidth, box.bottom - clientHeight);
      const taken = [...placed, ...fixed].reduce((sum, other) => sum + overlap(box, other), 0);
      const hidden = names.reduce((sum, other) => sum + overlap(box, other), 0);
      const cost = 1000 * taken + 1000 * out + hidden + 3 * Math.hypot(dx, dy);
      if (!best || cost < best.cost) best = { cost, dx, dy, box };
    }
    placed.push(best.box);
    const anchor = marker.getElement();
    anchor.style.setProperty("--dx", `${best.dx}px`);
    anchor.style.setProperty("--dy", `${best.dy}px`);
    // The stem runs from the point to the middle of the pin, which covers its end.
    const [sx, sy] = [best.dx, best.dy - 7 - h / 2];
    anchor.style.setProperty("--stem", `${Math.hypot(sx, sy)}px`);
    anchor.style.setProperty("--turn", `${Math.atan2(sy, sx)}rad`);
    anchor.classList.toggle("is-moved", best.dx !== 0 || best.dy !== 0);
  }
}
let spreading = null;
function spreadSoon() {
  spreading ??= requestAnimationFrame(() => {
    spreading = null;
    spread();
  });
}
map.on("zoomend moveend", spreadSoon);
document.fonts.ready.then(spreadSoon);

// On the wall the pins come with the cards; on the overview the panel speaks for the pin of its own station.
const spokenFor = () => document.querySelector("#panel [data-pin]")?.dataset.station;
document.addEventListener(host.dataset.follows ?? "takean:pins", ({ detail }) => showPins(detail.map((pin) => (pin.station === spokenFor() ? pins.get(pin.station)?.pin ?? pin : pin))));
document.addEventListener("takean:panel", ({ detail }) => showPins([...pins.values()].map(({ pin }) => (pin.station === detail.station ? detail : pin))));
document.addEventListener("takean:tints", ({ detail }) => tint(detail));
document.addEventListener("takean:select", ({ detail: { station } }) => station && mark(station));
showPins(JSON.parse(host.dataset.pins));
tint(
  host.dataset.tints
    ? JSON.parse(host.dataset.tints)
    : [...document.querySelectorAll(".alarm[data-tints]")].map((row) => [Number(row.dataset.level), JSON.parse(row.dataset.tints)]),
);
mark(document.querySelector("#panel [data-station]")?.dataset.station ?? "");
