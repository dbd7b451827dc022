import { announce, tell } from "./live.js";

// The alarm list: filter, choose a row, keyboard. Rows are replaced by live fragments; what the officer chose stays.
const list = document.getElementById("alarms");
const badge = document.getElementById("badge");
const title = document.title;
const rows = () => [...list.querySelectorAll(".alarm")].filter((row) => row.offsetParent !== null);

function dress() {
  for (const tab of list.querySelectorAll(".tab")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.filter === list.dataset.filter));
  }
  const open = document.querySelector("#panel [data-station]")?.dataset.station;
  for (const row of list.querySelectorAll(".alarm")) {
    row.classList.toggle("is-selected", Boolean(open) && row.dataset.station === open);
  }
  const count = Number(list.querySelector("[data-unacknowledged]").dataset.unacknowledged);
  // Who asked cannot be the second person: the server refuses it, so it is not offered.
  for (const button of document.querySelectorAll("[data-asked-by]")) {
    (button.closest("details") ?? button).hidden = button.dataset.askedBy === document.body.dataset.account;
  }
  badge.hidden = count === 0;
  badge.textContent = String(count);
  document.title = count ? `(${count}) ${title}` : title;
}

list.addEventListener("click", ({ target }) => {
  const tab = target.closest(".tab");
  const row = target.closest(".alarm");
  if (target.closest("#help-open")) {
    help.showModal();
  } else if (tab) {
    list.dataset.filter = tab.dataset.filter;
    dress();
  } else if (row && !target.closest("button, summary")) {
    choose(row);
  }
});

function choose(row) {
  if (row.dataset.station) {
    announce("select", { station: row.dataset.station });
  }
}

// --- keys: by position, so that they work while the keyboard is set to Thai ---------------------------------------------
const help = document.getElementById("help");
const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
const plain = (event) => !event.ctrlKey && !event.altKey && !event.metaKey;

list.addEventListener("keydown", (event) => {
  if (!plain(event) || event.shiftKey) return;
  const row = event.target.closest(".alarm");
  if (!row) return;
  const all = rows();
  const here = all.indexOf(row);
  const there = { ArrowDown: here + 1, KeyJ: here + 1, ArrowUp: here - 1, KeyK: here - 1, Home: 0, End: all.length - 1 }[event.code];
  if (there !== undefined) {
    event.preventDefault();
    all[there]?.focus();
  } else if (event.target === row && event.key === "Enter") {
    choose(row);
  } else if (event.code === "KeyA") {
    row.querySelector("[data-acknowledge]")?.click();
  } else if (event.code === "KeyR") {
    // Only there: what is told to people is pressed on purpose, and asks once more.
    [...row.querySelectorAll("button.needs-release, .lowering > summary")].find((button) => button.offsetParent !== null)?.focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (!plain(event) || typing(event.target) || help.open) return;
  if (event.code === "Slash" && event.shiftKey) {
    event.preventDefault();
    help.showModal();
  } else if (event.code === "KeyG" && !event.shiftKey) {
    event.preventDefault();
    (rows()[0] ?? list).focus();
  }
});

// A fragment replaces every row: whoever was on one stays there, and the list does not move under the eyes.
let at = [];
let kept = { at, top: 0, open: [] };
list.addEventListener("focusin", ({ target }) => (at = [target.id, target.closest(".alarm")?.id]));
list.addEventListener("focusout", ({ target }) => {
  if (!target.disabled) at = []; // a button that was pressed loses the focus while its request is on the way
});
const unfolded = () => [...document.querySelectorAll(".lowering[open]")].map((e) => e.id);
list.addEventListener("htmx:sseBeforeMessage", () => (kept = { at, top: list.scrollTop, open: unfolded() }));
list.addEventListener("htmx:sseMessage", () => {
  dress();
  sayNew();
  announce("tints", tints());
  for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
  const there = kept.at.map((id) => id && document.getElementById(id)).find(Boolean);
  if (there && there !== document.activeElement) there.focus({ preventScroll: true });
  list.scrollTop = kept.top;
});

// --- what is new is read out once; where it is, the map is tinted ------------------------------------------------------
const rang = () => new Map([...list.querySelectorAll(".alarm.open")].map((row) => [row.id, row.dataset.level]));
let known = rang();
function sayNew() {
  const now = rang();
  const fresh = [...now].filter(([id, level]) => known.get(id) !== level).map(([id]) => document.getElementById(id));
  known = now;
  if (!fresh.length) return;
  const first = fresh[0].querySelector(".alarm-place").textContent.trim();
  tell(`แจ้งเตือนใหม่ ${fresh.length} รายการ: ${first}${fresh.length > 1 ? " และอื่น ๆ" : ""}`);
}
const tints = () => [...list.querySelectorAll("[data-tints]")].map((row) => [Number(row.dataset.level), JSON.parse(row.dataset.tints)]);

const replaced = new MutationObserver(dress);
replaced.observe(document.getElementById("incident"), { childList: true });
replaced.observe(document.getElementById("panel"), { childList: true });
dress();
