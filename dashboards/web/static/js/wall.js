// The wall: one part asked for again when anything happened; the map beside it follows.
import { again, announce } from "./live.js";

const REFRESH_MS = 1000;
const refresh = again(REFRESH_MS, () => htmx.ajax("GET", "/wall", { target: "#wall", swap: "innerHTML" }));
for (const event of ["takean:readings", "takean:changed", "takean:pins"]) document.addEventListener(event, refresh);
document.addEventListener("htmx:afterSwap", () => {
  const { pins, tints } = document.getElementById("wall-data").dataset;
  announce("wall", JSON.parse(pins));
  announce("tints", JSON.parse(tints));
});
