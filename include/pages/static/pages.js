// The colours follow Airflow, whose choice of light or dark is kept in this browser; what takes longer is fetched later.
"use strict";

function follow() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is switched off: the system decides */ }
  const known = chosen === "light" || chosen === "dark";
  if (known) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

async function load(place) {
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(place.dataset.load, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const parts = document.createElement("template");
    parts.innerHTML = await answer.text();
    const spread = parts.content.querySelectorAll("[data-for]");
    for (const part of spread) document.getElementById(part.dataset.for)?.replaceChildren(...part.childNodes);
    if (!spread.length) place.replaceChildren(parts.content);
    else place.replaceChildren();
  } catch (problem) {
    place.textContent = `Not known right now (${problem.message}).`;
  }
  place.removeAttribute("aria-busy");
  reachable();
}

// What scrolls sideways must be reachable by keyboard; what does not must not stop it.
function reachable() {
  for (const place of document.querySelectorAll(".scroll")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
}

// Airflow shows the pages in a frame that may not lead the window elsewhere; a link within Airflow's own document may.
function leave(event) {
  const link = event.target.closest?.("a[target]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  let outside;
  try { outside = window.parent.document; } catch { return; /* a frame of another site: the browser decides */ }
  event.preventDefault();
  const twin = outside.createElement("a");
  twin.href = link.href;
  twin.target = link.target;
  twin.rel = "noopener";
  outside.body.append(twin);
  twin.click();
  twin.remove();
}

follow();
addEventListener("click", leave);
addEventListener("storage", follow);
addEventListener("resize", reachable);
addEventListener("toggle", reachable, true);
addEventListener("DOMContentLoaded", () => {
  reachable();
  document.querySelectorAll("[data-load]").forEach(load);
});
