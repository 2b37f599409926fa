// The big table of a page: raw files with their files folded in. All of it is in memory as lists per column; only the
// rows that are in sight are in the document. Texts enter it by textContent alone, so nothing in them can be markup.
"use strict";

const OUT_OF_SIGHT = 8; // rows drawn above and below the screen
const MOST_PIXELS = 13_800_000; // browsers cannot make a page higher than some ten million pixels
const MOST_PRINTED = 2_000;

const element = (id) => document.getElementById(id);

const heightOfRows = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
let rowHeight = heightOfRows(); // a narrow screen has higher ones, for the reason is below the name there

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const exactSize = (size) => `${size.toLocaleString("en")} B`;

function humanSize(size) { // as schemas/text.py does
  if (size < 1024) return exactSize(size);
  let scaled = size / 1024, unit = "KiB";
  for (const larger of ["MiB", "GiB", "TiB", "PiB"]) {
    if (scaled < 1023.95) break;
    [scaled, unit] = [scaled / 1024, larger];
  }
  return `${scaled.toLocaleString("en", {minimumFractionDigits: 1, maximumFractionDigits: 1})} ${unit}`;
}

// What is shown of the data: filtered, sorted, unfolded. An entry is a group's number, or ~n for the row number n.
class View {
  constructor(data) {
    this.data = data;
    this.groups = data.groups;
    this.rows = data.rows;
    this.first = new Uint32Array(data.groups.count.length + 1); // the number of each group's first row
    data.groups.count.forEach((count, group) => { this.first[group + 1] = this.first[group] + count; });
    this.groupOf = new Uint32Array(data.rows.name.length);
    data.groups.count.forEach((_, group) => this.groupOf.fill(group, this.first[group], this.first[group + 1]));
    this.open = new Uint8Array(data.groups.count.length);
    this.words = [];
    this.state = null;
    this.label = null;
    this.key = "state";
    this.descending = false;
    this.update();
  }

  update() {
    this.filter();
    this.sort();
    this.unfold();
  }

  filter() {
    this.shown = new Uint8Array(this.rows.name.length);
    this.matching = [];
    this.shownRows = this.shownBytes = 0;
    for (let group = 0; group < this.groups.name.length; group++) this.filterGroup(group);
  }

  filterGroup(group) {
    if (this.label !== null && this.groups.label[group] !== this.label) return;
    const named = this.matches("groups", group);
    let any = false;
    for (let row = this.first[group]; row < this.first[group + 1]; row++) {
      if (this.state !== null && this.rows.state[row] !== this.state) continue;
      if (!named && !this.matches("rows", row)) continue;
      this.shown[row] = 1;
      this.shownRows++;
      if (this.data.states[this.rows.state[row]].weighs) this.shownBytes += this.rows.size[row] ?? 0;
      any = true;
    }
    if (any || (named && (this.state === null || this.groups.state[group] === this.state))) this.matching.push(group);
  }

  matches(kind, index) {
    if (this.words.length === 0) return true;
    this.texts ??= {groups: this.searchable(this.groups), rows: this.searchable(this.rows)};
    return this.words.every((word) => this.texts[kind][index].includes(word));
  }

  searchable(columns) {
    return columns.name.map((name, index) => `${name}\n${columns.detail[index]}\n${columns.note[index]}`.toLowerCase());
  }

  sort() {
    this.matching.sort(this.order({...this.groups, label: this.groups.label.map((label) => this.data.labels[label])}));
  }

  order(columns) {
    const values = columns[this.key], sign = this.descending ? -1 : 1;
    if (values === undefined) return (left, right) => left - right; // files have no project of their own
    return (left, right) => {
      const one = values[left] ?? -1, other = values[right] ?? -1;
      return one < other ? -sign : one > other ? sign : left - right;
    };
  }

  unfold() {
    this.entries = [];
    const order = this.order(this.rows);
    for (const group of this.matching) {
      this.entries.push(group);
      if (!this.open[group]) continue;
      const rows = [];
      for (let row = this.first[group]; row < this.first[group + 1]; row++) if (this.shown[row]) rows.push(row);
      for (const row of rows.sort(order)) this.entries.push(~row);
    }
    const most = Math.floor(MOST_PIXELS / rowHeight);
    this.leftOut = Math.max(0, this.entries.length - most);
    if (this.leftOut) this.entries.length = most;
  }

  summary() {
    const {groupNoun, rowNoun} = this.data;
    const rows = counted(this.shownRows, rowNoun), groups = counted(this.matching.length, groupNoun);
    const all = `${counted(this.rows.name.length, rowNoun)} in ${counted(this.groups.name.length, groupNoun)}`;
    return {rows, groups, all, everything: this.shownRows === this.rows.name.length};
  }

