// What every page of the officers shares: the stream, the line, requests with the CSRF token, refusals in words.
import { broken, heard } from "./line.js";

export const announce = (name, detail) => document.dispatchEvent(new CustomEvent(`takean:${name}`, { detail }));

/** Read out to who cannot see it, when they are not in the middle of something else. */
export function tell(text) {
  document.getElementById("announce").textContent = text;
}

// --- events that are data, not fragments -----------------------------------------------------------------------------
const wired = new WeakSet();
document.addEventListener("htmx:sseOpen", ({ detail: { source } }) => {
  heard();
  if (wired.has(source)) return; // the browser reopened the same source
  wired.add(source);
  source.addEventListener("alive", heard);
  for (const name of ["pins", "readings", "changed"]) {
    source.addEventListener(name, (event) => {
      heard();
      announce(name, JSON.parse(event.data));
    });
  }
});
document.addEventListener("htmx:sseMessage", heard);
document.addEventListener("htmx:sseError", broken);

/** Ask for a part of the page again, at most once in a while however often it is due. */
export function again(ms, ask) {
  let due = null;
  return () => {
    due ??= setTimeout(() => {
      due = null;
      ask();
    }, ms);
  };
}

// --- a part is replaced under the eyes: what was open stays open, what was scrolled stays there --------------------------
let kept = { open: [], tops: [] };
document.addEventListener("htmx:beforeSwap", ({ target }) => {
  kept = {
    open: [...target.querySelectorAll("details[open]")].map((e) => e.id),
    tops: [...target.querySelectorAll(".card-scroll")].map((e) => e.scrollTop),
  };
});
document.addEventListener("htmx:afterSwap", ({ target }) => {
  for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
  [...target.querySelectorAll(".card-scroll")].forEach((e, i) => (e.scrollTop = kept.tops[i] ?? 0));
});

// --- what would be decided on a lost line would be decided on an old screen, and would not arrive -----------------------
function lock() {
  const lost = document.body.classList.contains("is-lost");
  for (const button of document.querySelectorAll("button.needs-acknowledge, button.needs-release")) {
    button.disabled = lost;
    button.title = lost ? "ขาดการติดต่อ: ทำรายการไม่ได้" : "";
  }
}
new MutationObserver(lock).observe(document.body, { attributeFilter: ["class"] });

// --- the machine itself may stop: that is said aloud too -----------------------------------------------------------------
let blind = Boolean(document.querySelector(".blind"));
new MutationObserver(() => {
  const now = document.querySelector(".blind");
  if (Boolean(now) !== blind) tell(now ? now.textContent : "ระบบตัดสินกลับมาทำงาน");
  blind = Boolean(now);
}).observe(document.querySelector("#top, #wall, main"), { childList: true, subtree: true });

// --- requests: the token, and refusals in words ----------------------------------------------------------------------
document.addEventListener("htmx:configRequest", ({ detail }) => {
  const token = document.querySelector('meta[name="csrf"]');
  if (token) detail.headers["X-CSRF-Token"] = token.content;
});

const toast = document.getElementById("toast");
let toastTimer = null;
function say(text) {
  if (!toast) return;
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
