// What the page does beyond reading: values at the pointer, under the finger and by arrow keys; filtering claims.
// Without it every mark still has its <title>, every link its target.
"use strict";
(() => {
  const box = document.getElementById("tip");
  let held = null; // a tooltip that was tapped stays until something else is
  let shown = null; // what the tooltip tells of, to stay beside it while the page scrolls

  const tell = (words, of) => {
    shown = of;
    const [first, ...rest] = words.split("\n");
    const head = document.createElement("b");
    head.textContent = first;
    box.replaceChildren(head, rest.join("\n"));
    box.hidden = false;
    beside();
  };
  const beside = () => {
    const at = shown.getBoundingClientRect(), own = box.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - own.width / 2, 8), innerWidth - own.width - 8);
    const above = at.top - own.height - 10;
    box.style.transform = `translate(${left}px, ${above > 60 ? above : at.bottom + 12}px)`;
  };
  const hush = () => { box.hidden = true; held = shown = null; document.querySelectorAll(".on").forEach((e) => e.classList.remove("on")); };

  // Titles become our tooltips: a browser's own come late, and never to a finger.
  const words = new Map();
  for (const mark of document.querySelectorAll(".mark")) {
    const title = mark.querySelector("title");
    if (!title) continue;
    words.set(mark, title.textContent);
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", title.textContent.replaceAll("\n", ", "));
    title.remove();
  }

  // ---- marks: figures, intervals ----
  const show = (mark) => { hush(); mark.classList.add("on"); tell(words.get(mark), mark); };
  for (const plot of document.querySelectorAll("svg.marks, svg.interval")) {
    const marks = [...plot.querySelectorAll(".mark")].filter((mark) => words.has(mark));
    if (!marks.length) continue;
    plot.addEventListener("pointerover", (event) => {
      const mark = event.target.closest(".mark");
      if (mark && event.pointerType === "mouse") show(mark);
    });
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && !held) hush(); });
    if (plot.classList.contains("interval")) continue; // inside a summary, where a tap opens the claim
    plot.addEventListener("click", (event) => {
      const mark = event.target.closest(".mark");
      if (mark) { go(mark); held = mark; }
    });
    // One tab stop a drawing; arrow keys go to the nearest mark that way.
    let current = marks[0];
    current.tabIndex = 0;
    const go = (mark) => { current.removeAttribute("tabindex"); current = mark; mark.tabIndex = 0; mark.focus({ preventScroll: true }); show(mark); };
    plot.addEventListener("focusin", () => show(current));
    plot.addEventListener("focusout", hush);
    plot.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const centre = (mark) => { const b = mark.getBBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
      const [x, y] = centre(current);
      let best = null, least = Infinity;
      for (const mark of marks) {
        const [u, v] = centre(mark), along = (u - x) * way[0] + (v - y) * way[1], aside = Math.abs((u - x) * way[1]) + Math.abs((v - y) * way[0]);
        if (along > 1 && along + 3 * aside < least) { least = along + 3 * aside; best = mark; }
      }
      if (best) { go(best); best.scrollIntoView({ block: "nearest" }); }
    });
  }

  addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });
  addEventListener("scroll", () => { if (shown) beside(); }, { passive: true });
  addEventListener("click", (event) => { if (!event.target.closest("svg.plot")) hush(); });

  // ---- claims: a link to one opens it; a tile shows those of its verdict ----
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) { filter(""); target.open = true; target.scrollIntoView(); }
  };
  const note = document.querySelector(".filtered");
  const filter = (verdict) => {
    for (const claim of document.querySelectorAll(".claim")) claim.hidden = Boolean(verdict) && claim.dataset.verdict !== verdict;
    for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".claim:not([hidden])");
    for (const tile of document.querySelectorAll(".tile")) tile.setAttribute("aria-current", Boolean(verdict) && tile.dataset.filter === verdict);
    if (note) {
      note.hidden = !verdict;
      note.querySelector(".which").textContent = `Only those with the verdict “${verdict}”:`;
    }
  };
  for (const link of document.querySelectorAll("[data-filter]")) link.addEventListener("click", () => filter(link.dataset.filter));
  for (const link of document.querySelectorAll('a[href^="#claim-"]')) link.addEventListener("click", () => setTimeout(open));
  open();
})();
