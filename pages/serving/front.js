// What a page needs that Streamlit does not give: one step back for one press, tables that answer to keys, results that
// are announced, help buttons with a name. It runs before Streamlit does; all of it goes by what stands in the page.

(() => {
  const KEEP_PLACE_MS = 20000;
  const MAX_FRAMES = 30;
  const CELL_PX = 120;
  const PAGE_ROWS = 7;
  const MAX_SCANNED = 60;

  // Streamlit looks for its server below the page's own address first: told where it is, it does not have to guess.
  window.__streamlit = { BACKEND_BASE_URL: new URL("./", window.location.href).href };

  // History ----------------------------------------------------------------------------------------------------------
  // A page writes what it shows into its address bit by bit. Only what a visitor did is a step to go back to.

  const push = window.history.pushState.bind(window.history);
  const replace = window.history.replaceState.bind(window.history);
  const scroller = () => document.querySelector('[data-testid="stMain"]');
  let isTouched = false;
  let isTyping = false;
  let isScrolled = false;
  let touchedAt = 0;
  let lastChanged = "";

  function touch(event) {
    if (!event.isTrusted) return;
    isTouched = true;
    touchedAt = scroller()?.scrollTop ?? 0;
    isTyping = event.type === "keydown" && event.target.matches?.("input, textarea");
  }
  ["pointerdown", "keydown"].forEach((name) => window.addEventListener(name, touch, true));
  ["wheel", "touchmove"].forEach((name) =>
    window.addEventListener(name, () => (isScrolled = true), { capture: true, passive: true }),
  );

  function changedNames(from, to) {
    const names = new Set([...from.searchParams.keys(), ...to.searchParams.keys()]);
    return [...names]
      .filter((name) => from.searchParams.get(name) !== to.searchParams.get(name))
      .join();
  }

  window.history.pushState = (state, title, address) => {
    const from = new URL(window.location.href);
    const to = new URL(address ?? from, from);
    const changed = changedNames(from, to);
    const isSamePage = from.pathname === to.pathname;
    if (!isTouched || (isTyping && isSamePage && changed === lastChanged)) {
      replace(window.history.state, title, address);
      return;
    }
    replace({ ...window.history.state, top: touchedAt }, "");
    push(state, title, address);
    if (changed.split(",").includes("step")) scroller()?.scrollTo({ top: 0 });
    isTouched = false;
    lastChanged = changed;
  };

  window.addEventListener("popstate", (event) => {
    isTouched = false;
    if (event.state?.top) returnTo(event.state.top);
  });

  // Scrolls to where the visitor was, as soon as the page is drawn that far, unless they move on before.
  function returnTo(top) {
    const until = Date.now() + KEEP_PLACE_MS;
    isScrolled = false;
    let nThere = 0;
    const scroll = () => {
      const main = scroller();
      const isReady = document.querySelector('[data-test-script-state="notRunning"]');
      if (isReady && main && Math.abs(main.scrollTop - top) < 2) nThere += 1;
      if (isTouched || isScrolled || nThere > 8 || Date.now() > until) return;
      if (main && main.scrollHeight - main.clientHeight >= top) main.scrollTop = top;
      window.setTimeout(scroll, 120);
    };
    scroll();
  }

  // Tables -----------------------------------------------------------------------------------------------------------
  // Their rows are painted; a hidden table beside the picture says which are in sight and which one is chosen.

  const gridOf = (node) => node?.closest?.('[data-testid="stDataFrame"]');
  // What Python says of the row that is chosen; nothing for a table of which none can be.
  const markOf = (grid) =>
    [...document.querySelectorAll("[data-row-of]")].find((mark) =>
      grid.closest(`.st-key-${CSS.escape(mark.dataset.rowOf)}`),
    );

  function look(grid) {
    const table = grid.querySelector("canvas table");
    const rows = [...(table?.querySelectorAll("tbody tr") ?? [])];
    const at = (row) => Number(row.getAttribute("aria-rowindex")) - 2;
    const chosen = rows.find((row) => row.getAttribute("aria-selected") === "true");
    return {
      n: Number(table?.getAttribute("aria-rowcount") ?? 1) - 1,
      chosen: chosen ? at(chosen) : null,
      first: rows.length ? at(rows[0]) : 0,
    };
  }

  // Pixels of a row; the line of headers is as high.
  const rowPx = (grid) => grid.querySelector(".dvn-scroller").scrollHeight / (look(grid).n + 1);

  const drawn = () =>
    new Promise((done) => window.requestAnimationFrame(() => window.requestAnimationFrame(done)));

  async function showRow(grid, row) {
    const part = grid.querySelector(".dvn-scroller");
    if (!part) return;
    const px = rowPx(grid);
    const [top, bottom] = [row * px, (row + 2) * px + 2];
    if (top < part.scrollTop) part.scrollTop = top;
    else if (bottom > part.scrollTop + part.clientHeight)
      part.scrollTop = bottom - part.clientHeight;
    for (let i = 0; i < MAX_FRAMES; i += 1) {
      await drawn();
      if (look(grid).first === Math.floor(part.scrollTop / px)) return;
    }
  }

  // A row is chosen the way a mouse does it, whatever the order on screen.
  async function chooseRow(grid, row) {
    await showRow(grid, row);
    const canvas = grid.querySelector("canvas");
    const part = grid.querySelector(".dvn-scroller");
    const box = canvas.getBoundingClientRect();
    const place = {
      clientX: box.left + Math.min(CELL_PX, box.width / 2),
      clientY: box.top + (row + 1.5) * rowPx(grid) - part.scrollTop,
      bubbles: true,
      cancelable: true,
      button: 0,
      detail: 1,
    };
    const pointer = { ...place, pointerId: 1, pointerType: "mouse", isPrimary: true };
    canvas.dispatchEvent(new PointerEvent("pointermove", pointer));
    canvas.dispatchEvent(new MouseEvent("mousemove", place));
    canvas.dispatchEvent(new PointerEvent("pointerdown", { ...pointer, buttons: 1 }));
    canvas.dispatchEvent(new MouseEvent("mousedown", { ...place, buttons: 1 }));
    await drawn();
    canvas.dispatchEvent(new PointerEvent("pointerup", pointer));
    canvas.dispatchEvent(new MouseEvent("mouseup", place));
    canvas.dispatchEvent(new MouseEvent("click", place));
    canvas.focus({ preventScroll: true });
  }

  // Sorted by a click on a header, a table has an order that only the browser knows: steps then go by what is on screen.
  const isSorted = (grid) =>
    [...grid.querySelectorAll("canvas th")].some((head) => /^[↑↓] /.test(head.textContent));

  // The chosen row on screen; where it is out of sight, a short table is looked through for it.
  async function findChosen(grid) {
    if (!isSorted(grid)) {
      const { row } = markOf(grid).dataset;
      return row === "" ? null : Number(row);
    }
    const found = look(grid);
    const part = grid.querySelector(".dvn-scroller");
    if (found.chosen !== null || !part) return found.chosen;
    const [before, step] = [
      part.scrollTop,
      Math.max(rowPx(grid), part.clientHeight - 2 * rowPx(grid)),
    ];
    if (part.scrollHeight / step > MAX_SCANNED) return null;
    for (let top = 0; top < part.scrollHeight; top += step) {
      part.scrollTop = top;
      await drawn();
      const { chosen } = look(grid);
      if (chosen !== null) return chosen;
    }
    part.scrollTop = before;
    return null;
  }

  async function step(grid, by) {
    for (let i = 0; i < MAX_FRAMES && look(grid).n < 1; i += 1) await drawn();
    const { n, first } = look(grid);
    if (n < 1) return;
    const from = await findChosen(grid);
    const to = from === null ? first : from + by;
    await chooseRow(grid, Math.max(0, Math.min(n - 1, to)));
  }

  const MOVES = {
    ArrowDown: (grid) => step(grid, 1),
    ArrowUp: (grid) => step(grid, -1),
    PageDown: (grid) => step(grid, PAGE_ROWS),
    PageUp: (grid) => step(grid, -PAGE_ROWS),
    Home: (grid) => chooseRow(grid, 0),
    End: (grid) => chooseRow(grid, look(grid).n - 1),
    Enter: (grid) => step(grid, 0),
    " ": (grid) => step(grid, 0),
  };

  window.addEventListener(
    "keydown",
    (event) => {
      const grid = gridOf(event.target);
      const isInTable = event.target.matches?.("canvas, td, th");
      if (
        !grid ||
        !isInTable ||
        !MOVES[event.key] ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey
      )
        return;
      if (!markOf(grid)) return;
      event.preventDefault();
      event.stopPropagation();
      MOVES[event.key](grid);
    },
    true,
  );

  // a story goes on and back by arrow keys, unless something on the page has the keyboard
  const WAYS = { ArrowRight: "story_next", ArrowLeft: "story_back" };
  window.addEventListener("keydown", (event) => {
    const way = WAYS[event.key];
    const isFree = event.target.matches?.("body, a, button:not([role])");
    if (!way || !isFree || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    document.querySelector(`.st-key-${way} a`)?.click();
  });

  window.addEventListener(
    "click",
    (event) => {
      const mark = event.target.closest?.('[class*="st-key-step_"]');
      const found = mark && /st-key-step_(next|previous)_of_(\w+)/.exec(mark.className);
      const grid =
        found && document.querySelector(`.st-key-${found[2]} [data-testid="stDataFrame"]`);
      if (!grid || !isSorted(grid)) return;
      event.preventDefault();
      event.stopPropagation();
      step(grid, found[1] === "next" ? 1 : -1);
    },
    true,
  );

  // What is said --------------------------------------------------------------------------------------------------------

  const said = new Map();
  let status = null;

  function announce() {
    const now = [...document.querySelectorAll("[data-said]")].map((node) => [
      node.dataset.said,
      node.textContent,
    ]);
    const fresh = now.filter(([key, words]) => said.get(key) !== words).map(([, words]) => words);
    said.clear();
    now.forEach(([key, words]) => said.set(key, words));
    if (fresh.length && status) status.textContent = fresh.join(" ");
  }

  // On a narrow screen Streamlit lists the pages in a list whose items stand in boxes, which is no list to a reader.
  function mendNavigation() {
    document.querySelectorAll('ul[data-testid="stSidebarNavItems"]:not([role])').forEach((list) => {
      list.setAttribute("role", "presentation");
      list.querySelectorAll("li").forEach((item) => item.setAttribute("role", "presentation"));
    });
  }

  function nameHelp() {
    document.querySelectorAll('button[aria-label="Help"]').forEach((button) => {
      const about = button.closest(
        '[data-testid="stHeading"], [data-testid="stMarkdown"], .stElementContainer',
      );
      const words = (about?.textContent ?? "").trim().slice(0, 80);
      if (words) button.setAttribute("aria-label", `Help for ${words}`);
    });
  }

  const shownRows = new Map();

  function showChosenRows() {
    document.querySelectorAll("[data-row-of]").forEach((node) => {
      const { rowOf, row } = node.dataset;
      const grid = document.querySelector(
        `.st-key-${CSS.escape(rowOf)} [data-testid="stDataFrame"]`,
      );
      if (!grid?.querySelector("canvas table") || shownRows.get(grid) === row) return;
      shownRows.set(grid, row);
      if (!isSorted(grid)) showRow(grid, Number(row));
    });
  }

  let isWaiting = false;
  function tidy() {
    if (isWaiting) return;
    isWaiting = true;
    window.setTimeout(() => {
      isWaiting = false;
      nameHelp();
      mendNavigation();
      announce();
      showChosenRows();
    }, 150);
  }

  document.addEventListener("DOMContentLoaded", () => {
    status = document.createElement("div");
    status.className = "voxscope-status";
    status.setAttribute("role", "status");
    status.setAttribute("aria-live", "polite");
    document.body.append(status);
    new MutationObserver(tidy).observe(document.body, {
      childList: true,
      subtree: true,
      characterData: true,
    });
  });
})();
