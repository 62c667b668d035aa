// Looks again every few seconds, and touches only what is not as it was: nothing moves unless it changed.
"use strict";
const PAUSE = 5000;
const chosen = () => new Set([...document.querySelectorAll("input:checked")].map((box) => box.id));
async function look() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.status === 401) return location.reload();
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  const main = document.querySelector("main");
  if (!fresh || fresh.innerHTML === look.last) return;
  const first = look.last === undefined;
  look.last = fresh.innerHTML;
  if (first && fresh.innerHTML === main.innerHTML) return;
  const kept = chosen(), focused = document.activeElement && document.activeElement.id;
  if (document.activeElement && document.activeElement.tagName === "SELECT") return;
  main.replaceChildren(...fresh.childNodes);
  for (const id of kept) { const box = document.getElementById(id); if (box) box.checked = true; }
  if (focused) { const place = document.getElementById(focused); if (place) place.focus({ preventScroll: true }); }
}
setInterval(() => look().catch(() => {}), PAUSE);
