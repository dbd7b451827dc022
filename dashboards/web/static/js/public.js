// Keeps the residents' page fresh where scripts run; without them it reloads itself every minute.
const LOST_AFTER_MS = 4000;
const SILENT_AFTER_MS = 12_000; // a cut cable breaks nothing; the server says something every 5 s
const POLL_MS = 30_000;
const live = document.getElementById("live");
const offline = document.getElementById("offline");
document.documentElement.classList.add("has-script");

document.addEventListener("change", ({ target }) => {
  if (target.id === "village") target.form.submit();
});

let lostTimer = null;
let heardAt = Date.now();
let source = null;
function found() {
  heardAt = Date.now();
  clearTimeout(lostTimer);
  lostTimer = null;
  offline.hidden = true;
}
function lost(afterMs) {
  lostTimer ??= setTimeout(() => (offline.hidden = false), afterMs);
}

function listen() {
  source = new EventSource(live.querySelector("main").dataset.stream);
  source.addEventListener("open", found);
  source.addEventListener("alive", found);
  source.addEventListener("public", ({ data }) => {
    found();
    if (document.activeElement?.id === "village") return; // do not pull the list from under a finger
    live.innerHTML = data;
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) poll(); // refused, too many readers: the browser will not try again
    else lost(LOST_AFTER_MS);
  });
}

/** Read the page the plain way now, and try the stream again later. */
async function poll() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (document.activeElement?.id !== "village") live.replaceChildren(...fresh.childNodes);
    found();
  } catch {
    lost(0);
  }
  setTimeout(listen, POLL_MS);
}

setInterval(() => source.readyState === EventSource.OPEN && Date.now() - heardAt > SILENT_AFTER_MS && lost(0), 1000);
listen();
