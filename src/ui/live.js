// Keeps the page as new as the cluster: the server says that something changed, and this fetches the page again and
// swaps the parts that differ. Focus, scroll and what is open stay as they are. Everything works without it.
"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const stored = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  const paint = () => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  paint();

  // How an element is found again in a part that was swapped.
  const path = (part, element) => {
    if (element.id) return "#" + CSS.escape(element.id);
    const href = element.getAttribute("href");
    if (href) return `[href="${CSS.escape(href)}"]`;
    return null;
  };

  const swap = (old, fresh) => {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const again = focused && path(old, focused);
    const scrolls = [...old.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
    for (const box of old.querySelectorAll("details[id]")) {
      const twin = fresh.querySelector("#" + CSS.escape(box.id));
      if (twin) twin.open = box.open;
    }
    old.replaceWith(fresh);
    for (const [id, left, top] of scrolls) {
      const box = document.getElementById(id);
      if (box) box.scrollTo(left, top);
    }
    if (again) fresh.querySelector(again)?.focus({ preventScroll: true });
  };

  let busy = false;
  let wanted = 0;
  const draw = async (attempt = 0) => {
    if (busy) return;
    busy = true;
    const want = wanted;
    let have = 0;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      have = Number(next.body.dataset.version);
      const selection = String(getSelection());
      for (const old of document.querySelectorAll("[data-part]")) {
        const fresh = next.getElementById(old.id);
        // Whoever is copying a text keeps it.
        if (selection && old.contains(getSelection().anchorNode)) continue;
        if (fresh && fresh.outerHTML !== old.outerHTML) swap(old, document.adoptNode(fresh));
      }
    } catch {
      have = want;
    }
    busy = false;
    // The answer may be a moment older than what was announced.
    if ((have < want || wanted > want) && attempt < 3) setTimeout(() => draw(attempt + 1), 300);
  };

  const say = (word) => {
    document.getElementById("live").dataset.state = word;
    document.getElementById("live-word").textContent = word === "live" ? "Live, as of" : "Not connected, as of";
  };

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => (button.textContent = "Theme: " + theme);
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // It lasts for this page only.
      }
      paint();
      label();
    });
    let stream = null;
    const connect = () => {
      if (stream) return;
      stream = new EventSource("/events");
      stream.onopen = () => say("live");
      stream.onerror = () => {
        say("away");
        // A browser gives up on a stream that was refused.
        if (stream && stream.readyState === EventSource.CLOSED) {
          stream = null;
          setTimeout(connect, 5000);
        }
      };
      stream.onmessage = (message) => {
        wanted = Number(message.data);
        draw();
      };
    };
    connect();
    addEventListener("pagehide", () => {
      stream?.close();
      stream = null;
    });
    addEventListener("pageshow", connect);
  });
})();
