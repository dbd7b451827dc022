// Keeps the residents' page fresh where scripts run; without them it reloads itself every minute.
const LOST_AFTER_MS = 5000;
const POLL_MS = 30_000;
const live = document.getElementById("live");
const offline = document.getElementById("offline");
document.documentElement.classList.add("has-script");

document.addEventListener("change", ({ target }) => {
  if (target.id === "village") target.form.submit();
});

let lostTimer = null;
function found() {
  clearTimeout(lostTimer);
  lostTimer = null;
  offline.hidden = true;
}
function lost(afterMs) {
  lostTimer ??= setTimeout(() => (offline.hidden = false), afterMs);
}

function listen() {
  const source = new EventSource(live.querySelector("main").dataset.stream);
  source.addEventListener("open", found);
  source.addEventListener("public", ({ data }) => {
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

listen();
