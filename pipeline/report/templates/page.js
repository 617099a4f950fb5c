(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, values = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), values);
    made.append(...children);
    return made;
  };
  const kept = {
    get: () => { try { return localStorage.getItem("millrace-theme"); } catch { return null; } },
    set: (theme) => { try { localStorage.setItem("millrace-theme", theme); } catch { /* a page from disk may have no storage */ } },
  };
  const tell = (text) => { const told = document.getElementById("told"); if (told) told.textContent = text; };

  root.classList.add("js");
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();

  function theme(button) {
    button.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      kept.set(root.dataset.theme);
    });
  }

  // A number's cell sorts by the exact value of its <data>; what has no value comes last, in either direction.
  const { compare } = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  function keyOf(cell, numeric) {
    if (!cell) return null;
    const exact = cell.dataset.value ?? cell.querySelector("data")?.value;
    if (!numeric) return (exact ?? cell.textContent).trim() || null;
    const number = parseFloat(exact ?? cell.textContent.replaceAll(",", "").replace("\u2212", "-"));
    return Number.isNaN(number) ? null : number;
  }

  function sortable(table) {
    const heads = all("thead th[data-sort]", table);
    for (const head of heads) {
      const button = make("button", { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const numeric = head.dataset.sort === "number";
        const was = head.getAttribute("aria-sort");
        const up = was ? was === "descending" : !numeric;
        const body = table.tBodies[0];
        const keyed = [...body.rows].map((row) => [keyOf(row.cells[head.cellIndex], numeric), row]);
        keyed.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return (numeric ? a - b : compare(a, b)) * (up ? 1 : -1);
        });
        body.replaceChildren(...keyed.map(([, row]) => row));
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        tell(`Sorted by ${button.textContent.trim()}, ${up ? "ascending" : "descending"}`);
      });
    }
  }

  function filter(list) {
    const items = list.tBodies ? [...list.tBodies].flatMap((body) => [...body.rows]) : [...list.children];
    if (items.length < 2) return;
    let texts = null;
    let waiting = 0;
    const count = make("span", { className: "muted" });
    const box = make("input", { type: "search", autocomplete: "off" });
    const what = list.dataset.filter || (list.tBodies ? "rows" : "cards");
    const show = () => {
      texts ??= items.map((item) => item.textContent.toLowerCase());
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      items.forEach((item, i) => {
        const fits = words.every((word) => texts[i].includes(word));
        shown += fits;
        if (item.hidden === fits) item.hidden = !fits;
      });
      count.textContent = words.length ? `${shown.toLocaleString("en")} of ${items.length.toLocaleString("en")}` : "";
      tell(words.length ? `${shown} of ${items.length} ${what} shown` : "");
    };
    box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 80); });
    const place = list.closest(".wide") ?? list;
    place.before(make("p", { className: "filter" }, make("label", {}, `Filter ${what} `, box), " ", count));
  }

  function copying(button) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.querySelector(button.dataset.copy);
      if (!source) return;
      let done = true;
      try {
        await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
      } catch {
        getSelection().selectAllChildren(source);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Selected";
      tell(button.textContent);
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }

  // Precision, recall and cost at each threshold; the counts come from the page, nothing is estimated here.
  function explorer(part) {
    const points = JSON.parse(part.querySelector("script.points")?.textContent || "[]");
    const at = part.querySelector("input.at");
    if (!points.length || !at) return;
    const outs = all("[data-out]", part);
    const cost = { fp: part.querySelector(".cost-fp"), fn: part.querySelector(".cost-fn") };
    const price = (input) => Math.max(0, parseFloat(input?.value) || 0);
    const costOf = (point) => point.fp * price(cost.fp) + point.fn * price(cost.fn);
    const ratio = (a, b) => (b ? a / b : null);
    const whole = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
    const share = (value) => (value === null ? "\u2013" : `${(100 * value).toFixed(1)} %`);
    const show = () => {
      const point = points[at.value];
      const { tp, fp, tn, fn } = point;
      const values = {
        threshold: point.threshold.toFixed(3),
        precision: share(ratio(tp, tp + fp)),
        recall: share(ratio(tp, tp + fn)),
        selection_rate: share(ratio(tp + fp, tp + fp + tn + fn)),
        false_positive_rate: share(ratio(fp, fp + tn)),
        cost: whole(costOf(point)),
        tp: whole(tp), fp: whole(fp), tn: whole(tn), fn: whole(fn),
      };
      for (const out of outs) out.textContent = values[out.dataset.out] ?? "";
      at.setAttribute("aria-valuetext", `threshold ${values.threshold}`);
    };
    const wanted = parseFloat(at.dataset.threshold ?? part.dataset.explorer) || 0.5;
    const best = (score) => points.reduce((found, point, i) => (score(point) < score(points[found]) ? i : found), 0);
    const start = best((point) => Math.abs(point.threshold - wanted));
    Object.assign(at, { min: 0, max: points.length - 1, step: 1 });
    at.value = start;
    at.addEventListener("input", show);
    for (const input of Object.values(cost)) input?.addEventListener("input", show);
    part.querySelector(".cheapest")?.addEventListener("click", () => { at.value = best(costOf); show(); });
    show();
  }

  // What is folded is printed too, and what a link points at is opened.
  function folding() {
    let folded = [];
    addEventListener("beforeprint", () => { folded = all("details:not([open])"); for (const part of folded) part.open = true; });
    addEventListener("afterprint", () => { for (const part of folded) part.open = false; });
    const reveal = () => {
      let part = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
      const target = part;
      for (; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
      target?.scrollIntoView();
    };
    addEventListener("hashchange", reveal);
    if (location.hash) reveal();
  }

  function following() {
    const links = new Map(all("nav.parts a").map((link) => [link.hash.slice(1), link]));
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const [name, link] of links) name === target.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
      }
    }, { rootMargin: "-20% 0px -75% 0px" });
    for (const part of all("main > section[id]")) if (links.has(part.id)) seen.observe(part);
  }

  addEventListener("DOMContentLoaded", () => {
    all("button.theme").forEach(theme);
    all("table.sortable").forEach(sortable);
    all("[data-filter]").forEach(filter);
    all("[data-copy]").forEach(copying);
    all("[data-explorer]").forEach(explorer);
    for (const part of all(".wide")) part.tabIndex = 0; // What scrolls sideways can be reached with the keyboard.
    folding();
    following();
  });
})();
