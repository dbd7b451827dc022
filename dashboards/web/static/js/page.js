// A page that is one live part: asked for again when anything was measured or happened.
import { again } from "./live.js";

const REFRESH_MS = 3000;
const main = document.getElementById("main");
const refresh = again(REFRESH_MS, () => htmx.ajax("GET", main.dataset.live, { target: "#main", swap: "innerHTML" }));
for (const event of ["takean:readings", "takean:changed", "takean:pins"]) document.addEventListener(event, refresh);
