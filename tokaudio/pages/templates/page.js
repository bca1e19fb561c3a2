"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (owner, x, y) => {
    tip.textContent = owner.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(x + 12, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(8, y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18) + "px";
  };
  const owner = (event) => event.target.closest && event.target.closest("[data-tip]");
  document.addEventListener("pointerover", (event) => {
    const found = owner(event);
    if (found) show(found, event.clientX, event.clientY); else tip.hidden = true;
  });
  document.addEventListener("focusin", (event) => {
    const found = owner(event);
    if (!found) return;
    const box = found.getBoundingClientRect();
    show(found, box.left, box.bottom - 12);
  });
  document.addEventListener("focusout", () => { tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
    const number = Number(text.replace(/[,\u00a0%]/g, ""));
    return text !== "" && Number.isFinite(number) ? number : text;
  };
  const order = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  for (const button of document.querySelectorAll("th > button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const body = head.closest("table").tBodies[0];
      const turn = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [key(row, head.cellIndex), row]);
      rows.sort((a, b) => turn * order(a[0], b[0]));
      for (const [, row] of rows) body.append(row);
    });
  }

  let playing = null;
  const stop = () => {
    if (!playing) return;
    playing.sound.pause();
    playing.button.setAttribute("aria-pressed", "false");
    playing = null;
  };
  for (const button of document.querySelectorAll("button[data-sound]")) {
    button.addEventListener("click", () => {
      const again = playing && playing.button === button;
      stop();
      if (again) return;
      const sound = new Audio(button.dataset.sound);
      playing = { button, sound };
      button.setAttribute("aria-pressed", "true");
      sound.addEventListener("ended", stop);
      sound.play().catch(stop);
    });
  }
})();
