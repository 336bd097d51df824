"""The page's one script: tables of class `sortable` get buttons in their column heads; without it every table still reads."""

from __future__ import annotations

import base64
import hashlib

# A head names its column in data-column; a cell its value in data-value, else its text counts. Rows stay in their own body, and
# rows that are no rank (names of groups, in class `fixed`) stay where they are.
SCRIPT = """
"use strict";
for (const head of document.querySelectorAll("table.sortable th[data-column]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sort(head));
}
function value(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  return text === "" ? NaN : Number.isNaN(Number(text)) ? text : Number(text);
}
function compare(one, other) {
  if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
  return typeof one === typeof other && typeof one === "number" ? one - other : String(one).localeCompare(String(other));
}
function sort(head) {
  const table = head.closest("table");
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("fixed"));
    const last = rows.length ? rows[rows.length - 1].nextSibling : null;
    const column = Number(head.dataset.column);
    rows.sort((one, other) => sign * compare(value(one, column), value(other, column)));
    for (const row of rows) body.insertBefore(row, last);
  }
}
"""

# What the page's policy names: the hash of exactly these characters between the script's tags.
SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
