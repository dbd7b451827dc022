// Keeps the residents' pages fresh where scripts run; without them they reload themselves every minute.
import { broken, expectWithin, heard } from "./line.js";

const POLL_MS = 30_000;
const ASK_AGAIN_MS = 5000;
const live = document.getElementById("live");
const streamOf = () => (live.dataset.stream ? live : live.querySelector("main")).dataset.stream;
/** Whether the stream only says that something changed: a page of another kind than the stream's is read again. */
const asksAgain = live.dataset.again === "yes";
document.documentElement.classList.add("has-script");

document.addEventListener("change", ({ target }) => {
  if (target.id === "village") target.form.submit();
});

/** Replace the page's content: not from under a finger, and whoever was on a link stays on it. */
function show(nodes) {
  const at = document.activeElement?.id;
  if (at === "village") return;
  const open = [...live.querySelectorAll("details[open]")].map((e) => e.id);
  live.replaceChildren(...nodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (at && at !== "main") document.getElementById(at)?.focus({ preventScroll: true });
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

let source = null;
function listen() {
  source = new EventSource(streamOf());
  source.addEventListener("open", () => {
    expectWithin(12_000);
    heard();
  });
  source.addEventListener("alive", heard);
  source.addEventListener("public", ({ data }) => {
    heard();
    if (asksAgain) askAgain();
    else show(parsed(data).body.childNodes);
  });
  source.addEventListener("error", () => {
    broken();
    if (source.readyState === EventSource.CLOSED) poll(); // refused, too many readers: the browser will not try again
  });
}

async function read() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    show(parsed(await answer.text()).getElementById("live").childNodes);
    heard();
  } catch {
    broken();
  }
}

let due = null;
let first = true;
function askAgain() {
  // The first word of a stream repeats what the page was loaded with.
  if (first) first = false;
  else
    due ??= setTimeout(() => {
      due = null;
      read();
    }, ASK_AGAIN_MS);
}

/** Read the page the plain way now, and try the stream again later. */
function poll() {
  expectWithin(POLL_MS + 12_000);
  read();
  setTimeout(listen, POLL_MS);
}

listen();
