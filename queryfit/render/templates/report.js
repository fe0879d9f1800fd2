// Our only script: sorts tables by their headings, and opens on paper what matters there. It asks nothing of any server.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const isDown = heading.getAttribute("aria-sort") === "descending";
      const isNumber = heading.classList.contains("n");
      const way = heading.hasAttribute("aria-sort") ? (isDown ? 1 : -1) : isNumber ? -1 : 1;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const value = (body) => {
        const cell = body.rows[0].cells[column];
        return cell.dataset.sort ?? cell.textContent;
      };
      const number = (text) => (text === "" ? -Infinity : Number(text));
      const compare = (one, other) => {
        const a = value(one), b = value(other);
        const isNumeric = !Number.isNaN(number(a)) && !Number.isNaN(number(b));
        return way * (isNumeric ? (number(a) > number(b)) - (number(a) < number(b)) : a.localeCompare(b));
      };
      table.append(...[...table.tBodies].sort(compare));
    });
  });
}
const onPaper = [...document.querySelectorAll("details.paper")];
addEventListener("beforeprint", () => {
  for (const each of onPaper) {
    each.dataset.was = each.open;
    each.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const each of onPaper) each.open = each.dataset.was === "true";
});
// a link to a finding that is folded away opens what it lies in
const reveal = () => {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  for (let each = target; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
};
addEventListener("hashchange", reveal);
reveal();