  at(position) {
    const entry = this.entries[position], isGroup = entry >= 0, index = isGroup ? entry : ~entry;
    const columns = isGroup ? this.groups : this.rows;
    const group = isGroup ? index : this.groupOf[index];
    const name = columns.name[index], folder = `${this.groups.name[group]}/`;
    return {
      isGroup, group, name,
      shortName: name.startsWith(folder) ? name.slice(folder.length) : name,
      detail: columns.detail[index], note: columns.note[index], size: columns.size[index],
      state: this.data.states[columns.state[index]],
      label: isGroup ? this.data.labels[this.groups.label[index]] : "",
      count: isGroup ? this.groups.count[index] : null,
      open: isGroup && this.groups.count[index] > 0 ? Boolean(this.open[index]) : null,
    };
  }
}

// The part of a view that is in sight, as elements.
class Table {
  constructor(view) {
    this.view = view;
    this.body = element("rows");
    this.grid = element("grid");
    this.drawn = new Map(); // position -> element
    this.chosen = null;
    this.sizeText = humanSize;
    addEventListener("scroll", () => this.drawSoon(), {passive: true});
    addEventListener("resize", () => this.resized());
    addEventListener("beforeprint", () => this.drawForPrint());
    addEventListener("afterprint", () => this.redraw());
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.grid.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  redraw() {
    const {view} = this;
    this.clear();
    this.body.style.height = `${view.entries.length * rowHeight}px`;
    this.grid.setAttribute("aria-rowcount", view.entries.length + 1);
    this.showCount();
    this.draw();
  }

  clear() {
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
  }

  showCount() {
    const {rows, groups, all, everything} = this.view.summary();
    const size = `${this.sizeText(this.view.shownBytes)} ${this.view.data.sizeWords}`;
    const shown = everything ? `All ${all}` : `${rows} in ${groups} of ${all}`;
    const leftOut = this.view.leftOut ? ` The last ${counted(this.view.leftOut, "line")} cannot be drawn: filter.` : "";
    element("count").textContent = `${shown}: ${size}.${leftOut}`;
  }

  resized() {
    const height = heightOfRows();
    if (height === rowHeight) { this.drawSoon(); return; }
    rowHeight = height;
    this.view.unfold();
    this.redraw();
  }

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }

  draw() {
    const top = -this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / rowHeight) - OUT_OF_SIGHT);
    const beyond = Math.min(this.view.entries.length, Math.ceil((top + innerHeight) / rowHeight) + OUT_OF_SIGHT);
    for (const [position, row] of this.drawn) {
      if (position < first || position >= beyond) { row.remove(); this.drawn.delete(position); }
    }
    this.drawRange(first, beyond);
  }

  drawRange(first, beyond) {
    let above = null;
    for (let position = first; position < beyond; position++) {
      let row = this.drawn.get(position);
      if (row === undefined) {
        row = this.element(position);
        this.drawn.set(position, row);
        if (above === null) this.body.prepend(row);
        else above.after(row); // in their order also for those who hear them read
      }
      above = row;
    }
  }

  drawForPrint() {
    this.clear();
    const printed = Math.min(this.view.entries.length, MOST_PRINTED);
    this.drawRange(0, printed);
    const more = this.view.entries.length - printed;
    if (more) element("count").textContent += ` Printed: the first ${counted(printed, "line")}; ${more.toLocaleString("en")} are not.`;
  }

  element(position) {
    const entry = this.view.at(position);
    const row = document.createElement("div");
    row.className = `row ${entry.isGroup ? "group" : "file"} ${entry.state.tone}${entry.note ? " remarked" : ""}`;
    row.id = `row-${position}`;
    row.dataset.position = position;
    row.style.top = `${position * rowHeight}px`;
    row.setAttribute("role", "row");
    row.setAttribute("aria-level", entry.isGroup ? 1 : 2);
    row.setAttribute("aria-rowindex", position + 2);
    if (entry.open !== null) row.setAttribute("aria-expanded", entry.open);
    this.mark(row, position === this.chosen);
    const size = entry.size === null ? "–" : this.sizeText(entry.size);
    row.append(
      cell("state", span("mark", `${entry.state.mark} `), span("word", entry.state.text)),
      cell("name", span("main", entry.shortName), span("detail", entry.detail), span("aside", entry.note)),
      cell("label", entry.label),
      cell("count", entry.count === null ? "" : entry.count.toLocaleString("en")),
      cell("size", size),
      cell("remark", span("", entry.note)),
    );
    row.title = entry.note ? `${entry.name}\n${entry.note}` : entry.name;
    return row;
  }

  mark(row, isChosen) {
    row.classList.toggle("chosen", isChosen);
    row.setAttribute("aria-selected", isChosen);
  }

  choose(position) {
    const old = this.drawn.get(this.chosen);
    if (old) this.mark(old, false);
    this.chosen = position;
    const isNone = position === null;
    element("chosen").hidden = isNone;
    if (isNone) { this.grid.removeAttribute("aria-activedescendant"); return; }
    const entry = this.view.at(position);
    const size = entry.size === null ? [] : [exactSize(entry.size)];
    element("chosen-text").textContent = [
      entry.name, [entry.state.text, ...size, entry.label].filter(Boolean).join(", "), entry.detail, entry.note,
    ].filter(Boolean).join("\n");
    this.bringIntoSight(position);
    this.draw();
    this.mark(this.drawn.get(position), true);
    this.grid.setAttribute("aria-activedescendant", `row-${position}`);
  }

  bringIntoSight(position) {
    const top = this.body.getBoundingClientRect().top + position * rowHeight;
    const upper = element("heads").offsetHeight, lower = innerHeight - element("chosen").offsetHeight - rowHeight;
    if (top < upper) scrollBy({top: top - upper, behavior: "instant"});
    else if (top > lower) scrollBy({top: top - lower, behavior: "instant"});
  }

  toggle(position, open) {
    const {group} = this.view.at(position);
    this.view.open[group] = open;
    this.view.unfold();
    this.redraw();
    this.choose(this.view.entries.indexOf(group));
  }

  clicked(event) {
    const row = event.target.closest(".row");
    if (row === null || String(getSelection())) return;
    const position = Number(row.dataset.position), {open} = this.view.at(position);
    this.grid.focus({preventScroll: true});
    if (open === null) this.choose(position);
    else this.toggle(position, !open);
  }

  keyPressed(event) {
    if (event.target !== this.grid || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.view.entries.length - 1, page = Math.max(1, Math.floor(innerHeight / rowHeight) - 3);
    if (last < 0) return;
    const position = this.chosen ?? -1;
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last - 1, End: last + 1};
    if (event.key in steps) this.choose(Math.min(last, Math.max(0, position + steps[event.key])));
    else if (event.key === "Escape") this.choose(null);
    else if (position < 0 || !["ArrowRight", "ArrowLeft", "Enter", " "].includes(event.key)) return;
    else this.foldByKey(position, event.key);
    event.preventDefault();
  }

  foldByKey(position, key) {
    const {isGroup, group, open} = this.view.at(position);
    if (!isGroup && key === "ArrowLeft") this.choose(this.view.entries.indexOf(group));
    if (open === null) return;
    if (key === "ArrowRight" && open) this.choose(Math.min(position + 1, this.view.entries.length - 1));
    else if (key !== "ArrowLeft" || open) this.toggle(position, !open);
  }
}

