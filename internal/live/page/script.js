"use strict";
// What the server says is a list of [how, where, what]: HTML that the server made.
const lost = document.getElementById("lost");
const events = new EventSource("/events");
const change = {
  put: (e, html) => { e.innerHTML = html; },
  add: (e, html) => { e.insertAdjacentHTML("beforeend", html); },
  top: (e, html) => { e.insertAdjacentHTML("afterbegin", html); },
  drop: (e) => { e.remove(); },
};
events.onmessage = (m) => {
  lost.hidden = true;
  for (const [how, where, html] of JSON.parse(m.data)) {
    const e = document.getElementById(where);
    if (e) change[how](e, html);
  }
};
events.onerror = () => { lost.hidden = false; };
events.addEventListener("over", () => events.close());
