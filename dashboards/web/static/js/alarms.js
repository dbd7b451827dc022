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
    button.hidden = button.dataset.askedBy === document.body.dataset.account;
  }
  badge.hidden = count === 0;
  badge.textContent = String(count);
  document.title = count ? `(${count}) ${title}` : title;
}

list.addEventListener("click", ({ target }) => {
  const tab = target.closest(".tab");
  const row = target.closest(".alarm");
  if (tab) {
    list.dataset.filter = tab.dataset.filter;
    dress();
  } else if (row && !target.closest("button")) {
    choose(row);
  }
});

function choose(row) {
  if (row.dataset.station) {
    document.dispatchEvent(new CustomEvent("takean:select", { detail: { station: row.dataset.station } }));
  }
}

list.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const row = event.target.closest(".alarm");
  if (!row) return;
  const all = rows();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    all[all.indexOf(row) + step]?.focus();
  } else if (event.target === row && event.key === "Enter") {
    choose(row);
  } else if (event.code === "KeyA") {
    // By position, so that it works while the keyboard is set to Thai.
    row.querySelector("[data-acknowledge]")?.click();
  }
});

// A fragment replaces every row: whoever was on one stays there, and the list does not move under the eyes.
let at = [];
let kept = { at, top: 0 };
list.addEventListener("focusin", ({ target }) => (at = [target.id, target.closest(".alarm")?.id]));
list.addEventListener("focusout", ({ target }) => {
  if (!target.disabled) at = []; // a button that was pressed loses the focus while its request is on the way
});
list.addEventListener("htmx:sseBeforeMessage", () => (kept = { at, top: list.scrollTop }));
list.addEventListener("htmx:sseMessage", () => {
  dress();
  const there = kept.at.map((id) => id && document.getElementById(id)).find(Boolean);
  if (there && there !== document.activeElement) there.focus({ preventScroll: true });
  list.scrollTop = kept.top;
});

const replaced = new MutationObserver(dress);
replaced.observe(document.getElementById("incident"), { childList: true });
replaced.observe(document.getElementById("panel"), { childList: true });
dress();