function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function cell(className, ...content) {
  const made = document.createElement("div");
  made.className = className;
  made.setAttribute("role", "gridcell");
  made.append(...content);
  return made;
}

function offer(select, texts) {
  for (const [number, text] of texts.entries()) select.add(new Option(text, number));
  select.prepend(new Option("all", ""));
  select.value = "";
}

function connectControls(view, table) {
  const changed = () => {
    table.choose(null);
    view.update();
    table.redraw();
  };
  const choice = (select) => (select.value === "" ? null : Number(select.value));
  let typing;
  element("query").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      view.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      changed();
    }, 120);
  });
  element("state").addEventListener("change", (event) => { view.state = choice(event.target); changed(); });
  element("label").addEventListener("change", (event) => { view.label = choice(event.target); changed(); });
  element("exact").addEventListener("change", (event) => {
    table.sizeText = event.target.checked ? exactSize : humanSize;
    table.redraw();
  });
  element("dismiss").addEventListener("click", () => { table.choose(null); element("grid").focus({preventScroll: true}); });
  element("unfold").addEventListener("click", () => { view.open.fill(1); changed(); });
  element("fold").addEventListener("click", () => { view.open.fill(0); changed(); });
  for (const head of document.querySelectorAll("[role=columnheader]")) {
    head.firstElementChild.addEventListener("click", () => {
      view.descending = view.key === head.dataset.key ? !view.descending : ["count", "size", "note"].includes(head.dataset.key);
      view.key = head.dataset.key;
      showOrder(view);
      changed();
    });
  }
}

function showOrder(view) {
  for (const head of document.querySelectorAll("[role=columnheader]")) {
    const isKey = head.dataset.key === view.key;
    head.setAttribute("aria-sort", !isKey ? "none" : view.descending ? "descending" : "ascending");
  }
}

function nameHeads(data) {
  const capital = (noun) => noun[0].toUpperCase() + noun.slice(1);
  element("label-noun").textContent = capital(data.labelNoun);
  document.querySelector(".heads .name button").textContent = capital(data.groupNoun);
  document.querySelector(".heads .label button").textContent = capital(data.labelNoun);
  document.querySelector(".heads .count button").textContent = `${capital(data.rowNoun)}s`;
}

async function start() {
  const data = await unpacked(element("data").textContent);
  const view = new View(data), table = new Table(view);
  nameHeads(data);
  offer(element("state"), data.states.map((state) => state.text));
  offer(element("label"), data.labels);
  connectControls(view, table);
  showOrder(view);
  for (const id of ["controls", "grid", "keys"]) element(id).hidden = false;
  table.redraw();
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => { element("message").textContent = `This browser cannot draw the table: ${error.message}`; });
