"use strict";
// Timelines of what went well are packed: pieces of HTML that Rehearsal made, several to
// a chunk of JSON, gzip and base64. Opening a scenario inflates its chunk.
const chunks = new Map();
function chunk(n) {
  if (!chunks.has(n)) {
    const bytes = Uint8Array.from(atob(document.getElementById("c" + n).textContent), (c) => c.charCodeAt(0));
    chunks.set(n, new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json());
  }
  return chunks.get(n);
}
async function unpack(d) {
  if (d.dataset.c === undefined) return;
  d.querySelector(".pictures").innerHTML = (await chunk(d.dataset.c))[d.dataset.i];
  delete d.dataset.c;
}
const scenarios = [...document.querySelectorAll(".scenario")];
document.addEventListener("toggle", (e) => { if (e.target.open && e.target.matches(".scenario")) unpack(e.target); }, true);

// A link to a scenario opens it.
function go() {
  const e = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (e && e.matches("details")) { e.open = true; e.scrollIntoView(); }
}
addEventListener("hashchange", go);
document.addEventListener("click", (e) => { const a = e.target.closest("a[href^='#']"); if (a && a.hash === location.hash) go(); });
go();

// Everything that is closed is printed all the same.
let shut = [];
addEventListener("beforeprint", () => {
  shut = [...document.querySelectorAll("details:not([open])")];
  for (const d of shut) d.open = true;
});
addEventListener("afterprint", () => { for (const d of shut) d.open = false; });

// Find by text and by verdict.
const find = document.getElementById("find"), show = document.getElementById("show"), found = document.getElementById("found");
const texts = new Map();
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  for (const d of scenarios) {
    if (words.length && !texts.has(d)) {
      const f = d.closest(".feature");
      texts.set(d, (f.querySelector("h3").textContent + " " + d.textContent).toLowerCase());
    }
    const hit = (!show.value || d.dataset.v === show.value) && words.every((w) => texts.get(d).includes(w));
    d.hidden = !hit;
    n += hit;
  }
  for (const f of document.querySelectorAll(".feature")) f.hidden = !f.querySelector(".scenario:not([hidden])");
  found.textContent = words.length || show.value ? found.dataset.text.replace("#", n) : "";
}
find.addEventListener("input", filter);
show.addEventListener("change", filter);
document.getElementById("all").addEventListener("click", async () => {
  for (const d of scenarios) {
    if (d.hidden) continue;
    d.open = true;
    await unpack(d);
  }
});
const form = document.querySelector(".filter");
form.addEventListener("submit", (e) => e.preventDefault());
form.hidden = false;
