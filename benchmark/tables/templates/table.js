"use strict";
(() => {
  const table = document.getElementById("numbers");
  const detail = document.getElementById("detail");
  const cells = JSON.parse(document.getElementById("cells").textContent);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]).filter((row) => row.length);
  const all = rows.flat();
  if (!all.length) return;
  all[0].tabIndex = 0;

  const show = (td) => {
    const content = cells[Number(td.dataset.i)];
    detail.querySelector("h2").textContent = content.title;
    const list = detail.querySelector("dl");
    list.textContent = "";
    for (const [name, value] of content.facts) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      list.append(term, text);
    }
    detail.hidden = false;
  };
  const move = (td) => {
    all.forEach((other) => { other.tabIndex = -1; });
    td.tabIndex = 0;
    td.focus();
    td.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (!detail.hidden) show(td);
  };
  table.addEventListener("click", (event) => {
    const td = event.target.closest("td");
    if (td) { move(td); show(td); }
  });
  table.addEventListener("keydown", (event) => {
    const td = event.target.closest("td");
    if (!td) return;
    const r = rows.findIndex((row) => row.includes(td));
    const c = rows[r].indexOf(td);
    const last = rows[r].length - 1;
    const targets = {
      ArrowRight: rows[r][c + 1], ArrowLeft: rows[r][c - 1], Home: rows[r][0], End: rows[r][last],
      ArrowDown: rows[r + 1]?.[c], ArrowUp: rows[r - 1]?.[c],
    };
    if (event.key in targets) { event.preventDefault(); if (targets[event.key]) move(targets[event.key]); }
    else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(td); }
    else if (event.key === "Escape") detail.hidden = true;
  });
  detail.querySelector("button").addEventListener("click", () => {
    detail.hidden = true;
    table.querySelector('td[tabindex="0"]').focus();
  });
})();
